"""The public conformance cases of CEL, as far as they concern what conditions can say."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import field, frozen
from textproto import Message, read_message

from acteon.rules_cel.values import CelType, Uint, key_of


class LeftOutError(Exception):
    """A case is left out; the text says why."""


@frozen(kw_only=True)
class Case:
    """An expression, and what it is to give.

    Attributes:
        file: The name of the file it stands in.
        name: What it is called there, after its section.
        text: The expression.
        types: The types of the variables, as far as they are declared.
        variables: Their values.
        is_checked: Whether types may be checked before the evaluation.
        fails: Whether it is to fail, or to be refused.
        expected: What it gives if it does not fail; the keys of maps are as `key_of` gives them.
    """

    file: str
    name: str
    text: str
    types: Mapping[str, str] = field(factory=dict[str, str])
    variables: Mapping[str, Any] = field(factory=dict[str, Any])
    is_checked: bool
    fails: bool
    expected: Any


def read_cases(files: Mapping[str, str]) -> tuple[list[Case], Counter[str]]:
    """Return the cases in `files`, texts by name, and how many are left out for which reasons."""
    cases: list[Case] = []
    left_out: Counter[str] = Counter()
    for file, text in sorted(files.items()):
        for section in read_message(text).messages("section"):
            for test in section.messages("test"):
                try:
                    cases.append(_case(file, section.text("name"), test))
                except LeftOutError as error:
                    left_out[str(error)] += 1
    return cases, left_out


_EXTENSIONS: Final = {
    "bindings_ext": "extension: cel.bind",
    "block_ext": "extension: cel.block",
    "encoders_ext": "extension: base64",
    "macros2": "extension: macros with two variables",
    "math_ext": "extension: math",
    "optionals": "extension: optional values",
    "proto2_ext": "extension: proto",
    "string_ext": "extension: strings",
}
_MESSAGES: Final = "protocol buffer messages and enums"


def _case(file: str, section: str, test: Message) -> Case:
    text = test.text("expr")
    if file in _EXTENSIONS:
        raise LeftOutError(_EXTENSIONS[file])
    if _names_messages(text) or test.text("container") not in {"", "x"}:
        raise LeftOutError(_MESSAGES)
    if "container" in test:
        raise LeftOutError("names looked up in a container")
    if "typed_result" in test or "check_only" in test:
        raise LeftOutError("the type that a checker finds")
    types = dict(_declared(each) for each in test.messages("type_env"))
    bindings = test.messages("bindings")
    fails = "eval_error" in test
    return Case(
        file=file,
        name=f"{section}/{test.text('name')}",
        text=text,
        types=types,
        variables={each.text("key"): _bound(each.message("value")) for each in bindings},
        is_checked=test.word("disable_check", "false") == "false",
        fails=fails,
        # A case that says nothing about its result is to give true.
        expected=None if fails else _value(test.message("value")) if "value" in test else True,
    )


def _names_messages(text: str) -> bool:
    return bool(_MESSAGE.search(_STRING.sub("''", text)))


_STRING: Final = re.compile(
    r"""[rRbB]{0,2}(?:'''(?s:\\.|.)*?'''|\"""(?s:\\.|.)*?\"""|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
)
_MESSAGE: Final = re.compile(
    r"(?!in\b)\b[A-Za-z_][\w.]*\s*\{|TestAllTypes|google\.protobuf\.(?!(?:Timestamp|Duration)\b)"
)


def _declared(declaration: Message) -> tuple[str, str]:
    """Return the name of a variable and its type, as a declaration gives them."""
    if "function" in declaration:
        raise LeftOutError("functions of the case's own")
    return declaration.text("name"), _type(declaration.message("ident").message("type"))


_PRIMITIVES: Final = {
    "BOOL": "bool",
    "INT64": "int",
    "UINT64": "uint",
    "DOUBLE": "double",
    "STRING": "string",
    "BYTES": "bytes",
}
_WELL_KNOWN: Final = {
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
}


def _type(given: Message) -> str:
    if "primitive" in given:
        return _PRIMITIVES[given.word("primitive", "")]
    if "list_type" in given:
        return f"list<{_type(given.message('list_type').message('elem_type'))}>"
    if "map_type" in given:
        key, value = (
            given.message("map_type").message(f"{part}_type") for part in ("key", "value")
        )
        return f"map<{_type(key)}, {_type(value)}>"
    if "message_type" in given and given.text("message_type") in _WELL_KNOWN:
        return _WELL_KNOWN[given.text("message_type")]
    if {"message_type", "abstract_type"} & given.fields.keys():
        raise LeftOutError(_MESSAGES)
    return "dyn"


def _bound(given: Message) -> Any:
    if "value" not in given:
        raise LeftOutError("unknown values")
    return _value(given.message("value"))


def _value(given: Message) -> Any:
    """Return a value as the engines give it."""
    ((kind, _),) = given.fields.items()
    match kind:
        case "null_value":
            return None
        case "bool_value":
            return given.word(kind, "") == "true"
        case "int64_value":
            return int(given.word(kind, ""), 0)
        case "uint64_value":
            return Uint(int(given.word(kind, ""), 0))
        case "double_value":
            return float(given.word(kind, ""))
        case "string_value":
            return given.text(kind)
        case "bytes_value":
            return given.data(kind)
        case "type_value":
            return CelType(given.text(kind))
        case "list_value":
            return [_value(each) for each in given.message(kind).messages("values")]
        case "map_value":
            entries = given.message(kind).messages("entries")
            return {
                key_of(_value(entry.message("key"))): _value(entry.message("value"))
                for entry in entries
            }
        case "object_value":
            return _object(given.message(kind))
        case _:
            raise LeftOutError(_MESSAGES)


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _object(given: Message) -> datetime | timedelta:
    ((kind, _),) = given.fields.items()
    parts = given.message(kind)
    # Engines in Python have microseconds, where CEL has nanoseconds.
    length = timedelta(
        seconds=int(parts.word("seconds", "0")), microseconds=int(parts.word("nanos", "0")) // 1000
    )
    match kind:
        case "[type.googleapis.com/google.protobuf.Timestamp]":
            return _EPOCH + length
        case "[type.googleapis.com/google.protobuf.Duration]":
            return length
        case _:
            raise LeftOutError(_MESSAGES)
