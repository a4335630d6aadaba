"""Payloads and bodies made from an action by templates.

They are written in [Jinja](https://jinja.palletsprojects.com/templates/) and rendered in its
sandbox. They see the members of the action under their names: `payload`, `metadata`, `namespace`,
`tenant`, `provider`, `action_type`, `id`, `created_at` and `dedup_key`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from attrs import define, field

from acteon.core import Action
from acteon.provider.errors import ProviderSerializationError

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_CHARACTERS: Final = 1024 * 1024
"""How long a rendered text may become."""

Render = Callable[[Mapping[str, Any]], Any]


@define(eq=False)
class TextTemplate:
    """A text that is made from an action; equal to others of the same source."""

    source: str
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
        rendered: str = self._render(action.as_json())
        return rendered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextTemplate) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)


@define(eq=False)
class PayloadTemplate:
    """A JSON value that is made from an action: each of its texts is a template.

    A text that is nothing but one `{{ expression }}` gives what that is, of its own kind: a
    number, a list, null. Equal to others of the same source.
    """

    source: Any
    _render: Render = field(repr=False)

    @classmethod
    def of(cls, source: Any) -> "PayloadTemplate":
        """Return the template that `source`, a JSON value, is.

        Raises:
            ValueError: One of its texts is none; the text says which, and why.
        """
        return cls(source, _compiled(source, ""))

    def render(self, action: Action) -> Any:
        """Return the value for `action`.

        Raises:
            ProviderSerializationError: Something in it is not there for this action.
        """
        return self._render(action.as_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PayloadTemplate) and self.source == other.source

    __hash__ = None  # type: ignore[assignment]  # Its source can change, as far as types tell.


def _compiled(source: Any, where: str) -> Render:
    if isinstance(source, str):
        return _value(source, where)
    if isinstance(source, Mapping):
        members = {
            name: _compiled(member, f"{where}.{name}" if where else str(name))
            for name, member in cast("Mapping[str, Any]", source).items()
        }
        return lambda names: {name: render(names) for name, render in members.items()}
    if isinstance(source, list | tuple):
        elements = [_compiled(element, f"{where}[{index}]") for index, element in _numbered(source)]
        return lambda names: [render(names) for render in elements]
    return lambda _: source


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _numbered(elements: Any) -> Iterable[tuple[int, Any]]:
    found: list[Any] = list(elements)
    return enumerate(found)


def _value(source: str, where: str) -> Render:
    """Return what renders `source`; the value itself if that is one expression."""
    expression = _only_expression(source, where)
    if expression is None:
        return _text(source, where)
    from jinja2 import TemplateError, TemplateSyntaxError, Undefined

    try:
        evaluate = _environment().compile_expression(expression, undefined_to_none=False)
    except TemplateSyntaxError as error:
        raise _no_template(where, error.message, error.lineno) from None

    def render(names: Mapping[str, Any]) -> Any:
        try:
            value = evaluate(**names)
            if isinstance(value, Undefined):
                str(value)  # It raises, and says what is undefined.
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise _failure(where, error) from None
        return value

    return render


def _only_expression(source: str, where: str) -> str | None:
    """Return the expression of `source`, if it is nothing but one."""
    stripped = source.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}")):
        return None
    kinds = [kind for _, kind, _ in _tokens(stripped, where)]
    if kinds.count("variable_begin") != 1 or kinds[-1] != "variable_end":
        return None
    return stripped.removeprefix("{{").removesuffix("}}").strip("-+ ")


def _tokens(source: str, where: str) -> list[tuple[int, str, str]]:
    from jinja2 import TemplateSyntaxError

    try:
        return [*_environment().lex(source)]
    except TemplateSyntaxError as error:
        raise _no_template(where, error.message, error.lineno) from None


def _text(source: str, where: str) -> Render:
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        template = _environment().from_string(source)
    except TemplateSyntaxError as error:
        raise _no_template(where, error.message, error.lineno) from None

    def render(names: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        length = 0
        try:
            for piece in template.generate(**names):
                length += len(piece)
                if length > MAX_CHARACTERS:
                    raise ProviderSerializationError(
                        f"{_template_at(where)} gives more than {MAX_CHARACTERS} characters"
                    )
                pieces.append(piece)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise _failure(where, error) from None
        return "".join(pieces)

    return render


def _template_at(where: str) -> str:
    return f"the template of {where!r}" if where else "the template"


def _no_template(where: str, message: str | None, line: int) -> ValueError:
    place = f"{where}: " if where else ""
    return ValueError(f"{place}is no template: {message} (line {line})")


def _failure(where: str, error: Exception) -> ProviderSerializationError:
    # What is undefined is named by the template; other errors may quote the payload.
    from jinja2 import UndefinedError
    from jinja2.exceptions import SecurityError

    told = str(error) if isinstance(error, UndefinedError | SecurityError) else type(error).__name__
    return ProviderSerializationError(f"{_template_at(where)} cannot be filled in: {told}")


@cache
def _environment() -> "Environment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class _Members(ImmutableSandboxedEnvironment):
        """Takes `payload.items` for the member of that name, not for a method of mappings."""

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

    environment = _Members(undefined=StrictUndefined, autoescape=False)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment
