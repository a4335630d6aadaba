"""What plugins raise while they open, as one line for operators."""

from collections.abc import Generator
from contextlib import contextmanager

from acteon.core import ActeonError, ConfigError
from acteon.server.config import Config
from acteon.server.lines import one_line


@contextmanager
def explained(what: str, config: Config, *others: type[Exception]) -> Generator[None]:
    """Raise whatever the block raises, unless it is one of `others`, as a `ConfigError`.

    It is about `what`, in one line, without secrets of `config`.
    """
    try:
        yield
    except others:
        raise
    except ActeonError as error:
        raise ConfigError(_line(f"{what}: {error}", config)) from error
    except Exception as error:
        # It is somebody else's plugin; the operator is told in one line all the same.
        raise ConfigError(_line(f"{what}: {type(error).__name__}: {error}", config)) from error


def _line(text: str, config: Config) -> str:
    return one_line(" ".join(config.secrets.hide(text).split()))
