"""What every package of Acteon shares: actions, outcomes, errors, time, plugins, the wire."""

from acteon.core.action import Action
from acteon.core.caller import ANONYMOUS, NOBODY, Caller
from acteon.core.clock import SYSTEM_CLOCK, Clock, ManualClock, SystemClock
from acteon.core.durations import duration_text
from acteon.core.eager import Unfinished, run_eagerly
from acteon.core.errors import (
    ActeonError,
    ConfigError,
    InvalidError,
    MalformedError,
    PluginNotFoundError,
    UnreadableFileError,
    WireError,
)
from acteon.core.files import read_file
from acteon.core.ids import new_id
from acteon.core.outage import Outage
from acteon.core.outcome import (
    ActionOutcome,
    AnyOutcome,
    Deduplicated,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    ResponseStatus,
    Suppressed,
    Throttled,
)
from acteon.core.plugins import (
    AUDIT,
    PROVIDERS,
    RULES,
    STATE,
    load_plugin,
    official_package,
    plugin_names,
)
from acteon.core.tasks import Tasks
from acteon.core.timestamps import canonical_timestamp, format_instant, parse_instant
from acteon.core.wire import (
    MAX_DEPTH,
    Reader,
    decode_json,
    encode_json,
    encode_told,
    read_action,
    read_actions,
    write_outcome,
)

__all__ = [
    "ANONYMOUS",
    "AUDIT",
    "MAX_DEPTH",
    "NOBODY",
    "PROVIDERS",
    "RULES",
    "STATE",
    "SYSTEM_CLOCK",
    "ActeonError",
    "Action",
    "ActionOutcome",
    "AnyOutcome",
    "Caller",
    "Clock",
    "ConfigError",
    "Deduplicated",
    "Executed",
    "Failed",
    "InvalidError",
    "MalformedError",
    "ManualClock",
    "Outage",
    "PluginNotFoundError",
    "ProviderResponse",
    "Reader",
    "Rerouted",
    "ResponseStatus",
    "Suppressed",
    "SystemClock",
    "Tasks",
    "Throttled",
    "Unfinished",
    "UnreadableFileError",
    "WireError",
    "canonical_timestamp",
    "decode_json",
    "duration_text",
    "encode_json",
    "encode_told",
    "format_instant",
    "load_plugin",
    "new_id",
    "official_package",
    "parse_instant",
    "plugin_names",
    "read_action",
    "read_actions",
    "read_file",
    "run_eagerly",
    "write_outcome",
]
