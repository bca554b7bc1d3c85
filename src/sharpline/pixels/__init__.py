"""Arrays and files, nothing learned: reading, writing, colour, resizing, metrics."""
