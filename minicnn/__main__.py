"""`python -m minicnn`."""

from .cli import main

main()
