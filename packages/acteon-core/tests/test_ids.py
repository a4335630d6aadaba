import os
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from acteon.core import new_id


def test_ids_are_random_uuids() -> None:
    ids = [new_id() for _ in range(1000)]

    assert len(set(ids)) == len(ids)
    for text in ids:
        uuid = UUID(text)
        assert (str(uuid), uuid.version, uuid.variant) == (text, 4, RFC_4122)


def test_threads_never_get_the_same_id() -> None:
    def make(count: int) -> list[str]:
        return [new_id() for _ in range(count)]

    with ThreadPoolExecutor(8) as threads:
        found = [*threads.map(make, [500] * 16)]

    assert len({text for ids in found for text in ids}) == 16 * 500


def test_a_forked_child_has_other_ids_than_its_parent() -> None:
    new_id()  # From here on, some more of them are made already.
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, " ".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 65_536).decode().split()

    assert len(theirs) == 100
    assert not {new_id() for _ in range(100)} & set(theirs)
