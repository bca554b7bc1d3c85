"""Run the command line with ``python -m sharpline``."""

from sharpline.cli.main import main

main()
