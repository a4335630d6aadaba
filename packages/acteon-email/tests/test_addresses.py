"""Which texts are addresses, and which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.email.addresses import parse_mailbox, parse_mailboxes


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("ann@example.com", "", "ann@example.com"),
        ("  ann@EXAMPLE.com ", "", "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Ann <ann@example.com>", "Ann", "ann@example.com"),
        ("Ann Q. Doe<ann@example.com>", "Ann Q. Doe", "ann@example.com"),
        ('"Doe, Ann" <ann@example.com>', "Doe, Ann", "ann@example.com"),
        (r'"Ann \"A\" <x@y>" <ann@example.com>', 'Ann "A" <x@y>', "ann@example.com"),
        ('Ann "A" Doe <ann@example.com>', "Ann A Doe", "ann@example.com"),
        ("Ann (Sales) <ann@example.com>", "Ann (Sales)", "ann@example.com"),
        ("eve@evil.example <ann@example.com>", "eve@evil.example", "ann@example.com"),
        ("=?utf-8?q?Ann?= <ann@example.com>", "=?utf-8?q?Ann?=", "ann@example.com"),
        ("a.b+c=d@localhost", "", "a.b+c=d@localhost"),
        ('"a b"@example.com', "", '"a b"@example.com'),
        ('"a@b,<c>"@example.com', "", '"a@b,<c>"@example.com'),
        ('"ann"@example.com', "", "ann@example.com"),
        ('""@example.com', "", '""@example.com'),
        ("ann@[192.0.2.1]", "", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:DB8::1]", "", "ann@[IPv6:2001:db8::1]"),
        ("jörg@straße.example", "", "jörg@xn--strae-oqa.example"),
        ("ann@例え。テスト", "", "ann@xn--r8jz45g.xn--zckzah"),
    ],
)
def test_an_address_is_read(text: str, name: str, address: str) -> None:
    found = parse_mailbox(text)
    assert (found.name, found.address) == (name, address)


def test_a_list_is_parted_at_its_commas() -> None:
    found = parse_mailboxes('a@x, "B, C" <b@x>,"d,"@x')
    assert [each.address for each in found] == ["a@x", "b@x", '"d,"@x']


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",", "a@x,", ",a@x", "a@x,,b@x", "a@x; b@x", "a@x b@x", "ann", "@x", "a@"),
        *("a@@x", "a b@x", "a@x y", "<a@x", "a@x>", "<a@x> b", "<<a@x>>", "g: a@x;", "<@r:a@x>"),
        *("a..b@x", ".a@x", "a.@x", "a(b)@x", "a@x(b)", "a@-x", "a@x-", "a@x..y", "a@.x", "a@x."),
        *('"a@x', 'a"b"@x', "a@[1.2.3]", "a@[::1]", "a@[IPv6:1]", "a@[x", "a@xn--\u00fc", "a\\b@x"),
        *("a@\u2488", "a\u00a0b@x", "a@x\n", "a\r\n@x", "a\x00@x", "\ud800@x", "a@" + "x" * 64),
        "a" * 250 + "@x.example",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.{1,160}$"):
        parse_mailboxes(text)


def test_one_is_not_several() -> None:
    with pytest.raises(ValueError, match=r"^'a@x, b@x' is more than one$"):
        parse_mailbox("a@x, b@x")


@given(st.text(st.sampled_from('ab@.,<>"\\ ()[]:;é=?') | st.characters(), max_size=40))
def test_every_text_is_addresses_or_none(text: str) -> None:
    try:
        found = parse_mailboxes(text)
    except ValueError:
        return
    for each in found:
        again = parse_mailbox(each.address)
        assert again.address == each.address
        assert not any(character.isspace() for character in each.domain)
