"""The garbage collector is spared while a great deal is made."""

import gc

import pytest

from acteon.gateway.collecting import no_full_collections


def test_old_objects_are_left_alone_until_the_last_one_ends() -> None:
    before = gc.get_threshold()
    with no_full_collections():
        assert gc.get_threshold()[:2] == before[:2]
        with pytest.raises(KeyError), no_full_collections():
            raise KeyError
        full = gc.get_stats()[2]["collections"]
        kept = [[number] for number in range(200_000)]
        assert gc.get_stats()[2]["collections"] == full
        assert len(kept) == 200_000
    assert gc.get_threshold() == before
