"""Several processes on one table: one has the claim, and a quota admits exactly its limit."""

import subprocess
import sys
from uuid import uuid4

import pytest

from acteon.state_dynamodb import DynamoDBStateConfig

pytestmark = pytest.mark.server

PROCESSES = 4
AT_ONCE = 16
ROUNDS = 3
LIMIT = 10

PROGRAM = f"""
import asyncio, sys
from datetime import timedelta
from attrs import evolve
from acteon.state import Begin, Quota, StateKey, dispatch_state
from acteon.state_dynamodb import DynamoDBStateConfig, DynamoDBStatePlugin

url, run, process = sys.argv[1:]
HOUR = timedelta(hours=1)

async def main():
    # 128 connections come at once: those that the listener has no room for are asked again after
    # 1, 3 and 7 s.
    config = DynamoDBStateConfig(url=url, connect_timeout_seconds=10, command_timeout_seconds=15)
    async with DynamoDBStatePlugin.open(config) as backend:
        dispatch = dispatch_state(backend)
        print("ready", flush=True)
        sys.stdin.readline()
        for turn in range({ROUNDS}):
            claim = StateKey("test", run, "dedup", str(turn))
            quota = Quota(claim._replace(kind="rate_limit"), {LIMIT}, HOUR)
            tokens = [f"{{process}}-{{turn}}-{{n}}" for n in range({AT_ONCE})]
            claims = [Begin(token=token, lease=HOUR, lock=token, claim=claim) for token in tokens]
            counts = [Begin(token=token, lease=HOUR, quotas=(quota,)) for token in tokens]
            counts = [evolve(one, lock=one.token + " too") for one in counts]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(dispatch.begin([one])) for one in [*claims, *counts]]
            began = [task.result()[0] for task in tasks]
            for one in began:
                if one.error is not None:
                    raise one.error
            admitted = [one.admitted for one in began]
            print(sum(admitted[:{AT_ONCE}]), sum(admitted[{AT_ONCE}:]), flush=True)

asyncio.run(main())
"""


@pytest.mark.usefixtures("calls")  # which make the table
def test_one_of_all_has_the_claim_and_as_many_as_the_limit_are_admitted(
    config: DynamoDBStateConfig,
) -> None:
    run = uuid4().hex
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(config.url), run, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=50)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for turn in range(ROUNDS):
        assert sum(int(one[2 * turn]) for one in told) == 1
        assert sum(int(one[2 * turn + 1]) for one in told) == LIMIT
