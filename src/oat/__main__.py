"""`python -m oat`."""

from oat.commands import main

main()
