"""Texts that others wrote, without the values that a redaction blots out."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, quote_plus

from acteon.audit.naming import atoms, named_values
from acteon.audit.redaction import Redaction
from acteon.core import InvalidError, encode_json

Hide = Callable[[str], str]
"""Returns a text without what must not be in it."""

UNLIKELY: Final = 4
"""Texts of that length are not met by chance; shorter ones would blot out half of a message."""


def hiding(redaction: Redaction, payloads: Iterable[Any], metadata: Mapping[str, str]) -> Hide:
    """Return what hides the values that `redaction` blots out in `payloads`, and in `metadata`.

    Texts and numbers of at least `UNLIKELY` characters are found as they are, and as Python, JSON
    and URLs write them.
    """
    secrets: set[str] = set()
    sources = (*payloads, dict(metadata)) if redaction.metadata else payloads
    for source in sources:
        for value in named_values(source, redaction.fields):
            for atom in atoms(value):
                secrets |= _written(atom)
    # Longest first: of a secret that has another one in it, nothing must stay.
    ordered = sorted(secrets, key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in ordered:
            text = text.replace(secret, redaction.placeholder)
        return text

    return hide


def _written(value: Any) -> set[str]:
    """Return how texts may quote `value`."""
    if value is None or isinstance(value, bool):
        return set()
    text = str(value)
    forms = {text, repr(text)[1:-1], quote(text, safe="", errors="replace")}
    forms |= {quote(text, errors="replace"), quote_plus(text, errors="replace")}
    with suppress(InvalidError):  # A lone surrogate: JSON has no form for it.
        forms.add(encode_json(text)[1:-1].decode())
    return {form for form in forms if len(form) >= UNLIKELY and len(text) >= UNLIKELY}
