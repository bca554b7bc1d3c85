"""Live: cameras in, enlarged frames out to the operator's page and the fault detector. No torch."""
