"""JSON merge patches (RFC 7396)."""

from typing import Any

from acteon.rules.kinds import is_list, is_map


def merge_patch(target: Any, changes: Any) -> Any:
    """Return `target` with `changes` merged into it; neither is changed.

    A map changes the members that it names, None removes one, and anything else takes the place
    of what was there. What comes from `changes` is copied, so that whoever alters the result
    alters no rule; untouched parts of `target` are shared with the result.
    """
    if not is_map(changes):
        return _copied(changes)
    merged: dict[str, Any] = {}
    if is_map(target):
        merged.update(target)
    for name, change in changes.items():
        if change is None:
            merged.pop(name, None)
        elif is_map(change):
            merged[name] = merge_patch(merged.get(name), change)
        else:
            merged[name] = _copied(change)
    return merged


def _copied(value: Any) -> Any:
    if is_list(value):
        return [_copied(item) for item in value]
    if is_map(value):
        return {name: _copied(member) for name, member in value.items()}
    return value
