"""What evaluates the cases: each engine alone, and ours with it."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import celpy
from attrs import frozen
from cases import Case
from cel_expr_python import cel  # pyright: ignore[reportMissingTypeStubs] - it has none
from celpy import celtypes

from acteon.rules import ConditionError, EvaluationError
from acteon.rules_cel.engines import evaluate_with
from acteon.rules_cel.values import CelType, Uint, is_list, is_map, key_of

Evaluate = Callable[[Case], Any]
# Neither is annotated as far as it is used here.
_cel: Any = cel
_celpy: Any = celpy


class NoValueError(Exception):
    """An expression was refused, or its evaluation failed."""


@frozen
class Verdict:
    """What became of a case.

    Attributes:
        passed: Whether it gave what it is to give.
        found: What it gave, for people.
    """

    passed: bool
    found: str


def judge(column: str, cases: Sequence[Case]) -> list[Verdict]:
    """Return what becomes of each case in `column`.

    It is to run in a process of its own: cel-python has one parser for a process, which its
    compiled runner needs otherwise than ours.
    """
    logging.disable()  # cel-python logs each error of an evaluation as one of its own.
    evaluate = COLUMNS[column]
    return [_verdict(evaluate, case) for case in cases]


def _verdict(evaluate: Evaluate, case: Case) -> Verdict:
    try:
        found = evaluate(case)
    except NoValueError as error:
        return Verdict(case.fails, f"error: {error}")
    except Exception as error:  # noqa: BLE001 - one that breaks is one that fails
        return Verdict(False, f"broke: {error!r}")
    return Verdict(not case.fails and same(found, case.expected), repr(found))


def same(found: Any, expected: Any) -> bool:
    """Return whether two values are of one type and equal; as results, NaN is equal to itself.

    The keys of maps are as `key_of` gives them: 1, 1u and 1.0 are one key in CEL.
    """
    if type(found) is not type(expected):
        return False
    if is_list(expected):
        return len(found) == len(expected) and all(map(same, found, expected))
    if is_map(expected):
        return found.keys() == expected.keys() and all(
            same(found[key], expected[key]) for key in expected
        )
    if isinstance(expected, float) and math.isnan(expected):
        return math.isnan(found)
    return bool(found == expected)


def _ours(engine: str) -> Evaluate:
    def evaluate(case: Case) -> Any:
        try:
            return evaluate_with(engine, case.text, case.variables, checked=case.is_checked)
        except (ConditionError, EvaluationError) as error:
            raise NoValueError(str(error)) from None

    return evaluate


def _cel_python(case: Case) -> Any:
    try:
        environment = _celpy.Environment(runner_class=celpy.CompiledRunner)
        program = environment.program(environment.compile(case.text))
        given = {name: _to_celpy(value) for name, value in case.variables.items()}
        result = program.evaluate(given)
    except Exception as error:  # noqa: BLE001 - errors of any kind leave it
        raise NoValueError(repr(error)) from None
    return _from_celpy(result)


def _to_celpy(value: Any) -> Any:
    match value:
        case bool():
            return celtypes.BoolType(value)
        case int():
            return celtypes.IntType(value)
        case Uint():
            return celtypes.UintType(value.value)
        case float():
            return celtypes.DoubleType(value)
        case str():
            return celtypes.StringType(value)
        case bytes():
            return celtypes.BytesType(value)
        case _ if is_list(value):
            return celtypes.ListType([_to_celpy(each) for each in value])
        case _ if is_map(value):
            return celtypes.MapType(
                {_to_celpy(name): _to_celpy(member) for name, member in value.items()}
            )
        case datetime():
            return celtypes.TimestampType(value)
        case timedelta():
            return celtypes.DurationType(value)
        case None:
            return None
        case _:
            raise TypeError(f"no variable can be {value!r}")


_CELPY_TYPES: Final[Mapping[type, str]] = {
    celtypes.BoolType: "bool",
    celtypes.BytesType: "bytes",
    celtypes.DoubleType: "double",
    celtypes.DurationType: "google.protobuf.Duration",
    celtypes.IntType: "int",
    celtypes.ListType: "list",
    celtypes.MapType: "map",
    celtypes.NullType: "null_type",
    celtypes.StringType: "string",
    celtypes.TimestampType: "google.protobuf.Timestamp",
    celtypes.TypeType: "type",
    celtypes.UintType: "uint",
    type(None): "null_type",
    bool: "bool",
    type: "type",
}


def _from_celpy(value: Any) -> Any:
    match value:
        case type():
            return CelType(_CELPY_TYPES.get(value, repr(value)))
        case bool() | celtypes.BoolType():
            return bool(value)
        case celtypes.UintType():
            return Uint(int(value))
        case celtypes.IntType():
            return int(value)
        case celtypes.DoubleType():
            return float(value)
        case celtypes.StringType():
            return str(value)
        case celtypes.BytesType():
            return bytes(value)
        case _ if is_list(value):
            return [_from_celpy(each) for each in value]
        case _ if is_map(value):
            return {
                key_of(_from_celpy(name)): _from_celpy(member) for name, member in value.items()
            }
        case celtypes.TimestampType():
            return datetime.fromisoformat(value.isoformat())
        case celtypes.DurationType():
            return timedelta(
                days=value.days, seconds=value.seconds, microseconds=value.microseconds
            )
        case _:
            return value


def _cel_expr_python(case: Case) -> Any:
    kind = _cel.Type
    given = {
        name: value.value if isinstance(value, Uint) else value
        for name, value in case.variables.items()
    }
    types = {name: kind("dyn") for name in given} | {
        name: kind(declared) for name, declared in case.types.items()
    }
    try:
        environment = _cel.NewEnv(variables=types)
        program = environment.compile(case.text, disable_check=not case.is_checked)
        result = program.eval(data=given)
    except Exception as error:  # noqa: BLE001 - errors of any kind leave it
        raise NoValueError(str(error)) from None
    if result.type() == kind.ERROR:
        raise NoValueError(str(result.value()))
    return _from_cel_expr(result)


_CEL_EXPR_TYPES: Final[Mapping[str, str]] = {
    "DURATION": "google.protobuf.Duration",
    "NULL": "null_type",
    "TIMESTAMP": "google.protobuf.Timestamp",
}


def _from_cel_expr(result: Any) -> Any:
    value = result.value()
    match result.type().name():
        case "UINT":
            return Uint(value)
        case "TYPE":
            name: str = value.name().partition("<")[0]
            return CelType(_CEL_EXPR_TYPES.get(name, name.lower()))
        case _ if isinstance(value, bytearray):
            return bytes(value)
        case _ if is_list(value):
            return [_from_cel_expr(each) for each in value]
        case _ if is_map(value):
            return {key_of(name): _from_cel_expr(member) for name, member in value.items()}
        case _:
            return value


COLUMNS: Final[Mapping[str, Evaluate]] = {
    "cel-python alone": _cel_python,
    "Acteon, python": _ours("python"),
    "cel-expr-python alone": _cel_expr_python,
    "Acteon, native": _ours("native"),
}
