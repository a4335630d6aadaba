"""What runs in the server: the Lua files beside this one."""

from functools import cache
from hashlib import sha1
from importlib.resources import files

from attrs import frozen


@frozen
class Script:
    """A script, and the name that the server knows it by once it has run.

    Attributes:
        text: Its Lua.
        sha: The SHA-1 of that, in hexadecimal digits.
    """

    text: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Return the script in `lua/<name>.lua`."""
    text = files("acteon.state_redis").joinpath("lua", f"{name}.lua").read_bytes()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())
