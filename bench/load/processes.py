"""Processes that are measured: started, asked what they cost, and ended by their id."""

import contextlib
import html
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
# Some rivals never rest.
SETTLE_SECONDS_MAX = 10

# What pip 25 sends.
PIP_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
)


def family(pid):
    """A process and all its descendants: gunicorn's workers are children of their master."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            for task in pathlib.Path(f"/proc/{one}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def cpu_seconds(pid):
    """User and system time of a process, all its threads and all its descendants."""
    used = 0.0
    for one in family(pid):
        try:
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # utime and stime, and of children that have ended and were waited for.
        used += sum(int(field) for field in fields[11:15]) * TICK_SECONDS
    return used


def memory_mib(pid):
    """Resident memory now and at its highest, in MiB, summed over a process and its descendants."""
    now = highest = 0.0
    for one in family(pid):
        try:
            status = pathlib.Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        rss, hwm = (re.search(rf"^{name}:\s+(\d+) kB", status, re.M) for name in ("VmRSS", "VmHWM"))
        if rss and hwm:
            now, highest = now + int(rss[1]) / 1024, highest + int(hwm[1]) / 1024
    return now, highest


def fetch(url, accept="*/*", encoding="identity", timeout=60):
    return answer(url, accept, encoding, timeout)[0]


def answer(url, accept="*/*", encoding="identity", timeout=60):
    """The body of an answer as it was sent, and its headers."""
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=timeout) as got:
        return got.read(), got.headers


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Process:
    """A server; `with` ends it."""

    name = "?"

    def __init__(self, command, core=None, environment=None, stdout=subprocess.DEVNULL, stderr=None, cwd=None):
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        self.started = time.monotonic()
        # taskset becomes the program: the id is the server's own.
        self.process = subprocess.Popen(
            pinned + [str(word) for word in command],
            env={**os.environ, **(environment or {})},
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
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

    def cpu(self):
        return cpu_seconds(self.pid)

    def memory(self):
        return memory_mib(self.pid)

    def forget_peak(self):
        """The highest resident memory is counted anew from here."""
        for one in family(self.pid):
            with contextlib.suppress(OSError):
                pathlib.Path(f"/proc/{one}/clear_refs").write_text("5")

    def index(self):
        """The simple API's address, for uv and pip."""
        return self.url + self.page("").rstrip("/") + "/"

    def links(self, project):
        """The paths of a project's files, as its page links them."""
        address = self.url + self.page(project)
        body, headers = answer(address, PIP_ACCEPT)
        return page_links(address, body.decode(), headers.get("Content-Type", ""))

    def heat(self, path):
        """Asks until the answer comes out of its cache; whoever has no way to tell is asked thrice."""
        for _ in range(3):
            fetch(self.url + path, PIP_ACCEPT)

    def settled(self):
        """Waits until what it does after an answer (books, metadata) is done: until it uses no more CPU."""
        quiet = 0
        last = self.cpu()
        end = time.monotonic() + SETTLE_SECONDS_MAX
        while quiet < 3 and time.monotonic() < end:
            time.sleep(0.1)
            used = self.cpu()
            quiet = quiet + 1 if used - last < 2 * TICK_SECONDS else 0
            last = used

    def until_answers(self, path="/", seconds=START_SECONDS_MAX, log=None):
        """Waits for the first answer of any kind below 500; raises with the end of the log if there is none."""
        while time.monotonic() - self.started < seconds and self.process.poll() is None:
            try:
                fetch(self.url + path, timeout=5)
                return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.stop()
        tail = pathlib.Path(log).read_text(errors="replace")[-800:] if log else ""
        raise RuntimeError(f"{self.name} does not start: {tail}")


def page_links(address, text, content_type):
    """The paths that a page links, in JSON or HTML, as a client resolves them."""
    if "json" in content_type:
        links = [file["url"] for file in json.loads(text)["files"]]
    else:
        links = [html.unescape(link) for link in re.findall(r'<a[^>]*?href="([^"]+)"', text)]
    paths = []
    for link in links:
        whole = urllib.parse.urlsplit(urllib.parse.urljoin(address, link))
        paths.append(whole.path + (f"?{whole.query}" if whole.query else ""))
    return paths
