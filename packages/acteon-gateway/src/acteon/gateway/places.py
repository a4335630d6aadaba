"""The order of the actions of one batch."""

import asyncio

from attrs import define, field


@define(eq=False)
class Place:
    """Where an action stands among those of its batch: who comes later is admitted later.

    Attributes:
        batch: The batch; any object that stands for it.
        before: Is done when all who come earlier have passed; None: nobody has to wait.
        passed: Is done when this one and all earlier ones have passed.
    """

    batch: object
    before: "asyncio.Future[None] | None" = None
    passed: "asyncio.Future[None] | None" = field(default=None)

    async def come_up(self) -> None:
        """Return when all who come earlier have passed."""
        if self.before is not None and not self.before.done():
            await asyncio.wait((self.before,))

    def pass_on(self) -> None:
        """Let the next one come up, as soon as all who come earlier have passed, too."""
        passed = self.passed
        if passed is None or passed.done():
            return
        if self.before is None or self.before.done():
            passed.set_result(None)
        else:
            self.before.add_done_callback(lambda _: _set(passed))


def _set(passed: "asyncio.Future[None]") -> None:
    if not passed.done():
        passed.set_result(None)
