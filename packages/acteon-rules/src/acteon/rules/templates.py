"""Texts with `{{ field.path }}` in them, and the paths themselves."""

from typing import Final

from acteon.rules.errors import TemplateError
from acteon.rules.expression import Binary, BinaryOperator, Call, Expression, Field, Literal, Name

_BRACES: Final = frozenset({'"{{"', "'{{'"})


def parse_field_path(path: str) -> Expression:
    """Return the expression for `path`: a name, and members of it, separated by dots.

    The segments are taken as they are: no blanks are cut off, and numbers are names, too.

    Raises:
        TemplateError: A segment is empty.
    """
    first, *names = path.split(".")
    if not first:
        raise TemplateError(f"empty field path: '{path}'")
    expression: Expression = Name(first)
    for name in names:
        if not name:
            raise TemplateError(f"empty segment in field path: '{path}'")
        expression = Field(expression, name)
    return expression


def compile_template(text: str, *, display: bool = False) -> Expression:
    """Return the expression for `text`, in which `{{ path }}` stands for a field.

    A text that is one placeholder and nothing else keeps the type of the field. In any other one
    the pieces are joined with `+`, which takes texts only. `{{ "{{" }}` gives the braces
    themselves.

    Args:
        text: The template; without `{{` it is a constant.
        display: Every field is shown as text, as `to_string` does, so that numbers may be joined
            and the result is always a text; what `key:` of deduplicate and throttle wants.

    Raises:
        TemplateError: A placeholder is not closed, is empty, or is no field path.
    """
    pieces: list[Expression] = []
    rest = text
    while "{{" in rest:
        before, _, rest = rest.partition("{{")
        inside, closed, rest = rest.partition("}}")
        if not closed:
            raise TemplateError("unclosed template expression: missing '}}'")
        if not inside.strip():
            raise TemplateError(f"empty template expression: '{{{{{inside}}}}}'")
        if before:
            pieces.append(Literal(before))
        if inside.strip() in _BRACES:
            pieces.append(Literal("{{"))
            continue
        field = parse_field_path(inside.strip())
        pieces.append(Call("to_string", (field,)) if display else field)
    if rest or not pieces:
        pieces.append(Literal(rest))
    joined, *others = pieces
    for piece in others:
        joined = Binary(BinaryOperator.ADD, joined, piece)
    return joined
