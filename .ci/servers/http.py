"""Asking a server over HTTP whether it answers."""

from http.client import HTTPConnection, HTTPException


def status(port: int, path: str) -> int:
    """Return the status that the server at `port` gives to a GET of `path`.

    Raises:
        OSError: It does not answer, or not in HTTP.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
