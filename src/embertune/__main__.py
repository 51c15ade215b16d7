"""``python -m embertune`` is the command line."""

from embertune.cli import main

main()
