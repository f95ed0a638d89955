"""Private indexes, measured: a stage's page beside nginx, the same behind a password, and uploads beside devpi.

In: a Bench and what it stands on. Out: rows of its table.
"""

import base64
import hashlib
import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import zipfile

import processes
from processes import Nginx, Process, Sidewheel

ROOT_PASSWORD = "the bench's root password"
USER, PASSWORD = "alice", "the bench's own password"
DEVPI = ("devpi-server==6.20.3",)
# devpi's start takes many seconds, of which most goes into its own secret.
DEVPI_START_SECONDS_MAX = 120
UPLOADS = 100
UPLOAD_BYTES = 1_000_000


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


class PrivateSidewheel(Sidewheel):
    """A server whose root has a password."""

    def __init__(self, program, data, upstream, **settings):
        secret = pathlib.Path(str(data) + ".password")
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(ROOT_PASSWORD + "\n")
        command = [str(program), "init", "--data", str(data), "--root-password-file", str(secret)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        super().__init__(program, data, upstream, **settings)


class Devpi(Process):
    """A real devpi-server in a directory of its own, with root's password set."""

    def __init__(self, directory, venv):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True)
        if not (venv / "bin/devpi-server").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", *DEVPI], check=True)
        init = [venv / "bin/devpi-init", "--serverdir", directory / "server", "--root-passwd", ROOT_PASSWORD]
        subprocess.run([*init, "--no-root-pypi"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.log = (directory / "log").open("wb")
        command = [str(venv / "bin/devpi-server"), "--serverdir", str(directory / "server"), "--host", "127.0.0.1"]
        super().__init__(command + ["--port", str(port)], stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{port}"
        while True:
            try:
                api(self, "GET", "/+api", user=None)
                return
            except OSError:
                if time.monotonic() - self.started > DEVPI_START_SECONDS_MAX or self.process.poll() is not None:
                    self.stop()
                    raise SystemExit(f"devpi-server does not start: {(directory / 'log').read_text()[-800:]}")
                time.sleep(0.2)

    def stop(self):
        super().stop()
        self.log.close()


def prepare(server, **settings):
    """The user, and an index of hers."""
    api(server, "PUT", f"/{USER}", {"password": PASSWORD})
    api(server, "PUT", f"/{USER}/dev", settings, USER, PASSWORD)
    login = api(server, "POST", "/+login", {"user": USER, "password": PASSWORD}, None)
    return login["result"]["password"]


def wheel(path, project, version, size):
    """A real wheel of about this size whose bytes do not compress."""
    noise = hashlib.shake_256(f"{project} {version}".encode()).digest(size)
    info = f"{project}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{project}/payload.bin", noise)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def form(path, project, version):
    """The body of an upload as twine sends it, and its content type."""
    content = path.read_bytes()
    fields = {
        ":action": "file_upload", "protocol_version": "1", "name": project, "version": version,
        "filetype": "bdist_wheel", "pyversion": "py3", "metadata_version": "2.1",
        "sha256_digest": hashlib.sha256(content).hexdigest(),
    }
    boundary = "the-boundary-of-the-bench"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{path.name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def upload_all(server, token, forms):
    """Seconds for all uploads, one after another, over as few connections as the server allows."""
    host = urllib.parse.urlsplit(server.url).netloc
    connection = http.client.HTTPConnection(host, timeout=120)
    headers = {"Authorization": f"Basic {basic(USER, token)}"}
    began = time.monotonic()
    for body, content_type in forms:
        connection.request("POST", f"/{USER}/dev/", body, {**headers, "Content-Type": content_type})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{server.url} refused an upload: {answer.status} {answer.reason} {text[:300]}")
    took = time.monotonic() - began
    connection.close()
    return took


def stage(bench, server_core, load_core):
    """The page of an index that inherits from the mirror, hot; then the same where only its readers may."""
    bench.fixture.long_page("bench-page")
    rounds, seconds = (2, 1) if bench.quick else (5, 2)
    ours = PrivateSidewheel(
        bench.program, bench.fresh("data"), (upstream := bench.upstream()).url, core=server_core, workers=1
    )
    with upstream, ours:
        token = prepare(ours, bases="root/pypi", mirror_whitelist="*")
        body, content_type = form_of(bench, "bench_page", "99.0")
        upload_all(ours, token, [(body, content_type)])
        api(ours, "PUT", f"/{USER}/closed", {"bases": f"{USER}/dev", "acl_read": USER}, USER, PASSWORD)
        path = f"/{USER}/dev/+simple/bench-page/"
        page = processes.fetch(ours.url + path, processes.PIP_ACCEPT)
        static = bench.root / "static-stage" / "simple" / "bench-page"
        static.mkdir(parents=True)
        (static / "index.json").write_bytes(page)
        files = len(json.loads(page)["files"])
        bench.notes.append(f"stage: {len(page)} bytes of JSON, {files} files of a stage and its mirror")
        with Nginx(bench.fresh("nginx"), bench.root / "static-stage", core=server_core) as theirs:
            closed = f"Authorization: Basic {basic(USER, PASSWORD)}"
            rivals = [
                ("open", ours, path, None),
                ("nginx", theirs, "/simple/bench-page/", None),
                ("closed", ours, f"/{USER}/closed/+simple/bench-page/", closed),
            ]
            samples = {name: [] for name, *_ in rivals}
            for name, server, path, header in rivals * (rounds + 1):
                before = processes.cpu_seconds(server.pid)
                requests, per_second, _ = processes.wrk(server.url + path, seconds, load_core, header)
                used = processes.cpu_seconds(server.pid) - before
                samples[name].append((per_second, used / requests * 1e6))
            rates = {name: [sample[0] for sample in all_[1:]] for name, all_ in samples.items()}
            costs = {name: [sample[1] for sample in all_[1:]] for name, all_ in samples.items()}
            bench.row("stage's page hot", rates["open"], rates["nginx"], "requests/s", ">= 0.85", 0)
            bench.row("stage's page hot, CPU", costs["open"], costs["nginx"], "µs/request", "<= 1.20", 1)
            bench.row("stage's page hot, with a password : without", rates["closed"], rates["open"], "requests/s", ">= 0.80", 0)


def form_of(bench, project, version):
    path = bench.root / f"{project}-{version}-py3-none-any.whl"
    wheel(path, project, version, 1000)
    return form(path, project, version)


def uploads(bench, venv):
    """A hundred uploads of 1 MB, one after another, beside devpi."""
    count, rounds = (20, 1) if bench.quick else (UPLOADS, 3)
    ours = PrivateSidewheel(bench.program, bench.fresh("data"), (upstream := bench.upstream()).url)
    with upstream, ours, Devpi(bench.fresh("devpi"), venv) as theirs:
        tokens = {server: prepare(server, bases="") for server in (ours, theirs)}
        samples = {ours: [], theirs: []}
        for number in range(rounds):
            forms = []
            for n in range(count):
                project, version = f"bench_{number}", f"1.{n}"
                path = bench.root / f"{project}-{version}-py3-none-any.whl"
                wheel(path, project, version, UPLOAD_BYTES)
                forms.append(form(path, project, version))
                path.unlink()
            for server, took in samples.items():
                took.append(upload_all(server, tokens[server], forms))
        bench.rows_beside("devpi", f"{count} uploads of 1 MB", samples[ours], samples[theirs], "s", "<= 1.00", 2)
        bench.notes.append("uploads: one connection where the server keeps it, a login's token, one project; devpi-server 6.20.3")
    for directory in (ours.data,):
        shutil.rmtree(directory, ignore_errors=True)
