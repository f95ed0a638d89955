"""Servers with users and private indexes: ours, and a real devpi-server to compare it with.

In: the tools, the upstream. Out: a base URL, and requests in a user's name. It may not know what is checked.
"""

import base64
import json
import socket
import time
from pathlib import Path

from processes import Broken, Sidewheel, clean_env, end, get, must, require, start, temp_dir
from tools import PEER

ROOT_PASSWORD = "root-of-all-things"
# devpi-server imports for seconds, and a busy machine makes that a minute.
PEER_START_SECONDS_MAX = 90
# What devpi-server derives its secret with costs 512 MiB and 18 s by default; here it guards nothing.
CHEAP_SECRET = ["--argon2-memory-cost", "1024", "--argon2-time-cost", "1", "--argon2-parallelism", "1"]


def api(base, method, path, value=None, user=None, password=None):
    """One request as devpi-client makes it: JSON both ways."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if user:
        headers["X-Devpi-Auth"] = base64.b64encode("{}:{}".format(user, password).encode()).decode()
    body = None if value is None else json.dumps(value).encode()
    return get(base + path, headers, method, body=body)


def must_api(base, method, path, value=None, user="root", password=ROOT_PASSWORD):
    answer = api(base, method, path, value, user, password)
    require(answer.status in (200, 201), "{} {} in the name of {} is answered {}: {}".format(
        method, path, user, answer.status, answer.body[:500].decode(errors="replace")))
    return json.loads(answer.body) if answer.body else None


class Devpi:
    """A real devpi-server on a port of its own, with root/pypi over the scripted upstream; starts in the background."""

    name = "devpi-server " + PEER[0].split("==")[1]
    ours = False

    def __init__(self, tools, upstream):
        self.upstream = upstream
        self.programs = programs = tools.program("devpi-server", PEER).parent
        self.env = clean_env(temp_dir("peer"))
        place = Path(temp_dir("peer-data"))
        self.serverdir = place / "data"
        # Not its own root/pypi: that one looks for the public index at once.
        must([programs / "devpi-init", "--serverdir", place / "data", "--no-root-pypi", "--root-passwd",
              ROOT_PASSWORD], self.env)
        self.base = "http://127.0.0.1:{}".format(free_port())
        self.log_path = place / "log"
        self.start()

    def start(self):
        with open(self.log_path, "wb") as log:
            self.process = start([str(self.programs / "devpi-server"), "--serverdir", str(self.serverdir), "--listen",
                                  self.base.split("//")[1], *CHEAP_SECRET], stdout=log, stderr=log, env=self.env)

    def answers(self):
        until = time.monotonic() + PEER_START_SECONDS_MAX
        while True:
            try:
                if get(self.base + "/+api", seconds=5).status == 200:
                    break
            except Broken:
                time.sleep(0.1)
            log = self.log_path.read_text(errors="replace")[-4000:]
            require(self.process.poll() is None, "devpi-server ended; it wrote:\n" + log)
            require(time.monotonic() < until, "devpi-server does not answer; it wrote:\n" + log)
        return self

    def ready(self):
        self.answers()
        # As devpi-init makes it, but for where it points to.
        must_api(self.base, "PUT", "/root/pypi", {
            "type": "mirror", "volatile": False, "title": "PyPI", "mirror_url": self.upstream.url,
            "mirror_web_url_fmt": "https://index.example/project/{name}/"})
        return self

    def close(self):
        end(self.process)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Private:
    """Our server with root's password set, in the manner of `Devpi`."""

    name = "sidewheel"
    ours = True

    def __init__(self, binary, upstream):
        self.binary, self.upstream = binary, upstream
        self.data = Path(temp_dir("private")) / "data"
        init(binary, self.data)
        self.server = Sidewheel(binary, self.data, upstream, wait=False)

    def ready(self):
        self.server.wait_until_ready()
        self.base = self.server.base
        return self

    def restart(self, extra=(), meanwhile=lambda: None):
        self.server.stop()
        meanwhile()
        self.server = Sidewheel(self.binary, self.data, self.upstream, extra=extra)
        self.base = self.server.base

    def command(self, *arguments):
        """One more run of the binary on the same data, beside the server."""
        return must([self.binary, *arguments, "--data", self.data], clean_env(temp_dir("command")))

    def close(self):
        self.server.stop()


def init(binary, data):
    home = Path(temp_dir("init"))
    (home / "password").write_text(ROOT_PASSWORD + "\n")
    (home / "password").chmod(0o600)
    must([binary, "init", "--data", data, "--root-password-file", home / "password"], clean_env(home))
