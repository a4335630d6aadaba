"""The endpoints that tell how the server is."""

from attrs import frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from acteon.gateway import Gateway
from acteon.server.http.answers import json_answer
from acteon.server.http.shapes import (
    HealthResponse,
    MetricsResponse,
    NotReadyResponse,
    ReadyResponse,
)


@frozen
class HealthEndpoints:
    """What can be asked about the server itself."""

    gateway: Gateway
    registry: CollectorRegistry

    async def health(self, _request: Request) -> Response:
        """Answer `GET /health`: the process is alive; nothing else is looked at."""
        return json_answer(HealthResponse("ok", self._counters()))

    async def ready(self, _request: Request) -> Response:
        """Answer `GET /ready`: 200 if dispatches have what they need, else 503."""
        found = await self.gateway.check_ready()
        checks = {name: problem or "ok" for name, problem in found.items()}
        wrong = [f"{name}: {problem}" for name, problem in found.items() if problem]
        if not wrong:
            return json_answer(ReadyResponse(status="ready", checks=checks))
        text = f"not ready: {'; '.join(wrong)}"
        answer = NotReadyResponse(
            error=text, code="NOT_READY", message=text, retryable=True, checks=checks
        )
        return json_answer(answer, 503)

    async def metrics(self, _request: Request) -> Response:
        """Answer `GET /metrics`."""
        return json_answer(self._counters())

    async def prometheus(self, _request: Request) -> Response:
        """Answer `GET /metrics/prometheus`."""
        text = generate_latest(self.registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    def _counters(self) -> MetricsResponse:
        return MetricsResponse(**self.gateway.counters)
