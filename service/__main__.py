"""`python -m service` is `data20`."""

from service.cli import main

main()
