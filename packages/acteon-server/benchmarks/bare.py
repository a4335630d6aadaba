"""The yardstick: a Starlette route that parses the same JSON and answers a constant."""

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWER = b'{"Executed":{"body":{"ok":true},"headers":{},"status":"success"}}'


async def dispatch(request: Request) -> Response:
    """Parse the body and answer."""
    json.loads(await request.body())
    return Response(ANSWER, media_type="application/json")


app = Starlette(routes=[Route("/v1/dispatch", dispatch, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
