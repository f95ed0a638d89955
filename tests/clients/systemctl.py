#!/usr/bin/env python3
"""Stands in for a user's systemd where none runs: `systemctl --user`, `journalctl` and `loginctl`, by its name.

In: the units in $XDG_CONFIG_HOME/systemd/user, as `daemon-reload` found them last. Out: the real program of their
ExecStart, watched by a process of its own: started when it says READY=1, followed when it names another MAINPID, stopped
by SIGTERM, ended when its watchdog falls silent. What it cannot do it refuses: there is no restart after a failure,
no socket, no sandbox. $XDG_RUNTIME_DIR/units holds its notes: `calls` has a line for each call and each start.
"""

import ctypes
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
# How long `start` and `stop` wait, at most.
WAIT_SECONDS_MAX = 60
IGNORED = {"--user", "--no-pager", "--quiet", "-q", "--full", "--no-ask-password"}

config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"
notes = Path(os.environ["XDG_RUNTIME_DIR"]) / "units"


def noted(line):
    with open(notes / "calls", "a") as out:
        out.write(line + "\n")


class Unit:
    def __init__(self, name):
        self.name = name if "." in name else name + ".service"
        if self.name.endswith(".socket"):
            sys.exit("systemctl (stand-in): sockets are not for me: " + self.name)
        self.file = config / self.name
        self.loaded = notes / self.name
        self.state = notes / (self.name + ".json")
        self.log = notes / (self.name + ".log")
        self.enabled = config / "default.target.wants" / self.name
        if self.file.exists() and not self.loaded.exists():
            shutil.copy(self.file, self.loaded)

    def keys(self):
        found = {}
        for line in self.loaded.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                found.setdefault(key, []).append(value)
        return found

    def now(self):
        """What the watching process noted last, if it lives."""
        try:
            told = json.loads(self.state.read_text())
        except (OSError, ValueError):
            return {"state": "inactive"}
        if told["state"] in ("active", "activating") and not alive(told["watcher"]):
            told["state"] = "failed"
        return told

    def note(self, **facts):
        temp = self.state.with_suffix(".new")
        temp.write_text(json.dumps(facts))
        temp.rename(self.state)


def alive(pid):
    try:
        os.kill(pid, 0)
        return not Path("/proc/{}/stat".format(pid)).exists() or " Z " not in Path("/proc/{}/stat".format(pid)).read_text()
    except (OSError, ValueError):
        return False


def words(value):
    """An ExecStart line: quoted words, %% and $$."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(value)]


def start(unit):
    if unit.now()["state"] == "active":
        return 0
    if not unit.loaded.exists():
        print("Failed to start {0}: Unit {0} not found.".format(unit.name), file=sys.stderr)
        return 5
    unit.note(state="activating", watcher=os.getpid())
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        if os.fork() == 0:
            try:
                watch(unit)
            finally:
                os._exit(0)
        os._exit(0)
    os.wait()
    until = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < until:
        state = unit.now()["state"]
        if state == "active":
            return 0
        if state == "failed":
            break
        time.sleep(0.05)
    print("Job for {} failed; its log:\n{}".format(unit.name, unit.log.read_text()[-2000:]), file=sys.stderr)
    return 1


def watch(unit):
    """The manager of one service, from its start to its end."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    keys = unit.keys()
    ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # A file, as systemd itself has one.
    heard_at = notes / "notify-{}".format(os.getpid())
    ears.bind(str(heard_at))
    env = {name: value for name, value in os.environ.items() if name in ("HOME", "PATH", "LANG", "USER", "TMPDIR")
           or name.startswith("XDG_")}
    env["NOTIFY_SOCKET"] = str(heard_at)
    for line in keys.get("Environment", []):
        env.update(word.split("=", 1) for word in words(line))
    silence = float(keys.get("WatchdogSec", ["0"])[0])
    if silence:
        env["WATCHDOG_USEC"] = str(int(silence * 1e6))
    command = words(keys["ExecStart"][0])
    with open(unit.log, "a") as log:
        child = subprocess.Popen(command, env=env, cwd=env["HOME"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
    main, heard, stopping = child.pid, time.monotonic(), False
    noted("# started {} as {}".format(unit.name, main))
    facts = {"watcher": os.getpid(), "main": main, "state": "active" if keys.get("Type") != ["notify"] else "activating"}
    unit.note(**facts)
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append("stop"))
    while True:
        select.select([ears], [], [], 0.05)
        # As systemd: who ended is seen first, and judged only when all that was said until then is read. A server that
        # hands over names its successor and ends.
        pid, status = os.waitpid(-1, os.WNOHANG)
        for line in lines_said(ears):
            name, _, value = line.partition("=")
            if name == "READY" and value == "1":
                facts["state"], heard = "active", time.monotonic()
            elif name == "MAINPID":
                main = facts["main"] = int(value)
                noted("# {} is now {}".format(unit.name, main))
            elif name == "WATCHDOG" and value == "1":
                heard = time.monotonic()
            unit.note(**facts)
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            noted("# {} ended with {}".format(unit.name, code))
            heard_at.unlink()
            unit.note(state="inactive" if stopping and code == 0 else "failed", watcher=os.getpid(), code=code)
            return
        if told and not stopping:
            stopping = time.monotonic()
            os.kill(main, signal.SIGTERM)
        if stopping and time.monotonic() > stopping + float(keys.get("TimeoutStopSec", ["90"])[0]):
            os.kill(main, signal.SIGKILL)
        if silence and facts["state"] == "active" and time.monotonic() > heard + silence:
            noted("# {} fell silent".format(unit.name))
            os.kill(main, signal.SIGABRT)


def lines_said(ears):
    while select.select([ears], [], [], 0)[0]:
        yield from ears.recv(4096).decode().split("\n")


def stop(unit):
    told = unit.now()
    if told["state"] not in ("active", "activating"):
        return 0
    os.kill(told["watcher"], signal.SIGTERM)
    until = time.monotonic() + WAIT_SECONDS_MAX
    while alive(told["watcher"]):
        if time.monotonic() > until:
            print("{} does not end".format(unit.name), file=sys.stderr)
            return 1
        time.sleep(0.05)
    return 0


def restart(unit):
    return stop(unit) or start(unit)


def reload(unit):
    told = unit.now()
    if told["state"] != "active":
        print("{0} is not active, cannot reload.".format(unit.name), file=sys.stderr)
        return 1
    commands = unit.keys().get("ExecReload", [])
    return max(subprocess.run([str(told["main"]) if word == "$MAINPID" else word for word in shlex.split(command)]
                              ).returncode for command in commands)


def show(unit, properties):
    told = unit.now()
    state, running = told["state"], told["state"] == "active"
    facts = {
        "LoadState": "loaded" if unit.loaded.exists() else "not-found",
        "ActiveState": state,
        "UnitFileState": ("enabled" if unit.enabled.is_symlink() else "disabled") if unit.file.exists() else "",
        "MainPID": told.get("main", 0) if running else 0,
        "ActiveEnterTimestamp": "Tue 2026-11-24 22:00:00 UTC" if running else "",
        "MemoryCurrent": "[not set]",
        "ExecMainStatus": told.get("code", 0),
        "ExecMainExitTimestampMonotonic": 1 if "code" in told else 0,
    }
    for name in properties or facts:
        print("{}={}".format(name, facts[name]))
    return 0


def systemctl(arguments):
    properties = [name for word in arguments if word.startswith("--property=") for name in word[11:].split(",")]
    now = "--now" in arguments
    rest = [word for word in arguments if word not in IGNORED and word != "--now" and not word.startswith("--property=")]
    strange = [word for word in rest if word.startswith("-")]
    if strange or "--user" not in arguments or not rest:
        sys.exit("systemctl (stand-in): I do not know " + " ".join(strange or arguments))
    verb, units = rest[0], [Unit(name) for name in rest[1:]]
    if verb == "daemon-reload":
        for path in notes.glob("*.service"):
            path.unlink()
        for path in config.glob("*.service"):
            shutil.copy(path, notes / path.name)
        return 0
    code = 0
    for unit in units:
        if verb == "enable":
            unit.enabled.parent.mkdir(parents=True, exist_ok=True)
            unit.enabled.unlink(missing_ok=True)
            unit.enabled.symlink_to(unit.file)
            code = start(unit) if now else 0
        elif verb == "disable":
            unit.enabled.unlink(missing_ok=True)
            code = stop(unit) if now else 0
        elif verb in ("start", "stop", "restart", "reload"):
            code = {"start": start, "stop": stop, "restart": restart, "reload": reload}[verb](unit)
        elif verb == "reset-failed":
            code = 0
        elif verb == "show":
            code = show(unit, properties)
        elif verb == "is-active":
            print(unit.now()["state"])
            code = 0 if unit.now()["state"] == "active" else 3
        elif verb == "is-enabled":
            print("enabled" if unit.enabled.is_symlink() else "disabled")
            code = 0 if unit.enabled.is_symlink() else 1
        else:
            sys.exit("systemctl (stand-in): I do not know " + verb)
        if code:
            return code
    return code


def journalctl(arguments):
    found = re.search(r"--user-unit=(\S+)", " ".join(arguments))
    if not found:
        sys.exit("journalctl (stand-in): which unit?")
    log = notes / (found.group(1) + ".log")
    print(log.read_text() if log.exists() else "", end="")
    return 0


def loginctl(arguments):
    if arguments[:1] == ["show-user"]:
        print("yes")
        return 0
    sys.exit("loginctl (stand-in): I do not know " + " ".join(arguments))


if __name__ == "__main__":
    notes.mkdir(parents=True, exist_ok=True)
    name = Path(sys.argv[0]).name
    noted(" ".join([name, *sys.argv[1:]]))
    sys.exit({"systemctl": systemctl, "journalctl": journalctl, "loginctl": loginctl}[name](sys.argv[1:]))
