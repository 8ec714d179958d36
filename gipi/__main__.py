"""`python -m gipi ...` is `gipi ...`."""

from gipi.cli.main import run

run()
