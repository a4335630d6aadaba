"""What the authors of state backends need to test them: `pip install acteon-state[testing]`.

A class for each interface, to be subclassed with a fixture `backend`; see `BackendFixtures`. And
one for what processes share, with a fixture `backends`.
"""

import pytest

# Without this the failing assertions below would not say what they compared.
pytest.register_assert_rewrite(
    "acteon.state.testing.dispatch",
    "acteon.state.testing.locks",
    "acteon.state.testing.model",
    "acteon.state.testing.sharing",
    "acteon.state.testing.store",
    "acteon.state.testing.windows",
)

from acteon.state.testing.dispatch import DispatchStateConformance  # noqa: E402
from acteon.state.testing.fixtures import STATE_KIT, BackendFixtures, PassTime, together  # noqa: E402
from acteon.state.testing.locks import LocksConformance  # noqa: E402
from acteon.state.testing.model import DispatchStateModel  # noqa: E402
from acteon.state.testing.sharing import SharedStateConformance  # noqa: E402
from acteon.state.testing.store import StateStoreConformance  # noqa: E402
from acteon.state.testing.windows import WindowConformance  # noqa: E402

__all__ = [
    "STATE_KIT",
    "BackendFixtures",
    "DispatchStateConformance",
    "DispatchStateModel",
    "LocksConformance",
    "PassTime",
    "SharedStateConformance",
    "StateStoreConformance",
    "WindowConformance",
    "together",
]
