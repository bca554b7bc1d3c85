"""The way of a frame: waiting, enlarging by what the machine can do in time, handing over."""
