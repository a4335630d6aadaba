"""The endpoints that document the API: the OpenAPI document, and Swagger UI to read it with.

All assets of the page are part of this package, so that it works without the internet.
"""

from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from attrs import define, field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from acteon.server.http.answers import encode, json_text
from acteon.server.http.openapi import openapi_document

_SAFETY: Final = {
    # Nothing from elsewhere, no script in the page itself, and no other page around it.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


@define(eq=False)
class DocsEndpoints:
    """What can be read about the API."""

    _assets: StaticFiles = field(factory=lambda: StaticFiles(directory=_folder()), init=False)

    async def openapi(self, request: Request) -> Response:
        """Answer `GET /api-doc/openapi.json`."""
        return json_text(_document(_root(request)))

    async def to_index(self, request: Request) -> Response:
        """Answer `GET /swagger-ui`."""
        # Two slashes at the head would be another host.
        root = _root(request).strip("/")
        return RedirectResponse(f"/{root}/swagger-ui/" if root else "/swagger-ui/", 303)

    async def index(self, request: Request) -> Response:
        """Answer `GET /swagger-ui/`."""
        return await self._asset("index.html", request)

    async def asset(self, request: Request) -> Response:
        """Answer `GET /swagger-ui/{file}`."""
        return await self._asset(request.path_params["file"], request)

    async def _asset(self, name: str, request: Request) -> Response:
        try:
            response = await self._assets.get_response(name, request.scope)
        except HTTPException:
            return Response(status_code=404)
        # They change with the package only; an hour is what one waits after an upgrade.
        response.headers["cache-control"] = "public, max-age=3600"
        response.headers.update(_SAFETY)
        return response


def _folder() -> Path:
    with as_file(files("acteon.server.http") / "swagger") as folder:
        return folder


def _root(request: Request) -> str:
    """Return where the application is mounted; the host's clients come in below it."""
    root: str = request.scope.get("root_path", "")
    return root


@lru_cache(maxsize=8)
def _document(root: str) -> bytes:
    document = openapi_document()
    if root:
        document["servers"] = [{"url": quote(root)}]
    return encode(document)
