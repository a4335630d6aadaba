"""Elasticsearch through its own client."""

from collections.abc import Callable
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from servers import elasticsearch

pytestmark = pytest.mark.server

Gone = Callable[[int, Path], None]


def test_it_keeps_its_data_over_a_stop(assert_gone: Gone) -> None:
    with elasticsearch.running() as server:
        with Elasticsearch(server.url) as client:
            client.index(index="kept", id="1", document={"at": "stop"}, refresh=True)
            server.stop()
            server.start()
            found = client.search(index="kept", query={"match": {"at": "stop"}})
            assert [hit["_id"] for hit in found["hits"]["hits"]] == ["1"]
        pid = server.pid

    assert pid is not None
    assert_gone(pid, server.folder)
