"""What expressions give, with either engine; where these differ, both results stand with why."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import field, frozen

from acteon.rules import ConditionError, EvaluationError
from acteon.rules_cel.engines import evaluate_with
from acteon.rules_cel.values import CelType, Uint


@frozen
class Fails:
    """The start of an error's text."""

    start: str


@frozen
class Differ:
    """What the engines give where they do not give the same.

    Attributes:
        python: What ours gives.
        native: What Google's gives.
        because: Why.
    """

    python: Any
    native: Any
    because: str = field()


WORDS = "both fail, each in its own words"
INSTANT = datetime(2025, 3, 1, 10, 30, 15, 500_000, tzinfo=UTC)
EDGE = "timestamp('9999-12-31T23:59:59Z')"
MIN = -(2**63)
MAX = 2**63 - 1


def no(operation: str, kinds: str) -> Fails:
    return Fails(f"type error: no such overload: {operation} on {kinds}")


def worded(python: str, native: str) -> Differ:
    return Differ(Fails(f"evaluation error: {python}"), Fails(f"evaluation error: {native}"), WORDS)


ROWS: list[tuple[str, dict[str, Any], Any]] = [
    # Literals.
    ("null", {}, None),
    ("true", {}, True),
    ("0", {}, 0),
    ("-1", {}, -1),
    ("0x1F", {}, 31),
    ("-0xff", {}, -255),
    ("9223372036854775807", {}, MAX),
    ("-9223372036854775808", {}, MIN),
    ("5u", {}, Uint(5)),
    ("0xFFU", {}, Uint(255)),
    ("18446744073709551615u", {}, Uint(2**64 - 1)),
    ("1.5", {}, 1.5),
    (".5", {}, 0.5),
    ("1e3", {}, 1000.0),
    ("1.5E-1", {}, 0.15),
    ("-0.0", {}, -0.0),
    (
        "1. + 1.5",
        {},
        Differ(2.5, Fails("parse error: Syntax error"), "cel-python's grammar is wider"),
    ),
    ("'a'", {}, "a"),
    ('"a"', {}, "a"),
    (r"'it\'s'", {}, "it's"),
    ("'''a\nb'''", {}, "a\nb"),
    ('"""a"b"""', {}, 'a"b'),
    (r"r'\d'", {}, r"\d"),
    (r"R'a\\b'", {}, r"a\\b"),
    (r"'\a\b\f\n\r\t\v\\\?\"\`'", {}, '\a\b\f\n\r\t\v\\?"`'),
    (r"'\x41\u00e9\U0001F600\101'", {}, "Aé😀A"),
    (r"'\303\251'", {}, "Ã©"),
    (r"b'\303\251'", {}, b"\xc3\xa9"),
    ("b'é'", {}, b"\xc3\xa9"),
    (r"b'\xff\000'", {}, b"\xff\x00"),
    (r"br'\x'", {}, rb"\x"),
    ("[]", {}, []),
    ("[1, 'a', [null]]", {}, [1, "a", [None]]),
    ("{}", {}, {}),
    ("{'a': 1, 2: 'b'} == {2: 'b', 'a': 1}", {}, True),
    ("1 // a comment", {}, 1),
    # Names, members and items.
    ("x", {"x": 7}, 7),
    ("x.y.z", {"x": {"y": {"z": 1}}}, 1),
    ("x.state", {"x": {"state": 1}}, 1),
    ("x['a-b']", {"x": {"a-b": 1}}, 1),
    ("x['y'].z", {"x": {"y": {"z": 1}}}, 1),
    ("x[0].y", {"x": [{"y": 1}]}, 1),
    ("x[y]", {"x": ["a", "b"], "y": 1}, "b"),
    ("x[1u]", {"x": ["a", "b"]}, "b"),
    ("x[1.0]", {"x": ["a", "b"]}, "b"),
    ("{1: 'a'}[1]", {}, "a"),
    ("{true: 'a'}[true]", {}, "a"),
    ("dyn({1: 'a'})[1u]", {}, "a"),
    ("dyn({1u: 'a'})[1]", {}, "a"),
    ("dyn({1: 'a'})[1.0]", {}, "a"),
    ("dyn({1: 'a'})[true]", {}, Fails("evaluation error: no such key: true")),
    ("x[1]", {"x": {"1": "a"}}, Fails("evaluation error: no such key: 1")),
    ("x.y", {"x": {}}, Fails("evaluation error: no such key: y")),
    ("x['y z']", {"x": {}}, Fails("evaluation error: no such key: y z")),
    ("x.y", {"x": {"y": 2**53 + 1}}, 2**53 + 1),
    ("[1, 2, 3][3]", {}, Fails("evaluation error: index out of bounds: 3")),
    ("x[-1]", {"x": [1]}, Fails("evaluation error: index out of bounds: -1")),
    (
        "x.y",
        {"x": None},
        Fails(
            "type error: no such overload: member y of x, which is null_type and no map; "
            "write x != null && …"
        ),
    ),
    (
        "x.y",
        {"x": [1]},
        Fails(
            "type error: no such overload: member y of x, which is list and no map; "
            "write x.exists(i, i.y == …)"
        ),
    ),
    (
        "x[0.5]",
        {"x": [1]},
        Differ(
            no("index", "list, double"),
            Fails("evaluation error: index error: expected integer type"),
            WORDS,
        ),
    ),
    (
        "x['a']",
        {"x": [1]},
        Differ(
            no("index", "list, string"),
            Fails("evaluation error: index error: expected integer type"),
            WORDS,
        ),
    ),
    (
        "x[0]",
        {"x": "abc"},
        Differ(
            no("index", "string, int"),
            Fails("evaluation error: invalid container type: 'string'"),
            WORDS,
        ),
    ),
    ("x[null]", {"x": {}}, worded("unsupported key type: null_type", "invalid map key type")),
    ("{1.0: 'a'}", {}, worded("unsupported key type: double", "invalid map key type")),
    ("{'a': 1, 'a': 2}", {}, Fails("evaluation error: duplicate key in map")),
    ("{1: 2}[1.0]", {}, 2),
    # has().
    ("has(x.a)", {"x": {"a": None}}, True),
    ("has(x.a)", {"x": {}}, False),
    ("has(x.a.b)", {"x": {"a": {}}}, False),
    ("has(x.a.b)", {"x": {}}, Fails("evaluation error: no such key: a")),
    ("has(x.a) && has(x.a.b)", {"x": {}}, False),
    ("has(x[0].b)", {"x": [{"b": 1}]}, True),
    ("has(x[0].b)", {"x": [{}]}, False),
    ("has(x[9].b)", {"x": []}, Fails("evaluation error: index out of bounds: 9")),
    ("has({'a': 1}.a)", {}, True),
    (
        "has(x.a)",
        {"x": 1},
        Fails("type error: no such overload: member a of x, which is int and no map"),
    ),
    (
        "x.a.b.c",
        {"x": {"a": {"b": "d"}}},
        Fails(
            "type error: no such overload: member c of x.a.b, which is string and no map; "
            "write type(x.a.b) == map && …"
        ),
    ),
    (
        "x[y].c",
        {"x": ["d"], "y": 0},
        Fails("type error: no such overload: member c of what is string and no map"),
    ),
    # Arithmetic.
    ("1 + 2 * 3 - 4", {}, 3),
    ("(1 + 2) * 3", {}, 9),
    ("1 - 2 - 3", {}, -4),
    ("1 - -1", {}, 2),
    ("--1", {}, 1),
    ("5 / 2", {}, 2),
    ("-5 / 2", {}, -2),
    ("-5 % 3", {}, -2),
    ("5 % -3", {}, 2),
    ("1.5 * 2.0", {}, 3.0),
    ("5.0 / 0.0", {}, math.inf),
    ("-5.0 / 0.0", {}, -math.inf),
    ("0.0 / 0.0", {}, math.nan),
    ("1e308 * 10.0", {}, math.inf),
    ("5u + 3u", {}, Uint(8)),
    ("7u / 2u", {}, Uint(3)),
    ("7u % 2u", {}, Uint(1)),
    ("x + 1.0", {"x": 2**64}, 2.0**64),
    ("x[0] + 1.0", {"x": [2**64]}, 2.0**64),
    ("x + 1.0", {"x": 10**400}, math.inf),
    ("'a' + 'b'", {}, "ab"),
    ("b'a' + b'b'", {}, b"ab"),
    ("[1] + [2]", {}, [1, 2]),
    ("9223372036854775807 + 1", {}, Fails("evaluation error: integer overflow")),
    ("9223372036854775807 * 2", {}, Fails("evaluation error: integer overflow")),
    ("-9223372036854775808 / -1", {}, Fails("evaluation error: integer overflow")),
    ("x % -1", {"x": MIN}, Fails("evaluation error: integer overflow")),
    ("-x", {"x": MIN}, Fails("evaluation error: integer overflow")),
    ("5u - 6u", {}, Fails("evaluation error: unsigned integer overflow")),
    ("5 % 0", {}, Fails("evaluation error: modulus by zero")),
    ("1 / 0", {}, worded("division by zero", "divide by zero")),
    ("1 + 1.0", {}, no("+", "int, double")),
    ("true + true", {}, no("+", "bool, bool")),
    ("1.0 % 2.0", {}, no("%", "double, double")),
    ("x + 'a'", {"x": 1}, no("+", "int, string")),
    ("-x", {"x": "a"}, no("-", "string")),
    ("x * 2", {"x": True}, no("*", "bool, int")),
    # Equality and order.
    ("x == 1", {"x": 1.0}, True),
    ("x == 1u", {"x": 1}, True),
    ("x == 1.0", {"x": 1}, True),
    ("x == 1", {"x": True}, False),
    ("x == 'a'", {"x": "a"}, True),
    ("'a' == x", {"x": 1}, False),
    ("x != null", {"x": 1}, True),
    ("x == null", {"x": None}, True),
    ("x == y", {"x": [1, {"a": 2}], "y": [1.0, {"a": 2.0}]}, True),
    ("x == y", {"x": {"a": 1}, "y": {"a": 1, "b": 2}}, False),
    ("x == y", {"x": [1], "y": [True]}, False),
    ("x == 18446744073709551616.0", {"x": 2**64}, True),
    ("x == y", {"x": 2**64, "y": 2**64 + 1}, True),
    ("x == y", {"x": 2**53, "y": 2**53 + 1}, False),
    ("x == x", {"x": math.nan}, False),
    ("x < 1.0", {"x": math.nan}, False),
    ("x < 1.5", {"x": 1}, True),
    ("x < 2u", {"x": -1}, True),
    ("x >= 1 && x <= 1", {"x": 1}, True),
    ("'a' < 'b'", {}, True),
    ("'Z' < 'a'", {}, True),
    ("b'a' < b'b'", {}, True),
    ("false < true", {}, True),
    ("timestamp(0) < timestamp(1)", {}, True),
    ("duration('90m') > duration('1h')", {}, True),
    ("null < null", {}, no("<", "null_type, null_type")),
    ("x < 'a'", {"x": 1}, no("<", "int, string")),
    ("x < true", {"x": 1}, no("<", "int, bool")),
    ("[1] < [2]", {}, no("<", "list, list")),
    ("true < 1", {}, no("<", "bool, int")),
    ("1 == 1.0", {}, True),
    ("'a' == 1", {}, False),
    ("1 < 2u", {}, True),
    ("dyn(1) == 1u", {}, True),
    # in.
    ("1 in [1, 2]", {}, True),
    ("x in [1, 2]", {"x": 2.0}, True),
    ("x in [18446744073709551616.0]", {"x": 2**64}, True),
    ("'a' in {'a': 1}", {}, True),
    ("x in {1: 'a'}", {"x": 1.0}, True),
    ("x in y", {"x": "a", "y": {}}, False),
    ("x in y", {"x": [1], "y": [[1.0]]}, True),
    (
        "1 in x",
        {"x": "a"},
        Differ(no("in", "int, string"), Fails("type error: no such overload: in"), WORDS),
    ),
    (
        "x in {'a': 1}",
        {"x": [1]},
        Differ(
            Fails("evaluation error: unsupported key type: list"),
            Fails("type error: no such overload: in"),
            WORDS,
        ),
    ),
    # Logic: what decides does so, whatever fails beside it.
    ("true && false", {}, False),
    ("true || false", {}, True),
    ("!true", {}, False),
    ("!!!true", {}, False),
    ("1 / 0 > 1 || true", {}, True),
    ("true || 1 / 0 > 1", {}, True),
    ("1 / 0 > 1 && false", {}, False),
    ("x.y || x.z", {"x": {"z": True}}, True),
    ("x.y && x.z", {"x": {"z": True}}, Fails("evaluation error: no such key: y")),
    ("x || true", {"x": 1}, True),
    (
        "x && true",
        {"x": 1},
        Differ(no("&&", "int"), Fails("type error: no such overload: &&"), WORDS),
    ),
    (
        "x || false",
        {"x": None},
        Differ(no("||", "null_type"), Fails("type error: no such overload: ||"), WORDS),
    ),
    ("!x", {"x": 1}, Differ(no("!", "int"), Fails("type error: no such overload: !"), WORDS)),
    ("x ? 1 : 2", {"x": True}, 1),
    ("false ? 1 / 0 : 2", {}, 2),
    ("true ? (false ? 1 : 2) : 3", {}, 2),
    (
        "x ? 1 : 2",
        {"x": "a"},
        Differ(no("?:", "string"), Fails("type error: no such overload: ?:"), WORDS),
    ),
    # Macros.
    ("[1, 2].all(x, x > 0)", {}, True),
    ("[].all(x, false)", {}, True),
    ("[].exists(x, true)", {}, False),
    ("[1, 2].exists(x, x > 1)", {}, True),
    ("[1, 2].exists_one(x, x > 1)", {}, True),
    ("[1, 1].exists_one(x, x == 1)", {}, False),
    ("[1, 2, 3].filter(x, x > 1)", {}, [2, 3]),
    ("[1, 2].map(x, x * 2)", {}, [2, 4]),
    ("[1, 2].map(x, x > 1, x * 2)", {}, [4]),
    ("{'a': 1}.exists(k, k == 'a')", {}, True),
    ("{'a': 1}.map(k, k)", {}, ["a"]),
    ("{true: 1}.map(k, k)", {}, [True]),
    ("x.map(y, y.z)", {"x": [{"z": 1}, {"z": 2}]}, [1, 2]),
    ("[[1, 2], [3]].map(x, x.map(y, y + 1))", {}, [[2, 3], [4]]),
    ("[1].all(x, [2].all(x, [3].all(y, x == 2)))", {}, True),
    ("[1].map(x, [2].map(x, x) + [x])", {}, [[2, 1]]),
    ("[1].map(y, x)", {"x": 5}, [5]),
    ("[1].map(x, x)", {"x": 5}, [1]),
    ("[1, 'a'].exists(x, x > 0)", {}, True),
    ("['a', 1].exists(x, x > 0)", {}, True),
    ("['a', -1].exists(x, x > 0)", {}, no(">", "string, int")),
    ("['a', -1].all(x, x > 0)", {}, False),
    ("['a', 1].all(x, x > 0)", {}, no(">", "string, int")),
    ("[1, 'a'].exists_one(x, x > 0)", {}, no(">", "string, int")),
    ("[1, 'a'].filter(x, x > 0)", {}, no(">", "string, int")),
    (
        "x.all(y, true)",
        {"x": 1},
        Differ(no("a macro", "int"), Fails("type error: no such overload: a macro"), WORDS),
    ),
    # Texts, bytes, lists and maps.
    ("size('é')", {}, 1),
    ("'😀'.size()", {}, 1),
    ("size(b'é')", {}, 2),
    ("size([1, 2])", {}, 2),
    ("{'a': 1}.size()", {}, 1),
    ("size(x)", {"x": 1}, no("size", "int")),
    ("size(1)", {}, no("size", "int")),
    ("'abc'.contains('b')", {}, True),
    ("'abc'.contains('')", {}, True),
    ("x.contains(y)", {"x": "abc", "y": "bc"}, True),
    ("'abc'.startsWith('ab')", {}, True),
    ("'abc'.endsWith('ab')", {}, False),
    ("x.startsWith('a')", {"x": 1}, no("startsWith", "int, string")),
    ("x.matches('^a+$')", {"x": "aaa"}, True),
    ("matches('abc', 'b')", {}, True),
    ("x.matches(y)", {"x": "abc", "y": "[b]"}, True),
    ("'x'.matches('(')", {}, Fails("invalid regex: missing ): (")),
    ("x.matches(y)", {"x": "a", "y": "["}, Fails("invalid regex: missing ]: [")),
    ("'AÉz'.lowerAscii()", {}, "aÉz"),
    ("'aéZ'.upperAscii()", {}, "AéZ"),
    ("'Az'.lowerAscii() + 'Az'.upperAscii()", {}, "azAZ"),
    (r"' \t a '.trim()", {}, "a"),
    ("'abab'.replace('b', 'c')", {}, "acac"),
    ("'ab'.replace('', '-')", {}, "-a-b-"),
    ("'a,b'.split(',')", {}, ["a", "b"]),
    ("'abc'.split('')", {}, ["a", "b", "c"]),
    ("['a', 'b'].join('-')", {}, "a-b"),
    ("['a', 'b'].join()", {}, "ab"),
    ("x.join('-')", {"x": ["a", 1]}, no("join", "list")),
    # Conversions.
    ("bool('true') && !bool('F' == 'F' ? 'f' : 't')", {}, True),
    ("bool(true)", {}, True),
    ("int('-5')", {}, -5),
    ("int(1.9)", {}, 1),
    ("int(-1.9)", {}, -1),
    ("int(5u)", {}, 5),
    ("int(timestamp('1969-12-31T23:59:59.5Z'))", {}, -1),
    ("uint(1.9)", {}, Uint(1)),
    ("uint('18446744073709551615')", {}, Uint(2**64 - 1)),
    ("double(1)", {}, 1.0),
    ("double('.5')", {}, 0.5),
    ("double('NaN')", {}, math.nan),
    ("double('1e400')", {}, math.inf),
    ("double(3u)", {}, 3.0),
    ("string(true)", {}, "true"),
    ("string(-1)", {}, "-1"),
    ("string(5u)", {}, "5"),
    ("string(1.0)", {}, "1"),
    ("string(-0.0)", {}, "-0"),
    ("string(1e20)", {}, "1e+20"),
    ("string(b'abc')", {}, "abc"),
    ("string(timestamp('2025-01-01T01:00:00+01:00'))", {}, "2025-01-01T00:00:00Z"),
    ("string(duration('90s'))", {}, "90s"),
    ("bytes('é')", {}, b"\xc3\xa9"),
    ("bytes(b'a')", {}, b"a"),
    ("int('x')", {}, Fails("evaluation error: cannot convert string")),
    ("int('9223372036854775808')", {}, Fails("evaluation error: cannot convert string")),
    ("double('x')", {}, Fails("evaluation error: cannot convert string")),
    ("bool('x')", {}, worded("cannot convert string 'x' to bool", "type conversion error")),
    ("int(x)", {"x": 1e30}, worded("cannot convert double to int", "double out of int64 range")),
    ("uint(x)", {"x": -1}, worded("cannot convert int to uint", "int64 out of uint64 range")),
    (
        "int(x)",
        {"x": True},
        Differ(
            Fails("evaluation error: cannot convert bool to int"),
            1,
            "the standard has no such conversion; Google's engine has",
        ),
    ),
    (
        "string(x)",
        {"x": [1]},
        Differ(
            Fails("evaluation error: cannot convert list to string"), no("string", "list"), WORDS
        ),
    ),
    (r"string(b'\xff')", {}, worded("bytes that are no UTF-8", "malformed UTF-8 bytes")),
    ("string(1e-7)", {}, Differ("1e-7", "1e-07", "the standard leaves the form open")),
    (
        "string(123456789.0)",
        {},
        Differ("123456789", "1.23456789e+08", "the standard leaves the form open"),
    ),
    (
        "string(timestamp('2025-01-01T00:00:00.5Z'))",
        {},
        Differ(
            "2025-01-01T00:00:00.5Z",
            "2025-01-01T00:00:00.500Z",
            "Google's engine shows three digits, or six",
        ),
    ),
    # Types.
    ("type(1) == int", {}, True),
    ("type(x) == type(1)", {"x": 2}, True),
    ("type(1.0) == double && type(1u) == uint && type(true) == bool", {}, True),
    ("type('') == string && type(b'') == bytes && type(null) == null_type", {}, True),
    ("type(x) == list && type(y) == map", {"x": [], "y": {}}, True),
    ("type(int) == type", {}, True),
    ("type(timestamp(0)) == google.protobuf.Timestamp", {}, True),
    ("type(duration('1s')) == google.protobuf.Duration", {}, True),
    ("type('')", {}, CelType("string")),
    # Instants and durations.
    ("timestamp(0)", {}, datetime(1970, 1, 1, tzinfo=UTC)),
    ("timestamp(timestamp(1))", {}, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("timestamp('2025-03-01T11:30:15.5+01:00')", {}, INSTANT),
    (
        "timestamp('9999-12-31T23:59:59.999999999Z')",
        {},
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ),
    ("timestamp('0001-01-01T00:00:00Z')", {}, datetime(1, 1, 1, tzinfo=UTC)),
    ("duration('1h30m')", {}, timedelta(minutes=90)),
    ("duration('-1.5s')", {}, timedelta(seconds=-1.5)),
    ("duration('100ms') + duration('1us')", {}, timedelta(microseconds=100_001)),
    ("duration('0')", {}, timedelta(0)),
    ("duration('315576000000s')", {}, timedelta(days=3_652_500)),
    ("duration(duration('1s'))", {}, timedelta(seconds=1)),
    ("-duration('1s')", {}, no("-", "google.protobuf.Duration")),
    ("timestamp(1) - duration('1s')", {}, datetime(1970, 1, 1, tzinfo=UTC)),
    ("duration('1s') + timestamp(1)", {}, datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)),
    ("timestamp(61) - timestamp(1)", {}, timedelta(minutes=1)),
    ("duration('3s') - duration('1s')", {}, timedelta(seconds=2)),
    ("timestamp('2025-01-01T00:00:00Z') == timestamp('2025-01-01T01:00:00+01:00')", {}, True),
    ("x.getFullYear()", {"x": INSTANT}, 2025),
    ("x.getMonth()", {"x": INSTANT}, 2),
    ("x.getDate()", {"x": INSTANT}, 1),
    ("x.getDayOfMonth()", {"x": INSTANT}, 0),
    ("x.getDayOfWeek()", {"x": INSTANT}, 6),
    ("x.getDayOfYear()", {"x": INSTANT}, 59),
    ("x.getHours()", {"x": INSTANT}, 10),
    ("x.getMinutes()", {"x": INSTANT}, 30),
    ("x.getSeconds()", {"x": INSTANT}, 15),
    ("x.getMilliseconds()", {"x": INSTANT}, 500),
    ("x.getHours('Europe/Berlin')", {"x": INSTANT}, 11),
    ("x.getHours('-02:30') * 100 + x.getMinutes('-02:30')", {"x": INSTANT}, 800),
    ("x.getDate('+14:00')", {"x": INSTANT}, 2),
    ("duration('90m').getHours()", {}, 1),
    ("duration('90m').getMinutes()", {}, 90),
    ("duration('90m').getSeconds()", {}, 5400),
    ("duration('-1.5s').getMilliseconds()", {}, -500),
    (
        "x.getDate('Nowhere')",
        {"x": INSTANT},
        worded("unknown time zone: 'Nowhere'", "invalid timezone"),
    ),
    (
        "x.getHours('UTC')",
        {"x": timedelta(hours=1)},
        no("getHours", "google.protobuf.Duration, string"),
    ),
    ("x.getFullYear()", {"x": 1}, no("getFullYear", "int")),
    ("timestamp('x')", {}, worded("cannot convert string 'x' to timestamp", "string to Timestamp")),
    ("timestamp('2025-01-01')", {}, worded("cannot convert string", "string to Timestamp")),
    ("timestamp(253402300800)", {}, worded("cannot convert int to timestamp", "timestamp overf")),
    ("duration('x')", {}, worded("cannot convert string 'x' to duration", "string to Duration")),
    ("duration('-315576000001s')", {}, worded("duration out of range", 'duration "')),
    (f"{EDGE} + duration('1s')", {}, worded("timestamp out of range", "timestamp overflow")),
    (
        f"timestamp('0001-01-01T00:00:00Z') - {EDGE}",
        {},
        Differ(
            timedelta(-3_652_059, 1),
            Fails("evaluation error: integer overflow"),
            "Google's engine counts nanoseconds",
        ),
    ),
    (
        "timestamp('0001-01-01T00:00:00Z').getHours('-01:00')",
        {},
        Differ(Fails("evaluation error: timestamp out of range"), 23, "Python has no year 0"),
    ),
]


def found_with(name: str, expression: str, variables: dict[str, Any]) -> Any:
    try:
        return evaluate_with(name, expression, variables)
    except (ConditionError, EvaluationError) as error:
        return Fails(str(error))


@pytest.mark.parametrize(("expression", "variables", "expected"), ROWS, ids=[r[0] for r in ROWS])
def test_an_expression_gives_what_the_standard_says(
    engine_name: str, expression: str, variables: dict[str, Any], expected: Any
) -> None:
    if isinstance(expected, Differ):
        assert repr(expected.python) != repr(expected.native), "they do not differ any more"
        expected = expected.python if engine_name == "python" else expected.native
    found = found_with(engine_name, expression, variables)
    if isinstance(expected, Fails):
        assert isinstance(found, Fails), found
        assert found.start.startswith(expected.start)
    else:
        assert repr(found) == repr(expected)  # `1 == True == 1.0`, but they show it.


@pytest.mark.parametrize(
    ("expression", "variables", "expected"),
    [
        ("a.b.c", {"a.b.c": "yes"}, "yes"),
        ("a.b.c", {"a.b": {"c": "yes"}}, "yes"),
        ("a.b.c", {"a.b.c": "yes", "a.b": {"c": "no"}, "a": {"b": {"c": "no"}}}, "yes"),
        ("a.b.c.d == a.b.c.d", {"a.b": {"c": {"d": 1}}}, True),
        ("[{'b': 1}].exists(i, i.b == a.b)", {"a.b": 1}, True),
        ("a.b.c", {"a.b": ["c"]}, "type error: no such overload: member c of a.b,"),
        ("a.c", {"a.b": 1}, "parse error: unknown name `a`"),
    ],
)
def test_of_variables_with_dots_in_their_names_the_longest_is_meant(
    engine_name: str, expression: str, variables: dict[str, Any], expected: Any
) -> None:
    found = found_with(engine_name, expression, variables)
    assert found.start.startswith(expected) if isinstance(found, Fails) else found == expected


def test_the_variable_of_a_macro_hides_one_with_dots() -> None:
    assert evaluate_with("python", "[{'b': 1}].exists(a, a.b == 1)", {"a.b": 2}) is True


@pytest.mark.parametrize("unknown", ["x", "x.y", "f(1)", "x.f(1)", "size(1, 2)", "[1].all(i, j)"])
def test_what_is_not_checked_fails_when_it_is_met_and_matters(
    engine_name: str, unknown: str
) -> None:
    with pytest.raises(ConditionError):
        evaluate_with(engine_name, unknown, {})
    with pytest.raises(EvaluationError):
        evaluate_with(engine_name, unknown, {}, checked=False)
    for expression in (f"{unknown} || true", f"true || {unknown}", f"!({unknown} && false)"):
        assert evaluate_with(engine_name, expression, {}, checked=False) is True
