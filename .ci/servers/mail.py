"""Exim from Debian's package: takes mail for its own domain and puts it into a mailbox."""

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from servers import process
from servers.install import program, user_for
from servers.process import Program, Server

NAME: Final = "acteon"  # user and password
DOMAIN: Final = "mail.test"

# https://www.exim.org/exim-html-current/doc/html/spec_html/ch-main_configuration.html; nothing of
# /etc is read, and all that it writes is in its folder.
CONFIG: Final = """
primary_hostname = {domain}
domainlist local_domains = {domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
daemon_startup_retries = 0
spool_directory = {folder}/spool
log_file_path = {folder}/exim-%slog
pid_file_path = {folder}/exim.pid
deliver_drop_privilege = true
never_users =
keep_environment =
host_lookup =
rfc1413_hosts =
tls_advertise_hosts =
smtputf8_advertise_hosts = *
message_size_limit = 20M
smtp_accept_max = 100
acl_smtp_rcpt = recipient

begin acl
recipient:
  deny message = no such user
       local_parts = nobody
  defer message = come back later
       local_parts = later
  accept domains = +local_domains
  deny message = relay not permitted

begin routers
mailbox:
  driver = accept
  domains = +local_domains
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = {folder}/Maildir
  maildir_format
  create_directory
  envelope_to_add
  return_path_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{name}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = yes
"""


@frozen
class Mail:
    """An Exim, and the mailbox of everybody in `mail.test`."""

    server: Server

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.server.host

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    @property
    def url(self) -> str:
        """How clients reach it, with user and password."""
        return self.server.url

    @property
    def urls(self) -> tuple[str, ...]:
        """All ways to reach it."""
        return self.server.urls

    @property
    def mailbox(self) -> Path:
        """The Maildir: each file in its folder `new` is a mail that was delivered."""
        return self.server.folder / "Maildir"


@contextmanager
def running(*, port: int = 0) -> Generator[Mail]:
    """Run an Exim that takes what is for `mail.test`; user and password are `acteon`.

    The recipients `nobody` and `later` are refused, for good and for now.

    Args:
        port: Where it listens; 0 stands for a free one.
    """
    command = program("exim4", "exim4-daemon-light")  # brings the user, too
    user = user_for("Debian-exim")

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        file = folder / "exim.conf"
        file.write_text(CONFIG.format(folder=folder, port=ports[0], domain=DOMAIN, name=NAME))
        return Program(
            name="Exim",
            command=(command, "-C", str(file), "-bdf", "-q1m"),
            port=ports[0],
            urls=(f"smtp://{NAME}:{NAME}@127.0.0.1:{ports[0]}",),
            answers=lambda: _greets(ports[0]),
            user=user,
        )

    with process.running("mail", prepare, ports=[port], user=user) as server:
        yield Mail(server)


def _greets(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return connection.recv(3) == b"220"
