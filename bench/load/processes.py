"""Processes that are measured: started, asked what they cost, and ended by their id."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

import fixture

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20

# What pip 25 sends.
PIP_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
)


def cpu_seconds(pid):
    """User and system time of a process and all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def memory_mib(pid):
    """Resident memory now and at its highest, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) / 1024 for name in ("VmRSS", "VmHWM"))


def fetch(url, accept="*/*"):
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": "identity"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


class Process:
    """A server; `with` ends it."""

    def __init__(self, command, core=None, environment=None, stdout=subprocess.DEVNULL, stderr=None):
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        self.started = time.monotonic()
        # taskset becomes the program: the id is the server's own.
        self.process = subprocess.Popen(
            pinned + command, env={**os.environ, **(environment or {})}, stdout=stdout, stderr=stderr
        )
        self.pid = self.process.pid
        self.url = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])


class Nginx(Process):
    def __init__(self, directory, root, core=None, **settings):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        for _ in range(5):
            # nginx cannot take port 0: a port that was free a moment ago, and another try if it no longer is.
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            conf = self.directory / "nginx.conf"
            conf.write_text(fixture.nginx_conf(self.directory, port, root, **settings))
            super().__init__([program, "-p", str(directory), "-c", str(conf), "-e", f"{directory}/error.log"], core)
            self.url = f"http://127.0.0.1:{port}"
            if self._answers(port):
                return
            self.stop()
        raise SystemExit(f"nginx does not start: {(self.directory / 'error.log').read_text()[-500:]}")

    def _answers(self, port):
        while time.monotonic() - self.started < START_SECONDS_MAX and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return True
            except OSError:
                time.sleep(0.01)
        return False

    def gets(self, path):
        """GETs of a path, by the access log."""
        log = (self.directory / "access.log").read_text().splitlines()
        return sum(1 for line in log if line.startswith(f"GET {path} "))


class Sidewheel(Process):
    def __init__(self, program, data, upstream, core=None, workers=None, memory="256MiB"):
        data = pathlib.Path(data)
        self.data = data
        environment = {"RUST_LOG": "warn"}
        if workers:
            environment["TOKIO_WORKER_THREADS"] = str(workers)
        command = [str(program), "serve", "--listen", "127.0.0.1:0", "--data", str(data)]
        command += ["--upstream", f"{upstream}/simple/", "--file-origin", upstream, "--page-ttl", "1h"]
        command += ["--memory", memory, "--disk", "10GB", "--log-format", "json"]
        self.command = " ".join(command)
        data.parent.mkdir(parents=True, exist_ok=True)
        self.log = data.with_suffix(".log").open("ab")
        super().__init__(command, core, environment, stdout=subprocess.PIPE, stderr=self.log)
        for line in self.process.stdout:
            found = re.search(rb"http://127\.0\.0\.1:\d+", line)
            if found:
                self.url = found[0].decode()
                break
        if not self.url:
            self.stop()
            raise SystemExit(f"no address was printed by: {self.command}\n{self._last_lines()}")
        # Whatever else it prints must not fill the pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _last_lines(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")[-800:]

    def stop(self):
        super().stop()
        self.log.close()

    def page(self, project):
        return f"/root/pypi/+simple/{project}/"

    def links(self, project):
        """The paths of a project's files, as its page links them."""
        page = json.loads(fetch(self.url + self.page(project), PIP_ACCEPT))
        links = (file["url"].split("#")[0] for file in page["files"])
        # Links are relative, `../../+f/…`, to /root/pypi/+simple/project/.
        return [link.replace("../../", "/root/pypi/", 1) for link in links]

    def answered(self, kind, tier):
        """How many answers of a kind came from a tier of the cache, by its own count."""
        text = fetch(self.url + "/+metrics").decode()
        found = re.search(rf'answers_total{{kind="{kind}",tier="{tier}"}} (\d+)', text)
        return int(found[1]) if found else 0

    def heat(self, path):
        """Asks for a file until it is answered from memory."""
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            before = self.answered("file", "memory")
            fetch(self.url + path)
            if self.answered("file", "memory") > before:
                return
            time.sleep(0.05)
        raise SystemExit(f"{path} is never answered from memory")

    def settled(self):
        """Waits until what it does after an answer (books, metadata) is done: until it uses no more CPU."""
        quiet = 0
        last = cpu_seconds(self.pid)
        end = time.monotonic() + START_SECONDS_MAX
        while quiet < 3 and time.monotonic() < end:
            time.sleep(0.1)
            used = cpu_seconds(self.pid)
            quiet = quiet + 1 if used - last < 2 * TICK_SECONDS else 0
            last = used


def wrk(url, seconds, core, header=None):
    """Requests, requests a second and the 99th percentile (ms) of a keep-alive GET with 16 connections."""
    command = ["taskset", "-c", str(core), "wrk", "-t1", "-c16", f"-d{seconds}s", "--latency"]
    command += ["-H", f"Accept: {PIP_ACCEPT}", "-H", "Accept-Encoding: identity", *(["-H", header] if header else []), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"wrk saw failures:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return requests, per_second, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


class Drain:
    """The client of drain.c, compiled once for a run."""

    def __init__(self, directory):
        self.program = pathlib.Path(directory) / "drain"
        source = pathlib.Path(__file__).with_name("drain.c")
        subprocess.run(["cc", "-O2", "-o", str(self.program), str(source)], check=True)

    def start(self, server, connections, seconds, requests, paths, core=None):
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        command = [str(self.program), "127.0.0.1", str(server.port), str(connections), str(seconds), str(requests)]
        process = subprocess.Popen(pinned + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write("\n".join(paths) + "\n")
        process.stdin.close()
        return process

    def finish(self, process):
        text = process.stdout.read()
        if process.wait() != 0:
            raise SystemExit(f"drain saw failures: {text}")
        return json.loads(text)

    def run(self, *arguments, **named):
        answer = self.finish(self.start(*arguments, **named))
        return answer
