"""`python -m imparfait` is the command `imparfait`."""

from imparfait.cli.main import main

main()
