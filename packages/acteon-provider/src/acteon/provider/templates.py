"""Payloads and bodies made from an action by templates.

They are written in [Jinja](https://jinja.palletsprojects.com/templates/) and rendered in its
sandbox. They see the members of the action under their names: `payload`, `metadata`, `namespace`,
`tenant`, `provider`, `action_type`, `id`, `created_at` and `dedup_key`. Other names, and other
templates, are refused at once. Of a JSON object a template sees the members and nothing else, so
that `payload.items` is the member `items`; `payload | items` goes through all of them.

What expressions give is at most `MAX_CHARACTERS` altogether, which is counted as they give it;
`range`, `*` and `**` give no more than that either. Nothing else is bounded, in time or in memory:
loops within loops, texts put together in a `{% set %}`, or widths that `center` and `indent` take
from the payload. Templates are the operator's, who should leave these out.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from attrs import define, field

from acteon.core import Action, InvalidError, encode_json
from acteon.provider.errors import ProviderSerializationError

if TYPE_CHECKING:
    from jinja2.nodes import Template
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["MAX_CHARACTERS", "NAMES", "PayloadTemplate", "TextTemplate"]

MAX_CHARACTERS: Final = 1024 * 1024
"""How long what is made may become."""

NAMES: Final = frozenset(
    {
        "action_type",
        "created_at",
        "dedup_key",
        "id",
        "metadata",
        "namespace",
        "payload",
        "provider",
        "tenant",
    }
)
"""The names that templates see."""

_EXPRESSION = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_MARK = re.compile(r"\{[{%#]")
_MAX_BITS = 1024


@define
class _Room:
    """How much longer what is made may become."""

    left: int = MAX_CHARACTERS

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise _TooLargeError


class _TooLargeError(Exception):
    """What a template makes is too large."""


Render = Callable[[Mapping[str, Any], _Room], Any]


@define(eq=False)
class TextTemplate:
    """A text that is made from an action; equal to others of the same source."""

    source: str = field(repr=False)
    _render: Render = field(repr=False)

    @classmethod
    def of(cls, source: str) -> "TextTemplate":
        """Return the template that `source` is.

        Raises:
            ValueError: It is none; the text says why.
        """
        return cls(source, _text(source, ""))

    def render(self, action: Action) -> str:
        """Return the text for `action`.

        Raises:
            ProviderSerializationError: Something in it is not there for this action.
        """
        rendered: str = self._render(action.as_json(), _Room())
        return rendered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextTemplate) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)


@define(eq=False)
class PayloadTemplate:
    """A JSON value that is made from an action: each of its texts is a template.

    A text that is nothing but one `{{ expression }}`, blanks around it aside, gives what that is,
    of its own kind: a number, a list, null. Equal to others of the same source.

    Attributes:
        source: What it was made of, as JSON.
    """

    source: bytes = field(repr=False)
    _render: Render = field(repr=False)

    @classmethod
    def of(cls, source: Any) -> "PayloadTemplate":
        """Return the template that `source`, a JSON value, is.

        Raises:
            ValueError: It is no JSON value, or one of its texts is no template; the text says
                where, and why.
        """
        render = _compiled(source, "")
        try:
            return cls(encode_json(_plain(source, _Room())), render)
        except InvalidError as error:
            raise ValueError(str(error)) from None
        except _TooLargeError:
            raise ValueError(f"has more than {MAX_CHARACTERS} characters") from None

    def render(self, action: Action) -> Any:
        """Return the value for `action`; it can be written as JSON.

        Raises:
            ProviderSerializationError: Something in it is not there for this action.
        """
        return self._render(action.as_json(), _Room())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PayloadTemplate) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)


def _compiled(source: Any, where: str) -> Render:
    if isinstance(source, str):
        return _value(source, where)
    if _is_mapping(source):
        members: dict[str, Render] = {}
        for name, member in source.items():
            if not isinstance(name, str):
                raise ValueError(f"{_place(where)}the name {name!r} is no text")
            members[name] = _compiled(member, f"{where}.{name}" if where else name)
        return lambda names, room: {name: render(names, room) for name, render in members.items()}
    if isinstance(source, list | tuple):
        found = cast("list[Any]", source)
        elements = [_compiled(each, f"{where}[{index}]") for index, each in enumerate(found)]
        return lambda names, room: [render(names, room) for render in elements]
    try:
        constant = _plain(source, _Room())
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_place(where)}{error}") from None
    return lambda _names, _room: constant


def _value(source: str, where: str) -> Render:
    """Return what renders `source`; the value itself if that is one expression."""
    stripped = source.strip()
    expression = _EXPRESSION.fullmatch(stripped)
    if expression is None or not _is_one_output(_parsed(stripped, where)):
        return _text(source, where)
    evaluate = _environment().compile_expression(expression[1], undefined_to_none=False)

    def render(names: Mapping[str, Any], room: _Room) -> Any:
        try:
            return _plain(evaluate(names), room)
        except Exception as error:  # noqa: BLE001 - what a template may raise has no end
            raise _failure(where, source, error) from None

    return render


def _text(source: str, where: str) -> Render:
    if not _MARK.search(source):
        plain = str.__str__(source)
        return lambda _names, _room: plain
    _parsed(source, where)
    template = _environment().from_string(source)

    def render(names: Mapping[str, Any], room: _Room) -> str:
        pieces: list[str] = []
        try:
            for piece in template.generate(names):
                room.take(len(piece))
                pieces.append(piece)
        except Exception as error:  # noqa: BLE001 - what a template may raise has no end
            raise _failure(where, source, error) from None
        return "".join(pieces)

    return render


def _is_one_output(tree: "Template") -> bool:
    outputs: list[Any] = [each for node in tree.body for each in getattr(node, "nodes", (node,))]
    return len(outputs) == 1


def _parsed(source: str, where: str) -> "Template":
    """Return the tree of `source`; it can be compiled, and asks for nothing that there is not."""
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.meta import find_undeclared_variables

    try:
        tree = _environment().parse(source)
        unknown = find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        problem = f"{error.message} (line {error.lineno})"
        raise ValueError(f"{_place(where)}is no template: {problem}") from None
    others = (nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)
    for node in tree.find_all(others):
        problem = f"there is no other one that it can use (line {node.lineno})"
        raise ValueError(f"{_place(where)}is no template: {problem}")
    # What is set in one branch alone counts as unknown after it.
    unknown -= {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    for name in sorted(unknown - NAMES):
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(NAMES))}"
        raise ValueError(f"{_place(where)}is no template: there is no {name!r}; {hint}")
    return tree


def _plain(value: Any, room: _Room) -> Any:
    """Return `value` as what JSON knows, with room for each of its texts and members."""
    kind = cast("type[object]", type(value))
    if kind is str:
        room.take(len(value) + 1)
        return value
    room.take(1)
    if value is None or kind is bool:
        return value
    if isinstance(value, str):  # Such as the markup that some filters give.
        return _plain(str.__str__(value), room)
    if kind is int and value.bit_length() <= _MAX_BITS:
        room.take(value.bit_length() // 4)
        return value
    if kind is float and math.isfinite(value):
        return value
    if _is_mapping(value):
        return {_name(name, room): _plain(member, room) for name, member in value.items()}
    if isinstance(value, list | tuple | Iterator | range):
        return [_plain(element, room) for element in cast("Iterable[Any]", value)]
    str(value)  # What is undefined raises here, and says so.
    raise TypeError(f"{kind.__name__} is nothing that JSON knows")


def _name(name: Any, room: _Room) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{type(name).__name__} is no name of a member")
    plain: str = _plain(name, room)
    return plain


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _place(where: str) -> str:
    return f"{where}: " if where else ""


def _failure(where: str, source: str, error: Exception) -> ProviderSerializationError:
    # What stands in the template may be told; other texts may quote the payload.
    from jinja2 import UndefinedError
    from jinja2.exceptions import SecurityError

    template = f"the template of {where!r}" if where else "the template"
    if isinstance(error, _TooLargeError):
        return ProviderSerializationError(f"{template} gives more than {MAX_CHARACTERS} characters")
    told = type(error).__name__
    if isinstance(error, UndefinedError):
        name = str(error).removesuffix(" is undefined").strip("'")
        told = f"{name!r} is undefined" if name in source else "something in it is undefined"
    elif isinstance(error, SecurityError):
        told = "something in it is unsafe"
    return ProviderSerializationError(f"{template} cannot be filled in: {told}")


def _to_json(value: Any, indent: int | None = None) -> str:
    """Write `value` as JSON; unlike the filter of Jinja, not as what HTML needs."""
    plain = _plain(value, _Room())
    if indent is None:
        return encode_json(plain).decode()
    return json.dumps(plain, ensure_ascii=False, indent=indent, sort_keys=True)


def _grown(operator: str, left: Any, right: Any) -> int:
    """Return how many elements, or bits, `left` and `right` become by `operator`."""
    if operator == "**":
        both = isinstance(left, int) and isinstance(right, int)
        return left.bit_length() * right if both else 0
    for repeated, times in ((left, right), (right, left)):
        if isinstance(repeated, str | list | tuple) and isinstance(times, int):
            return len(cast("list[Any]", repeated)) * times
    return 0


@cache
def _environment() -> "SandboxedEnvironment":
    from jinja2 import StrictUndefined
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class _Missing(StrictUndefined):
        """What is not there, called by its name alone."""

        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            return self._undefined_hint or f"'{self._undefined_name}' is undefined"

    class _Members(ImmutableSandboxedEnvironment):
        """Takes `payload.items` for the member of that name, not for a method of mappings."""

        intercepted_binops = frozenset({"*", "**"})

        def getattr(self, obj: Any, attribute: str) -> Any:
            if _is_mapping(obj):
                return self.getitem(obj, attribute)
            return super().getattr(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            if _is_mapping(obj):
                if argument in obj:
                    return obj[argument]
                return self.undefined(obj=obj, name=argument)
            return super().getitem(obj, argument)

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            if _grown(operator, left, right) > MAX_CHARACTERS:
                raise _TooLargeError
            return super().call_binop(context, operator, left, right)

    environment = _Members(undefined=_Missing, autoescape=False, keep_trailing_newline=True)
    del environment.globals["lipsum"]
    environment.filters["tojson"] = _to_json
    return environment
