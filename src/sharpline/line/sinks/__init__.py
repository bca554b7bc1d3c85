"""Where results go: events to receivers, films and pictures to the disk."""
