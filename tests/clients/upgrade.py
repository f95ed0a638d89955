"""One server takes over from another under load: nothing fails, nothing is lost.

In: the binary. Out: a passed check per way to replace a server: beside the old one, by signal, by command, by a restart
whose listening socket somebody else holds. Half done takeovers leave the old one serving.
"""

import array
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import packages
from crowd import Crowd
from devpi_server import init, must_api
from fixture import Upstream
from processes import (Sidewheel, check_database, check_store, clean_env, end, get, must, note, passed, require, run, start,
                       temp_dir)
from publishers import listed

# What the crowd downloads beside pages and small wheels.
LARGE_BYTES = 20_000_000
# Longest that a request may wait in a takeover; the clients' own patience is 15 s (pip).
LONGEST_SECONDS_MAX = 8
TAKEOVERS = 3
RESTARTS = 3
OLD_ENDS_SECONDS_MAX = 40


def upgrade(binary):
    upstream = Upstream()
    for project in ("large", "held"):
        dist = packages.wheel(project, "1.0", ballast=LARGE_BYTES if project == "large" else 3_000_000)
        upstream.projects[project] = (project, [dist])
        upstream.files[dist.path] = dist
    try:
        takeovers(binary, upstream)
        lost_takeovers(binary, upstream)
        restarts(binary, upstream)
        service_manager(binary, upstream)
    finally:
        upstream.close()


def prepared(binary):
    """A data directory with an index to upload to, and a token for it."""
    data = Path(temp_dir("data")) / "data"
    init(binary, data)
    server = Sidewheel(binary, data, extra=["--offline"])
    must_api(server.base, "PUT", "/alice", {"password": "alices password"})
    must_api(server.base, "PUT", "/alice/dev", {"bases": [], "volatile": False}, "alice", "alices password")
    server.stop()
    ran = must([binary, "token", "create", "--data", data, "--user", "alice", "--index", "alice/dev", "--upload",
                "--name", "upgrade"], clean_env(temp_dir("home")))
    return data, ran.text.strip().splitlines()[-1]


def holder(data):
    """The process that holds the data directory."""
    return int(Path(data, "lock").read_text().split()[0])


def wait_for(what, condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        require(time.monotonic() < until, "waited {} s in vain: {}".format(seconds, what))
        time.sleep(0.02)


def gone(server, how):
    """The old server has ended in order, by itself."""
    try:
        code = server.process.wait(OLD_ENDS_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        require(False, "{}: the old server does not end; it wrote:\n{}".format(how, server.log()))
    require(code == 0, "{}: the old server ended with {}; it wrote:\n{}".format(how, code, server.log()))


def takeovers(binary, upstream):
    """Beside each other, three times in a row, by SIGUSR2 and by `upgrade`: 50 clients notice nothing."""
    data, token = prepared(binary)
    # The file of the running program is replaced, as an installer does it.
    here = Path(temp_dir("bin"))
    copies = [here / "one", here / "two"]
    for copy in copies:
        shutil.copy(binary, copy)
    servers = [Sidewheel(copies[0], data, upstream)]
    base = servers[0].base
    crowd = Crowd(base, upstream, token)
    try:
        crowd.begin()
        # Upstream stops in the middle of one file until all is over: who fetches it is long replaced.
        upstream.held["held-1.0-py3-none-any.whl"] = threading.Event()
        crowd.fetch_held()
        wait_for("every client was served once", crowd.is_busy)
        for turn in range(TAKEOVERS):
            servers.append(Sidewheel(copies[(turn + 1) % 2], data, upstream, extra=["--take-over"]))
            require(servers[-1].base == base, "the new server listens at {}, not at {}".format(servers[-1].base, base))
            require(holder(data) == servers[-1].process.pid, "the lock names another process")
            time.sleep(1.5)
            crowd.check("after takeover {}".format(turn + 1))
        pauses = [float(pause) for server in servers[1:] for pause in
                  re.findall(r'"paused_milliseconds":([\d.]+)', server.whole_log())]
        require(len(pauses) == TAKEOVERS, "the servers tell {} pauses, not {}".format(len(pauses), TAKEOVERS))

        running = servers[-1]
        new = here / "new"
        shutil.copy(binary, new)
        os.rename(new, copies[TAKEOVERS % 2])
        before = holder(data)
        os.kill(before, signal.SIGUSR2)
        wait_for("SIGUSR2 starts a new server", lambda: holder(data) != before)
        after = holder(data)
        require(os.readlink("/proc/{}/exe".format(after)) == str(copies[TAKEOVERS % 2]) if sys.platform == "linux" else 1,
                "SIGUSR2 did not start the file that lies at the program's path now")
        time.sleep(1)
        crowd.check("after SIGUSR2")
        ran = must([copies[0], "upgrade", "--data", data], clean_env(temp_dir("home")))
        require(re.search(r"\(process {}\) has taken over from .*\(process {}\)".format(holder(data), after), ran.text)
                and holder(data) != after, ran.told())
        time.sleep(1)
        crowd.check("after `upgrade`")
        upstream.held["held-1.0-py3-none-any.whl"].set()
        crowd.end()
        for server in servers:
            gone(server, "after the last client left")
        passed("50 clients across {} takeovers, SIGUSR2 and `upgrade`: {} answers, {} uploads, none failed".format(
            TAKEOVERS, crowd.answered, len(crowd.uploaded)))
        require(crowd.longest < LONGEST_SECONDS_MAX, "a request took {:.1f} s".format(crowd.longest))
        passed("nobody accepted for {} ms; the longest request of a small file took {:.0f} ms".format(
            ", ".join("{:.0f}".format(pause) for pause in pauses), crowd.longest * 1000))
        check_uploads(base, crowd, data)
        os.kill(holder(data), signal.SIGTERM)
        wait_for("the last server ends", lambda: not answers(base))
        check_database(data, "after takeovers")
        check_database(data, "after takeovers", "private.db")
        check_store(data, "after takeovers")
        require(not list(Path(data, "tmp").iterdir()), "temporary files are left")
    finally:
        crowd.stop()
        for server in servers:
            server.kill()


def answers(base):
    where = urlsplit(base)
    try:
        socket.create_connection((where.hostname, where.port), 5).close()
        return True
    except OSError:
        return False


def check_uploads(base, crowd, data):
    files = listed(base + "/alice/dev/+simple/", "crowd")
    lost = set(crowd.uploaded) - set(files)
    require(not lost, "acknowledged and lost: {}".format(sorted(lost)))
    for filename, sha256 in crowd.uploaded.items():
        require(files[filename][1] == sha256, "{} has another digest".format(filename))
        require(hashlib.sha256(get(files[filename][0]).body).hexdigest() == sha256, "{} is damaged".format(filename))
    check_store(data, "after takeovers", "private")
    passed("all {} uploads are there, with their digests".format(len(crowd.uploaded)))


def lost_takeovers(binary, upstream):
    """A new server that fails at any step leaves the old one serving."""
    data, token = prepared(binary)
    server = Sidewheel(binary, data, upstream)
    crowd = Crowd(server.base, upstream, token)
    try:
        crowd.begin()
        wait_for("every client was served once", crowd.is_busy)
        broken = Path(temp_dir("config")) / "broken.toml"
        broken.write_text("listen = 7\n")
        env = clean_env(temp_dir("home"))
        ran = run([binary, "serve", "--take-over", "--data", data, "--config", broken], env)
        require(ran.code == 78, "a broken configuration: " + ran.told())
        ran = run([binary, "serve", "--take-over", "--data", data, "--listen", "192.0.2.1:1"], env)
        require(ran.code == 69 and "192.0.2.1:1" in ran.text, "an address that is not here: " + ran.told())
        ran = run([binary, "serve", "--data", data, "--listen", "127.0.0.1:0"], env)
        require(ran.code == 75 and str(server.process.pid) in ran.text and "--take-over" in ran.text, ran.told())
        for words in ([], ["claim"], ["claim", "ready"], ["ready"], ["claim", "serving"]):
            half_a_takeover(data, words)
            crowd.check("after a takeover that ended after {}".format(words or "the question"))
        if shutil.which("strace"):
            # The offer, "yours" and "go" are three messages at least: until the third is read, nobody else accepts.
            for number in (1, 2, 3):
                killed_takeover(binary, data, upstream, number)
                crowd.check("after kill -9 of the new server at its recvmsg number {}".format(number))
        else:
            note("kill -9 of the new server was NOT checked: only with strace")
        time.sleep(0.5)
        crowd.end()
        require(holder(data) == server.process.pid, "the lock names another process")
        check_uploads(server.base, crowd, data)
        passed("takeovers that fail, end or are killed at any step: the old server serves on, {} answers, none failed".
               format(crowd.answered))
        server.stop()
    finally:
        crowd.stop()
        server.kill()


def half_a_takeover(data, words):
    """Speaks as a new server does, and goes away."""
    with socket.socket(socket.AF_UNIX) as new:
        new.settimeout(20)
        new.connect(os.path.relpath(Path(data, "control.sock")))
        new.sendall(b'{"ask":"take-over","version":"0"}\n')
        sockets = told(new)
        require(len(sockets) == 2, "{} descriptors came with the offer".format(len(sockets)))
        for word in words:
            new.sendall(json.dumps(word).encode() + b"\n")
            if word == "claim":
                sockets += told(new)
        for descriptor in sockets:
            os.close(descriptor)


def told(new):
    """One message; the descriptors that came with it."""
    descriptors = array.array("i")
    _, rights, _, _ = new.recvmsg(65536, socket.CMSG_LEN(64 * descriptors.itemsize))
    for _, _, received in rights:
        descriptors.frombytes(received[:len(received) - len(received) % descriptors.itemsize])
    return list(descriptors)


def killed_takeover(binary, data, upstream, number):
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=recvmsg", "-e",
              "inject=recvmsg:signal=SIGKILL:when={}".format(number)]
    new = Sidewheel(binary, data, upstream, extra=["--take-over"], prefix=strace, wait=False)
    try:
        code = new.process.wait(30)
        require(code != 0, "the new server under strace ended in order; it wrote:\n" + new.log())
    except subprocess.TimeoutExpired:
        require(False, "the new server was not killed at its recvmsg number {}".format(number))
    finally:
        new.kill()


class Held:
    """A server whose listening socket is ours, as a service manager holds it."""

    def __init__(self, binary, data, upstream, listener, env=()):
        descriptor = listener.fileno()
        shell = 'LISTEN_PID=$$ WATCHDOG_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{}'.format(descriptor)
        command = ["sh", "-c", shell, "sh", str(binary), "serve", "--data", str(data), "--log-format", "json", "--upstream",
                   upstream.url, "--file-origin", upstream.origin]
        self.log_path = os.path.join(temp_dir("log"), "log")
        with open(self.log_path, "wb") as log:
            self.process = start(command, stdout=log, stderr=log, pass_fds=[descriptor],
                                 env=clean_env(temp_dir("server"), **dict(env)))

    def log(self):
        return Path(self.log_path).read_text(errors="replace")[-4000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        gone(self, "after SIGTERM")
        end(self.process)


def restarts(binary, upstream):
    """With a socket that is held elsewhere a restart is a pause."""
    if not sys.platform.startswith("linux"):
        return note("restarts with LISTEN_FDS were NOT checked: only on Linux")
    data, token = prepared(binary)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        base = "http://127.0.0.1:{}".format(listener.getsockname()[1])
        server = Held(binary, data, upstream, listener)
        # Here the old server ends before there is a new one: who was silent for long is told so.
        crowd = Crowd(base, upstream, token, looks_first=True)
        try:
            wait_for("the server serves", lambda: get(base + "/+ready").status == 200)
            crowd.begin()
            wait_for("every client was served once", crowd.is_busy)
            for _ in range(RESTARTS):
                server.stop()
                server = Held(binary, data, upstream, listener)
                time.sleep(1.5)
            # The default address is not what a service manager's socket stands beside.
            require("127.0.0.1:3141" not in server.log(), "it listens elsewhere too: " + server.log())
            crowd.end()
            passed("50 clients across {} restarts with a socket of the service manager: {} answers, none failed".format(
                RESTARTS, crowd.answered))
            check_uploads(base, crowd, data)
            server.stop()
        finally:
            crowd.stop()
            end(server.process)


def service_manager(binary, upstream):
    """What systemd is told, and when."""
    if not sys.platform.startswith("linux"):
        return note("messages to systemd were NOT checked: only on Linux")
    data, _ = prepared(binary)
    path = os.path.join(temp_dir("notify"), "notify")
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.create_server(("127.0.0.1", 0)) as listener:
        manager.bind(path)
        manager.settimeout(20)

        def hear(line, seconds=20):
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                message = manager.recv(4096).decode().splitlines()
                heard.append(message)
                if line in message:
                    return message
            require(False, "{} was not said; heard were {}".format(line, heard[-20:]))

        server = Held(binary, data, upstream, listener, {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"})
        try:
            message = hear("READY=1")
            require(any(line.startswith("STATUS=serving") for line in message), "no status: {}".format(message))
            get("http://127.0.0.1:{}/+health".format(listener.getsockname()[1]))
            hear("WATCHDOG=1", 2)
            begun = time.monotonic()
            hear("WATCHDOG=1", 2)
            require(time.monotonic() - begun < 1, "the watchdog is told too rarely")
            os.kill(server.process.pid, signal.SIGUSR2)
            message = hear("RELOADING=1")
            require(any(line.startswith("MONOTONIC_USEC=") for line in message), "no time: {}".format(message))
            wait_for("a new server", lambda: holder(data) != server.process.pid)
            new = holder(data)
            message = hear("MAINPID={}".format(new))
            require("READY=1" in message, "what ends the reload is not said with it: {}".format(message))
            gone(server, "after SIGUSR2")
            hear("WATCHDOG=1", 2)
            hear("WATCHDOG=1", 2)
            require("WATCHDOG" not in server.log(), "the server's own questions are in its log: " + server.log())
            os.kill(new, signal.SIGTERM)
            hear("STOPPING=1")
            passed("systemd hears READY, STATUS, WATCHDOG twice an interval, RELOADING and MAINPID, STOPPING")
        finally:
            end(server.process)
