"""The Ansible role, by real Ansible, on this machine as one user's service.

In: the tools, the build under test. Out: passed checks: a first run, a second that changes nothing, a changed
setting, another program, a setting that is refused; the password is in no argument, no output and no file. Where no
systemd runs for this user, `systemctl.py` stands in, so that the server that is asked really runs.
"""

import base64
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

from caddy import free_port
from devpi_server import api
from fixture import Upstream
from processes import clean_env, digest, get, must, note, passed, require, run, temp_dir
from wheel import version_of

ANSIBLE = ["ansible-core==2.19.14"]
ANSIBLE_LINT = ["ansible-lint==26.10.1"]
# A line that another process writes.
HEARD_SECONDS_MAX = 30
# One run of the role on a busy machine; strace and -vvv cost their share.
PLAY_SECONDS_MAX = 300
PASSWORD = "correct-horse-battery-staple-9431"
HERE = Path(__file__).resolve().parent


def deploy(tools, build):
    place = build.repository / "deploy/ansible"
    sound(tools, place)
    if sys.platform != "linux":
        note("the stand-in for a service manager needs Linux: the role was checked, not run")
        return
    upstream = Upstream()
    site = Site(tools, build, upstream)
    try:
        stand_in_hears_a_last_word(site)
        foreseen(site)
        first(site)
        second(site)
        changed_setting(site)
        refused_setting(site)
        other_program(site)
        other_ways(site, tools)
    finally:
        site.end()
        upstream.close()


def sound(tools, place):
    env = clean_env(temp_dir("ansible"), ANSIBLE_HOME=temp_dir("ansible"))
    lint = tools.program("ansible-lint", ANSIBLE_LINT)
    env["PATH"] = "{}:{}".format(lint.parent, env["PATH"])
    must([tools.program("ansible-playbook", ANSIBLE), "--syntax-check", "-i", "localhost,", place / "site.example.yml"], env)
    must([lint, "--offline", "--strict", "--nocolor", "--profile", "production", "-c", place / ".ansible-lint",
          place / "site.example.yml", place / "roles/sidewheel"], env, cwd=place, seconds=PLAY_SECONDS_MAX)
    defaults = set(re.findall(r"^(sidewheel_\w+):", (place / "roles/sidewheel/defaults/main.yml").read_text(), re.MULTILINE))
    specs = set(re.findall(r"^      (sidewheel_\w+):", (place / "roles/sidewheel/meta/argument_specs.yml").read_text(),
                           re.MULTILINE))
    require(defaults == specs, "without a default or a type: {}".format(sorted(defaults ^ specs)))
    passed("the role is sound by ansible-lint's strictest profile, and each variable has a default and a type")


class Site:
    """One user's home, and what is to be there."""

    def __init__(self, tools, build, upstream):
        self.tools, self.binary, self.version = tools, build.binary, version_of(build.repository)
        self.place = Path(temp_dir("site"))
        self.home = self.place / "home"
        self.playbook = tools.program("ansible-playbook", ANSIBLE)
        self.env = clean_env(
            self.home, RECORDED=str(self.place / "recorded"), XDG_RUNTIME_DIR=str(self.place / "run"),
            ANSIBLE_HOME=str(self.place / "ansible"), ANSIBLE_CALLBACK_PLUGINS=str(HERE / "ansible_callback"),
            ANSIBLE_CALLBACKS_ENABLED="recorded", ANSIBLE_ROLES_PATH=str(build.repository / "deploy/ansible/roles"),
            ANSIBLE_LOCALHOST_WARNING="False", ANSIBLE_NOCOLOR="1", THE_PASSWORD=PASSWORD)
        for name in ("run", "bin"):
            (self.place / name).mkdir()
        text = (HERE / "systemctl.py").read_text()
        for name in ("systemctl", "journalctl", "loginctl"):
            program = self.place / "bin" / name
            program.write_text(text.replace("#!/usr/bin/env python3", "#!" + tools.python, 1))
            program.chmod(0o755)
        self.env["PATH"] = "{}:{}".format(self.place / "bin", self.env["PATH"])
        self.data, self.config = self.home / "data/sidewheel", self.home / "config/sidewheel/sidewheel.toml"
        self.program = self.home / "opt/bin/sidewheel"
        self.wheel = build.wheel(tools)
        self.port = free_port()
        self.base = "http://127.0.0.1:{}".format(self.port)
        self.vars = {
            "ansible_python_interpreter": tools.python,
            "sidewheel_version": self.version,
            "sidewheel_archive": str(self.wheel),
            "sidewheel_archive_sha256": digest(self.wheel.read_bytes()),
            "sidewheel_linger": False,
            # All places are named: Ansible knows the account's home, not the one of this check.
            "sidewheel_home": str(self.home / "opt"),
            "sidewheel_config": str(self.config),
            "sidewheel_data": str(self.data),
            "sidewheel_listen": ["127.0.0.1:{}".format(self.port)],
            "sidewheel_public_url": "https://packages.example/",
            "sidewheel_settings": {"upstream": upstream.url, "file_origins": [upstream.origin], "memory": "64MiB",
                                   "offline": False},
            "sidewheel_mirrors": [{"name": "team/mirror", "upstream": upstream.url, "page_ttl": "5m"}],
            "sidewheel_verify_project": "alpha",
            "sidewheel_caddy_snippet": str(self.home / "sidewheel.caddy"),
            "sidewheel_caddy_reload": ["touch", str(self.home / "reloaded")],
            # As a site would: from the secret store of its choice.
            "sidewheel_root_password": "{{ lookup('ansible.builtin.env', 'THE_PASSWORD') }}",
        }

    def play(self, *arguments, prefix=(), tasks=None, **changed):
        """Runs the role; what ansible wrote, and what became of each task."""
        role = {"name": "sidewheel", "tasks_from": tasks} if tasks else {"name": "sidewheel"}
        playbook = self.place / "site.yml"
        # JSON is YAML too.
        playbook.write_text(json.dumps([{
            "hosts": "all", "connection": "local", "gather_facts": True, "vars": dict(self.vars, **changed),
            "tasks": [{"ansible.builtin.include_role": role}]}]))
        recorded = self.place / "recorded"
        recorded.unlink(missing_ok=True)
        ran = run([*prefix, self.playbook, "-i", "here,", *arguments, playbook], self.env, seconds=PLAY_SECONDS_MAX)
        require(PASSWORD not in ran.text, "the password is in what ansible writes, with " + " ".join(arguments))
        tasks = [json.loads(line) for line in recorded.read_text().splitlines()] if recorded.exists() else []
        return ran, tasks

    def plays(self, *arguments, **more):
        ran, tasks = self.play(*arguments, **more)
        require(ran.code == 0, ran.told())
        return changed_of(tasks)

    def calls(self):
        path = self.place / "run/units/calls"
        return path.read_text().splitlines() if path.exists() else []

    def starts(self):
        return sum(1 for line in self.calls() if re.match(r"# started sidewheel\.service|# sidewheel\.service is now", line))

    def standing(self):
        ran = run([self.program, "status", "--data", self.data, "--json"], self.env)
        return json.loads(ran.text) if ran.code == 0 else None

    def end(self):
        # What the stand-in started is no child of ours.
        run([self.place / "bin/systemctl", "--user", "stop", "sidewheel"], self.env)


def changed_of(tasks):
    return [task["task"].split(" : ")[-1] for task in tasks if task["changed"]]


# Hands over and ends at once, with words before the one that counts still unread.
HASTY = """
import os, socket, time
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.connect(os.environ["NOTIFY_SOCKET"])
told.send(b"READY=1")
time.sleep(0.3)
successor = os.fork()
if successor:
    for word in ["RELOADING=1", *["STATUS=handing over"] * 6, "MAINPID={}".format(successor)]:
        told.send(word.encode())
    os._exit(0)
else:
    time.sleep(2)
"""


def stand_in_hears_a_last_word(site):
    units = site.place / "hasty/systemd/user"
    units.mkdir(parents=True)
    program = site.place / "hasty/server.py"
    program.write_text(HASTY)
    (units / "hasty.service").write_text("[Service]\nType=notify\nExecStart={} {}\n".format(site.tools.python, program))
    run_dir = site.place / "hasty/run"
    run_dir.mkdir()
    env = dict(site.env, XDG_CONFIG_HOME=str(site.place / "hasty"), XDG_RUNTIME_DIR=str(run_dir))
    must([site.place / "bin/systemctl", "--user", "start", "hasty"], env)
    calls, until = run_dir / "units/calls", time.monotonic() + HEARD_SECONDS_MAX
    while "ended" not in calls.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    told = re.findall(r"^# (?:hasty\.service )?(started|is now|ended)", calls.read_text(), re.MULTILINE)
    require(told == ["started", "is now", "ended"], "the stand-in for systemd says {}".format(told))
    passed("the stand-in for systemd follows a server that names its successor and ends")


def foreseen(site):
    changed = site.plays("--check", "--diff")
    require("Write the settings, if the program takes them" in changed or "Make the directory of the settings" in changed,
            "a check foresees {}".format(changed))
    made = [path for path in (site.data, site.config, site.program, site.home / "sidewheel.caddy") if path.exists()]
    require(not made and not site.calls(), "a check makes {} and calls {}".format(made, site.calls()))
    passed("--check on a fresh machine says what it would do and does nothing")


def first(site):
    trace = site.place / "trace"
    # Every program that is started, and every byte that is written to a file, with its path.
    # strace stays with the server, which runs on: it must not hold the pipe on which we read.
    out = site.place / "out"
    prefix = ["sh", "-c", "exec strace -D -f -qq --seccomp-bpf -y -s 100000 -e trace=execve,write,pwrite64,writev "
              "-o '{}' \"$@\" >'{}' 2>&1".format(trace, out), "sh"]
    ran, tasks = site.play("-vvv", prefix=prefix)
    written = out.read_text(errors="replace")
    require(ran.code == 0, "ansible ended with {}:\n{}".format(ran.code, written[-4000:]))
    require(PASSWORD not in written and "Set root's password" in written, "the password is in what ansible writes at -vvv")
    changed = changed_of(tasks)
    require("Install and start the service" in changed and "Set root's password, if there is none" in changed,
            "changed was {}".format(changed))
    told = site.standing()
    require(told and told["version"] == site.version and site.base in told["addresses"], "the server says {}".format(told))
    require(get(site.base + "/root/pypi/+simple/alpha/").status == 200, "the server does not serve")
    require(get(site.base + "/team/mirror/+simple/alpha/").status == 200, "the mirror of the settings is not there")
    require(site.program.is_symlink() and digest(site.program.read_bytes()) == digest(site.binary.read_bytes()),
            "another program is installed")
    require((site.home / "reloaded").exists(), "Caddy was not told")
    caddyfile = site.place / "Caddyfile"
    caddyfile.write_text("import {}\n".format(site.home / "sidewheel.caddy"))
    must(["caddy", "adapt", "--config", caddyfile, "--adapter", "caddyfile"], site.env)
    passed("the first run installs, configures, starts and verifies; Caddy takes the site that it writes")

    require(api(site.base, "POST", "/+login", {"user": "root", "password": PASSWORD}).status == 200,
            "root's password does not log in")
    require(not (site.data / "root-password").exists(), "a password was made all the same")
    secrets = [PASSWORD] + [base64.b64encode((" " * shift + PASSWORD).encode()).decode()[4:-4] for shift in range(3)]
    lines = trace.read_text(errors="replace").splitlines()
    require(any("sidewheel" in line and '"init"' in line for line in lines if "execve(" in line), "the trace has no init")
    for line in lines:
        if not any(secret in line for secret in secrets):
            continue
        require("execve(" not in line, "the password is an argument: " + line[:300])
        # A pipe or a socket is how it has to go.
        require(re.search(r"(write|pwrite64|writev)\(\d+<(pipe|socket|UNIX)", line), "the password is written: " + line[:300])
    left = [path for root in (site.home, site.place / "ansible", site.place / "run") for path in root.rglob("*")
            if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)]
    require(not left, "the password stands in {}".format(left))
    passed("root's password works, and was in no argument, no output at -vvv and no file, not even for a moment")


def second(site):
    starts, before = site.starts(), site.standing()
    changed = site.plays()
    require(not changed, "a second run changes {}".format(changed))
    require(site.starts() == starts and site.standing()["pid"] == before["pid"], "a second run restarts the server")
    passed("a second run changes nothing")


def changed_setting(site):
    settings = dict(site.vars["sidewheel_settings"], memory="80MiB", log_format="json")
    before, text, starts = site.standing(), site.config.read_text(), site.starts()
    foreseen = site.plays("--check", "--diff", sidewheel_settings=settings)
    require("Write the settings, if the program takes them" in foreseen, "a check foresees {}".format(foreseen))
    require(site.config.read_text() == text and site.standing()["pid"] == before["pid"], "a check changes something")
    site.vars["sidewheel_settings"] = settings
    changed = site.plays()
    require(changed == ["Write the settings, if the program takes them", "Install and start the service"],
            "changed was {}".format(changed))
    require(site.starts() == starts + 1, "a changed setting restarts the server {} times".format(site.starts() - starts))
    require(site.standing()["pid"] != before["pid"] and 'memory = "80MiB"' in site.config.read_text(), "it was not changed")
    require(not site.plays(), "the run after it changes something")
    passed("a changed setting is foreseen by --check, written, and restarts the server once")


def refused_setting(site):
    before, text = site.standing(), site.config.read_text()
    wrong = dict(site.vars["sidewheel_settings"], memory="a lot")
    ran, tasks = site.play("-vvv", sidewheel_settings=wrong)
    require(ran.code != 0 and "memory" in ran.text, "a wrong setting is taken: " + ran.told())
    require(site.config.read_text() == text and site.standing()["pid"] == before["pid"], "a wrong setting does harm")
    ran, _ = site.play(sidewheel_archive_sha256="0" * 64)
    require(ran.code != 0 and "pinned" in ran.text and site.standing()["pid"] == before["pid"],
            "other bytes than the pinned ones are taken: " + ran.told())
    require(not list(site.home.glob("tmp/*sidewheel")), "what was unpacked is left behind")
    passed("a wrong setting and an archive of other bytes stop the run, and the server goes on as it was")


def other_program(site):
    """A release of the same version with other bytes, as an archive: the program behind the link is another one."""
    place = site.place / "other"
    place.mkdir()
    name = "sidewheel-{}-other".format(site.version)
    (place / name).mkdir()
    shutil.copy(site.binary, place / name / "sidewheel")
    with open(place / name / "sidewheel", "ab") as file:
        file.write(b"\0")
    archive = place / (name + ".tar.gz")
    must(["tar", "-I", "gzip -1", "-cf", archive, "-C", place, name], dict(os.environ))
    before, starts = site.standing(), site.starts()
    site.vars.update(sidewheel_archive=str(archive), sidewheel_archive_sha256=digest(archive.read_bytes()))
    changed = site.plays()
    require("Point to the pinned version" in changed and "Let the new program take over" in changed, "changed was {}".format(changed))
    require(site.standing()["pid"] != before["pid"], "the old program still serves")
    # The stand-in hears of it after the server has said who it is.
    heard = time.monotonic() + HEARD_SECONDS_MAX
    while site.starts() == starts and time.monotonic() < heard:
        time.sleep(0.05)
    require(site.starts() == starts + 1, "it was replaced {} times".format(site.starts() - starts))
    require(not site.plays(), "the run after it changes something")
    passed("another program takes over from the running one, once")


def other_ways(site, tools):
    """pip and uv, as far as the program: the rest is the same."""
    for way in ("pip", "uv"):
        home = site.place / way
        find = ["--no-index", "--find-links", str(site.wheel.parent)]
        more = {"sidewheel_install_from": way, "sidewheel_home": str(home), "sidewheel_pip_arguments": find,
                "sidewheel_uv": str(tools.uv.binary)}
        require(site.plays(tasks="install.yml", **more), "nothing is installed by " + way)
        said = must([home / "bin/sidewheel", "--version"], site.env).text.split()
        require(said == ["sidewheel", site.version], "{} installs {}".format(way, said))
        require(not site.plays(tasks="install.yml", **more), "a second run by {} changes something".format(way))
    passed("the role installs by pip and by uv too, into an environment of the version's own")
