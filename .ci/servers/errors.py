"""What can go wrong with a server of the tests."""


class ServerError(Exception):
    """A server cannot be had; the message says which, why, and what to do."""


class PortTakenError(ServerError):
    """The server could not have its port, because another program listens there."""
