"""The service: what is written for launchd and systemd, installed with a systemctl that is a stub, and its log.

In: the binary. Out: passed checks: plists that plistlib reads, units that systemd-analyze verifies, a service that is
installed once and restarted only on change, logs that are set aside, exit codes. It may not know what is served.
"""

import json
import os
import plistlib
import re
import shutil
import signal
import sys
import time
from pathlib import Path

from processes import Sidewheel, clean_env, get, note, passed, require, run, temp_dir

EXIT = {"usage": 64, "unavailable": 69, "in use": 75, "config": 78, "stopped": 3, "not installed": 4}
# Of ten; systemd calls up to 4.9 "OK" and what it does not know 9.6.
EXPOSURE_MAX = 2.5
# What a path can hold at worst, apart from what is refused.
HOSTILE = "a b 'c' \"d\" 100% $HOME ${x} ; # \\e &<>é"
REACT_SECONDS_MAX = 20

STUB = r"""#!{python}
# Stands for systemctl: notes what is typed, starts and ends what the unit says.
import os, re, shlex, signal, subprocess, sys, time
from pathlib import Path
state = Path({state!r})
words = [word for word in sys.argv[1:] if word != "--user"]
with open(state / "typed", "a") as typed:
    typed.write(" ".join(sys.argv[1:]) + "\n")
pid_file, enabled = state / "pid", state / "enabled"
def pid():
    try:
        pid = int(pid_file.read_text())
        return pid if Path("/proc/%d/stat" % pid).read_text().rsplit(")")[1].split()[0] != "Z" else 0
    except (OSError, ValueError):
        return 0
def stop():
    running = pid()
    if running:
        os.kill(running, signal.SIGTERM)
        while pid():
            time.sleep(0.02)
def start():
    unit = Path({unit!r}).read_text()
    line = re.search("^ExecStart=(.*)$", unit, re.M).group(1)
    with open(state / "journal", "ab") as log:
        child = subprocess.Popen(shlex.split(line), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    pid_file.write_text(str(child.pid))
if words[0] == "show":
    running = pid()
    print("LoadState=loaded\nActiveState=%s\nUnitFileState=%s\nMainPID=%d\nMemoryCurrent=50000000\nExecMainStatus=0\n"
          "ActiveEnterTimestamp=%s\nExecMainExitTimestampMonotonic=%d" % (
              "active" if running else "inactive", "enabled" if enabled.exists() else "disabled", running,
              "Tue 2026-11-24 23:13:36 UTC" if running else "", 0 if running else 1))
elif words[0] == "enable":
    enabled.touch()
elif words[0] == "disable":
    enabled.unlink(missing_ok=True)
    stop()
elif words[0] in ("start", "restart"):
    stop()
    start()
elif words[0] == "stop":
    stop()
"""


def service(tools, binary):
    shown_for_launchd(binary)
    shown_for_systemd(binary)
    installed(binary)
    logs(binary)
    exit_codes(binary)


def show(binary, config, *arguments, code=0):
    ran = run([binary, "service", "install", "--print", "--config", config, *arguments], clean_env(temp_dir("home")))
    require(ran.code == code, ran.told())
    return ran.text


def config_file(text='data = "/var/lib/sidewheel"\n', name="sidewheel.toml"):
    path = Path(temp_dir("config")) / name
    path.write_text(text)
    return path


def shown_for_launchd(binary):
    config = config_file(name=HOSTILE)
    data = str(config.parent / HOSTILE)
    config.write_text("data = {}\n".format(json.dumps(data, ensure_ascii=False)))
    job = plistlib.loads(show(binary, config, "--for", "macos", "--user", "--socket-activation",
                              "--env", "HTTPS_PROXY=http://proxy.example.org:3128").encode())
    arguments = job.pop("ProgramArguments")
    require(Path(arguments[0]).samefile(binary) and arguments[1:4] == ["serve", "--config", str(config)],
            "launchd would run {}".format(arguments))
    out, err = Path(job.pop("StandardOutPath")), Path(job.pop("StandardErrorPath"))
    log = Path(arguments[arguments.index("--log-file") + 1])
    require(len({out, err, log}) == 3 and {path.parent.name for path in (out, err, log)} == {"sidewheel"},
            "launchd would write to {}, {} and {}".format(out, err, log))
    expected = {
        "Label": "net.sidewheel.server",
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ExitTimeOut": 20,
        "ProcessType": "Interactive",
        "Umask": 0o077,
        "SoftResourceLimits": {"NumberOfFiles": 10240},
        "HardResourceLimits": {"NumberOfFiles": 10240},
        "EnvironmentVariables": {"HTTPS_PROXY": "http://proxy.example.org:3128"},
        "Sockets": {"Listeners": {"SockNodeName": "127.0.0.1", "SockServiceName": "3141", "SockFamily": "IPv4",
                                  "SockType": "stream"}},
    }
    require(job == expected, "the property list says {}".format(job))
    daemon = plistlib.loads(show(binary, config, "--for", "macos", "--system", "--run-as", "_wheels").encode())
    require(daemon["UserName"] == "_wheels" and "Sockets" not in daemon and "EnvironmentVariables" not in daemon,
            "the daemon's property list says {}".format(daemon))
    refused = show(binary, config, "--for", "macos", "--system", code=EXIT["usage"])
    require("--run-as" in refused, "a daemon without a user: " + refused)
    passed("plistlib reads the LaunchAgent and the LaunchDaemon as they are meant, hostile paths too")


def units(text, directory):
    """What was printed, as files; one alone has no heading."""
    paths = []
    if not re.match(r"# /.*\.(service|socket)$", text.splitlines()[0]):
        text = "# /sidewheel.service\n" + text
    for heading, body in re.findall(r"^# (/[^\n]*\.(?:service|socket))\n(.*?)(?=^# /|\Z)", text, re.M | re.S):
        paths.append(Path(directory) / Path(heading).name)
        paths[-1].write_text(body)
    return paths


def verify(paths):
    """What systemd has to say against units; nothing, if they are right."""
    ran = run(["systemd-analyze", "verify", "--man=no", *paths], clean_env(temp_dir("verify")))
    return ran.text.strip() + ("" if ran.code == 0 else " (exit code {})".format(ran.code))


def shown_for_systemd(binary):
    if sys.platform != "linux":
        note("systemd's units are verified on Linux only")
        return
    require(shutil.which("systemd-analyze"), "systemd-analyze is missing; install systemd, or use tests/run")
    home, plain = config_file(name=HOSTILE), config_file()
    data = json.dumps(str(home.parent / HOSTILE), ensure_ascii=False)
    home.write_text("data = {}\nlisten = ['127.0.0.1:3141', 'unix:/run/sidewheel/http.sock']\n".format(data))
    for name, config, arguments in (
        ("a user's", home, ["--user"]),
        ("a user's with sockets", home, ["--user", "--socket-activation"]),
        ("the machine's", plain, ["--system"]),
        ("the machine's with sockets", plain, ["--system", "--socket-activation"]),
        ("the machine's as a user", home, ["--system", "--run-as", "daemon", "--env", "A=100% \"$b\" \\c d"]),
    ):
        paths = units(show(binary, config, "--for", "linux", *arguments), temp_dir("units"))
        require(len(paths) == 1 + ("--socket-activation" in arguments), "{}: {} files".format(name, len(paths)))
        told = verify(paths)
        require(not told, "systemd-analyze says of {} unit: {}".format(name, told))
        unit = next(path for path in paths if path.suffix == ".service")
        require(len(re.findall("^ExecStart=", unit.read_text(), re.M)) == 1, unit.read_text())
        if arguments == ["--system"]:
            hardened(unit)
    for wrong, right in (("ProtectSystm=", "ProtectSystem="), ("Type=notified", "Type=notify"), ("Restart=perhaps", "Restart=on-failure")):
        good = units(show(binary, plain, "--for", "linux", "--system"), temp_dir("units"))
        good[0].write_text(good[0].read_text().replace(right, wrong, 1))
        require(verify(good), "systemd-analyze says nothing against {}: the check is none".format(wrong))
    passed("systemd-analyze verifies the units of a user and of the machine, with sockets and hostile paths, and finds faults")


def hardened(unit):
    ran = run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], clean_env(temp_dir("security")))
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", ran.text)
    if not found:
        note("this systemd-analyze does not judge a file: how exposed the unit is was not measured")
        return
    require(float(found.group(1)) <= EXPOSURE_MAX, "the unit's exposure is {}".format(found.group(1)))
    passed("the machine's unit has an exposure of {}, at most {} of 10".format(found.group(1), EXPOSURE_MAX))


class Stubs:
    """A home, and a systemctl of our own on PATH."""

    def __init__(self, binary):
        self.home, self.state, programs = Path(temp_dir("service")), Path(temp_dir("state")), Path(temp_dir("bin"))
        self.env = clean_env(self.home)
        self.env["PATH"] = "{}:{}".format(programs, self.env["PATH"])
        self.unit = self.home / "config/systemd/user/sidewheel.service"
        self.config = self.home / "config/sidewheel/sidewheel.toml"
        self.socket = self.home / "http.sock"
        self.binary = binary
        self.script(programs / "systemctl", STUB.format(python=sys.executable, state=str(self.state), unit=str(self.unit)))
        for name, says in (("loginctl", "no"), ("journalctl", "the journal of $*")):
            self.script(programs / name, "#!/bin/sh\necho {}\n".format(says))

    @staticmethod
    def script(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def typed(self):
        """What was typed since the last look and changes something."""
        path = self.state / "typed"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.replace("--user ", "") for line in lines if " show " not in " " + line]

    def service(self, *arguments, code=0):
        ran = run([self.binary, "service", arguments[0], "--user", *arguments[1:]], self.env)
        require(ran.code == code and "panicked" not in ran.text, "not {}: {}".format(code, ran.told()))
        return ran.text

    def install(self, *arguments, code=0):
        return self.service("install", *arguments, code=code)

    def end(self):
        try:
            os.kill(int((self.state / "pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            pass


def installed(binary):
    if sys.platform != "linux":
        note("installing is tried with systemd only: launchd's commands are checked in the unit tests")
        return
    stubs = Stubs(binary)
    try:
        install_once(stubs)
        look(stubs)
        uninstall(stubs)
    finally:
        stubs.end()


def install_once(stubs):
    settings = ["--listen", "unix:{}".format(stubs.socket), "--memory", "64MiB", "--offline", "--env", "A=b"]
    require(stubs.service("status", code=EXIT["not installed"]), "the status of nothing says nothing")
    told = stubs.install(*settings)
    require("started" in told and "ready" in told and "root-password" in told and "enable-linger" in told, told)
    require(stubs.typed() == ["daemon-reload", "enable sidewheel.service", "reset-failed sidewheel.service",
                              "start sidewheel.service"], "other commands than expected were typed")
    config = stubs.config.read_text()
    require("memory" in config and str(stubs.home / "data/sidewheel") in config, "the settings are:\n" + config)
    before = stubs.unit.stat().st_mtime_ns
    for again in (settings, ["--env", "A=b"]):
        told = stubs.install(*again)
        require("nothing changed" in told and not stubs.typed(), "a second install does something: " + told)
    require(json.loads(stubs.install("--env", "A=b", "--json")) == {
        "changed": False, "written": [], "service": "untouched", "ready": True, "data": str(stubs.home / "data/sidewheel")},
        "the JSON of a second install is another one")
    require(stubs.unit.stat().st_mtime_ns == before, "a second install writes the unit again")
    told = stubs.install("--memory", "65MiB", "--env", "A=b")
    require("restarted" in told and "restart sidewheel.service" in stubs.typed(), "a change does not restart: " + told)
    require("offline" in stubs.config.read_text(), "settings of an earlier install are gone")
    stubs.config.write_text(stubs.config.read_text().replace("65MiB", "66MiB"))
    require("restarted" in stubs.install("--env", "A=b"), "settings changed by hand do not restart")
    passed("install writes, starts and waits once; again it changes nothing; a change restarts")

    stubs.typed()
    for path, arguments in ((stubs.unit, ["--env", "A=c"]), (stubs.config, ["--memory", "70MiB"])):
        ours = path.read_text()
        path.write_text("# by hand\n")
        told = stubs.install(*arguments, code=EXIT["usage"])
        require(str(path) in told and "--force" in told and path.read_text() == "# by hand\n", told)
        path.write_text(ours)
    require(not stubs.typed(), "something is typed although a file is not ours")
    for arguments, word in ((["--env", "UV_PASSWORD=secret"], "UV_PASSWORD"), (["--label", "a/b"], "a/b"),
                            (["--run-as", "ada"], "--system"), (["--config", "/none"], "/none"),
                            (["--host", "127.0.0.1"], "devpi")):
        told = stubs.install(*arguments, code=EXIT["usage"])
        require(word in told and "secret" not in told.replace("a secret", ""), told)
    passed("files that are not ours stay, and what cannot be meant is refused with the way out")


def look(stubs):
    status = json.loads(stubs.service("status", "--json"))
    pid = int((stubs.state / "pid").read_text())
    require((status["installed"], status["running"], status["enabled"], status["ready"], status["pid"]) ==
            (True, True, True, True, pid), "the status is {}".format(status))
    require(status["memory_bytes"] == 50000000 and status["since"].startswith("Tue") and status["version"],
            "the status is {}".format(status))
    told = stubs.service("status")
    require(str(pid) in told and "unix:{}".format(stubs.socket) in told, told)
    told = stubs.service("logs", "-n", "7", "-f")
    require(told.strip() == "the journal of --user-unit=sidewheel.service --lines=7 --follow", told)
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + REACT_SECONDS_MAX
    while run([stubs.binary, "service", "status", "--user"], stubs.env).code != EXIT["stopped"]:
        require(time.monotonic() < until, "a stopped service is not told by exit code 3")
        time.sleep(0.1)
    status = json.loads(stubs.service("status", "--json", code=EXIT["stopped"]))
    require((status["running"], status["ready"], status["pid"]) == (False, False, None), "the status is {}".format(status))
    require("started" in stubs.install("--env", "A=b"), "a stopped service is not started by install")

    stubs.install("--log-dir", stubs.home / "logs", "--log-file", stubs.home / "logs/log")
    until = time.monotonic() + REACT_SECONDS_MAX
    while "serving" not in stubs.service("logs", "-n", "100"):
        require(time.monotonic() < until, "`logs` does not show the log's file")
        time.sleep(0.1)
    good = stubs.config.read_text()
    stubs.config.write_text(good.replace("66MiB", "66"))
    told = stubs.install("--wait", "1", code=EXIT["config"])
    require("memory" in told, told)
    stubs.config.write_text(good)
    told = stubs.install("--listen", "unix:{}".format(stubs.home / "missing/sock"), "--wait", "1", code=EXIT["unavailable"])
    require("not ready within 1 seconds" in told and "the journal of" in told, told)
    stubs.config.write_text(good)
    require("ready" in stubs.install(), "after all the service is not ready")
    passed("status and its exit codes, logs from the journal and from files, and a start of what was stopped")


def uninstall(stubs):
    told = stubs.service("uninstall")
    require(str(stubs.home / "data/sidewheel") in told and not stubs.unit.exists(), told)
    require((stubs.home / "data/sidewheel/private.db").exists() and stubs.config.exists(), "uninstall takes data away")
    require("disable --now sidewheel.service" in stubs.typed(), "the service is not stopped")
    require("nothing to remove" in stubs.service("uninstall"), "a second uninstall fails")
    stubs.service("status", code=EXIT["not installed"])
    passed("uninstall stops and removes the service, and leaves the data and says where")


def wait_for(condition, sentence):
    until = time.monotonic() + REACT_SECONDS_MAX
    while not condition():
        require(time.monotonic() < until, sentence)
        time.sleep(0.05)


def logs(binary):
    home = Path(temp_dir("logs"))
    log = home / "deep/log"
    env = clean_env(home, SIDEWHEEL_LOG_FILE_MAX="100kB")
    server = Sidewheel(binary, home / "data", extra=["--log-file", str(log), "--offline"], env=env)

    def ask(number):
        get("{}/asked-{}".format(server.base, number))

    def kept():
        return [path for path in (Path("{}.{}".format(log, number)) for number in range(9, 0, -1)) if path.exists()] + [log]

    def lines():
        return "".join(path.read_text() for path in kept() if path.exists()).splitlines()

    for number in range(700):
        ask(number)
    wait_for(lambda: any("asked-699" in line for line in lines()), "the last request is not in the log")
    numbers = [int(found.group(1)) for found in (re.search(r"asked-(\d+)", line) for line in lines()) if found]
    require(len(kept()) >= 2, "the log of {} bytes was not set aside".format(log.stat().st_size))
    # A line is written after its answer: two may change places. What is older than the files that are kept is gone.
    require(sorted(numbers) == list(range(min(numbers), 700)), "lines are lost where the log was set aside")
    require(all(path.stat().st_size <= 100_000 for path in kept()), "a log is larger than it may be")
    require(all(json.loads(line) for line in lines()) and not server.whole_log(), "a line is torn, or went elsewhere")
    passed("a log that grows is set aside, and no line is lost")

    log.rename(home / "deep/moved")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: log.exists(), "SIGHUP does not open the log anew")
    ask("hup")
    wait_for(lambda: "asked-hup" in log.read_text(), "after SIGHUP the log is not written")
    shutil.rmtree(home / "deep")
    (home / "deep").write_text("in the way")
    for _ in range(3):
        ask("lost")
    wait_for(lambda: "asked-lost" in server.whole_log(), "a line that cannot be written is not on standard error")
    (home / "deep").unlink()
    ask("back")
    wait_for(lambda: log.exists() and "asked-back" in log.read_text(), "a log does not come back")
    server.stop()
    passed("SIGHUP opens the log anew; without its directory the server serves on, and the log comes back")

    if Path("/dev/full").exists():
        server = Sidewheel(binary, home / "data", extra=["--log-file", "/dev/full", "--offline"], env=env)
        ask("full")
        require(get(server.base + "/+ready").status == 200, "a full log stops serving")
        wait_for(lambda: "asked-full" in server.whole_log(), "a line for a full disk is not on standard error")
        server.stop()
        passed("a log on a full disk stops nothing")


def exit_codes(binary):
    data = Path(temp_dir("codes")) / "data"
    server = Sidewheel(binary, data, extra=["--offline"])
    port = server.base.rsplit(":", 1)[1]
    env = clean_env(temp_dir("codes"))
    other = ["--data", temp_dir("codes"), "--offline"]
    for why, arguments in (
        ("usage", ["serve", "--nonsense"]),
        ("usage", ["sreve"]),
        ("config", ["serve", "--memory", "much"]),
        ("config", ["serve", "--config", "/does/not/exist"]),
        ("in use", ["serve", "--listen", "127.0.0.1:0", "--data", data]),
        ("unavailable", ["serve", "--listen", "127.0.0.1:" + port, *other]),
    ):
        ran = run([binary, *arguments], env)
        require(ran.code == EXIT[why], "not {} ({}): {}".format(EXIT[why], why, ran.told()))
    ran = run([binary, "--help"], env)
    require(ran.code == 0, ran.told())
    server.stop()
    passed("exit codes tell what was typed wrong (64), set wrong (78), in use (75) and not to be had (69); an orderly end is 0")
