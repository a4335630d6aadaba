"""Durations as texts of answers have them."""

from datetime import timedelta

_UNITS = ((1_000_000, "s"), (1_000, "ms"), (1, "µs"))


def duration_text(duration: timedelta) -> str:
    """Return `duration` in its largest fitting unit, without blanks: `30s`, `1.5s`, `500ms`."""
    micros = duration // timedelta(microseconds=1)
    for size, unit in _UNITS:
        if micros >= size:
            whole, rest = divmod(micros, size)
            fraction = f"{rest:0{len(str(size)) - 1}}".rstrip("0") if rest else ""
            return f"{whole}.{fraction}{unit}" if fraction else f"{whole}{unit}"
    return "0ns"
