"""ClickHouse 18.16 from Debian's package, with a configuration of its own."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Final

from servers import process
from servers.http import status
from servers.install import program
from servers.process import Program, Server

CONFIG: Final = Template("""\
<yandex>
    <logger><level>warning</level><console>1</console></logger>
    <listen_host>127.0.0.1</listen_host>
    <tcp_port>$native</tcp_port>
    <http_port>$http</http_port>
    <path>$folder/data/</path>
    <tmp_path>$folder/tmp/</tmp_path>
    <users_config>$folder/users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <mark_cache_size>5368709120</mark_cache_size>
    <max_concurrent_queries>100</max_concurrent_queries>
    <timezone>UTC</timezone>
    $config
</yandex>
""")
USERS: Final = """\
<yandex>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password/>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </default>
    </users>
</yandex>
"""


@contextmanager
def running(*, config: str = "", port: int = 0, http_port: int = 0) -> Generator[Server]:
    """Run a ClickHouse with a user `default` without password.

    Its URLs are that of the native protocol and that of HTTP, in this order.

    Args:
        config: Further elements of config.xml.
        port: Where it listens for the native protocol; 0 stands for a free one.
        http_port: Where it listens for HTTP; 0 stands for a free one.
    """

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        return _clickhouse(folder, ports, config)

    with process.running("clickhouse", prepare, ports=[port, http_port]) as server:
        yield server


def _clickhouse(folder: Path, ports: Sequence[int], config: str) -> Program:
    native, http = ports
    file = folder / "config.xml"
    file.write_text(CONFIG.substitute(folder=folder, native=native, http=http, config=config))
    (folder / "users.xml").write_text(USERS)
    return Program(
        name="ClickHouse",
        command=(program("clickhouse-server", "clickhouse-server"), f"--config-file={file}"),
        port=native,
        urls=(f"clickhouse://127.0.0.1:{native}/default", f"http://127.0.0.1:{http}"),
        answers=lambda: status(http, "/ping") == 200,
    )
