"""Who gets in as things change, who is kept out for trying too often, and if the store is gone."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve, field, frozen
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_decode, base64url_encode

from acteon.core import SYSTEM_CLOCK, ManualClock
from acteon.server.auth.attempts import Attempts
from acteon.server.auth.authenticator import Authenticator
from acteon.server.auth.book import AccountBook
from acteon.server.auth.errors import UnauthorizedError
from acteon.server.auth.sessions import Sessions
from acteon.server.auth.signin import SignIn
from acteon.server.ratelimit import RateLimitedError
from acteon.server.testing import Api, OpenApi
from acteon.state import StateBackend, StateBackendError, StateKey, StoreLocks, Taken
from acteon.state.testing import together
from acteon.state_memory import MemoryStateStore, Table, memory_backend

KEY = bytes(range(32))
LOGIN, LOGOUT, RULES = "/v1/auth/login", "/v1/auth/logout", "/v1/rules"
ALICE = {"username": "alice", "password": "admin-pass"}
WRONG = {"username": "alice", "password": "wrong"}
HOME = "192.0.2.1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2025, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def state(clock: ManualClock) -> StateBackend:
    return memory_backend(clock)


@pytest.fixture
async def book(auth_file: Path, clock: ManualClock) -> AccountBook:
    return await AccountBook.open(auth_file, KEY, clock)


@pytest.fixture
def authenticate(book: AccountBook, state: StateBackend, clock: ManualClock) -> Authenticator:
    return Authenticator(book, Sessions(state.store), clock)


@pytest.fixture
def sign_in(book: AccountBook, state: StateBackend, clock: ManualClock) -> SignIn:
    return evolve(SignIn.of(book, state.store), clock=clock)


@pytest.fixture
async def api(
    open_auth: OpenApi,
    authenticate: Authenticator,
    sign_in: SignIn,
    state: StateBackend,
    clock: ManualClock,
) -> AsyncIterator[Api]:
    """Give a served gateway whose accounts, store and time are those of the test."""
    serving = open_auth(authenticate=authenticate, sign_in=sign_in, state=state, clock=clock)
    async with serving as api:
        yield api


async def status(api: Api, token: str) -> int:
    """Return the status of an answer to the holder of `token`."""
    return (await api.get(RULES, authorization=f"Bearer {token}")).status


async def token_of_alice(api: Api) -> str:
    answer = await api.post(LOGIN, ALICE)
    assert answer.status == 200, answer.body
    token: str = answer.json()["token"]
    return token


def edit(file: Path, before: str, after: str) -> None:
    """Replace `before` by `after` in `file`."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def line_of(file: Path, key: str) -> str:
    """Return the line of `file` that begins with `key`."""
    return next(line for line in file.read_text().splitlines() if line.startswith(key))


async def test_who_is_taken_out_of_the_file_is_out_at_once(
    api: Api, book: AccountBook, auth_file: Path
) -> None:
    token = await token_of_alice(api)
    edit(auth_file, '"alice"', '"carol"')
    await book.look()
    answer = await api.get(RULES, authorization=f"Bearer {token}")
    assert (answer.status, answer.json()["error"]) == (401, "token has been revoked")


async def test_who_is_demoted_has_the_new_role_at_once(
    api: Api, book: AccountBook, auth_file: Path
) -> None:
    token = await token_of_alice(api)
    reload = "/v1/rules/r/enabled"
    before = await api.send("PUT", reload, {"enabled": True}, authorization=f"Bearer {token}")
    assert before.status == 404
    edit(auth_file, '"Admin"', '"viewer"')
    await book.look()
    after = await api.send("PUT", reload, {"enabled": True}, authorization=f"Bearer {token}")
    assert after.status == 403
    assert await status(api, token) == 200


async def test_grants_that_are_taken_away_are_gone_at_once(
    authenticate: Authenticator, sign_in: SignIn, book: AccountBook, auth_file: Path
) -> None:
    issued = await sign_in.begin(book.current.users["alice"])
    scope = {"headers": [(b"authorization", b"Bearer " + issued.token.encode())]}
    assert (await authenticate(scope)).has_everything
    role = 'role = "Admin"\ngrants = [{ tenants = '
    edit(auth_file, f'{role}["*"]', f'{role}["t1"]')
    await book.look()
    assert (await authenticate(scope)).only_tenant == "t1"


async def test_secrets_can_be_exchanged_one_after_the_other(
    api: Api, book: AccountBook, auth_file: Path
) -> None:
    old = await token_of_alice(api)
    secret = line_of(auth_file, "jwt_secret").partition("= ")[2]
    edit(
        auth_file,
        f"jwt_secret = {secret}",
        f'jwt_secret = "new-secret"\njwt_verify_secrets = [{secret}]',
    )
    await book.look()
    new = await token_of_alice(api)
    assert (await status(api, old), await status(api, new)) == (200, 200)
    edit(auth_file, f"jwt_verify_secrets = [{secret}]", "")
    await book.look()
    assert (await status(api, old), await status(api, new)) == (401, 200)


async def test_a_key_that_is_exchanged_is_good_beside_the_new_one_and_ends(
    api: Api, book: AccountBook, auth_file: Path, clock: ManualClock
) -> None:
    hashed = "5cebef33ff96c82119865fdc964ee6aa7b3df8d7c22936614b210fb454ea2188"
    edit(auth_file, f'"{hashed}"', f'"{hashed}"\nexpires_at = 2025-01-01T13:00:00Z')
    await book.look()
    key = {"x-api-key": "scoped-key"}
    await clock.advance(timedelta(minutes=59, seconds=59))
    assert (await api.get(RULES, **key)).status == 200
    await clock.advance(timedelta(seconds=1))
    answer = await api.get(RULES, **key)
    assert (answer.status, answer.json()["error"]) == (401, "invalid API key")


async def test_a_token_ends_with_its_session(api: Api, clock: ManualClock) -> None:
    token = await token_of_alice(api)
    await clock.advance(timedelta(seconds=599))
    assert await status(api, token) == 200
    await clock.advance(timedelta(seconds=1))
    answer = await api.get(RULES, authorization=f"Bearer {token}")
    assert answer.json()["error"] == "token has been revoked"
    await clock.advance(timedelta(seconds=61))
    answer = await api.get(RULES, authorization=f"Bearer {token}")
    assert answer.json()["error"] == "invalid token: ExpiredSignature"


async def test_a_token_of_an_unknown_role_is_refused(
    authenticate: Authenticator, sign_in: SignIn, book: AccountBook
) -> None:
    issued = await sign_in.begin(book.current.users["alice"])
    head, body, _ = issued.token.split(".")
    changed = base64url_decode(body).replace(b'"admin"', b'"owner"')
    signed = b".".join((head.encode(), base64url_encode(changed)))
    algorithm = HMACAlgorithm(HMACAlgorithm.SHA256)
    signature = algorithm.sign(signed, book.current.tokens.secrets[0].encode())
    token = b".".join((signed, base64url_encode(signature)))
    scope = {"headers": [(b"authorization", b"Bearer " + token)]}
    with pytest.raises(UnauthorizedError, match=r"^invalid role in token: owner$"):
        await authenticate(scope)


@pytest.mark.parametrize("username", ["alice", "bob"])
async def test_who_tries_too_often_is_refused_whatever_the_password(
    api: Api, clock: ManualClock, username: str
) -> None:
    body = {"username": username, "password": "wrong"}
    statuses = [(await api.post(LOGIN, body)).status for _ in range(10)]
    assert statuses == [401] * 10
    await clock.advance(timedelta(seconds=100))
    for password in ("wrong", "admin-pass"):
        answer = await api.post(LOGIN, {"username": username, "password": password})
        assert answer.status == 429
        assert answer.header("retry-after") == "200"
        assert answer.json() == {
            "error": "rate limit exceeded",
            "code": "RATE_LIMITED",
            "message": "rate limit exceeded",
            "retryable": True,
            "retry_after": 200,
        }
    await clock.advance(timedelta(seconds=200))
    expected = 200 if username == "alice" else 401
    again = {"username": username, "password": "admin-pass"}
    assert (await api.post(LOGIN, again)).status == expected


async def test_being_refused_makes_the_wait_no_longer(api: Api, clock: ManualClock) -> None:
    for _ in range(20):
        await api.post(LOGIN, WRONG)
        await clock.advance(timedelta(seconds=10))
    await clock.advance(timedelta(seconds=100))
    assert (await api.post(LOGIN, ALICE)).status == 200


async def test_a_success_forgets_the_failures_before(api: Api) -> None:
    for _ in range(3):
        for _ in range(9):
            assert (await api.post(LOGIN, WRONG)).status == 401
        assert (await api.post(LOGIN, ALICE)).status == 200


async def test_of_many_at_once_as_many_get_a_look_as_the_limit_says(api: Api) -> None:
    answers = await together(api.post(LOGIN, WRONG) for _ in range(30))
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 20


async def test_who_signs_in_already_is_not_held_up_by_others(api: Api) -> None:
    token = await token_of_alice(api)
    for _ in range(11):
        await api.post(LOGIN, WRONG)
    assert (await api.post(LOGIN, ALICE)).status == 429
    assert await status(api, token) == 200


async def test_one_address_cannot_try_many_names(state: StateBackend) -> None:
    attempts = Attempts(state.store, per_address=3)
    for name in ("a", "b", "c"):
        await attempts.count(name, HOME)
    with pytest.raises(RateLimitedError):
        await attempts.count("d", HOME)
    await attempts.count("d", "192.0.2.2")


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("/run/a.sock", "/run/a.sock", True),
        ("", "", False),
    ],
)
async def test_what_counts_as_one_address(
    state: StateBackend, one: str, another: str, same: bool
) -> None:
    attempts = Attempts(state.store, per_address=1)
    await attempts.count("a", one)
    if same:
        with pytest.raises(RateLimitedError):
            await attempts.count("b", another)
    else:
        await attempts.count("b", another)


async def test_it_is_told_who_failed_but_never_what_they_typed(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await api.post(LOGIN, {"username": "alice", "password": "guessed-it"})
    await api.post(LOGIN, {"username": "oops-my-password", "password": "x"})
    token = await token_of_alice(api)
    failed = [one for one in caplog.records if one.message == "somebody could not sign in"]
    assert [vars(one)["acteon.user"] for one in failed] == ["alice", ""]
    assert [vars(one)["acteon.address"] for one in failed] == ["127.0.0.1"] * 2
    everything = " ".join(map(repr, map(vars, caplog.records)))
    for secret in ("guessed-it", "oops-my-password", "admin-pass", token):
        assert secret not in everything


@frozen
class Failing(MemoryStateStore):
    """A store some operations of which fail."""

    fails: set[str] = field(factory=set[str])

    async def get(self, key: StateKey) -> str | None:
        self._check("get")
        return await super().get(key)

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        self._check("set")
        await super().set(key, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        self._check("delete")
        return await super().delete(key)

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        self._check("take")
        return await super().take(key, limit, window, amount)

    def _check(self, operation: str) -> None:
        if operation in self.fails:
            raise StateBackendError("db.internal says no")


@pytest.mark.parametrize(
    ("operation", "method", "target", "text"),
    [
        ("get", "GET", RULES, "state store error: "),
        ("take", "POST", LOGIN, "state store error: "),
        ("set", "POST", LOGIN, "failed to store token jti: "),
        ("delete", "POST", LOGOUT, "failed to revoke token: "),
    ],
)
async def test_if_the_store_is_gone_nobody_is_said_to_be_unknown(
    open_auth: OpenApi,
    caplog: pytest.LogCaptureFixture,
    operation: str,
    method: str,
    target: str,
    text: str,
) -> None:
    store = Failing(Table(SYSTEM_CLOCK))
    async with open_auth(state=StateBackend(store, StoreLocks(store))) as api:
        token = await token_of_alice(api)
        store.fails.add(operation)
        body = ALICE if target == LOGIN else None
        answer = await api.send(method, target, body, authorization=f"Bearer {token}")
        assert answer.status == 503
        said = answer.json()
        assert said["error"] == f"{text}the state store cannot be asked now"
        assert (said["code"], said["retryable"]) == ("STATE_ERROR", True)
        assert "db.internal says no" in str([vars(one) for one in caplog.records])
        # Keys are no matter of the store.
        assert (await api.get(RULES, **{"x-api-key": "op-key"})).status == 200
        store.fails.clear()
        assert await status(api, token) == 200
