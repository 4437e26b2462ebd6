"""`python -m oat`."""

from oat.cli import main

main()
