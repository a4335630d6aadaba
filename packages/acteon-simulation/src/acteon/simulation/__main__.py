"""The command `python -m acteon.simulation`."""

import sys

from acteon.simulation.running import main

if __name__ == "__main__":
    sys.exit(main())
