"""Redis alone, as a Cluster, and with Sentinels."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis, TimeoutError
from redis.cluster import RedisCluster

from servers import redis
from servers.waiting import wait_until

pytestmark = pytest.mark.server

Gone = Callable[[int, Path], None]


def test_it_keeps_its_data_over_a_stop_and_a_kill(assert_gone: Gone) -> None:
    with redis.running() as server, Redis.from_url(server.url) as client:
        client.set("stopped", "1")
        server.stop()
        server.start()
        client.set("killed", "1")
        server.kill()
        server.start()

        assert client.mget("stopped", "killed") == [b"1", b"1"]
        pid = server.pid

    assert pid is not None
    assert_gone(pid, server.folder)


def test_it_takes_further_configuration() -> None:
    with redis.running(config=["maxmemory 2mb"]) as server, Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": "2097152"}


def test_a_password_keeps_it_from_nothing() -> None:
    with (
        redis.running(config=["requirepass secret"]) as server,
        Redis(port=server.port, password="secret") as client,
    ):
        assert client.ping()


def test_it_answers_again_after_it_was_frozen() -> None:
    with (
        redis.running() as server,
        Redis.from_url(server.url, socket_timeout=0.1, retry=None) as client,
    ):
        server.freeze()
        with pytest.raises(TimeoutError):
            client.ping()
        server.thaw()

        wait_until("it answers", lambda: bool(client.ping()), timedelta(seconds=5))


def test_a_frozen_server_can_be_stopped() -> None:
    with redis.running() as server:
        server.freeze()
        server.stop()

        assert server.pid is None


def test_a_cluster_has_keys_in_all_its_nodes() -> None:
    with (
        redis.cluster() as cluster,
        RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as client,
    ):
        for number in range(100):
            client.set(f"key{number}", number)
        sizes = [redis.ask(node.port, "DBSIZE") for node in cluster.nodes]

        assert len(cluster.urls) == 3
        assert cluster.url == f"redis+cluster://{','.join(url[8:] for url in cluster.urls)}"
        assert ":0\r\n" not in sizes


def test_sentinels_replace_a_primary_that_is_killed() -> None:
    with redis.sentinel() as sentinel:
        first = sentinel.primary
        assert first is not None
        assert first is sentinel.nodes[0]
        first.kill()

        others = sentinel.nodes[1:]
        wait_until("a replica leads", lambda: sentinel.primary in others, timedelta(seconds=20))
