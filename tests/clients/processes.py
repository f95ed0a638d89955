"""Processes and checks: starts commands in a clean environment, ends them by id, and says what was promised.

In: command lines. Out: finished commands, a running server. It may not know what is checked.
"""

import atexit
import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

# How long any one client may take; a cold poetry on a busy machine is the slowest.
CLIENT_SECONDS_MAX = 120
# How long the server may take to say where it listens.
START_SECONDS_MAX = 20
# The server promises an orderly end within this time.
STOP_SECONDS_MAX = 15

_running = {}  # pid to Popen: what must not outlive this run
_temp = []


class Broken(Exception):
    """A promise that does not hold, as one sentence."""


class Tally:
    passed = 0
    started = time.monotonic()


def passed(sentence):
    Tally.passed += 1
    print("ok {:>3} [{:5.1f}s] {}".format(Tally.passed, time.monotonic() - Tally.started, sentence), flush=True)


def note(sentence):
    print("   note: " + sentence, flush=True)


def require(condition, sentence):
    if not condition:
        raise Broken(sentence)


def temp_dir(prefix):
    path = tempfile.mkdtemp(prefix="clients-" + prefix + "-")
    _temp.append(path)
    return path


def end(process):
    """Ends a process that we started, and the group that it leads, for good."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # the group is gone, or its last member is a zombie that wait() takes
    process.wait()
    _running.pop(process.pid, None)


def end_all():
    for process in list(_running.values()):
        end(process)
    for path in _temp:
        shutil.rmtree(path, ignore_errors=True)


atexit.register(end_all)


def start(command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    try:
        process = subprocess.Popen(command, start_new_session=True, **options)
    except OSError as error:
        raise Broken("{} cannot be started: {}".format(command[0], error))
    _running[process.pid] = process
    return process


class Ran:
    """A finished command: exit code and everything that it wrote."""

    def __init__(self, command, code, text):
        self.command, self.code, self.text = command, code, text

    def told(self):
        return "`{}` ended with {}:\n{}".format(" ".join(self.command), self.code, self.text[-4000:])


def run(command, env, cwd=None, seconds=CLIENT_SECONDS_MAX, typed=""):
    """Runs to the end; `typed` is what it reads from its standard input."""
    command = [str(part) for part in command]
    process = start(command, env=env, cwd=cwd, stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    try:
        text, _ = process.communicate(typed or None, timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process)
        raise Broken("`{}` did not end within {} s".format(" ".join(command), seconds))
    _running.pop(process.pid, None)
    return Ran(command, process.returncode, text)


def must(command, env, cwd=None, seconds=CLIENT_SECONDS_MAX):
    ran = run(command, env, cwd, seconds)
    require(ran.code == 0, ran.told())
    return ran


def clean_env(home, **more):
    """An environment in which no configuration and no cache of this machine or of another check is seen."""
    home = str(home)
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": home,
        "XDG_CACHE_HOME": home + "/cache",
        "XDG_CONFIG_HOME": home + "/config",
        "XDG_DATA_HOME": home + "/data",
        "XDG_STATE_HOME": home + "/state",
        "TMPDIR": home + "/tmp",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "POETRY_CACHE_DIR": home + "/cache/poetry",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_NO_INTERACTION": "1",
        "PDM_CHECK_UPDATE": "0",
        "PDM_CACHE_DIR": home + "/cache/pdm",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    os.makedirs(home + "/tmp", exist_ok=True)
    env.update(more)
    return env


def digest(data):
    return hashlib.sha256(data).hexdigest()


def check_store(data, when, shelf="files"):
    """Every file on a shelf of a data directory has the digest that is its name; how many there are."""
    count = 0
    for path in Path(data, shelf).glob("??/*"):
        require(digest(path.read_bytes()) == path.parent.name + path.name,
                "{}: the stored file {} is not whole".format(when, path.relative_to(data)))
        count += 1
    return count


def check_database(data, when, name="sidewheel.db"):
    database = sqlite3.connect(os.path.join(data, name))
    try:
        said = database.execute("pragma integrity_check").fetchall()
    finally:
        database.close()
    require(said == [("ok",)], "{}: {} is not sound: {}".format(when, name, said[:3]))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def tier(self):
        return (self.headers.get("X-Cache") or "").lower()


def get(url, headers=None, method="GET", seconds=60, body=None):
    """One request without proxy and redirects; a broken body is a `Broken`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with opener.open(request, timeout=seconds) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())
    except (OSError, HTTPException) as error:
        raise Broken("{} {} got no whole answer: {!r}".format(method, url, error))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Sidewheel:
    """The server under test, from its start line to its end."""

    def __init__(self, binary, data, upstream=None, extra=(), prefix=(), wait=True, env=None, disk="1GB"):
        self.data = str(data)
        self.log_path = os.path.join(temp_dir("log"), "log")
        command = list(prefix) + [str(binary), "serve", "--listen", "127.0.0.1:0", "--data", self.data,
                                  "--memory", "64MiB", "--disk", disk, "--log-format", "json"]
        if upstream is not None:
            command += ["--upstream", upstream.url, "--file-origin", upstream.origin]
        if "--page-ttl" not in extra:
            command += ["--page-ttl", "10m"]
        command += list(extra)
        self.command = command
        self.lines = []
        self.base = None
        self.heard = threading.Event()
        with open(self.log_path, "wb") as log:
            self.process = start(command, stdout=subprocess.PIPE, stderr=log, text=True, errors="replace",
                                 env=env or clean_env(temp_dir("server")))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if wait:
            self.wait_until_ready()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found and not self.base:
                self.base = found.group(0)
                self.heard.set()
        self.heard.set()  # the end of the output is an answer too

    def wait_until_ready(self):
        self.heard.wait(START_SECONDS_MAX)
        require(self.base, "the server did not say where it listens; `{}` wrote:\n{}{}".format(
            " ".join(self.command), "".join(self.lines), self.log()))

    def whole_log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def log(self):
        return self.whole_log()[-4000:]

    @property
    def index(self):
        return self.base + "/root/pypi/+simple/"

    def page(self, project):
        accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
        return get(self.index + project + "/", accept)

    def stop(self):
        """An orderly end: SIGTERM, exit code 0 within the promised time."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            end(self.process)
            raise Broken("the server did not end within {} s of SIGTERM; it wrote:\n{}".format(
                STOP_SECONDS_MAX, self.log()))
        end(self.process)
        require(code == 0, "the server ended with {} after SIGTERM; it wrote:\n{}".format(code, self.log()))

    def kill(self):
        end(self.process)
