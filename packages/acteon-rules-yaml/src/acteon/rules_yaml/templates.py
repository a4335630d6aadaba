"""Paths and templates, as far as the version of the file has them."""

import re
from typing import Final

from acteon.rules import TemplateError, compile_template, parse_field_path
from acteon.rules.expression import Binary, Call, Expression, Field, Index, Literal, Name
from acteon.rules_yaml.nodes import Node
from acteon.rules_yaml.oddities import in_curly_quotes
from acteon.rules_yaml.report import Place

MAX_STEPS: Final = 128
"""How far a path may lead."""
MAX_PLACEHOLDERS: Final = 100
_WORKED_OUT: Final = re.compile(r"[|(){}\"]|==|\s[-+*/%<>=!?&]+\s|^\s|\s$|\s(?:or|and|if|else)\s")
_INDEXED: Final = re.compile(r"([^\[\]]+)((?:\[-?[0-9]{1,9}\])+)")
_INDEX: Final = re.compile(r"\[(-?[0-9]+)\]")


def read_path(path: str, node: Node, place: Place) -> Expression | None:
    """Return the field that `path` leads to; None if there is no such path, which is noted.

    From version 2 on `items[0]` is an item of a list, and blanks around a path do not count.
    """
    if "{{" in path or path.startswith("$"):
        place.error(f"a field is written without braces: `{path.strip(' ${}.')[:100]}`", node)
        return None
    if in_curly_quotes(path):
        place.error("curly quotes are a part of the path; write it without quotes", node)
        return None
    try:
        _check_size(path)
        if place.report.version >= 2:
            return _with_indexes(parse_field_path(path.strip()))
        _warn_of_indexes(path, node, place)
        if path != path.strip():
            place.warning("the blanks around the path are a part of the names", node)
        return parse_field_path(path)
    except TemplateError as error:
        place.error(error.message, node)
        return None


def text_or_template(text: str, node: Node, place: Place) -> Expression | None:
    """Return what `text` stands for; None if it is a broken template, which is noted.

    Before version 2 a text is nothing but itself.
    """
    if "{{" in text and place.report.version < 2:
        message = "`{{` is nothing special here; write `version: 2` at the top of the file"
        place.warning(f"{message} to put fields in", node)
        return Literal(text)
    return read_template(text, node, place)


def read_template(text: str, node: Node, place: Place) -> Expression | None:
    """Return the template `text`, whatever the version; None if it is broken, which is noted.

    One that is a placeholder and nothing else keeps the type of its field, in others fields are
    shown as texts.
    """
    try:
        placeholders = text.split("{{")[1:]
        if len(placeholders) > MAX_PLACEHOLDERS:
            raise TemplateError(f"more than {MAX_PLACEHOLDERS} fields in one text")
        for placeholder in placeholders:
            _check_size(placeholder.partition("}}")[0].strip())
        template = compile_template(text, display=True)
        _check_names(template)
        if isinstance(template, Call):
            (template,) = template.arguments
        if place.report.version >= 2:
            return _with_indexes(template)
    except TemplateError as error:
        place.error(error.message, node)
        return None
    if not isinstance(template, Literal):
        _warn_of_indexes(text, node, place)
    return template


def _warn_of_indexes(text: str, node: Node, place: Place) -> None:
    index = _INDEX.search(text)
    if index is not None:
        message = f"`{index[0]}` is a part of the name here; write `version: 2` at the top of the"
        place.warning(f"{message} file to make it an index", node)


def _check_size(path: str) -> None:
    # Expressions this deep could be evaluated, but not be compared with each other.
    if path.count(".") + path.count("[") > MAX_STEPS:
        raise TemplateError(f"a path of more than {MAX_STEPS} steps: '{path[:40]}…'")


def _check_names(expression: Expression) -> None:
    """Check that placeholders hold what may be a path, and nothing that is to be worked out.

    Raises:
        TemplateError: One holds something else.
    """
    match expression:
        case Field(base, name):
            _check_names(base)
        case Name(name):
            pass
        case Call(arguments=parts):
            for part in parts:
                _check_names(part)
            return
        case Binary(_, left, right):
            _check_names(left)
            _check_names(right)
            return
        case _:
            return
    if _WORKED_OUT.search(name):
        raise TemplateError(
            f"a placeholder holds the path of one field, like {{{{ action.payload.to }}}}, and "
            f"nothing is worked out in it: '{name[:100]}'"
        )


def _with_indexes(expression: Expression) -> Expression:
    """Return what `compile_template` gave, with indexes where names have them behind.

    Raises:
        TemplateError: What is in brackets is no index.
    """
    match expression:
        case Field(base, name):
            plain, indexes = _split(name)
            expression = Field(_with_indexes(base), plain)
        case Name(name):
            plain, indexes = _split(name)
            expression = Name(plain)
        case Call(function, arguments):
            return Call(function, tuple(_with_indexes(argument) for argument in arguments))
        case Binary(operator, left, right):
            return Binary(operator, _with_indexes(left), _with_indexes(right))
        case _:
            return expression
    for index in indexes:
        expression = Index(expression, Literal(index))
    return expression


def _split(name: str) -> tuple[str, list[int]]:
    if "[" not in name and "]" not in name:
        return name, []
    indexed = _INDEXED.fullmatch(name)
    if indexed is None:
        raise TemplateError(
            f"no index: '{name[:100]}'; write items[0] or items[-1], and .name for a member"
        )
    return indexed[1], [int(index) for index in _INDEX.findall(indexed[2])]
