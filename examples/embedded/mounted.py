"""The whole HTTP API inside a FastAPI application, beside the routes of its own.

Needs `pip install acteon fastapi uvicorn`.
"""

import os
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from acteon.core import Action
from acteon.gateway import Gateway
from acteon.server.http import GatewayApp

RULES = Path(__file__).with_name("rules")


async def send_email(action: Action) -> str:
    return f"sent to {action.payload['to']}"


acteon = GatewayApp(Gateway.open(rules=RULES, providers=[send_email]))
app = FastAPI(lifespan=acteon.lifespan)
app.mount("/acteon", acteon)


@app.get("/rules")
async def rule_names() -> list[str]:
    return [rule.name for rule in acteon.gateway.rules]


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
