"""What a client is made of: where the server is, who asks, and how connections are made."""

import os
import ssl
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from attrs import define, field, frozen

from acteon.client.errors import ClientError, ConfigurationError
from acteon.client.retries import RetryPolicy

DEFAULT_URL: Final = "http://localhost:8080"
NO_RETRIES: Final = RetryPolicy(max_attempts=1)


@frozen(kw_only=True)
class Exchange:
    """One request and how it ended, for programs that watch.

    Attributes:
        method: The method.
        path: The path below the base URL, without its query.
        attempt: 1 for the first one.
        seconds: How long it took.
        status: The status of the answer, if there was one.
        error: What the answer meant, or why there was none, if it was no success.
    """

    method: str
    path: str
    attempt: int
    seconds: float
    status: int | None
    error: ClientError | None


Observer = Callable[[Exchange], None]


@define(eq=False)
class Credentials:
    """Who asks: by an API key or a token."""

    api_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        if self.token is not None:
            return {"authorization": f"Bearer {self.token}"}
        return {} if self.api_key is None else {"x-api-key": self.api_key}


@frozen(kw_only=True)
class Options:
    """How a client asks its server.

    Attributes:
        base_url: The server's, without a slash at its end.
        timeout: Seconds for a request and its answer.
        tls: What connections are encrypted with; None: they are not.
        proxy: The URL of the proxy between, if there is one.
        headers: What every request carries.
        retry: How requests that fail are repeated.
        credentials: Who asks.
        observe: Is told of each request.
    """

    base_url: str
    timeout: float
    tls: ssl.SSLContext | None
    proxy: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    retry: RetryPolicy
    credentials: Credentials = field(repr=False)
    observe: Observer | None

    @classmethod
    def of(
        cls,
        base_url: str,
        *,
        timeout: float,
        api_key: str | None,
        token: str | None,
        ca_cert_path: str | os.PathLike[str] | None,
        client_cert_path: str | os.PathLike[str] | None,
        client_key_path: str | os.PathLike[str] | None,
        verify_ssl: bool,
        headers: Mapping[str, str] | None,
        retry: RetryPolicy | None,
        observe: Observer | None,
    ) -> "Options":
        """Return the options for what a client was given.

        Raises:
            ConfigurationError: It cannot be used.
        """
        url = _checked_url(base_url)
        if api_key is not None and token is not None:
            raise ConfigurationError("api_key and token: give one of them")
        if not timeout > 0:
            raise ConfigurationError(f"timeout: {timeout!r}: give seconds, more than 0")
        credentials = Credentials(api_key, token)
        more = {name.lower(): value for name, value in (headers or {}).items()}
        for name, value in {**more, **credentials.headers()}.items():
            if not (name + value).isprintable() or not (name + value).isascii():
                raise ConfigurationError(f"{name}: has characters that no header may have")
        return cls(
            base_url=url,
            timeout=float(timeout),
            tls=_tls(url, ca_cert_path, client_cert_path, client_key_path, verify_ssl),
            proxy=_proxy(url),
            headers={"user-agent": USER_AGENT, "accept": "application/json", **more},
            retry=retry or NO_RETRIES,
            credentials=credentials,
            observe=observe,
        )


USER_AGENT: Final = f"acteon-client-python/{version('acteon-client')}"


def from_environment(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a client: what is `given`, and the environment's for the rest.

    Raises:
        ConfigurationError: A variable cannot be used.
    """
    found: dict[str, Any] = {"base_url": os.environ.get("ACTEON_URL") or DEFAULT_URL}
    for name in ("api_key", "token"):
        value = os.environ.get(f"ACTEON_{name.upper()}")
        if value and not {"api_key", "token"} & given.keys():
            found[name] = value
    seconds = os.environ.get("ACTEON_TIMEOUT")
    if seconds:
        try:
            found["timeout"] = float(seconds)
        except ValueError:
            raise ConfigurationError(f"ACTEON_TIMEOUT: {seconds!r} is no number") from None
    return {**found, **given}


def _checked_url(base_url: str) -> str:
    url = base_url.rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"base_url: {base_url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigurationError(f"base_url: {base_url!r}: write it like {DEFAULT_URL}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url: has credentials in it: give api_key or token instead")
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(f"base_url: {base_url!r}: leave out all but scheme, host and path")
    return url


def _tls(
    url: str,
    ca: str | os.PathLike[str] | None,
    certificate: str | os.PathLike[str] | None,
    key: str | os.PathLike[str] | None,
    verify: bool,
) -> ssl.SSLContext | None:
    if (certificate is None) != (key is None):
        raise ConfigurationError("client_cert_path and client_key_path: give both or neither")
    if ca is not None and not verify:
        raise ConfigurationError("ca_cert_path and verify_ssl=False: give one of them")
    if not url.startswith("https:"):
        if ca is not None or certificate is not None:
            raise ConfigurationError("base_url: certificates are for https only")
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one.
        files = ", ".join(str(path) for path in (ca, certificate, key) if path is not None)
        raise ConfigurationError(f"{files}: {error.strerror or error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for `url`, as curl and others read it."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies_environment()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found:
        return None
    proxy = found if "://" in found else f"http://{found}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise ConfigurationError(f"{parts.scheme}_proxy: {urlsplit(proxy).scheme}: use http")
    return proxy
