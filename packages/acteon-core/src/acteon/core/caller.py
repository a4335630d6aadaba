"""Who asked for a dispatch."""

from attrs import frozen


@frozen
class Caller:
    """The one on whose behalf an action is dispatched; the audit trail names it.

    Attributes:
        id: User name or name of the API key; empty for nobody in particular.
        auth_method: `"jwt"`, `"api_key"`, `"anonymous"`, `"cli"`, or empty for calls from code.
    """

    id: str = ""
    auth_method: str = ""


NOBODY = Caller()
ANONYMOUS = Caller("", "anonymous")
