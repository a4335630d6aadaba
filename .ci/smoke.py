"""One action through an installed server: started, delivered over a socket, found in the audit.

Uses the standard library only, as the environment holds `acteon-server` and nothing else.
"""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

received: list[dict[str, Any]] = []

CONFIG = """\
[server]
port = 0

[audit]
enabled = true

[rules]
directory = "{rules}"

[[providers]]
name = "hook"
type = "webhook"
url = "http://127.0.0.1:{port}/hook"
allow_networks = ["127.0.0.0/8"]
"""

RULES = """\
rules:
  - name: no-spam
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
"""


class Receiver(BaseHTTPRequestHandler):
    """Answers every call and keeps what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received.append(json.loads(body))
        answer = b'{"ticket": 17}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def call(url: str, body: object = None) -> Any:
    """Return the answer to a GET, or to a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def check(base: str) -> None:
    """Send two actions and compare what comes of them with what must."""
    action = {
        "id": "a-1",
        "namespace": "ops",
        "tenant": "acme",
        "provider": "hook",
        "action_type": "page",
        "payload": {"who": "oncall"},
    }
    outcome = call(f"{base}/v1/dispatch", action)
    assert outcome["Executed"]["status"] == "success", outcome
    assert outcome["Executed"]["body"] == {"ticket": 17}, outcome
    assert received[0]["payload"] == {"who": "oncall"}, received
    held_back = call(f"{base}/v1/dispatch", action | {"id": "a-2", "action_type": "spam"})
    assert held_back == {"Suppressed": {"rule": "no-spam"}}, held_back
    assert len(received) == 1, received
    record = call(f"{base}/v1/audit/a-1")
    assert (record["verdict"], record["outcome"]) == ("allow", "executed"), record
    print("the record:", json.dumps(record))


def main() -> int:
    """Start receiver and server, check, stop both; return the exit status."""
    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules")
        rules.mkdir()
        Path(rules, "rules.yaml").write_text(RULES)
        config = Path(folder, "acteon.toml")
        config.write_text(CONFIG.format(rules=rules, port=receiver.server_port))
        program = Path(sysconfig.get_path("scripts"), "acteon-server")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [program, "--config", config], stderr=subprocess.PIPE, text=True, env=environment
        ) as server:
            assert server.stderr is not None
            base = ""
            for line in server.stderr:
                sys.stderr.write(line)
                found = re.search(r"http://[\d.]+:\d+", line)
                if found:
                    base = found.group()
                    break
            if not base:
                print("the server did not start", file=sys.stderr)
                return 1
            rest = server.stderr
            threading.Thread(target=lambda: sys.stderr.write(rest.read()), daemon=True).start()
            try:
                check(base)
            finally:
                server.send_signal(signal.SIGTERM)
                status = server.wait(20)
    receiver.shutdown()
    print("the server ended with", status)
    return status


if __name__ == "__main__":
    sys.exit(main())
