"""Reads the text format of protocol buffers without the definitions of the messages.

What a value is depends on the field that it is for, so numbers and names stay as they are written
and strings stay bytes: who asks for the field knows which of them it holds.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Union

from attrs import field, frozen
from lark import Lark, Token, Tree

Value = Union["Message", str, bytes]


@frozen
class Message:
    """A message.

    Attributes:
        fields: The values of its fields, in order; the name of a type is in brackets.
    """

    fields: Mapping[str, Sequence[Value]] = field(factory=dict[str, Sequence[Value]])

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def messages(self, name: str) -> list["Message"]:
        """Return the messages of the field `name`."""
        return [value for value in self.fields.get(name, ()) if isinstance(value, Message)]

    def message(self, name: str) -> "Message":
        """Return the message of the field `name`; an empty one without it."""
        return next(iter(self.messages(name)), Message())

    def data(self, name: str) -> bytes:
        """Return the string of the field `name`; an empty one without it."""
        return b"".join(value for value in self.fields.get(name, ()) if isinstance(value, bytes))

    def text(self, name: str) -> str:
        """Return the string of the field `name` as text."""
        return self.data(name).decode()

    def word(self, name: str, default: str) -> str:
        """Return the number or name of the field `name` as it is written; without it `default`."""
        return next((word for word in self.fields.get(name, ()) if isinstance(word, str)), default)


def read_message(text: str) -> Message:
    """Return the message in `text`.

    Raises:
        lark.exceptions.LarkError: It is none.
    """
    parser: Any = _PARSER  # The annotations of lark leave out what texts it takes.
    return _message(parser.parse(text))


# https://protobuf.dev/reference/protobuf/textformat-spec/; a list of messages needs a colon here.
_PARSER: Final = Lark(
    r"""
    message: field*
    field: name (":" value | ":"? block) (";" | ",")?
    name: NAME | "[" TYPE "]"
    value: WORD | STRING+ | "[" (element ("," element)*)? "]"
    element: WORD | STRING+ | block
    block: "{" message "}" | "<" message ">"

    NAME: /[A-Za-z_]\w*/
    TYPE: /[\w.\/-]+/
    WORD: /-?[ \t]*[\w.](?:[\w.]|(?<=[eE])[+-])*/
    STRING: /"(?:[^"\\\n]|\\.)*"/ | /'(?:[^'\\\n]|\\.)*'/
    %ignore /\s+|#[^\n]*/
    """,
    start="message",
    parser="lalr",
)


def _message(tree: Tree[Token]) -> Message:
    fields: dict[str, list[Value]] = {}
    for each in _trees(tree):
        name, given = _trees(each)
        fields.setdefault(_name(name), []).extend(_values(given))
    return Message(fields)


def _name(tree: Tree[Token]) -> str:
    (token,) = _tokens(tree)
    return f"[{token}]" if token.type == "TYPE" else str(token)


def _values(tree: Tree[Token]) -> list[Value]:
    """Return the value of a field or element, or the values of a list."""
    if tree.data == "block":
        return [_message(*_trees(tree))]
    tokens = _tokens(tree)
    if not tokens:
        return [value for part in _trees(tree) for value in _values(part)]
    if tokens[0].type == "WORD":
        return [tokens[0].replace(" ", "")]
    return [b"".join(_data(token) for token in tokens)]


def _data(token: Token) -> bytes:
    return _ESCAPE.sub(_unescaped, token[1:-1].encode())


_ESCAPE: Final = re.compile(
    rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)"
)
_LETTERS: Final = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found[1]
    if escape.isdigit():
        return bytes([int(escape, 8)])
    if len(escape) == 1:
        return bytes([_LETTERS.get(escape[0], escape[0])])
    number = int(escape[1:], 16)
    return bytes([number]) if escape[:1] in b"xX" else chr(number).encode()


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [child for child in tree.children if isinstance(child, Token)]
