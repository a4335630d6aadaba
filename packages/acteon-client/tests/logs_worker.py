"""A program whose processes all fail in the same way, and log it: once for each order."""

import json
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from acteon.client.logs import ActeonHandler

log = logging.getLogger("shop")


def ship(order: int) -> None:
    raise ValueError(f"no address in order {order}")


def work(url: str, interval: float, orders: int) -> None:
    if not log.handlers:
        configure(url, interval)
    for order in range(orders):
        try:
            ship(order)
        except ValueError:
            log.exception("order %d cannot be shipped", order)


def configure(url: str, interval: float) -> ActeonHandler:
    handler = ActeonHandler(
        namespace="shop",
        tenant="acme",
        provider="desk",
        url=url,
        interval=interval,
        capacity=5000,
        flush_timeout=30,
    )
    log.addHandler(handler)
    return handler


def main(url: str, kind: str, interval: float, processes: int, orders: int) -> None:
    if kind == "alone":
        work(url, interval, orders)
        (handler,) = log.handlers
        assert isinstance(handler, ActeonHandler)
        handler.close()
        counts = handler.counts
        left_out = counts.outcomes.get("deduplicated", 0) + counts.repeated
        json.dump([counts.outcomes.get("executed", 0), left_out, counts.submitted], sys.stdout)
        return
    multiprocessing.set_start_method("spawn" if kind == "spawn" else "fork")
    if kind != "spawn":
        # The thread runs and is connected when the others are forked.
        handler = configure(url, interval)
        log.error("the shop opens")
        handler.flush()
    if kind == "pool":
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(work, *zip(*[(url, interval, orders)] * processes, strict=True)))
        return
    children = [
        multiprocessing.Process(target=work, args=(url, interval, orders)) for _ in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
