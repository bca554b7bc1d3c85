"""Cameras: every kind behind one state machine that connects, watches and reconnects."""
