"""`python -m jnas`."""

from jnas.commands.cli import main

main()
