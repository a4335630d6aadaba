"""Fixed windows, and what the one before still counts for: a sliding window, approximately.

What was counted in the window before counts less and less as the current one goes on, as if it
had been spread evenly over its time. So no more than the limit is admitted in any window that
begins where a fixed one does, and no more than twice the limit in any other of that length.

All times are whole seconds, instants those since 1970.
"""


def window_start(now: int, length: int) -> int:
    """Return when the window of `length` began that `now` is in: a multiple of it."""
    return now - now % length


def carried(before: int, left: int, length: int) -> int:
    """Return what the `before` that were counted in the window before still count for.

    Args:
        before: How many that were.
        left: How much of the current window is to come, up to all of it.
        length: How long windows are.
    """
    return before * left // length
