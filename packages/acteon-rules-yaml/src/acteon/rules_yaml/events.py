"""From YAML text to the events of a parser.

ruamel.yaml's parser decides what a text means: it follows YAML 1.2, and tells where an error is.
It is written in Python and takes half a millisecond for a rule. libyaml, which comes with PyYAML,
follows YAML 1.1, but gives the same events in a twentieth of the time for what rule files hold.
So it reads the texts without anything that the two see differently, and what it refuses is
ruamel.yaml's again.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from yaml import YAMLError as LibyamlError

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML was built without libyaml; everything is just slower.
    CParser: Callable[[str], Any] | None = None  # type: ignore[no-redef]


class DocumentError(Exception):
    """A text is no YAML document that can be taken.

    Attributes:
        message: What is wrong with it.
        line: The line, counted from 1; 0 if unknown.
        column: The column, counted from 1; 0 if unknown.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class NotForLibyamlError(Exception):
    """libyaml does not take the text, or may not take it as ruamel.yaml does."""


_DIFFERENT: Final = re.compile(
    r"""
    [\t\x85\u2028\u2029\ufeff\ud800-\udfff]     # blanks, ends of lines and characters in one alone
    | \r(?!\n)
    | [|>][-+0-9]*(?: \#                        # a comment right behind the sign of a block,
        | [ ]*(?:\#.*)?\r?\n[ ]*(?:\r?\n|\Z)    # or a block that begins with an empty line
      )
    | (?: ^ | [,\[{:-] ) \s* (?: \?(?:\s|$)     # `? key`,
        | !\S | &[^\s&] | \*\S                  # tags, anchors and aliases, where a node begins
      )
    | ["']:\S                                   # `"key":value`
    | ^(?: --- | \.\.\. | % )                   # what begins or ends a document
    """,
    re.MULTILINE | re.VERBOSE,
)
"""What libyaml and ruamel.yaml read differently, and a good deal of what they do not."""


def libyaml_events(text: str) -> Iterator[Any]:
    """Yield libyaml's events, which are those of `events` if the root is a mapping.

    One thing differs: an item that is missing behind its dash is right there, rather than where
    the next thing begins.

    Raises:
        NotForLibyamlError: Before the first event or after any of them; `events` is to be asked.
    """
    if CParser is None or _DIFFERENT.search(text):
        raise NotForLibyamlError
    try:
        parser = CParser(text)
        while parser.check_event():
            yield parser.get_event()
    except LibyamlError:
        raise NotForLibyamlError from None


def events(text: str) -> Iterator[Any]:
    """Yield ruamel.yaml's events.

    Raises:
        DocumentError: `text` is no YAML, which may turn out after any event.
    """
    parser: Any = YAML(typ="safe", pure=True)
    try:
        yield from parser.parse(text)
    except MarkedYAMLError as error:
        raise _marked(error) from None
    except YAMLError as error:
        raise DocumentError(" ".join(str(error).split()) or "not understood") from None
    except Exception as error:  # noqa: BLE001 - the scanner stumbles over odd texts in odd ways
        raise DocumentError(f"not understood: {type(error).__name__}: {error}") from None


def _marked(error: Any) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    message = ", ".join(str(part) for part in (error.context, error.problem) if part)
    hint = next((hint for part, hint in _HINTS.items() if part in message), "")
    if hint == _OPEN_QUOTE:
        mark = error.context_mark or mark  # Where it was opened, not the end of the file.
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    text = f"{message}; {hint}" if hint else message
    return DocumentError(text or "not understood", line, column)


_OPEN_QUOTE: Final = "a quote is opened here, and never closed"
_HINTS: Final = {
    "found character '\\t'": "indent with spaces, never with tabs",
    "scanning a quoted scalar": _OPEN_QUOTE,
    "unknown escape character": "in double quotes \\ is written \\\\, in single quotes as it is",
    "mapping values are not allowed here": (
        "put quotes around a text that holds a colon, and a blank behind the colon of a key"
    ),
    "found '<scalar>'": (
        "put quotes around the whole text; in single quotes a single quote is written twice"
    ),
    "parsing a block": "what belongs together begins in the same column",
    "but got '['": "put quotes around a text that holds brackets",
    "but got '{'": "put quotes around a text that holds braces",
    "scanning an alias": "put quotes around a text that begins with *",
    "scanning an anchor": "put quotes around a text that begins with &",
    "scanning a tag": "put quotes around a text that begins with !",
    "scanning an tag": "put quotes around a text that begins with !",
    "parsing a flow": "a bracket or brace is opened and not closed, or a comma is missing",
    "could not find expected ':'": "write a colon and a blank between a key and its value",
    "cannot start any token": "put quotes around a text that begins with this character",
}
"""What the author of such a text most likely wants to hear, by the words of the parser."""
