"""The two parsers: the fast one is asked for nothing that it sees differently."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acteon.rules_yaml.document import build_document, read_document
from acteon.rules_yaml.events import DocumentError, NotForLibyamlError, events, libyaml_events
from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence

DOCUMENT = """\
# Two rules
rules:
  - name: hold-bulk-mail
    priority: 20
    description: >-
      Nobody reads these

      at night
    condition:
      all:
      - {field: action.action_type, eq: "bulk_mail", in: [a, 'b', 3]}
      - field: action.payload.recipients   # all of them
        gt: 100
    action: {type: modify, changes: {a: "{{ x.y }}", b: [1,2 , {d: e}]}}
  -
    name: "x \\
      y"
    condition:
      cel: |
        action.payload.n > 1 &&
          env.stage == 'ü'
    action:
      type: deny
      key: 'it''s {{ a }}'
    empty:
    more: [ ]
"""
PIECES = st.sampled_from(
    [
        *("rules:", "name", "- ", "-\n", "a", "b c", "1", "~", "x: y", "k:", "k: |\n", "k: >-\n"),
        *(
            "\n",
            "\n  ",
            "\n    ",
            "\n  - ",
            "\n    - ",
            "  ",
            "     ",
            ": ",
            ":",
            "{",
            "}",
            "[",
            "]",
        ),
        *(", ", ",", "# c", " # c", "'x'", '"y"', "'", '"', "''", '""', "|", "|\n", ">\n", "|2\n"),
        *(
            "|-\n",
            "{a: b}",
            "[a, b]",
            "{{ a.b }}",
            '"{{ a.b }}"',
            '"a":1',
            "é",
            "日本",
            "\\",
            "\\n",
        ),
        *("\\x41", '\\"', "%", "@", "`", "?", "? ", "!", "!x ", "!!str ", "&a ", "*a", "---\n"),
        *("...\n", "\t", "\r\n", "\r", "--", "=", "<<", "\x85", "\u2028", "\ufeff", "\xa0", "\x7f"),
        *(
            "'a\n  b'",
            '"a\n\n b"',
            "x\n  y",
            "http://x",
            "a#b",
            "::",
            "😀",
            "\\\n",
            "|+\n",
            "\ud800",
        ),
    ]
)


def told(node: Node | None) -> Any:
    """Return `node` with its places; an empty item of a list has none that both agree on."""
    match node:
        case None:
            return None
        case Scalar():
            return node.line, node.column, node.tag, node.text, node.plain
        case Sequence():
            return node.line, node.column, node.tag, [placeless(item) for item in node.items]
        case Mapping():
            entries = [(told(key), told(value)) for key, value in node.entries]
            return node.line, node.column, node.tag, entries


def placeless(item: Node) -> Any:
    return "" if isinstance(item, Scalar) and item.plain and not item.text else told(item)


def documents_in_tests() -> Iterator[str]:
    """Yield all texts in the tests of this package that look like documents."""
    for path in Path(__file__).parent.glob("*.py"):
        yield from re.findall(r'"""(.*?)"""', path.read_text(), re.DOTALL)
    for mistake in Path(__file__).with_name("mistakes.txt").read_text().split("====\n"):
        yield mistake.partition("----\n")[0]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = DOCUMENT
    lines = text.splitlines(keepends=True)
    start = draw(st.integers(0, len(lines) - 1))
    text = "".join(lines[start : draw(st.integers(start + 1, len(lines)))])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(PIECES) + text[at + draw(st.integers(0, 6)) :]
    return text


def check(text: str) -> bool:
    """Compare what both parsers say about `text`; return whether libyaml was asked."""
    try:
        fast = build_document(libyaml_events(text))
    except NotForLibyamlError:
        return False
    if isinstance(fast, Mapping):
        assert told(fast) == told(build_document(events(text)))
    return True


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_usual_files_are_read_by_libyaml(line_end: str) -> None:
    assert check(DOCUMENT.replace("\n", line_end))


@settings(max_examples=300, deadline=None)
@given(mutated() | st.lists(PIECES, max_size=14).map("".join))
@example("a: |\n \n   b\nc: 1")
@example("a: |# c")
@example('a: [1, "b":2]')
@example("*a: b")
@example("a: b\tc: d")
@example("a:\n? b\n")
@example("a: !x\nb: &y\n")
def test_both_parsers_see_the_same(text: str) -> None:
    check(text)


def test_both_parsers_see_the_same_in_all_documents_of_the_tests() -> None:
    read = [check(text) for text in documents_in_tests()]
    assert read.count(True) > 50


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x",
        "a: '\t'",
        "%YAML 1.2\n---\na: 1",
        "a: !!str 5",
        '{"a":1}',
        "? a\n: b",
        "[a]",
        "|\n# a",
    ],
)
def test_other_files_are_read_by_ruamel(text: str) -> None:
    assert told(read_document(text)) == told(build_document(events(text)))


def test_what_libyaml_refuses_is_refused_in_the_words_of_ruamel() -> None:
    with pytest.raises(DocumentError, match="expected ',' or '}'") as caught:
        read_document("a: {b: c\nd: e")
    assert (caught.value.line, caught.value.column) == (2, 2)
