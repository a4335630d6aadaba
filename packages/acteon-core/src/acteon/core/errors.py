"""The root of the error tree and the errors that every package may raise.

```
ActeonError
├── ConfigError                 what the operator wrote cannot be used
│   ├── PluginNotFoundError     no installed package offers that name
│   └── UnreadableFileError     a file cannot be read
├── WireError                   a text from outside is not what it should be
│   ├── MalformedError          it is no JSON
│   └── InvalidError            it is JSON of the wrong shape
├── StateError      (acteon.state)      the state store or a lock
├── AuditError      (acteon.audit)      the audit store
├── RuleError       (acteon.rules)      a rule, when loaded or evaluated
├── ProviderError   (acteon.provider)   a delivery
├── GatewayError    (acteon.gateway)    a dispatch that reached no outcome
└── ClientError     (acteon.client)     a request to a server that was not answered as asked
```
"""


class ActeonError(Exception):
    """The root of all errors that Acteon raises on purpose.

    Attributes:
        code: The name of the kind of failure, in capitals; part of answers and records.
        retryable: Whether the same call may succeed if it is made again unchanged.
    """

    code: str = "INTERNAL"
    retryable: bool = False


class ConfigError(ActeonError):
    """What the operator configured cannot be used; the text says what to change."""

    code = "CONFIGURATION"


class PluginNotFoundError(ConfigError):
    """No installed package offers a plugin of that name."""


class UnreadableFileError(ConfigError):
    """A file cannot be read; the text says why, and leaves it to others to name the file."""


class WireError(ActeonError):
    """A text that came from outside cannot be taken."""


class MalformedError(WireError):
    """The text is no JSON (or JSON beyond the limits of depth and size of numbers)."""

    code = "INVALID_REQUEST"


class InvalidError(WireError):
    """The text is JSON, but not of the shape that is wanted."""

    code = "INVALID_BODY"
