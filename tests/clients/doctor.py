"""`sidewheel doctor` on machines that are well and on machines that are not: ports, upstreams, certificates, clocks,
disks, permissions, proxies, tools and leftovers of devpi, each made wrong for real.

In: the tools, the binary, the example for Caddy. Out: passed checks.
"""

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

from caddy import Caddy, NAME, free_port
from fixture import Upstream
from processes import Broken, Sidewheel, clean_env, end, get, must, note, passed, require, run, start, temp_dir

WORDS = {"ok", "skipped", "warning", "failed"}
CHECKS = {"settings", "port", "server", "upstream", "clock", "disk", "permissions", "memory", "open files", "proxy",
          "tools", "devpi", "install"}


def doctor(tools, binary, example):
    upstream = Upstream()
    well(tools, binary, upstream)
    ports(binary, upstream)
    upstreams(binary, upstream)
    places(binary, upstream)
    told(tools, binary, upstream)
    leftovers(binary, upstream)
    through_caddy(binary, upstream, example)
    upstream.close()


class Seen:
    """What the doctor found, by its JSON."""

    def __init__(self, binary, arguments, env=None, home=None):
        self.home = home or temp_dir("home")
        env = env or clean_env(self.home)
        ran = subprocess.run([str(binary), "doctor", "--json", "--package", "alpha", *map(str, arguments)], env=env,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, cwd=self.home)
        self.code, self.text = ran.returncode, ran.stdout + ran.stderr
        try:
            self.said = json.loads(ran.stdout)
        except ValueError:
            raise Broken("doctor says no JSON ({}):\n{}".format(ran.returncode, self.text))
        self.findings = self.said["findings"]

    def has(self, check, status, words, line=""):
        for finding in self.findings:
            if finding["check"] == check and finding["status"] == status and words in finding["says"] \
                    and line in (finding["type"] or ""):
                return self
        raise Broken("the doctor does not find {} {} {!r} {!r}:\n{}".format(check, status, words, line, self.text))

    def lacks(self, check, *statuses):
        bad = [finding for finding in self.findings if finding["check"] == check and finding["status"] in statuses]
        require(not bad, "the doctor finds what is not there: {}".format(bad))
        return self

    def ended(self, code):
        require(self.code == code, "the doctor ended with {}, not {}:\n{}".format(self.code, code, self.text))
        return self


class Served:
    """A server at a port that its settings name, as on a real machine."""

    def __init__(self, binary, upstream, *more, env=None):
        for _ in range(3):
            self.port = free_port()
            self.data = temp_dir("data")
            self.arguments = ["--listen", "127.0.0.1:{}".format(self.port), "--data", self.data, "--disk", "100MB",
                              "--memory", "64MiB", "--upstream", upstream.url, "--file-origin", upstream.origin, *more]
            self.log = open(os.path.join(temp_dir("log"), "log"), "wb")
            self.process = start([str(binary), "serve", *self.arguments], stdout=self.log, stderr=self.log,
                                 env=env or clean_env(temp_dir("server")))
            password = Path(self.data) / "root-password"
            # Written when the port is bound already.
            if listens(self.port, self.process) and there(password) and there(Path(self.data) / "control.sock"):
                require(get("http://127.0.0.1:{}/+ready".format(self.port)).status == 200, "the server is not ready")
                password.unlink()
                return
            end(self.process)
        raise Broken("the server does not start")


def there(path):
    until = time.monotonic() + 20
    while time.monotonic() < until and not path.exists():
        time.sleep(0.05)
    return path.exists()


def listens(port, process=None):
    until = time.monotonic() + 20
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def with_tool(*programs, **more):
    """An environment whose path holds these programs (and the system's), and a home."""
    home = temp_dir("home")
    place = Path(temp_dir("path"))
    for program in programs:
        (place / Path(program).name).symlink_to(program)
    return home, clean_env(home, PATH="{}:/usr/bin:/bin".format(place), **more)


def well(tools, binary, upstream):
    server = Served(binary, upstream)
    uv_home, uv_env = with_tool(tools.uv.binary, UV_PYTHON=str(tools.python))
    if not shutil.which("python3", path=uv_env["PATH"]):
        os.symlink(tools.python, os.path.join(uv_env["PATH"].split(":")[0], "python3"))
    must([binary, "configure", "uv", "--url", "http://127.0.0.1:{}".format(server.port)], uv_env)
    uv_env.pop("UV_NO_CONFIG")
    seen = Seen(binary, server.arguments, uv_env, uv_home).ended(0)
    seen.has("install", "ok", "uv installed alpha").has("tools", "ok", "uv installs from here")
    for check in CHECKS - {"tools", "devpi", "proxy", "memory", "disk"}:
        seen.lacks(check, "failed", "warning")
    require(set(seen.said) == {"version", "status", "findings"} and seen.said["status"] in WORDS, "other JSON: " + seen.text)
    for finding in seen.findings:
        require(set(finding) == {"check", "status", "says", "type"} and finding["status"] in WORDS and
                finding["check"] in CHECKS, "a finding of another shape: {}".format(finding))
        require(bool(finding["type"]) == (finding["status"] in ("warning", "failed")), "no line to type: {}".format(finding))
    require({finding["check"] for finding in seen.findings} == CHECKS, "checks are missing: " + seen.text)

    pip_home, pip_env = with_tool()
    shim = Path(pip_env["PATH"].split(":")[0]) / "pip3"
    shim.write_text('#!/bin/sh\nexec "{}" -m pip "$@"\n'.format(tools.pip_new.python))
    shim.chmod(0o755)
    Seen(binary, server.arguments, pip_env, pip_home).has("install", "ok", "pip installed alpha")
    bare = clean_env(temp_dir("home"), PATH=temp_dir("path"))
    Seen(binary, server.arguments, bare).has("install", "ok", "its digest is right")
    seen = Seen(binary, server.arguments + ["--no-network"], bare).ended(0)
    seen.has("install", "skipped", "--no-network").has("upstream", "skipped", "--no-network")
    Seen(binary, server.arguments + ["--no-smoke"], bare).has("install", "skipped", "--no-smoke")
    wrong = Seen(binary, ["--page-ttl", "soon"], bare).ended(1)
    wrong.has("settings", "failed", "page_ttl", "sidewheel check").has("port", "skipped", "settings")
    end(server.process)
    human = run([binary, "doctor", *server.arguments, "--no-network"], bare)
    require("skipped  install" in human.text and "-> sidewheel serve" in human.text, "not for people: " + human.text)
    passed("a machine that is well is found well, with uv, pip or neither; JSON has one shape")


def ports(binary, upstream):
    server = Served(binary, upstream)
    other = ["--listen", "127.0.0.1:{}".format(server.port), "--data", temp_dir("other"), "--no-network"]
    Seen(binary, other).ended(1).has("port", "failed", "another Sidewheel", "sidewheel serve --listen")
    Seen(binary, server.arguments[2:] + ["--listen", "127.0.0.1:{}".format(free_port()), "--no-network"]) \
        .has("port", "warning", "other settings")
    end(server.process)
    port = free_port()
    taken = start([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
    require(listens(port), "http.server does not start")
    arguments = ["--listen", "127.0.0.1:{}".format(port), "--data", temp_dir("data"), "--no-network"]
    seen = Seen(binary, arguments).ended(1)
    seen.has("port", "failed", "another program").has("port", "failed", "process {} (".format(taken.pid))
    seen.has("port", "failed", "http.server")
    end(taken)
    lookalike = scripted({"X-DEVPI-SERVER-VERSION": "6.20.3", "X-DEVPI-API-VERSION": "2"})
    arguments[1] = "127.0.0.1:{}".format(lookalike.server_address[1])
    Seen(binary, arguments).ended(1).has("port", "failed", "devpi-server 6.20.3 has")
    lookalike.shutdown()
    passed("who has the port is named: another Sidewheel, another program, devpi-server")


def scripted(headers, secure=None):
    """A server that answers everything with an empty object and these fields."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(200)
            for name, value in dict({"Date": formatdate(usegmt=True)}, **headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # a client that does not believe our certificate goes away

    server = Quiet(("127.0.0.1", 0), Handler)
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*secure)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def upstreams(binary, upstream):
    def look(url, env=None):
        return Seen(binary, ["--listen", "127.0.0.1:0", "--data", temp_dir("data"), "--upstream", url], env)

    gone = "http://127.0.0.1:{}/simple/".format(free_port())
    look(gone).ended(1).has("upstream", "failed", "could not be reached", "curl")
    look("https://index.invalid/simple/").ended(1).has("upstream", "failed", "cannot be resolved")
    home = temp_dir("home")
    proxied = clean_env(home, HTTP_PROXY="http://ada:geheim@127.0.0.1:{}".format(free_port()), NO_PROXY="", no_proxy="")
    seen = look(upstream.url, proxied).ended(1).has("upstream", "failed", "through the proxy http://***@127.0.0.1")
    require("geheim" not in seen.text, "the proxy's password is shown: " + seen.text)
    proxied["NO_PROXY"] = "127.0.0.0/8"
    look(upstream.url, proxied).ended(0).has("upstream", "ok", "NO_PROXY has 127.0.0.0/8")

    place = Path(temp_dir("ca"))
    key, certificate = place / "key.pem", place / "certificate.pem"
    must(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
          "-subj", "/CN=doctor-test.example", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext",
          "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate], clean_env(place))
    secure = scripted({}, (certificate, key))
    url = "https://localhost:{}/simple/".format(secure.server_address[1])
    look(url).ended(1).has("upstream", "failed", "company's proxy", "company-ca.pem")
    trusting = clean_env(temp_dir("home"), SSL_CERT_FILE=str(certificate))
    look(url, trusting).ended(0).has("upstream", "ok", "certificate good (those of {})".format(certificate))
    missing = clean_env(temp_dir("home"), SSL_CERT_FILE="/nowhere/ca.pem")
    look(url, missing).ended(1).has("upstream", "failed", "/nowhere/ca.pem", "SSL_CERT_FILE")
    secure.shutdown()

    for off, status, words in ((120, "warning", "behind"), (-90_000, "failed", "25 hours ahead of")):
        wrong = scripted({"Date": formatdate(time.time() + off, usegmt=True)})
        seen = look("http://127.0.0.1:{}/simple/".format(wrong.server_address[1]))
        seen.has("clock", status, words, "timedatectl" if sys.platform == "linux" else "sntp")
        wrong.shutdown()
    passed("an upstream that is away, unresolved, behind a proxy, untrusted, or of another time is told as that")


def places(binary, upstream):
    server = Served(binary, upstream)
    data = Path(server.data)
    (data / "private.db").chmod(0o644)
    (data / "root-password").write_text("x")
    seen = Seen(binary, server.arguments + ["--no-network"]).ended(1)
    seen.has("permissions", "failed", "private.db", "chmod go=").has("permissions", "warning", "root-password"[:4])
    (data / "private.db").chmod(0o600)
    (data / "root-password").unlink()
    data.chmod(0o777)
    Seen(binary, server.arguments + ["--no-network"]).ended(1).has("permissions", "failed", "mode 777", "chmod go-w")
    data.chmod(0o755)
    Seen(binary, server.arguments + ["--no-network"]).lacks("permissions", "failed", "warning")
    if os.geteuid() == 0:
        (data / "stray").write_text("")
        os.chown(data / "stray", 12345, 12345)
        Seen(binary, server.arguments + ["--no-network"]).ended(1).has("permissions", "failed", "stray", "chown -R 0")
    else:
        note("files of another owner were NOT checked: that needs root")
    end(server.process)
    Seen(binary, ["--listen", "127.0.0.1:0", "--memory", "1000TB", "--no-network"]).ended(1) \
        .has("memory", "failed", "more than this machine has", "--memory")
    small = Path(temp_dir("small"))
    can_mount = sys.platform == "linux" and os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=50M", "tmpfs", str(small)], stderr=subprocess.DEVNULL).returncode == 0
    if can_mount:
        try:
            seen = Seen(binary, ["--listen", "127.0.0.1:0", "--data", small, "--no-network"]).ended(1)
            seen.has("disk", "failed", "are free", "df -h").has("disk", "warning", "tmpfs")
        finally:
            subprocess.run(["umount", "-l", str(small)], check=False)
    else:
        note("a small disk was NOT checked: that needs Linux and root, to mount one")
    passed("permissions, owners, memory and disks that are wrong are found, with the line that mends them")


def told(tools, binary, upstream):
    server = Served(binary, upstream)
    home, env = with_tool(tools.uv.binary)
    for name in ("PIP_CONFIG_FILE", "UV_NO_CONFIG"):
        env.pop(name)
    conf = Path(home) / "config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[global]\nindex-url = http://u:geheim@127.0.0.1:3142/root/pypi/+simple/\n"
                    "extra-index-url = https://elsewhere.example/\ntrusted-host = elsewhere.example\n")
    seen = Seen(binary, server.arguments + ["--no-network"], env, home)
    seen.has("tools", "warning", "as one of devpi does", "sidewheel configure pip").has("tools", "warning", "private name")
    seen.has("tools", "warning", "certificate of elsewhere.example").has("tools", "warning", "uv is told nothing", "configure uv")
    require("geheim" not in seen.text, "a password is shown: " + seen.text)
    env["UV_DEFAULT_INDEX"] = "http://localhost:{}/root/pypi/+simple/".format(server.port)
    Seen(binary, server.arguments + ["--no-network"], env, home).has("tools", "ok", "uv installs from here (the environment)")
    end(server.process)
    passed("what tools are told is judged: devpi's old address, a second index, unlooked-at certificates")


def leftovers(binary, upstream):
    home = temp_dir("home")
    place = Path(home) / ".devpi/server"
    place.mkdir(parents=True)
    (place / ".serverversion").write_text("4")
    (place / "data").write_bytes(bytes(2_000_000))
    unit = Path(home) / ".config/systemd/user/devpi.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/opt/devpi/bin/devpi-server --port 3141\n")
    plist = Path(home) / "Library/LaunchAgents/net.devpi.plist"
    plist.parent.mkdir(parents=True)
    plist.write_text("<plist><string>/opt/devpi/bin/devpi-server</string></plist>")
    fake = Path(temp_dir("bin")) / "devpi-server"
    fake.write_text("import time\ntime.sleep(60)\n")
    process = start([sys.executable, str(fake), "--serverdir", str(place)], stdout=subprocess.DEVNULL)
    time.sleep(0.2)
    env = clean_env(home)
    seen = Seen(binary, ["--listen", "127.0.0.1:0", "--data", temp_dir("data"), "--no-network"], env, home).ended(0)
    seen.has("devpi", "warning", "process {}".format(process.pid))
    seen.has("devpi", "warning", "(2 MB)", "sidewheel import devpi --serverdir {}".format(place))
    seen.has("devpi", "warning", "devpi.service", "systemctl --user disable --now devpi.service")
    seen.has("devpi", "warning", "net.devpi.plist", "launchctl bootout gui/")
    require((place / "data").stat().st_size == 2_000_000 and process.poll() is None, "the doctor changed something")
    end(process)
    passed("what is left of devpi is found: process, directory, systemd unit, LaunchAgent, each with the line to type")


def through_caddy(binary, upstream, example):
    require(shutil.which("caddy") and shutil.which("curl"), "caddy and curl are needed; install both")
    text = example.read_text()

    def look(text, *words, public=True, status="failed"):
        unix = Path(temp_dir("socket")) / "http.sock"
        # The site's port is not known yet: what the server calls itself has none.
        extra = ["--public-url", "https://localhost/"] if public else []
        data = temp_dir("data")
        arguments = ["--listen", "unix:{}".format(unix), "--data", data, "--upstream", upstream.url, "--file-origin",
                     upstream.origin, "--disk", "100MB", *extra]
        with open(os.path.join(temp_dir("log"), "log"), "wb") as log:
            server = start([str(binary), "serve", *arguments], stdout=log, stderr=log, env=clean_env(temp_dir("server")))
        # Caddy asks for its health first, and not again for a while.
        require(there(unix) and there(Path(data) / "control.sock"), "the server does not start")
        caddy = Caddy(text, unix)
        env = clean_env(temp_dir("home"), SSL_CERT_FILE=str(caddy.root))
        seen = Seen(binary, [*arguments, "--no-smoke", "--no-network", "--through", caddy.base + "/"], env)
        if words:
            seen.has("proxy", status, *words)
        if status == "failed" and public and not words:
            seen.lacks("proxy", "failed", "warning").has("proxy", "ok", "leads to this server, over HTTP/2")
            seen.has("proxy", "ok", "uploads of 4 MB come through").has("port", "ok", "unix:")
            untrusting = Seen(binary, [*arguments, "--no-smoke", "--no-network", "--through", caddy.base + "/"])
            untrusting.ended(1).has("proxy", "failed", "does not trust its certificate", "caddy trust")
        end(caddy.process)
        end(server)

    def changed(old, new):
        require(old in text, "Caddyfile.example has no {!r} any more; adapt tests/clients/doctor.py".format(old))
        return text.replace(old, new, 1)

    front = "\t# No `encode` here"
    look(text)
    look(changed(front, "\tencode gzip\n" + front), "compresses answers anew (gzip)", "`encode`")
    look(changed("max_size 2GB", "max_size 1MB"), "uploads of 4 MB", "max_size")
    look(changed("\t\thealth_uri", "\t\theader_up Host other.example\n\t\thealth_uri"), "another host name", "header_up")
    look(changed("\t\tdial_timeout 2s", "\t\tdial_timeout 2s").replace("reverse_proxy unix//run", "respond /+api 404\n\treverse_proxy unix//run"),
         "that is not us", "handle")
    passed("a good Caddy is found good; one that compresses, limits uploads, changes Host or hides paths is told apart")
