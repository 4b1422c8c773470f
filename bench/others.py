"""The tools that people would use instead: nginx, curl, aria2 (Debian: nginx-light, curl, aria2), as they come."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rows import CannotRun
from demo.processes import wait_for

_PACKAGES = {"nginx": "nginx-light", "curl": "curl", "aria2c": "aria2"}
_SECONDS = 600
# What Debian's nginx.conf sets for the way of the bytes, without its logs.
_CONFIGURATION = """
daemon off; worker_processes auto; error_log {folder}/error.log; pid {folder}/nginx.pid; {user}
events {{ worker_connections 768; }}
http {{
    sendfile on; tcp_nopush on; access_log off; default_type application/octet-stream;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen {address}; root {root}; }}
}}
"""


def need(*tools: str) -> None:
    """CannotRun, naming the Debian packages, if one of these is not installed."""
    missing = [_PACKAGES[tool] for tool in tools if shutil.which(tool) is None]
    if missing:
        raise CannotRun(f"not installed: {', '.join(missing)} (by apt-get)")


@contextmanager
def nginx(root: Path, folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """nginx serving the files in `root`; the URL of that. `folder` is for its own files."""
    folder.mkdir(parents=True)
    address = f"{host}:{free_port(host)}"
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(folder=folder, address=address, root=root, user=user), encoding="utf-8"
    )
    command = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_for(f"nginx listens; its log is {folder}/error.log", lambda: _listens(address))
            yield f"http://{address}"
        finally:
            process.terminate()


def curl(url: str, to: Path) -> float:
    """Seconds that `curl -o` takes. It checks nothing."""
    return _timed("curl", "--silent", "--fail", "-o", str(to), url)


def curl_often(url: str, header: str, times: int, at_once: int, folder: Path) -> float:
    """Seconds in which one curl reads `url` so many times, so many of these at once, to nowhere."""
    settings = folder / "curlrc"  # not on the command line: the header is a secret
    settings.write_text(f'fail\nheader = "{header}"\n' + f'url = "{url}"\noutput = "/dev/null"\n' * times)
    parallel = ("--parallel", "--parallel-immediate", "--parallel-max", str(at_once))
    return _timed("curl", "--silent", *parallel, "--config", str(settings))


def aria2(url: str, to: Path, sha256: str) -> float:
    """Seconds that aria2c takes, with its check of the sha-256."""
    to.unlink(missing_ok=True)
    check, place = f"--checksum=sha-256={sha256}", (f"--dir={to.parent}", f"--out={to.name}")
    return _timed("aria2c", "--no-conf", "--quiet", check, *place, url)


def aria2_list(links: Path, into: Path, at_once: int) -> float:
    """Seconds that aria2c takes for the list of URLs in the file `links`."""
    return _timed("aria2c", "--no-conf", "--quiet", f"--input-file={links}", f"-j{at_once}", f"--dir={into}")


def free_port(host: str) -> int:
    """A port that nobody listens at, of this host."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def _timed(*command: str) -> float:
    began = time.perf_counter()
    # Their progress meters would be in the way: `--silent` does not silence that of `--parallel`.
    subprocess.run(command, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False
