"""The HTTP API as an ASGI application over a gateway."""

from acteon.server.http.app import create_app
from acteon.server.http.edge import HttpApp
from acteon.server.http.errors import RequestError
from acteon.server.http.identity import Authenticate, anonymous
from acteon.server.http.opened import GatewayApp

__all__ = ["Authenticate", "GatewayApp", "HttpApp", "RequestError", "anonymous", "create_app"]
