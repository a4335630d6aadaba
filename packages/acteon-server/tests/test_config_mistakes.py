"""What newcomers get wrong, and what they are told, word for word."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acteon.core import AUDIT, STATE, ConfigError, plugin_names
from acteon.server.config import load_config, parse_config, read_document

SYNTAX = [
    (
        "[server]\nhost = “127.0.0.1”",
        'acteon.toml:2:8: invalid value; write straight quotes: "',
    ),
    (
        "[state]\nbackend = redis",
        'acteon.toml:2:11: invalid value; texts need quotes: backend = "…"',
    ),
    (
        "[server]\nhost = 0.0.0.0",
        "acteon.toml:2:11: expected newline or end of document after a statement; "
        'texts need quotes: host = "…"',
    ),
    (
        "[audit]\nenabled = True",
        "acteon.toml:2:11: invalid value; write enabled = true",
    ),
    (
        "[audit]\nenabled = no",
        "acteon.toml:2:11: invalid value; write enabled = false",
    ),
    (
        "[rules]\ndirectory = null",
        "acteon.toml:2:13: invalid value; leave directory out instead",
    ),
    (
        "[server]\nport: 8080",
        "acteon.toml:2:5: expected '=' after a key in a key/value pair; "
        "write key = value, with = instead of :",
    ),
    (
        "[server]\nport",
        "acteon.toml:2:5: expected '=' after a key in a key/value pair; write key = value",
    ),
    (
        "[server]\nport =\n",
        "acteon.toml:2:7: invalid value; port has no value; leave it out, or put # before it",
    ),
    (
        "[server]\nport = 08080",
        "acteon.toml:2:9: expected newline or end of document after a statement; "
        "numbers have no leading zeros",
    ),
    (
        "[executor]\ntimeout_seconds = 30s",
        "acteon.toml:2:21: expected newline or end of document after a statement; "
        "write a number without its unit; durations are in seconds",
    ),
    (
        '[state]\nurl = "redis://localhost',
        "acteon.toml:2:25: unterminated string; "
        "a text ends, on its line, with the quote that it begins with",
    ),
    (
        '[rules]\ndirectory = "C:\\data\\rules"',
        "acteon.toml:2:18: unescaped '\\' in a string; "
        "write directory = '…' with single quotes, or \\\\ for each \\",
    ),
    (
        "[server\nport = 1",
        "acteon.toml:1:8: expected ']' at the end of a table declaration; "
        "a section's heading ends in ]",
    ),
    (
        "[server]\n[state]\n[server]",
        "acteon.toml:3:8: cannot declare [server] twice; "
        "put all keys of a section below one heading",
    ),
    (
        "[server]\nport = 1\nport = 2",
        "acteon.toml:3:9: cannot overwrite a value; the key is there twice",
    ),
    (
        "// my server\n[server]",
        "acteon.toml:1:1: invalid statement; comments begin with #",
    ),
    (
        '{"server": {"port": 1}}',
        "acteon.toml:1:1: invalid statement; "
        "this looks like JSON; write TOML, such as [server] and port = 8080",
    ),
    (
        '[server]\nhost = "127.0.0.1",',
        "acteon.toml:2:19: expected newline or end of document after a statement; "
        "there is nothing behind the value of host",
    ),
]

MEANING = [
    (
        '[server]\nport = "8080"',
        '[server] port: wanted a whole number, found the text "8080"; write it without quotes',
    ),
    (
        "[server]\nhost = 127",
        "[server] host: wanted a text, found the number 127; put it in quotes",
    ),
    ("[server]\nport = 70000", "[server] port: must be between 0 and 65535, not 70000"),
    ("[server]\nport = true", "[server] port: wanted a whole number, found true"),
    (
        "[executor]\nmax_retries = 3.0",
        "[executor] max_retries: wanted a whole number, found the number 3.0",
    ),
    (
        "[server]\nshutdown_timeout_seconds = 0",
        "[server] shutdown_timeout_seconds: must be between 0.001 and 86400 seconds, not 0",
    ),
    (
        '[executor]\ntimeout_seconds = "30s"',
        '[executor] timeout_seconds: wanted a number of seconds, found the text "30s"',
    ),
    (
        "[executor]\ntimeout_seconds = inf",
        "[executor] timeout_seconds: wanted a number of seconds, found the number inf",
    ),
    (
        "[executor]\ntimeout = 30",
        "[executor] timeout: unknown key; did you mean 'timeout_seconds'?",
    ),
    (
        "[executor]\nmax_retrys = 1",
        "[executor] max_retrys: unknown key; did you mean 'max_retries'?",
    ),
    (
        "[executor]\nmax_concurrent = 0",
        "[executor] max_concurrent: must be between 1 and 100000, not 0",
    ),
    (
        "[executor]\nzzz = 1",
        "[executor] zzz: unknown key; the keys here are max_retries, timeout_seconds, "
        "max_concurrent, dlq_enabled, dlq_max, lock_wait_seconds, lock_lease_seconds, on_unknown",
    ),
    ("[executor]\nport = 1", "[executor] port: unknown key; it belongs below [server]"),
    (
        "[rules.environment]\nport = 8080",
        "[rules] environment.port: wanted a text, found the number 8080; put it in quotes",
    ),
    (
        '[rules.environment]\n"my stage" = "x"',
        "[rules] environment: must have names of letters, digits and _, as in env.stage, not "
        "'my stage'",
    ),
    ("port = 3000", "port: stands outside any section; it belongs below [server]"),
    ("zzz = 3000", "zzz: unknown key, outside any section"),
    ("[sever]\nport = 1", "[sever]: unknown section; did you mean [server]?"),
    ("[provider]\nname = 1", "[provider]: unknown section; did you mean [[providers]]?"),
    ("[redact]\nenabled = true", "[redact]: unknown section; did you mean [audit.redact]?"),
    (
        "[whatever]",
        "[whatever]: unknown section; there are [server], [state], [audit], [rules], "
        "[executor], [auth], [rate_limit], [[providers]]",
    ),
    ("[[server]]\nport = 1", "server: is a section: write [server] on a line of its own"),
    ("server = 5", "server: is a section: write [server] on a line of its own"),
    (
        '[providers]\nname = "x"',
        "[providers]: write [[providers]], in double brackets, above each provider",
    ),
    ("providers = [1]", "[[providers]] number 1: is no table; write [[providers]] above its keys"),
    ('[[providers]]\nname = "x"', "provider 'x': type: is missing"),
    ('[[providers]]\ntype = "log"', "[[providers]] number 1: name: is missing"),
    ('[[providers]]\nname = ""\ntype = "log"', "[[providers]] number 1: name: must not be empty"),
    (
        '[[providers]]\nname = "hook"\ntype = "webhook"',
        "provider 'hook': webhook type requires a 'url' field",
    ),
    (
        '[[providers]]\nname = "x"\ntype = "webhok"',
        "provider 'x': type: there is no acteon.providers plugin 'webhok'; did you mean 'webhook'?",
    ),
    (
        '[[providers]]\nname = "x"\ntype = "webhook"\nurl = "http://h"\ntimeout = 3',
        "provider 'x': timeout: unknown key; did you mean 'timeout_seconds'?",
    ),
    (
        '[[providers]]\nname = "x"\ntype = "log"\n[[providers]]\nname = "x"\ntype = "log"',
        "provider 'x': there are two providers of that name; rename one",
    ),
    (
        '[audit.redact]\nfields = "password"',
        '[audit.redact] fields: wanted a list, found the text "password"; write ["password"]',
    ),
    (
        "[audit.redact]\nfields = [1]",
        "[audit.redact] fields[0]: wanted a text, found the number 1; put it in quotes",
    ),
    ("[audit]\nredact = true", "[audit.redact]: wanted a table, found true"),
    (
        "[audit]\nttl_seconds = -1",
        "[audit] ttl_seconds: must be 0 (for ever) or between 1 and 3153600000 seconds, not -1",
    ),
    (
        "[audit]\ncleanup_interval_seconds = 0",
        "[audit] cleanup_interval_seconds: must be between 1 and 31536000 seconds, not 0",
    ),
    (
        "[audit]\nttl_seconds = 1e-9",
        "[audit] ttl_seconds: wanted 0 or at least 0.000001 seconds, found the number 1e-09",
    ),
    (
        f"[server]\nport = {'7' * 400}",
        f"[server] port: wanted a whole number of at most 64 bits, found the number {'7' * 60}…",
    ),
    (
        f"[server]\nport = 0x{'f' * 5000}",
        f"[server] port: wanted a whole number of at most 64 bits, found the number 0x{'f' * 58}…",
    ),
    (
        f"[executor]\ntimeout_seconds = {'7' * 400}",
        f"[executor] timeout_seconds: wanted a number of seconds, found the number {'7' * 60}…",
    ),
    (
        f"[state]\n{'.'.join('a' * 3000)} = 1",
        "is nested too deeply",
    ),
    ("[audit]\nenabled = 1", "[audit] enabled: wanted true or false, found the number 1"),
    (
        '[audit]\nenabled = "true"',
        '[audit] enabled: wanted true or false, found the text "true"; write it without quotes',
    ),
    ("[audit]\nmax_records = 0", "[audit] max_records: must be >= 1: 0"),
    (
        '[server]\nasgi = "hypercron"',
        "[server] asgi: wanted 'auto', 'hypercorn' or 'uvicorn', found the text \"hypercron\"; "
        "did you mean 'hypercorn'?",
    ),
    (
        '[server]\ncors_allowed_origins = ["example.com"]',
        "[server] cors_allowed_origins: must list origins like https://app.example.com, "
        "without a path, not 'example.com'",
    ),
    (
        '[server]\ncors_allowed_origins = ["*"]',
        "[server] cors_allowed_origins: must list origins; leave the key out to allow all of them",
    ),
    (
        '[server]\nhost = "0.0.0.0"',
        "[server] host: 0.0.0.0 lets everybody who reaches this machine use the server; "
        "write [auth] enabled = true to ask them who they are, allow_anonymous = true to let them "
        'all in, or host = "127.0.0.1"',
    ),
    (
        '[server]\nhost = "127.0.0.1:8080"',
        "[server] host: must be an address or a name, without scheme and port, "
        "not '127.0.0.1:8080'",
    ),
    (
        '[server]\nhost = ""',
        "[server] host: must be an address or a name, without scheme and port, not ''",
    ),
    (
        '[auth]\nenabled = "yes"',
        '[auth] enabled: wanted true or false, found the text "yes"',
    ),
    ('[rules]\ndirectory = ""', "[rules] directory: must not be empty"),
    ("[rules]\ndirectory = 2020-01-01", "[rules] directory: wanted a text, found a date or time"),
]

BACKENDS = [
    (
        '[state]\nbackend = "nope"',
        "configuration error: unsupported state backend: nope (is the feature enabled?): "
        f"there is no acteon.state plugin 'nope'; installed: {', '.join(plugin_names(STATE))}",
    ),
    (
        '[state]\nbackend = "redsi"',
        "configuration error: unsupported state backend: redsi (is the feature enabled?): "
        "there is no acteon.state plugin 'redsi'; did you mean 'redis'?",
    ),
    (
        '[audit]\nenabled = true\nbackend = "nope"',
        "configuration error: unknown audit backend: nope (is the feature enabled?): "
        f"there is no acteon.audit plugin 'nope'; installed: {', '.join(plugin_names(AUDIT))}",
    ),
]


@pytest.fixture
def acme() -> Iterator[None]:
    """Somebody else's plugins, installed."""
    place = str(Path(__file__).parent / "acme")
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


ACME = [
    ('[state]\nbackend = "acme"', "acteon.toml: acme backend requires 'url' in [state]"),
    (
        '[audit]\nenabled = true\nbackend = "acme"',
        "acteon.toml: audit acme backend requires [audit] url",
    ),
    (
        '[audit]\nenabled = true\nbackend = "formless"',
        "configuration error: acteon.audit plugin 'formless' names no attrs class as its Config; "
        "its author must mend that",
    ),
    (
        '[audit]\nenabled = true\nbackend = "broken"',
        "configuration error: acteon.audit plugin 'broken' of acme cannot be imported: "
        "ModuleNotFoundError: No module named 'acme_missing'; "
        "mend it, or install another version of acme",
    ),
    (
        '[state]\nbackend = "acme"\nurl = "acme://x"\npool_sise = 1\npool_size = 0',
        "acteon.toml: [state] pool_size: must be >= 1: 0\n"
        "acteon.toml: [state] pool_sise: unknown key; did you mean 'pool_size'?",
    ),
    (
        '[state]\nbackend = "acme"\nurl = "acme://x"\nlabels = { a = 1 }\nnodes = [1]',
        "acteon.toml: [state] nodes[0]: wanted a text, found the number 1; put it in quotes\n"
        "acteon.toml: [state] labels.a: wanted a text, found the number 1; put it in quotes",
    ),
    (
        '[state]\nbackend = "acme"\nurl = "acme://x"\nlabels = 1\nlimit = 1.5\nmode = "saef"',
        "acteon.toml: [state] labels: wanted a table, found the number 1\n"
        "acteon.toml: [state] mode: wanted 'fast' or 'safe', found the text \"saef\"; "
        "did you mean 'safe'?\n"
        "acteon.toml: [state] limit: wanted a whole number or a text, found the number 1.5",
    ),
]


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return str(caught.value)


@pytest.mark.parametrize(("text", "line"), SYNTAX)
def test_what_is_no_toml_is_refused_with_the_place_and_a_hint(text: str, line: str) -> None:
    assert refusal(text) == line


@pytest.mark.parametrize(("text", "line"), MEANING)
def test_what_means_nothing_is_refused_with_the_key_and_a_hint(text: str, line: str) -> None:
    assert refusal(text) == f"acteon.toml: {line}"


@pytest.mark.parametrize(("text", "line"), BACKENDS)
def test_a_backend_that_is_not_there_is_refused(text: str, line: str) -> None:
    assert refusal(text) == line


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(("text", "lines"), ACME)
def test_mistakes_in_the_keys_of_a_plugin_are_told_like_ours(text: str, lines: str) -> None:
    assert refusal(text) == lines


def test_all_mistakes_are_told_at_once_one_a_line() -> None:
    text = """
        zzz = 1
        [server]
        port = 70000
        hots = "x"
        shutdown_timeout_seconds = -1
        [executor]
        max_retries = "3"
        [audit.redact]
        feilds = []
        [[providers]]
        name = "x"
        type = "webhook"
    """
    assert refusal(text).splitlines() == [
        "acteon.toml: zzz: unknown key, outside any section",
        "acteon.toml: [server] port: must be between 0 and 65535, not 70000",
        "acteon.toml: [server] shutdown_timeout_seconds: must be between 0.001 and 86400 seconds, "
        "not -1",
        "acteon.toml: [server] hots: unknown key; did you mean 'host'?",
        'acteon.toml: [executor] max_retries: wanted a whole number, found the text "3"; '
        "write it without quotes",
        "acteon.toml: [audit.redact] feilds: unknown key; did you mean 'fields'?",
        "acteon.toml: provider 'x': webhook type requires a 'url' field",
    ]


def test_a_line_that_is_no_toml_is_not_quoted() -> None:
    assert "hunter2" not in refusal("[x]\npassword = hunter2")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        load_config(missing, environ={})
    assert str(caught.value) == f"{missing}: there is no such file"


def test_a_link_to_nowhere_is_no_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acteon.toml").symlink_to(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config(None, environ={})
    assert str(caught.value) == "acteon.toml: is a link to a file that is not there"


def test_a_file_is_no_directory_of_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").touch()
    for written in ("rules.yaml", str(tmp_path / "rules.yaml")):
        with pytest.raises(ConfigError) as caught:
            parse_config(f'[rules]\ndirectory = "{written}"', directory=tmp_path)
        assert str(caught.value) == (
            f"acteon.toml: [rules] directory: {tmp_path}/rules.yaml is a file, not a directory"
        )


def test_a_number_that_is_too_long_to_be_read_is_refused_with_its_line() -> None:
    text = f"[server]\nport = {'7' * 5000}"
    assert refusal(text) == "acteon.toml:2: a number has too many digits"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a directory, not a file"


def test_a_file_of_another_encoding_is_refused_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(b"[server]\n# f\xfcr uns\n")
    with pytest.raises(ConfigError) as caught:
        read_document(file)
    assert str(caught.value) == f"{file}:2: is no UTF-8 text; save it as UTF-8"


def test_deep_nesting_is_refused() -> None:
    assert refusal("x = " + "[" * 100_000).startswith("acteon.toml:")
