"""One file a format: bytes to pictures and back. Used through `reading` and `writing` only."""
