"""Texts that others wrote, without the values that a redaction blots out."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from acteon.audit.naming import atoms, named_values
from acteon.audit.redaction import Redaction
from acteon.audit.writings import Span, coded, views
from acteon.core import InvalidError, encode_json

Hide = Callable[[str], str]
"""Returns a text without what must not be in it."""

UNLIKELY: Final = 4
"""Texts of that length are not met by chance; shorter ones would blot out half of a message."""
_CUTS: Final = "…'\"`"
"""Before these a text may have been cut: dots say so, and what is quoted is often cut."""


def hiding(redaction: Redaction, payloads: Iterable[Any], metadata: Mapping[str, str]) -> Hide:
    """Return what hides the values that `redaction` blots out in `payloads`, and in `metadata`.

    Texts and numbers of at least `UNLIKELY` characters are found as they are, and as Python, JSON,
    URLs, HTML and Base64 write them, also one within another; and so is the front of one where a
    text may have been cut: at its end, and before `…` or the end of a quotation.
    """
    secrets: set[str] = set()
    sources = (*payloads, dict(metadata)) if redaction.metadata else payloads
    for source in sources:
        for value in named_values(source, redaction.fields):
            for atom in atoms(value):
                secrets |= _written(atom)

    def hide(text: str) -> str:
        spans = _found(text, secrets) if secrets else []
        return _without(text, spans, redaction.placeholder) if spans else text

    return hide


def _found(text: str, secrets: set[str]) -> list[Span]:
    """Return where one of `secrets` stands in `text`, however it is written there."""
    spans = [span for span, decoded in coded(text) if any(each in decoded for each in secrets)]
    for view in views(text):
        ends = [at for at, character in enumerate(view.text) if character in _CUTS]
        ends.append(len(view.text))
        for secret in secrets:
            size = len(secret)
            spans += [view.span(at, at + size) for at in _places(secret, view.text)]
            for end in ends:
                front = _front(secret, view.text, end)
                if front:
                    spans.append(view.span(end - front, end))
    return spans


def _places(what: str, text: str) -> list[int]:
    """Return where `what` begins in `text`, each time that it does."""
    found: list[int] = []
    at = text.find(what)
    while at >= 0:
        found.append(at)
        at = text.find(what, at + 1)
    return found


def _front(secret: str, text: str, end: int) -> int:
    """Return how much of the front of `secret` stands before `end`; 0 if too little."""
    for size in range(min(len(secret) - 1, end), UNLIKELY - 1, -1):
        if text.startswith(secret[:size], end - size):
            return size
    return 0


def _without(text: str, spans: list[Span], placeholder: str) -> str:
    """Return `text` with `placeholder` for what `spans` cover, once for those that touch."""
    kept: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start > end or not kept:
            kept += [text[end:start], placeholder]
        end = max(end, stop)
    return "".join([*kept, text[end:]])


def _written(value: Any) -> set[str]:
    """Return how texts may quote `value`, escapes aside."""
    if value is None or isinstance(value, bool):
        return set()
    text = str(value)
    # In forms a blank is a plus; in one line there are no line ends.
    forms = {text, text.replace(" ", "+"), " ".join(text.split()), repr(text)[1:-1]}
    with suppress(InvalidError):  # A lone surrogate: JSON has no form for it.
        forms.add(encode_json(text)[1:-1].decode())
    return {form for form in forms if len(form) >= UNLIKELY and len(text) >= UNLIKELY}
