"""Proper requests with something wrong in them: an answer or a closed connection, nothing else."""

import logging

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from acteon.gateway.testing import ScriptedProvider
from acteon.server.config import Asgi
from acteon.server.testing import OpenApi, RunningServer, exchange_all

BODY = b'{"id":"a1","namespace":"n","tenant":"t","provider":"email","action_type":"x","payload":{}}'
HEAD = b"POST /v1/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKS = HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
PROPER = (
    WHOLE,
    CHUNKS,
    WHOLE * 2,
    CHUNKS.replace(b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n"),
    WHOLE.replace(b"host", b"expect: 100-continue\r\nhost"),
    b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + WHOLE,
    b"GET /v1/audit?limit=1&from=2025-01-01T00:00:00Z HTTP/1.1\r\nhost: x\r\n\r\n",
)
PIECES = (
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"\r\n\r\n",
    b"chunked",
    b"-1",
    b"\xff",
    b"%",
    b"0",
)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Return a proper request after up to four accidents."""
    octets = draw(st.sampled_from(PROPER))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(octets)))
        end = draw(st.integers(start, min(len(octets), start + 40)))
        middle = draw(
            st.one_of(
                st.just(b""),
                st.just(octets[start:end] * 2),
                st.sampled_from(PIECES),
                st.binary(max_size=8),
            )
        )
        octets = octets[:start] + middle + octets[end:]
    return octets


@settings(
    max_examples=500,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(octets=mutants())
async def test_no_accident_on_the_way_breaks_anything(
    server: RunningServer,
    open_api: OpenApi,
    email: ScriptedProvider,
    caplog: pytest.LogCaptureFixture,
    octets: bytes,
) -> None:
    note(repr(octets))
    before = len(email.calls)
    with caplog.at_level(logging.WARNING, logger="acteon"):
        async with open_api() as api:
            answers = await exchange_all(api.url, octets)
            assert (await api.get("/health")).status == 200
    told = [answer.status for answer in answers]
    assert all(status < 500 or status == 501 for status in told)
    # Hypercorn does not answer those who close their side while the answer is being made.
    most = told.count(200) if server.asgi is Asgi.UVICORN else 2
    assert len(email.calls) - before <= most
    assert [record.getMessage() for record in caplog.records] == []
