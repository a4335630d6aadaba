"""What proves to a receiver who sent a request, and that it saw an action before.

The headers are those of [Standard Webhooks](https://www.standardwebhooks.com), so that the
libraries which check them can be used on the other side:

| header | value |
|---|---|
| `webhook-id` | names the action; the same in all attempts, as is `Idempotency-Key` |
| `webhook-timestamp` | when this attempt was made, in seconds since 1970 |
| `webhook-signature` | `v1,` and the Base64 of HMAC-SHA256 over `id.timestamp.body` |

While secrets change there are two signatures, with a blank between them.
"""

import base64
import hashlib
import hmac
from datetime import datetime

from acteon.core import Action, encode_json

_PREFIX = "whsec_"


def delivery_key(action: Action) -> str:
    """Return what names `action` for receivers: 64 hexadecimal digits.

    It depends on namespace, tenant and id alone, so every attempt of every dispatch has the same
    one; ids may be any text, which a header cannot carry.

    Raises:
        InvalidError: One of the three is no Unicode.
    """
    named = encode_json([action.namespace, action.tenant, action.id])
    return hashlib.sha256(named).hexdigest()


def signing_key(secret: str) -> bytes:
    """Return the key that `secret` stands for; Base64 may come without its padding.

    Raises:
        ValueError: It begins with `whsec_`, but Base64 does not follow, or it is no Unicode.
    """
    if secret.startswith(_PREFIX):
        text = secret.removeprefix(_PREFIX)
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    return secret.encode()


def signature(
    secret: str, key: str, at: datetime, body: bytes, *, previous: str | None = None
) -> dict[str, str]:
    """Return the three headers that sign `body`, sent as the delivery `key` at the instant `at`.

    Args:
        secret: Signs it.
        key: Names the delivery.
        at: When it is sent.
        body: What is sent.
        previous: Signs it as well: a receiver takes a request of which one signature fits.
    """
    seconds = str(int(at.timestamp()))
    signed = b".".join((key.encode(), seconds.encode(), body))
    secrets = (secret,) if previous is None else (secret, previous)
    digests = (hmac.digest(signing_key(each), signed, "sha256") for each in secrets)
    return {
        "webhook-id": key,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(digest).decode()}" for digest in digests
        ),
    }
