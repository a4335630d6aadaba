"""What `auth.toml` may say, and what is told about the rest."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import ConfigError, ManualClock
from acteon.server.auth.accounts import Accounts
from acteon.server.auth.authfile import parse_accounts, read_accounts
from acteon.server.auth.grants import EVERYTHING, Grant
from acteon.server.auth.roles import Role
from acteon.server.auth.secretbox import encrypt

KEY = bytes(range(32))
SHA = {
    "op": "7007eeb3a4e88de3167e9466573e1881916bb7a86e4d89c56c50eb0c82df0e2b",
    "viewer": "9b88f3b3de5ee9f1bb657b76cc43581a9e25e9091bb23c35b2748b7c3509b6e6",
}
ALICE = (
    "$argon2id$v=19$m=8,t=1,p=1$YWN0ZW9uLXNhbHQtMDAwMQ$hAdRsC7FVCkVHIwuPfUNEGVjqKRELiVBkV4e1GVquw8"
)
LONG = "0123456789abcdef0123456789abcdef"
SETTINGS = f'[settings]\njwt_secret = "{encrypt(LONG, KEY)}"\n'
ALL = 'grants = [{ tenants = ["*"], namespaces = ["*"], actions = ["*"] }]\n'
USER = f'[[users]]\nusername = "alice"\npassword_hash = "{ALICE}"\nrole = "admin"\n{ALL}'
API_KEY = f'[[api_keys]]\nname = "op"\nkey_hash = "{SHA["op"]}"\nrole = "operator"\n{ALL}'
PATH = Path("auth.toml")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def parsed(*parts: str) -> Accounts:
    return parse_accounts("".join(parts), KEY, path=PATH, clock=ManualClock(NOW))


def refused(*parts: str) -> list[str]:
    """Return the problems told, without what all lines begin with."""
    with pytest.raises(ConfigError) as error:
        parsed(*parts)
    beginning = "failed to parse auth config: auth.toml: "
    lines = str(error.value).splitlines()
    assert all(line.startswith(beginning) for line in lines)
    return [line.removeprefix(beginning) for line in lines]


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_a_file_of_every_kind_of_entry_is_read(tmp_path: Path) -> None:
    file = tmp_path / "auth.toml"
    file.write_text(
        f"""
        [settings]
        jwt_secret = "{encrypt("test-jwt-secret", KEY)}"
        jwt_verify_secrets = ["{encrypt("old", KEY)}", "older", "test-jwt-secret"]
        jwt_expiry_seconds = 600

        [[users]]
        username = "alice"
        password_hash = "{encrypt(ALICE, KEY)}"
        role = "Admin"
        grants = [{{ tenants = ["*"], namespaces = ["*"], actions = ["*"] }}]

        [[api_keys]]
        name = "op"
        key_hashes = ["{SHA["op"].upper()}", "{encrypt(SHA["viewer"], KEY)}"]
        role = "OPERATOR"
        grants = [{{ tenants = ["t1"], namespaces = ["n"], actions = ["a", "b"] }}]
        expires_at = 2027-01-01T01:00:00+01:00
        """
    )

    accounts = read_accounts(file, KEY)

    assert accounts.tokens.secrets == ("test-jwt-secret", "old", "older")
    assert accounts.tokens.lifetime == timedelta(minutes=10)
    alice = accounts.users["alice"]
    assert (alice.password_hash, alice.role, alice.grants) == (ALICE, Role.ADMIN, (EVERYTHING,))
    assert set(accounts.keys) == {SHA["op"], SHA["viewer"]}
    for found in accounts.keys.values():
        assert (found.name, found.role) == ("op", Role.OPERATOR)
        assert found.grants == (Grant(tenants=["t1"], namespaces=["n"], actions=["a", "b"]),)
        assert found.expires_at == datetime(2027, 1, 1, tzinfo=UTC)


def test_only_a_secret_is_required() -> None:
    accounts = parsed(SETTINGS)

    assert accounts.tokens.secrets == (LONG,)
    assert accounts.tokens.lifetime == timedelta(hours=1)
    assert not accounts.users
    assert not accounts.keys


def test_two_keys_of_one_name_are_good_at_the_same_time() -> None:
    second = API_KEY.replace(SHA["op"], SHA["viewer"]) + "expires_at = 2026-02-01T00:00:00Z\n"
    accounts = parsed(SETTINGS, API_KEY, second)

    assert [key.name for key in accounts.keys.values()] == ["op", "op"]
    assert accounts.keys[SHA["op"]].expires_at is None
    assert accounts.keys[SHA["viewer"]].expires_at == datetime(2026, 2, 1, tzinfo=UTC)


MISTAKES = {
    "": ["[settings]: is missing"],
    "[settings]": ["[settings] jwt_secret: is missing"],
    '[settings]\njwt_secret = ""': ["[settings] jwt_secret: must not be empty"],
    "[settings]\njwt_secret = 5": ["[settings] jwt_secret: wanted a text, found a number"],
    '[settings]\njwt_secret = "${SECRET}"': [
        "[settings] jwt_secret: references have no meaning in this file; write ENC[…]"
    ],
    f'[settings]\njwt_secret = "{encrypt("a", bytes(32))}"': [
        "[settings] jwt_secret: decryption failed (wrong key or corrupted data)"
    ],
    f'{SETTINGS}jwt_verify_secrets = "a"': [
        "[settings] jwt_verify_secrets: wanted a list, found a text"
    ],
    f'{SETTINGS}jwt_verify_secrets = ["a", "ENC[b]"]': [
        "[settings] jwt_verify_secrets[1]: begins with ENC[ and is no encrypted value; "
        "acteon-server encrypt writes ENC[AES256-GCM,data:…,iv:…,tag:…]"
    ],
    f"{SETTINGS}jwt_expiry_seconds = 0": [
        "[settings] jwt_expiry_seconds: must be between 1 and 315360000, not 0"
    ],
    f"{SETTINGS}jwt_expiry_seconds = 1.5": [
        "[settings] jwt_expiry_seconds: wanted a whole number, found the number 1.5"
    ],
    f"{SETTINGS}jwt_expiry = 5": [
        "[settings] jwt_expiry: unknown key; did you mean 'jwt_expiry_seconds'?"
    ],
    f"{SETTINGS}[user]": ["[user]: unknown key; did you mean 'users'?"],
    f"{SETTINGS}[users]": ["[users]: write [[users]], in double brackets, above each one"],
    f'{SETTINGS}[[users]]\nusername = "bob"\nrole = "viewer"': [
        "user 'bob': password_hash: is missing"
    ],
    SETTINGS + USER.replace('"admin"', '"owner"'): [
        "invalid role 'owner' for user 'alice'; the roles are admin, operator, viewer"
    ],
    SETTINGS + USER.replace('"admin"', "1"): [
        "user 'alice': role: wanted 'admin', 'operator' or 'viewer', found the number 1"
    ],
    SETTINGS + USER.replace(ALICE, "$2b$12$abcdefghijklmnopqrstuv"): [
        "user 'alice': password_hash: is no hash of argon2; acteon-server hash-password prints a "
        "good one"
    ],
    SETTINGS + USER.replace("m=8", "m=4194304"): [
        "user 'alice': password_hash: takes too much to verify: at most m=1048576, t=100, p=16; "
        "acteon-server hash-password prints a good one"
    ],
    SETTINGS + USER.replace('["*"], name', '"*", name'): [
        'user \'alice\': grants[0].tenants: wanted a list, found the text "*"; write ["*"]'
    ],
    SETTINGS + USER.replace("actions", "action"): [
        "user 'alice': grants[0].actions: is missing",
        "user 'alice': grants[0].action: unknown key; did you mean 'actions'?",
    ],
    SETTINGS + API_KEY.replace('"operator"', '"owner"'): [
        "invalid role 'owner' for API key 'op'; the roles are admin, operator, viewer"
    ],
    SETTINGS + API_KEY.replace(SHA["op"], SHA["op"][1:]): [
        "API key 'op': key_hash: wanted 64 hex digits, the SHA-256 of the key; acteon-server "
        "hash-key prints it"
    ],
    SETTINGS + API_KEY.replace("key_hash", "#"): [
        "API key 'op': wanted key_hash, or key_hashes = […] of several; found neither"
    ],
    f"{SETTINGS}{API_KEY}key_hashes = []": [
        "API key 'op': wanted key_hash, or key_hashes = […] of several; found both",
        "API key 'op': key_hashes: must not be empty",
    ],
    f"{SETTINGS}{API_KEY}expires_at = 2027-01-01": [
        "API key 'op': expires_at: wanted an instant with its offset, such as "
        "2030-01-31T00:00:00Z, found a date or time"
    ],
    SETTINGS + API_KEY.replace('name = "op"', 'name = ""'): [
        "[[api_keys]] number 1: name: must not be empty"
    ],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_is_told_with_its_place(text: str) -> None:
    assert refused(text) == MISTAKES[text]


def test_all_mistakes_are_told_at_once() -> None:
    told = refused(
        '[settings]\njwt_secret = "ENC[AES256-GCM,]"\n[[users]]\nrole = "king"\n[[api_keys]]\nx = 1'
    )

    assert told == [
        "invalid role 'king' for [[users]] number 1; the roles are admin, operator, viewer",
        "[[api_keys]] number 1: wanted key_hash, or key_hashes = […] of several; found neither",
        "[settings] jwt_secret: missing data field in ENC[...]",
        "[[users]] number 1: username: is missing",
        "[[users]] number 1: password_hash: is missing",
        "[[api_keys]] number 1: name: is missing",
        "[[api_keys]] number 1: role: is missing",
        "[[api_keys]] number 1: x: unknown key; the keys here are name, key_hash, key_hashes, "
        "role, grants, expires_at",
    ]


def test_a_file_that_is_no_toml_is_refused_with_line_and_column() -> None:
    with pytest.raises(ConfigError) as error:
        parsed("[settings]\njwt_secret = a-secret")

    told = str(error.value)
    assert told.startswith("failed to parse auth config: auth.toml:2:14: ")
    assert "a-secret" not in told


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_accounts(tmp_path / "none.toml", KEY)

    assert str(error.value) == (
        f"failed to read auth config at {tmp_path}/none.toml: there is no such file"
    )


def test_deep_nesting_is_told() -> None:
    assert refused(".".join("a" * 5000) + " = 1") == ["is nested too deeply"]


ODD = {
    '[settings]\njwt_secret = "short"\n': [
        "a secret stands in the file as it is; `acteon-server encrypt` makes an ENC[…] of it",
        "a secret that signs tokens is short, and can be guessed: take at least 32 bytes, such as "
        "`openssl rand -base64 48` makes",
    ],
    SETTINGS + USER + USER: ["there are two users of one name; the last one counts"],
    SETTINGS + API_KEY + API_KEY.replace('"op"', '"other"'): [
        "the same API key is there twice; the last one counts"
    ],
    f"{SETTINGS}{API_KEY}expires_at = 2026-01-01T00:00:00Z": [
        "an API key has expired; take it out of the file"
    ],
    SETTINGS + USER.replace(ALL, ""): ["somebody without grants may do nothing; give them grants"],
    SETTINGS + API_KEY.replace('namespaces = ["*"]', "namespaces = []"): [
        "somebody without grants may do nothing; give them grants"
    ],
    SETTINGS + API_KEY.replace('tenants = ["*"]', 'tenants = ["acme-*"]'): [
        "a grant has a name with a * in it, which stands for nothing else; only a * alone does"
    ],
    SETTINGS + USER + API_KEY + "expires_at = 2026-01-01T00:00:01Z": [],
}


@pytest.mark.parametrize("text", ODD)
def test_what_is_odd_is_warned_about(text: str, caplog: pytest.LogCaptureFixture) -> None:
    parsed(text)

    assert warned(caplog) == ODD[text]


def test_of_two_users_of_one_name_the_last_one_counts() -> None:
    accounts = parsed(SETTINGS, USER, USER.replace('"admin"', '"viewer"'))

    assert accounts.users["alice"].role is Role.VIEWER


@pytest.mark.parametrize(("mode", "times"), [(0o600, 0), (0o640, 0), (0o644, 1)])
def test_a_file_that_everybody_can_read_is_warned_about(
    mode: int, times: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "auth.toml"
    file.write_text(SETTINGS)
    file.chmod(mode)

    read_accounts(file, KEY)

    assert sum("every user of this machine" in line for line in warned(caplog)) == times


SECRET = "t0p-s3cr3t-value"
SECRET_KEYS = st.sampled_from(
    ["jwt_secret", "jwt_verify_secrets", "password_hash", "key_hash", "key_hashes"]
)
OTHER_KEYS = st.sampled_from(["username", "name", "role", "grants", "expires_at", "unknown"])
SECRETS = st.sampled_from([f'"{SECRET}"', f'"ENC[{SECRET}]"', f'"${{{SECRET}}}"']).flatmap(
    lambda text: st.sampled_from([text, f"[{text}]", f"[1, {text}]", f"{{ inner = {text} }}"])
)
OTHERS = st.sampled_from(['"admin"', '"x"', "1", "true", "1979-05-27", "[]", "{}", "[[1]]"])
PAIRS = st.tuples(SECRET_KEYS, SECRETS) | st.tuples(OTHER_KEYS, OTHERS)
TABLES = st.lists(PAIRS, max_size=5, unique_by=lambda pair: pair[0])
HEADINGS = st.sampled_from(["[settings]", "[[users]]", "[[api_keys]]"])


@given(st.lists(st.tuples(HEADINGS, TABLES), max_size=5))
def test_whatever_a_file_says_its_secrets_are_not_told(
    tables: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    lines: list[str] = []
    for heading, pairs in tables:
        lines += [heading, *(f"{key} = {value}" for key, value in pairs)]
    try:
        told = repr(parsed("\n".join(lines)))
    except ConfigError as error:
        told = str(error)
    assert SECRET not in told
