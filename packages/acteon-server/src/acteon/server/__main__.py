"""`python -m acteon.server`: the same as the command `acteon-server`."""

from acteon.server.cli import main

main(prog_name="acteon-server")
