"""devpi-server as a rival: a mirror of the upstream, and its API, which Sidewheel speaks too."""

import base64
import json
import subprocess
import urllib.request

import processes
from processes import Process

ROOT_PASSWORD = "the bench's root password"
# devpi's start takes many seconds, of which most goes into its own secret.
START_SECONDS_MAX = 120


def basic(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def api(server, method, path, body=None, user="root", password=ROOT_PASSWORD):
    """A request of devpi's API; its answer's JSON."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if user:
        headers["X-Devpi-Auth"] = basic(user, password)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


class Devpi(Process):
    """In a directory of its own, with root's password set; root/pypi mirrors the upstream, if there is one."""

    name = "devpi"

    def __init__(self, directory, venv, upstream=None, core=None):
        directory.mkdir(parents=True)
        init = [venv / "bin/devpi-init", "--serverdir", directory / "server", "--root-passwd", ROOT_PASSWORD]
        subprocess.run([*init, "--no-root-pypi"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = processes.free_port()
        self.log = (directory / "log").open("wb")
        command = [venv / "bin/devpi-server", "--serverdir", directory / "server", "--host", "127.0.0.1", "--port", port]
        super().__init__(command, core, stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{port}"
        self.until_answers("/+api", START_SECONDS_MAX, directory / "log")
        if upstream:
            mirror = {"type": "mirror", "mirror_url": f"{upstream.url}/simple/", "mirror_cache_expiry": 3600, "volatile": False}
            api(self, "PUT", "/root/pypi", mirror)

    def page(self, project):
        return f"/root/pypi/+simple/{project}/" if project else "/root/pypi/+simple/"

    def stop(self):
        super().stop()
        self.log.close()
