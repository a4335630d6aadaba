"""Tokens: what is issued is read, and nothing else is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import HMACAlgorithm

from acteon.server.auth import EVERYTHING, Grant, Role
from acteon.server.auth.accounts import TokenSettings, User
from acteon.server.auth.tokens import (
    LEEWAY,
    LONGEST_KNOWN,
    MOST_KNOWN,
    KnownTokens,
    TokenError,
    issue,
    read,
)

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
SECRET = "a secret of more than thirty-two bytes"
OTHER = "another secret of more than thirty-two"
SETTINGS = TokenSettings(secrets=(SECRET,), lifetime=timedelta(minutes=10))
GRANT = Grant(tenants={"t2", "t1"}, namespaces={"*"}, actions={"send_email"})
ALICE = User(name="alice", password_hash="", role=Role.OPERATOR, grants=(GRANT, EVERYTHING))
END = int(NOW.timestamp()) + 600
CLAIMS: dict[str, Any] = {
    "sub": "alice",
    "jti": "s1",
    "role": "operator",
    "grants": [{"tenants": ["t1"], "namespaces": ["*"], "actions": ["*"]}],
    "exp": END,
}


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def signed(head: Any, claims: Any, secret: str = SECRET) -> str:
    """Return a token of these parts; those that are texts are taken as they are."""
    parts = [
        encoded(part.encode() if isinstance(part, str) else json.dumps(part).encode())
        for part in (head, claims)
    ]
    return resigned(".".join(parts), secret)


def resigned(text: str, secret: str = SECRET) -> str:
    """Return `text` with its signature."""
    algorithm = HMACAlgorithm(HMACAlgorithm.SHA256)
    return f"{text}.{encoded(algorithm.sign(text.encode(), secret.encode()))}"


HEAD = {"typ": "JWT", "alg": "HS256"}
GOOD = signed(HEAD, CLAIMS)
HEADER, BODY, SIGNATURE = GOOD.split(".")


def failure(token: str, *, now: datetime = NOW, secrets: tuple[str, ...] = (SECRET,)) -> str:
    """Return why `token` is refused."""
    with pytest.raises(TokenError) as caught:
        read(token, secrets, now)
    return str(caught.value)


def test_what_is_issued_is_read_by_everybody() -> None:
    token = issue(ALICE, "s1", SETTINGS, NOW)
    claims = read(token, SETTINGS.secrets, NOW)
    assert (claims.sub, claims.jti, claims.role, claims.exp) == ("alice", "s1", "operator", END)
    assert claims.grants[0].tenants == ("t1", "t2")

    said = jwt.decode_complete(token, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert said["header"] == HEAD
    assert said["payload"] == {
        "sub": "alice",
        "jti": "s1",
        "role": "operator",
        "grants": [
            {"tenants": ["t1", "t2"], "namespaces": ["*"], "actions": ["send_email"]},
            {"tenants": ["*"], "namespaces": ["*"], "actions": ["*"]},
        ],
        "exp": END,
    }


def test_what_others_sign_is_read() -> None:
    token = jwt.encode(CLAIMS, SECRET, algorithm="HS256")
    assert read(token, (SECRET,), NOW).sub == "alice"
    assert read(jwt.encode({**CLAIMS, "aud": None, "more": 1}, SECRET), (SECRET,), NOW)


def test_the_first_secret_signs_and_all_of_them_verify() -> None:
    settings = TokenSettings(secrets=(SECRET, OTHER))
    token = issue(ALICE, "s1", settings, NOW)
    assert read(token, (SECRET,), NOW) == read(token, (OTHER, SECRET), NOW)
    assert failure(token, secrets=(OTHER,)) == "invalid token: InvalidSignature"
    assert failure(token, secrets=()) == "invalid token: InvalidSignature"


def test_a_token_ends_a_minute_after_its_end() -> None:
    end = NOW + SETTINGS.lifetime
    assert read(GOOD, (SECRET,), end + LEEWAY)
    late = end + LEEWAY + timedelta(seconds=1)
    assert failure(GOOD, now=late) == "invalid token: ExpiredSignature"


HEADS: list[Any] = [
    *({}, [], "", "{", "null", '{"alg":"HS256"}x', {"typ": "JWT"}),
    *({"alg": name} for name in ("none", "None", "hs256", "", None, 5, ["HS256"])),
    '{"alg":"HS256","alg":"HS256"}',
    '{"alg":"none","\\u0061lg":"HS256"}',
    {**HEAD, "typ": 5},
    {**HEAD, "crit": ["b64"], "b64": False},
]
"""What a token cannot begin with."""
OTHERS: list[Any] = [{}, [], "", "{", "null", "1", "[" * 200]
"""What is none of the claims at all."""
AUDIENCES: list[Any] = ["x", "", ["x"], [], {}, 0, False]
ENDS: list[Any] = [-1, 1.5, True, str(END), 2**63, 2**70, 1e300]
GRANTS: list[Any] = [{}, [[]], [{}], [{"tenants": ["*"]}], ["*"]]


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("", "InvalidToken"),
        ("junk", "InvalidToken"),
        (f"{HEADER}.{BODY}", "InvalidToken"),
        (f"{HEADER}.{BODY}.", "InvalidSignature"),
        (f"{HEADER}.{BODY}.{SIGNATURE}=", "InvalidSignature"),
        (f"{HEADER}.{BODY}.{SIGNATURE[:-1]}", "InvalidSignature"),
        (f"{HEADER}.{BODY}.{SIGNATURE[:-1]}\xe4", "InvalidSignature"),
        (f"{HEADER}.{BODY}.{SIGNATURE}\ud800", "InvalidSignature"),
        # The last sign of 43 stands for four bits: another text for the same signature.
        (
            f"{HEADER}.{BODY}.{SIGNATURE[:-1]}{chr(ord(SIGNATURE[-1]) + 1)}",
            "InvalidSignature",
        ),
        (signed(HEAD, CLAIMS, OTHER), "InvalidSignature"),
        (signed(HEAD, CLAIMS, ""), "InvalidSignature"),
        (f"{HEADER}.{encoded(b'{}')}.{SIGNATURE}", "InvalidSignature"),
        *(
            (signed({"alg": name}, CLAIMS), "InvalidAlgorithm")
            for name in ("HS384", "HS512", "RS256", "PS512", "ES256", "ES384", "EdDSA")
        ),
        (signed({"alg": "RS256"}, "junk", OTHER), "InvalidAlgorithm"),
        (signed(HEAD, {**CLAIMS, "exp": 0}), "ExpiredSignature"),
        (signed(HEAD, {**CLAIMS, "exp": 0, "aud": "x"}), "ExpiredSignature"),
        *((signed(HEAD, {**CLAIMS, "aud": aud}), "InvalidAudience") for aud in AUDIENCES),
    ],
)
def test_each_kind_of_bad_token_has_its_name(token: str, kind: str) -> None:
    assert failure(token) == f"invalid token: {kind}"


@pytest.mark.parametrize(
    "token",
    [
        f"x.{GOOD}",
        f"{HEADER}=.{BODY}.{SIGNATURE}",
        f"{HEADER}+.{BODY}.{SIGNATURE}",
        f"{HEADER[:-1]} .{BODY}.{SIGNATURE}",
        f" {GOOD}",
        f"A.{BODY}.{SIGNATURE}",
        "é.é.é",
        resigned(f"{HEADER}.{BODY}="),
        resigned(f"{HEADER}.A"),
        resigned(f"{HEADER}.{BODY[:-1]}*"),
        # What is left over of the last sign is not zero.
        resigned(f"{HEADER}.{encoded(b'{}')[:-1]}1"),
    ],
)
def test_what_is_no_base64_is_said_to_be_none(token: str) -> None:
    assert failure(token).startswith("invalid token: Base64 error: ")


@pytest.mark.parametrize(
    "token",
    [
        *(signed(head, CLAIMS) for head in HEADS),
        f"{encoded(bytes([0xFF]))}.{BODY}.{SIGNATURE}",
        *(signed(HEAD, claims) for claims in OTHERS),
        *(signed(HEAD, {k: v for k, v in CLAIMS.items() if k != name}) for name in CLAIMS),
        *(signed(HEAD, {**CLAIMS, name: None}) for name in CLAIMS),
        *(signed(HEAD, {**CLAIMS, "exp": exp}) for exp in ENDS),
        *(signed(HEAD, {**CLAIMS, "grants": grants}) for grants in GRANTS),
        signed(HEAD, json.dumps(CLAIMS)[:-1] + ', "sub": "bob"}'),
        signed(HEAD, json.dumps(CLAIMS)[:-1] + ', "\\u0073ub": "bob"}'),
        signed(HEAD, {**CLAIMS, "sub": "\ud800"}),
    ],
)
def test_what_is_not_the_expected_json_is_said_to_be_none(token: str) -> None:
    assert failure(token).startswith("invalid token: JSON error: ")


@given(st.text(st.characters()) | st.lists(st.text("AQgw_-=.", max_size=9)).map(".".join))
def test_no_text_is_taken_and_none_surprises(text: str) -> None:
    with pytest.raises(TokenError):
        read(text, (SECRET,), NOW)


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_nothing_that_is_signed_surprises(said: Any) -> None:
    body = encoded(said if isinstance(said, bytes) else json.dumps(said).encode())
    assert failure(resigned(f"{HEADER}.{body}")).startswith("invalid token: ")


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_no_sign_of_a_token_can_be_another(place: int, sign: str) -> None:
    changed = GOOD[:place] + sign + GOOD[place + 1 :]
    if changed == GOOD:
        assert read(changed, (SECRET,), NOW)
    else:
        assert failure(changed).startswith("invalid token: ")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(Role))
def test_names_come_back_as_they_were(name: str, role: Role) -> None:
    user = User(name=name, password_hash="", role=role, grants=(GRANT,))
    claims = read(issue(user, "s", SETTINGS, NOW), SETTINGS.secrets, NOW)
    assert (claims.sub, Role.named(claims.role)) == (name, role)


def known_failure(known: KnownTokens, now: datetime, *secrets: str) -> str:
    with pytest.raises(TokenError) as caught:
        known.read(GOOD, secrets, now)
    return str(caught.value)


def test_a_known_token_is_good_as_long_as_it_would_be_unknown() -> None:
    known = KnownTokens()
    for _ in range(2):
        assert known.read(GOOD, (SECRET,), NOW) == read(GOOD, (SECRET,), NOW)
    late = NOW + timedelta(minutes=10) + LEEWAY
    assert known.read(GOOD, (SECRET,), late)
    ended = late + timedelta(seconds=1)
    assert known_failure(known, ended, SECRET) == "invalid token: ExpiredSignature"
    assert known_failure(known, NOW, OTHER) == "invalid token: InvalidSignature"
    assert known.read(GOOD, (OTHER, SECRET), NOW)


@given(st.lists(st.sampled_from([GOOD, GOOD + "x", "x" + GOOD, GOOD.swapcase(), "a.b.c", ""])))
def test_what_is_known_makes_no_other_text_good(tokens: list[str]) -> None:
    known = KnownTokens()
    for token in tokens:
        if token == GOOD:
            assert known.read(token, (SECRET,), NOW).sub == "alice"
        else:
            with pytest.raises(TokenError):
                known.read(token, (SECRET,), NOW)


def test_no_more_than_some_are_known() -> None:
    known = KnownTokens()
    for number in range(MOST_KNOWN + 10):
        known.read(signed(HEAD, {**CLAIMS, "jti": str(number)}), (SECRET,), NOW)
    assert len(known._good) == MOST_KNOWN  # pyright: ignore[reportPrivateUsage]
    long = signed(HEAD, {**CLAIMS, "jti": "x" * LONGEST_KNOWN})
    assert known.read(long, (SECRET,), NOW).sub == "alice"
    assert long not in known._good  # pyright: ignore[reportPrivateUsage]
