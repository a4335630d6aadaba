"""Ports that are reserved before a server listens on them."""

import socket
import threading

import pytest

from acteon.simulation import PortExhaustedError, SimulationError
from acteon.simulation.ports import HOST, PortAllocator, bound, listening


@pytest.fixture
def free() -> int:
    """Give a port that nobody had a moment ago."""
    with bound() as reserved:
        port: int = reserved.getsockname()[1]
    return port


def test_two_ports_differ_and_are_counted_until_they_are_released() -> None:
    with PortAllocator() as ports:
        one, two = ports.allocate(), ports.allocate()
        assert one != two
        assert ports.allocated_count == 2
        assert ports.is_allocated(one)

        ports.release(one)
        ports.release(one)

        assert not ports.is_allocated(one)
        assert ports.allocated_count == 1
    assert ports.allocated_count == 0


def test_a_small_range_gives_what_it_has(free: int) -> None:
    with PortAllocator.with_range(free, free + 1) as ports:
        assert ports.allocate() == free
        with pytest.raises(PortExhaustedError, match="all 1 given ones are taken"):
            ports.allocate()

        ports.release(free)

        assert ports.allocate() == free


def test_a_port_that_another_program_has_is_passed_over() -> None:
    with bound() as one, bound() as two:
        there, other = one.getsockname()[1], two.getsockname()[1]
        two.close()
        with PortAllocator((there, other)) as ports:
            assert ports.allocate() == other


def test_what_one_allocator_has_reserved_no_other_one_gives(free: int) -> None:
    with PortAllocator((free,)) as mine, PortAllocator((free,)) as theirs:
        mine.allocate()
        with pytest.raises(SimulationError):
            theirs.allocate()


def test_nobody_reaches_a_reserved_port_before_its_server_listens_there() -> None:
    with PortAllocator() as ports:
        port = ports.allocate()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), timeout=5)

        with listening(port), socket.create_connection((HOST, port), timeout=5):
            assert ports.is_allocated(port)


def test_its_socket_can_be_handed_over() -> None:
    with PortAllocator() as ports:
        port = ports.allocate()
        with ports.take(port) as server:
            server.listen()
            assert ports.allocated_count == 0
            with socket.create_connection((HOST, port), timeout=5):
                pass
        with pytest.raises(KeyError):
            ports.take(port)


def test_threads_never_get_the_same_port() -> None:
    with PortAllocator() as ports:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.extend(ports.allocate() for _ in range(20)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(found)) == len(found) == ports.allocated_count == 160
