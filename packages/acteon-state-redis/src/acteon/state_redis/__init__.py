"""State and locks in Redis: one server, Sentinel or Cluster."""

from acteon.state_redis.config import RedisStateConfig
from acteon.state_redis.dispatch import RedisDispatch
from acteon.state_redis.plugin import RedisStatePlugin
from acteon.state_redis.store import RedisLocks, RedisStateStore

__all__ = [
    "RedisDispatch",
    "RedisLocks",
    "RedisStateConfig",
    "RedisStatePlugin",
    "RedisStateStore",
]
