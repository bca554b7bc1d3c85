"""The parts of a board folder's ``run.py``, in Python 3.6; ``run_script`` puts them together."""
