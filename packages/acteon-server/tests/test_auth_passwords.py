"""Passwords are compared with hashes of argon2, off the loop."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, hash_secret, verify_secret
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import SYSTEM_CLOCK
from acteon.server.auth.accounts import Accounts, TokenSettings, User
from acteon.server.auth.book import AccountBook
from acteon.server.auth.passwords import USUAL, Passwords, hash_password
from acteon.server.auth.phc import Cost
from acteon.server.auth.roles import Role

CHEAP = "$argon2id$v=19$m=8,t=1,p=1$YWN0ZW9uLXNhbHQtMDAwMQ$"
ADMIN = CHEAP + "hAdRsC7FVCkVHIwuPfUNEGVjqKRELiVBkV4e1GVquw8"
VIEWER = CHEAP + "hSezxhmnZz3aykHqrsPKPXcU4kmB28Tv///BkdjIIaQ"
OPERATOR = (
    "$argon2id$v=19$m=19456,t=2,p=1$YWN0ZW9uLXNhbHQtMDAwMg$"
    "WWyOMIYa+IdE22invNM877MgpKz69hzOAoGo3ROfsEE"
)
KINDS = {"argon2id": Type.ID, "argon2i": Type.I, "argon2d": Type.D}


def user(password_hash: str) -> User:
    return User(name="somebody", password_hash=password_hash, role=Role.VIEWER)


def passwords(*users: User) -> Passwords:
    """Return what compares those of `users`."""
    tokens = TokenSettings(secrets=("0",))
    accounts = Accounts(
        users={str(number): each for number, each in enumerate(users)}, keys={}, tokens=tokens
    )
    return Passwords(AccountBook(Path("auth.toml"), bytes(32), SYSTEM_CLOCK, accounts, ""))


@pytest.mark.parametrize(
    ("password", "phc"), [("admin-pass", ADMIN), ("viewer-pass", VIEWER), ("op-pass", OPERATOR)]
)
async def test_only_the_right_password_fits(password: str, phc: str) -> None:
    compare = passwords()

    assert await compare.verify(password, user(phc))
    assert not await compare.verify(f"{password}x", user(phc))
    assert not await compare.verify("", user(phc))
    assert not await compare.verify("\udc80", user(phc))


async def test_a_new_hash_fits_its_password_and_no_other_hash_is_like_it() -> None:
    first, second = hash_password("süß"), hash_password("süß")

    assert first != second
    assert Cost.of(first) == USUAL
    assert await passwords().verify("süß", user(first))


async def test_for_nobody_no_password_fits() -> None:
    assert not await passwords(user(ADMIN)).verify("admin-pass", None)


@pytest.mark.parametrize("phc", [OPERATOR, CHEAP.replace("m=8,t=1", "m=32768,t=2") + ADMIN[-43:]])
async def test_for_nobody_it_takes_as_long_as_for_most_users(phc: str) -> None:
    compare = passwords(user(phc), user(phc), user(ADMIN))

    async def taken(somebody: User | None) -> float:
        begun = time.perf_counter()
        await compare.verify("wrong", somebody)
        return time.perf_counter() - begun

    known: list[float] = []
    unknown: list[float] = []
    for _ in range(15):  # In turns, as other processes slow both down.
        known.append(await taken(user(phc)))
        unknown.append(await taken(None))

    assert 0.5 < median(unknown) / median(known) < 2


async def test_the_loop_goes_on_while_passwords_are_compared() -> None:
    compare = passwords()
    somebody = user(hash_password("right"))
    lags: list[float] = []

    async def measure() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.002)
            lags.append(time.perf_counter() - begun - 0.002)

    begun = time.perf_counter()
    meter = asyncio.create_task(measure())
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(compare.verify("wrong", somebody)) for _ in range(20)]
    meter.cancel()
    took = time.perf_counter() - begun

    assert not any(task.result() for task in found)
    # One alone takes longer than that, and each of them would stop the loop for as long.
    assert median(lags) < took / 20 / 4
    assert len(lags) > 20 * 4


PARAMETERS = st.fixed_dictionaries(
    {
        "time_cost": st.integers(1, 3),
        "memory_cost": st.integers(16, 64),
        "parallelism": st.integers(1, 2),
        "hash_len": st.integers(4, 64),
        "type": st.sampled_from(list(KINDS.values())),
        "version": st.sampled_from([16, 19]),
    }
)


@given(st.binary(min_size=8, max_size=40), PARAMETERS)
def test_every_hash_that_argon2_makes_is_accepted_and_its_decoy_is_verified_as_well(
    salt: bytes, parameters: dict[str, int]
) -> None:
    phc = hash_secret(b"password", salt, **parameters).decode()  # type: ignore[arg-type]  # of all kinds

    cost = Cost.of(phc)

    assert (cost.memory, cost.passes) == (parameters["memory_cost"], parameters["time_cost"])
    assert Cost.of(cost.decoy()) == cost
    with pytest.raises(VerifyMismatchError):
        verify_secret(cost.decoy().encode(), b"password", KINDS[cost.kind])


@given(st.integers(0, len(ADMIN) - 1), st.characters(codec="ascii", exclude_characters="\0"))
def test_whatever_is_accepted_can_be_verified(place: int, letter: str) -> None:
    phc = ADMIN[:place] + letter + ADMIN[place + 1 :]
    try:
        cost = Cost.of(phc)
    except ValueError:
        return
    if cost.memory <= 1024 and cost.passes <= 10:
        with suppress(VerifyMismatchError):
            verify_secret(phc.encode(), b"admin-pass", KINDS[cost.kind])


@pytest.mark.parametrize(
    ("phc", "told"),
    [
        ("", "is no hash of argon2"),
        ("secret", "is no hash of argon2"),
        ("$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m", "is no hash of argon2"),
        (ADMIN.replace("argon2id", "argon2"), "is no hash of argon2"),
        (ADMIN.replace("v=19", "v=18"), "is no hash of argon2"),
        (ADMIN + "=", "is no hash of argon2"),
        (ADMIN[:-1] + "9", "is no hash of argon2: it has parts that are no base64"),
        (ADMIN.replace("m=8", "m=4"), "has too little memory: at least m=8 for each lane"),
        (ADMIN.replace("m=8", "m=1048577"), "takes too much to verify: at most m=1048576"),
        (ADMIN.replace("t=1", "t=101"), "takes too much to verify: at most m=1048576, t=100, p=16"),
        (CHEAP + "AAA", "has a digest of less than 4 bytes"),
        ("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$" + ADMIN[-43:], "has a salt of less than 8 bytes"),
    ],
)
def test_what_could_never_be_verified_is_refused(phc: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        Cost.of(phc)
