"""Export: from a checkpoint to the file that a device runs."""
