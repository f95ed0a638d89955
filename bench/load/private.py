"""Private indexes, measured: a stage's page beside nginx, the same behind a password, and uploads beside devpi.

In: a Bench and what it stands on. Out: rows of its table.
"""

import contextlib
import hashlib
import http.client
import json
import pathlib
import shutil
import subprocess
import time
import urllib.parse
import zipfile

import processes
import rivals
from clients import wrk
from devpi import ROOT_PASSWORD, Devpi, api, basic
from report import OURS
from servers import Nginx, Sidewheel

USER, PASSWORD = "alice", "the bench's own password"
UPLOADS = 100
UPLOAD_BYTES = 1_000_000


class PrivateSidewheel(Sidewheel):
    """A server whose root has a password."""

    def __init__(self, program, data, upstream, **settings):
        secret = pathlib.Path(str(data) + ".password")
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(ROOT_PASSWORD + "\n")
        command = [str(program), "init", "--data", str(data), "--root-password-file", str(secret)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        super().__init__(program, data, upstream, **settings)


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


def stage(bench):
    """The page of an index that inherits from the mirror, hot; then the same where only its readers may."""
    bench.fixture.long_page("bench-page")
    with (
        bench.upstream() as upstream,
        PrivateSidewheel(bench.program, bench.fresh("data"), upstream.url, core=bench.server_core, workers=1, load="hot pages of a stage") as ours,
    ):
        token = prepare(ours, bases="root/pypi", mirror_whitelist="*")
        body, content_type = form_of(bench, "bench_page", "99.0")
        upload_all(ours, token, [(body, content_type)])
        api(ours, "PUT", f"/{USER}/closed", {"bases": f"{USER}/dev", "acl_read": USER}, USER, PASSWORD)
        path = f"/{USER}/dev/+simple/bench-page/"
        page = processes.fetch(ours.url + path, processes.PIP_ACCEPT)
        root = bench.fresh("static-stage")
        static = root / "simple" / "bench-page"
        static.mkdir(parents=True)
        (static / "index.json").write_bytes(page)
        files = len(json.loads(page)["files"])
        bench.report.note(f"stage: {len(page):,} bytes of JSON, {files} files of a stage and its mirror; wrk -t1 -c16")
        with Nginx(bench.fresh("nginx"), root, core=bench.server_core) as theirs:
            closed = f"Authorization: Basic {basic(USER, PASSWORD)}"
            contenders = [
                (OURS, ours, path, None),
                ("nginx", theirs, "/simple/bench-page/", None),
                ("with a password", ours, f"/{USER}/closed/+simple/bench-page/", closed),
            ]

            def sample(_, server, path, header):
                before = server.cpu()
                requests, per_second, _ = wrk(server.url + path, 1, bench.load_core, header)
                return per_second, (server.cpu() - before) / requests * 1e6

            found = bench.turns("stage", contenders, sample)
    for number, (key, title, unit, better) in enumerate(
        (("rate", "page of a stage hot", "requests/s", "more"), ("cpu", "page of a stage hot, CPU", "ms/1,000 requests", "less"))
    ):
        samples = {name: [got[number] for got in taken] for name, taken in found.items()}
        guarded = samples.pop("with a password")
        bench.report.add(f"stage.{key}", title, unit, samples, better, 1 - (number == 0))
        bench.report.add(f"stage.password.{key}", f"{title}, with a password on each request", unit, {OURS: guarded}, better, 1 - (number == 0))


def form_of(bench, project, version):
    path = bench.root / f"{project}-{version}-py3-none-any.whl"
    wheel(path, project, version, 1000)
    return form(path, project, version)


def uploads(bench):
    """A hundred uploads of 1 MB, one after another, beside devpi."""
    count = 20 if bench.quick else UPLOADS
    with (
        bench.upstream() as upstream,
        PrivateSidewheel(bench.program, bench.fresh("data"), upstream.url, load="uploads of 1 MB") as ours,
        contextlib.ExitStack() as stack,
    ):
        servers = [ours]
        if "devpi" in bench.rivals:
            servers.append(stack.enter_context(Devpi(bench.fresh("devpi"), rivals.venv("devpi"))))
        else:
            bench.report.note("uploads: without devpi, which is not among --rivals")
        tokens = {server.name: prepare(server, bases="") for server in servers}
        samples = {server.name: [] for server in servers}
        for number in range(bench.rounds):
            forms = []
            for n in range(count):
                project, version = f"bench_{number}", f"1.{n}"
                path = bench.root / f"{project}-{version}-py3-none-any.whl"
                wheel(path, project, version, UPLOAD_BYTES)
                forms.append(form(path, project, version))
                path.unlink()
            for server in servers:
                samples[server.name].append(upload_all(server, tokens[server.name], forms))
        data = ours.data
    shutil.rmtree(data, ignore_errors=True)
    bench.report.add("uploads", f"{count} uploads of 1 MB, one after another", "s", samples, "less", 2)
    bench.report.note("uploads: one connection where the server keeps it, a login's token, one project")
