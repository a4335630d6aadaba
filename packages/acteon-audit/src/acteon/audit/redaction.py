"""What must not be written down is blotted out before a payload is kept."""

from collections.abc import Iterable
from typing import Any, Final

from attrs import Factory, field, frozen

from acteon.audit.naming import ATOMS, UNREADABLE, copied, lowered
from acteon.core import MAX_DEPTH

PLACEHOLDER: Final = "[REDACTED]"


def _lowered(fields: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in fields)


@frozen
class Redaction:
    """Replaces the values of named members, whatever they are, by a placeholder.

    A name is compared without regard to case with each member's name, at any depth, and with
    its path: the names from the root down to it, joined by dots. Lists add nothing to a path:
    `card.number` finds the number in `{"card": [{"number": …}]}`, but not in
    `{"order": {"card": {"number": …}}}`. A payload that is no object or list stays as it is.

    Attributes:
        fields: The names and paths; kept in lower case.
        placeholder: What stands in place of a value.
        metadata: Whether labels of these names are replaced as well.
        texts: Whether the replaced values are also looked for, and replaced, in what a record
            tells of errors, as providers may quote what they were sent.
    """

    fields: frozenset[str] = field(converter=_lowered)
    placeholder: str = PLACEHOLDER
    metadata: bool = field(default=False, kw_only=True)
    texts: bool = field(default=False, kw_only=True)
    _has_paths: bool = field(
        default=Factory(lambda self: any("." in name for name in self.fields), takes_self=True),
        init=False,
        eq=False,
        repr=False,
    )

    def apply(self, payload: Any) -> Any:
        """Return `payload` with the named values replaced; if there are none, `payload` itself.

        What was given is not changed. A value that JSON has no form for is replaced too, as
        nobody can tell what is in it; and so are an object or list that holds itself, and those
        below `acteon.core.MAX_DEPTH` others.
        """
        fields, placeholder, has_paths = self.fields, self.placeholder, self._has_paths
        changed = False
        whole = [payload]
        # Objects and lists still to be gone through, each a copy of our own, with the path to it
        # and the identities of what was copied: its own, and those of what it is in.
        stack: list[tuple[Any, str, tuple[int, ...]]] = [(whole, "", ())]
        while stack:
            container, path, above = stack.pop()
            in_object = container.__class__ is dict
            inner_path = path
            members: Any = container.items() if in_object else enumerate(container)
            for key, value in members:
                if in_object:
                    name = key.lower() if key.__class__ is str else lowered(key)
                    if name in fields or (has_paths and path + name in fields):
                        container[key] = placeholder
                        changed = True
                        continue
                    if has_paths:
                        inner_path = f"{path}{name}."
                if value.__class__ in ATOMS:
                    continue
                try:
                    inner = copied(value)
                except UNREADABLE:
                    container[key] = placeholder
                    changed = True
                    continue
                if inner is None:
                    continue
                if len(above) >= MAX_DEPTH or id(value) in above:
                    container[key] = placeholder
                    changed = True
                    continue
                container[key] = inner
                stack.append((inner, inner_path, (*above, id(value))))
        return whole[0] if changed else payload
