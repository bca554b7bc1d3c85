"""Training: a strict recipe, one readable loop, checkpoints that resume exactly."""
