"""`python -m imparfait` is the command `imparfait`."""

from imparfait.commands.main import main

main()
