"""``python -m actlift``: the command line, for machines where the script is not on the path."""

from actlift.cli import main

main()
