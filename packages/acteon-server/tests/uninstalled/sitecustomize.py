"""On the path of a process, this makes it one in whose environment there is no `acteon-slack`."""

from collections.abc import Iterator
from importlib.metadata import Distribution, MetadataPathFinder
from typing import Any

_everything: Any = MetadataPathFinder.find_distributions


def _others(*arguments: Any) -> Iterator[Distribution]:
    return (each for each in _everything(*arguments) if each.metadata["Name"] != "acteon-slack")


setattr(MetadataPathFinder, "find_distributions", staticmethod(_others))  # noqa: B010 - types know it as another kind of method
