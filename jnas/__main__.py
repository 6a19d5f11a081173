"""`python -m jnas`."""

from jnas.commands import main

main()
