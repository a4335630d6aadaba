"""Who asked for a dispatch."""

from attrs import frozen


@frozen
class Caller:
    """The one on whose behalf an action is dispatched; the audit trail names it.

    Attributes:
        id: User name or name of the API key; empty for nobody in particular.
        auth_method: `"jwt"`, `"api_key"`, `"password"`, `"anonymous"`, `"cli"`, or empty for calls
            from code.
        address: The network address that they ask from; empty where that is not known.
    """

    id: str = ""
    auth_method: str = ""
    address: str = ""


NOBODY = Caller()
ANONYMOUS = Caller("", "anonymous")
