"""Through real Caddy: the repository's own Caddyfile.example with another name, socket and authority.

In: the tools, the binary, the example. Out: passed checks: installs over TLS, aborts that stay aborts, host names.
"""

import os
import re
import shutil
import socket
import threading
import time
from pathlib import Path

from caddy_uploads import uploads
from fixture import Upstream
from processes import Broken, Sidewheel, clean_env, digest, end, must, note, passed, require, run, start, temp_dir

# Reserved names (RFC 2606); curl is told where they are. pip and uv use localhost.
NAME = "packages.example"
FOREIGN = "other.example"
# How long Caddy may take to make its authority and a certificate.
CADDY_SECONDS_MAX = 30
# curl: 18 is a body shorter than Content-Length, 92 an HTTP/2 stream that was reset, 56 a connection that was.
ABORTED = (18, 92, 56)


def free_port():
    """Free just now: Caddy's configuration must name one. Who starts Caddy tries again when it is taken."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def caddyfile(example, port, unix, place):
    """The example with the least changed; each change must find what it replaces."""
    text = example
    options = (
        "{{\n\tskip_install_trust\n\tauto_https disable_redirects\n\tstorage file_system {{\n\t\troot {}\n\t}}\n".format(place)
    )
    names = ", ".join("{}:{}".format(name, port) for name in (NAME, "localhost", FOREIGN))
    for pattern, new in (
        (r"^\{\n", options),
        (r"^packages\.example \{\n", names + " {\n\tbind 127.0.0.1\n\ttls internal\n"),
        (r"reverse_proxy unix//run/sidewheel/http\.sock \{", "reverse_proxy unix/{} {{".format(unix)),
    ):
        text, times = re.subn(pattern, lambda _: new, text, count=1, flags=re.MULTILINE)
        require(times == 1, "Caddyfile.example has no line like {!r} any more; adapt tests/clients/caddy.py".format(pattern))
    return text


class Caddy:
    def __init__(self, example, unix):
        self.place = Path(temp_dir("caddy"))
        self.env = clean_env(self.place / "home")
        self.log_path = self.place / "log"
        for _ in range(3):
            self.port = free_port()
            path = self.place / "Caddyfile"
            path.write_text(caddyfile(example, self.port, unix, self.place / "storage"))
            with open(self.log_path, "wb") as log:
                self.process = start(["caddy", "run", "--config", str(path), "--adapter", "caddyfile"],
                                     env=self.env, stdout=log, stderr=log)
            if self.comes_up():
                break
        else:
            raise Broken("Caddy does not start with the example; it wrote:\n" + self.log())
        self.root = self.place / "storage/pki/authorities/local/root.crt"
        self.base = "https://localhost:{}".format(self.port)

    def comes_up(self):
        until = time.monotonic() + CADDY_SECONDS_MAX
        while time.monotonic() < until and self.process.poll() is None:
            if run(self.curl_command("localhost", "/+health", ["-k", "-o", os.devnull]), self.env).code == 0:
                return True
            time.sleep(0.1)
        end(self.process)
        return False

    def curl_command(self, name, path, more):
        return ["curl", "-sS", "--max-time", "60", "--noproxy", "*", "--resolve",
                "{}:{}:127.0.0.1".format(name, self.port), *more, "https://{}:{}{}".format(name, self.port, path)]

    def curl(self, name, path, *more):
        return run(self.curl_command(name, path, ["--cacert", str(self.root), *more]), self.env)

    def log(self):
        return self.log_path.read_text(errors="replace")[-4000:]


def through_caddy(tools, binary, example):
    require(shutil.which("caddy") and shutil.which("curl"), "caddy and curl are needed; install both")
    upstream = Upstream()
    unix = Path(temp_dir("socket")) / "http.sock"
    # The site's port is not known yet; the public URL is without one, and over a Unix socket any port goes.
    server = Sidewheel(binary, temp_dir("data"), upstream,
                       ["--listen", "unix:{}".format(unix), "--public-url", "https://{}/".format(NAME)])
    caddy = Caddy(example.read_text(), unix)
    note("Caddy " + must(["caddy", "version"], caddy.env).text.split()[0])

    index = caddy.base + "/root/pypi/+simple/"
    tools.pip_new.install(index, temp_dir("home"), "--cert", caddy.root)
    tools.pip_old.install(index, temp_dir("home"), "--cert", caddy.root)
    tools.uv.install(index, temp_dir("home"), SSL_CERT_FILE=str(caddy.root))
    passed("pip (both) and uv install through Caddy over https")

    hosts(caddy)
    cut(caddy, upstream)
    events(caddy)

    # Caddy's first check comes with its start; curl's own requests do not count.
    asked = [line for line in server.whole_log().splitlines() if "/+health" in line and "Go-http-client" in line]
    require(asked, "Caddy never asked for the health of the server")
    require(all('"status":200' in line for line in asked), "Caddy's health checks fail:\n" + "\n".join(asked[-3:]))
    bad = [line for line in caddy.log_path.read_text(errors="replace").splitlines()
           if "health_checker" in line and '"level":"info"' not in line]
    require(not bad, "Caddy's health checks fail:\n" + "\n".join(bad[-3:]))
    require(caddy.curl("localhost", "/+health", "-f", "-o", os.devnull).code == 0, "unhealthy behind Caddy")
    passed("Caddy's health checks find the server well")
    end(caddy.process)
    server.stop()
    upstream.close()
    uploads(binary, lambda unix: Caddy(example.read_text(), unix))


def hosts(caddy):
    def status(name, *more):
        ran = caddy.curl(name, "/root/pypi/+simple/alpha/", "-o", os.devnull, "-w", "%{http_code}", *more)
        require(ran.code == 0, ran.told())
        return ran.text

    require(status(NAME) == "200", "the name of --public-url is answered {}".format(status(NAME)))
    for form in ("--http1.1", "--http2"):
        require(status(FOREIGN, form) == "421", "a foreign name is answered {}, not 421".format(status(FOREIGN, form)))
    # No header of the asker may end up in a page.
    ran = caddy.curl(NAME, "/root/pypi/+simple/alpha/", "-H", "X-Outside-URL: https://evil.example/",
                     "-H", "X-Forwarded-Host: evil.example")
    require(ran.code == 0 and "evil" not in ran.text and "alpha-1.1" in ran.text, "a header is in the page: " + ran.told())
    passed("behind Caddy the name of --public-url is served, a foreign one is answered 421, headers leave no trace")


def events(caddy):
    # curl: 28 is its own patience, which ends what has no end.
    for form in ("--http1.1", "--http2"):
        ran = caddy.curl(NAME, "/+status/events", form, "-N", "-i", "--max-time", "4")
        require(ran.code == 28 and "text/event-stream" in ran.text, "the status's events: " + ran.told())
        require(ran.text.count("data: {") + ran.text.count("\n:\n") >= 2, "they do not come while they happen:\n" + ran.text)
    passed("the events of the status come through Caddy while they happen, by HTTP/1.1 and HTTP/2")


def cut(caddy, upstream):
    wheel = upstream.dist("bigwheel-1.0-py3-none-any.whl")
    path = "/root/pypi/+f/{}/{}/{}".format(wheel.sha256[:3], wheel.sha256[3:16], wheel.filename)
    for form, version in (("--http1.1", "1.1"), ("--http2", "2")):
        out = Path(temp_dir("cut")) / "body"
        upstream.flipped.add(wheel.filename)
        upstream.held[wheel.filename] = threading.Event()
        result = []
        asking = threading.Thread(target=lambda: result.append(
            caddy.curl(NAME, path, form, "-N", "-o", str(out), "-w", "%{http_version} %{http_code}")))
        asking.start()
        # Only when the client has bytes goes the rest out: so the wrong one comes too late for a clean error.
        until = time.monotonic() + 20
        while not (out.exists() and out.stat().st_size) and asking.is_alive() and time.monotonic() < until:
            time.sleep(0.02)
        streamed = out.exists() and out.stat().st_size > 0
        upstream.held.pop(wheel.filename).set()
        asking.join()
        require(result, "curl over HTTP/{} did not come to an end".format(version))
        ran = result[0]
        require(streamed, "a cold file of 3 MB does not stream through Caddy: " + ran.told())
        require(ran.code in ABORTED, "wrong bytes over HTTP/{} end curl with {}, not 18 or 92: {}".format(
            version, ran.code, ran.told()))
        require("{} 200".format(version) in ran.text, "not asked over HTTP/{}: {}".format(version, ran.told()))
        require(out.stat().st_size < len(wheel.data), "the wrong body over HTTP/{} came whole".format(version))
        passed("a body that is cut reaches the client as an abort over HTTP/{} (curl: {})".format(version, ran.code))
    upstream.flipped.clear()
    for form in ("--http1.1", "--http2"):
        out = Path(temp_dir("whole")) / "body"
        ran = caddy.curl(NAME, path, form, "-f", "-o", str(out))
        require(ran.code == 0 and digest(out.read_bytes()) == wheel.sha256, "after that the good file: " + ran.told())
    passed("once upstream is good the same file comes whole over both")
