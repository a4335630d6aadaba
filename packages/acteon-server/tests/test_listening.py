import socket

import pytest

from acteon.core import ConfigError
from acteon.server.http.listening import listening, url_of


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with listening("127.0.0.1", 0) as (bound,):
        bound.listen()
        with socket.create_connection(bound.getsockname()):
            bound.setblocking(True)
            connection, _ = bound.accept()
            with connection:
                assert connection.proto == socket.IPPROTO_TCP
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_one_line() -> None:
    with listening("127.0.0.1", 0) as (bound,):
        bound.listen()
        port = bound.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address "),
            listening("127.0.0.1", port),
        ):
            pass


def test_the_port_that_was_found_is_told() -> None:
    with listening("localhost", 0) as sockets:
        ports = {bound.getsockname()[1] for bound in sockets}
        assert len(ports) == 1
        assert url_of(sockets[0]).endswith(f":{ports.pop()}")
