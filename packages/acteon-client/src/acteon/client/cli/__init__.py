"""The command `acteon`: what a client can do, from a shell.

| status | |
|---|---|
| 0 | done |
| 1 | an action failed or reached no outcome, the server is not well, or `--fail-on` applies |
| 2 | the command, or what it is to read, cannot be used |
| 3 | no answer from the server |
| 4 | the server refuses whoever asks: 401, 403 |
| 5 | any other refusal, or an answer that cannot be read |
| 130 | Ctrl-C |
"""

from acteon.client.cli.main import main

__all__ = ["main"]
