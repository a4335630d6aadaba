"""Tasks that fail in all ways, for workers of `test_celery.py`."""

import os
import time
from typing import Any

from celery import Celery

from acteon.client.celery import TaskFailures, notify_failures

FOLDER = os.environ["BROKER_FOLDER"]
OPTIONS: dict[str, Any] = {
    "namespace": "shop",
    "tenant": "acme",
    "provider": "desk",
    "url": os.environ["ACTEON_SERVER"],
    "flush_timeout": 20,
}

app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": FOLDER,
    "data_folder_out": FOLDER,
    "control_folder": f"{FOLDER}/control",
    "polling_interval": 0.02,
}
app.conf.worker_hijack_root_logger = False
app.conf.broker_connection_retry_on_startup = True

if os.environ["NOTIFY"] == "all":
    notify_failures(app, retries=True, arguments=True, **OPTIONS)
else:
    notify_failures(Celery("another"), **OPTIONS)

quiet = TaskFailures(**OPTIONS)


class OutOfStockError(Exception):
    pass


@app.task(name="shop.ship")
def ship(order: int, card: str = "") -> None:
    raise ValueError(f"no address in order {order}")


@app.task(name="shop.pack", throws=(OutOfStockError,))
def pack() -> None:
    raise OutOfStockError("expected")


@app.task(name="shop.charge", bind=True, max_retries=1)
def charge(self: Any, order: int) -> None:
    try:
        raise ConnectionError("the bank is away")
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0) from error


@app.task(name="shop.print", time_limit=1)
def hang() -> None:
    while True:
        time.sleep(0.1)


@app.task(name="shop.refund", base=quiet.task_class)
def refund() -> None:
    raise ValueError("too late")


@app.task(name="shop.thank")
def thank() -> None:
    pass
