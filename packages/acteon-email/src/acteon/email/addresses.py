"""Mail addresses: from what people write to what servers and headers need.

The parsers of the standard library repair what is wrong, drop comments and guess; here a text is
what it says or an error, since a mail to the wrong person cannot be taken back.
"""

import ipaddress
import re
from typing import Final

import idna
from attrs import field, frozen

_MAX_ADDRESS: Final = 254  # RFC 5321, 4.5.3.1.3: 256 with the angle brackets
_MAX_DOMAIN: Final = 253
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PIECE: Final = re.compile(rf'(?:{_QUOTED}|[^",])*')
_NAMED: Final = re.compile(rf'((?:{_QUOTED}|[^"<>])*)<((?:{_QUOTED}|[^"<>\s])*)>')
_BARE: Final = re.compile(rf'(?:{_QUOTED}|[^"<>\s])*')
_PARTS: Final = re.compile(rf'({_QUOTED}|[^"@]+)@([^"@]+)')
_ATEXT: Final = r"(?:[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]|[^\x00-\x7f\s])"
_DOT_ATOM: Final = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


@frozen(kw_only=True)
class Mailbox:
    """Where mail goes, or comes from.

    Attributes:
        name: Of whom it is, for people; often empty.
        local: What stands before the `@`, in quotes if it needs them.
        domain: What stands behind it: A-labels in lower case, or an address in brackets.
    """

    name: str = field(default="")
    local: str
    domain: str

    @property
    def address(self) -> str:
        """`local@domain`."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only servers with SMTPUTF8 can have it: ASCII has no form for `local`."""
        return not self.local.isascii()


def parse_mailboxes(text: str) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a list such as `ann@example.com, "Doe, Bob" <bob@example.com>`.

    Raises:
        ValueError: It is none, or empty.
    """
    if found := _CONTROL.search(text):
        raise ValueError(f"it holds {found[0]!r}")
    pieces: list[str] = []
    start = 0
    while start <= len(text):
        piece = _PIECE.match(text, start)
        assert piece is not None  # it matches nothing at all, too
        if text[piece.end() :].startswith('"'):
            raise ValueError(f"the quotes of {_shown(text)} do not end")
        pieces.append(piece[0].strip())
        start = piece.end() + 1  # behind the comma
    return tuple(map(_mailbox, pieces))


def parse_mailbox(text: str) -> Mailbox:
    """Return the one mailbox that `text` is.

    Raises:
        ValueError: It is none, or several.
    """
    mailbox, *others = parse_mailboxes(text)
    if others:
        raise ValueError(f"{_shown(text)} is more than one")
    return mailbox


def _mailbox(text: str) -> Mailbox:
    if not text:
        raise ValueError("it is empty")
    named = _NAMED.fullmatch(text)
    if named is None and not _BARE.fullmatch(text):
        raise ValueError(f"{_shown(text)} is none")
    name, address = (named[1], named[2]) if named else ("", text)
    parts = _PARTS.fullmatch(address)
    if parts is None:
        raise ValueError(f"{_shown(text)} is none")
    try:
        local, domain = _local(parts[1]), _domain(parts[2])
    except ValueError as error:
        raise ValueError(f"{_shown(text)}: {error}") from None
    if len(f"{local}@{domain}".encode()) > _MAX_ADDRESS:
        raise ValueError(f"{_shown(text)} is longer than {_MAX_ADDRESS} bytes")
    name = re.sub(_QUOTED, lambda found: _unquoted(found[0]), name.strip())
    return Mailbox(name=name, local=local, domain=domain)


def _local(text: str) -> str:
    plain = _unquoted(text) if text.startswith('"') else text
    if _DOT_ATOM.fullmatch(plain):
        return plain
    if plain == text:
        raise ValueError("what stands before the @ needs quotes, or is not allowed there")
    return quoted(plain)


def _domain(text: str) -> str:
    if text.startswith("["):
        return _literal(text)
    domain = text.lower()
    if not text.isascii():
        try:
            # By the rules of 2008: those of 2003 make straße.example another one's domain.
            domain = idna.encode(text, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            domain = ""
    if len(domain) > _MAX_DOMAIN or not all(map(_LABEL.fullmatch, domain.split("."))):
        raise ValueError("its domain is not one")
    return domain


def _literal(text: str) -> str:
    """Return the address in brackets of RFC 5321, 4.1.3."""
    inner = text[1:-1] if text.endswith("]") else ""
    try:
        if inner[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise ValueError("what stands in its brackets is no address of a host") from None


def quoted(text: str) -> str:
    """Return `text` as a quoted string."""
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _shown(text: str) -> str:
    return repr(text if len(text) <= 64 else f"{text[:61]}...")
