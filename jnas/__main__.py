"""`python -m jnas`."""

from jnas.cli import main

main()
