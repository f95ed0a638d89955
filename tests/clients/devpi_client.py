"""The real devpi-client, in lockstep against us and against a real devpi-server: same exit codes, same words.

In: the tools and the binary. Out: one passed check, or every difference that `devpi_differences.py` does not justify.
`python3 tests/clients/devpi_client.py` runs it with devpi-server on both sides: what differs then is noise to normalise.
"""

import collections
import concurrent.futures
import difflib
import json
import os
import re
import shlex
import sys
from pathlib import Path

import packages
from devpi_commands import COMMANDS
from devpi_differences import DIFFERENCES
from devpi_server import ROOT_PASSWORD, Devpi, Private
from fixture import Upstream
from processes import Broken, clean_env, note, passed, require, run, temp_dir
from tools import DEVPI_CLIENT, Tools

TOX_INI = """[tox]
envlist = here
[testenv]
commands = python -c "import tested, beta; print('beta is', beta.VERSION)"
"""

# In the directory of the tools: what devpi-server's client said to every command, as it was compared.
TRANSCRIPT = "devpi-transcript.txt"
# Beside it: every difference that is not listed, ready to be. One of them often makes many.
FOUND = "devpi-found.txt"
SHOWN_MAX = 10

Said = collections.namedtuple("Said", "code lines")


def devpi_client(tools, binary):
    upstream = Upstream()
    peer = Devpi(tools, upstream)
    ours = Private(binary, upstream)
    same_words(tools, peer.ready(), ours.ready(), DIFFERENCES)
    ours.close()
    peer.close()
    upstream.close()


def same_words(tools, peer, ours, differences):
    dist = make_dist(Path(temp_dir("dist")))
    clients = [Client(tools, peer, dist), Client(tools, ours, dist)]
    expected = {difference.command: difference for difference in differences}
    require(len(expected) == len(differences), "devpi_differences.py names a command twice")
    seen = collections.Counter()
    broken = []
    with open(tools.directory / TRANSCRIPT, "w") as transcript, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for line in COMMANDS.strip().splitlines():
            if not line or line.startswith("#"):
                continue
            seen[line] += 1
            command = line if seen[line] == 1 else "{} ({})".format(line, seen[line])
            theirs, mine = [waiting.result() for waiting in [pool.submit(client.run, line) for client in clients]]
            transcript.write("$ devpi {}\n{}\n[{}]\n\n".format(command, "\n".join(theirs.lines), theirs.code))
            sentence = judge(command, theirs, mine, expected.pop(command, None))
            if sentence:
                note("differs: " + command)
                broken.append(sentence)
    for command in expected:
        broken.append("`devpi {}` is in devpi_differences.py and not among the commands".format(command))
    (tools.directory / FOUND).write_text("\n\n".join(broken) + "\n")
    require(not broken, "{} commands of devpi-client do not do as listed, all in {}; the first:\n\n{}".format(
        len(broken), tools.directory / FOUND, "\n\n".join(broken[:SHOWN_MAX])))
    passed("{} commands of devpi-client say the same to {} and to {}, but for {} differences with a reason".format(
        sum(seen.values()), ours.name, peer.name, len(differences)))


def judge(command, theirs, mine, expected):
    """The sentence of what is wrong, or None."""
    lines = [line for line in difflib.unified_diff(theirs.lines, mine.lines, n=0, lineterm="")
             if not line.startswith(("--- ", "+++ ", "@@ "))]
    if theirs.code == mine.code and not lines:
        return expected and "`devpi {}` differs no more: take it out of devpi_differences.py".format(command)
    code = None if theirs.code == mine.code else mine.code
    if expected and (code, lines) == (expected.code, expected.lines):
        return None
    found = 'Difference({!r}, {!r}, [\n{}], "why"),'.format(
        command, code, "".join("    {!r},\n".format(line) for line in lines))
    listed = "is listed otherwise" if expected else "is not listed"
    return "`devpi {}` ended with {} and with {}; this {}:\n{}".format(command, theirs.code, mine.code, listed, found)


class Client:
    """devpi-client with a home of its own, for one server."""

    def __init__(self, tools, server, dist):
        self.server = server
        self.program = tools.program("devpi", DEVPI_CLIENT)
        self.home = Path(temp_dir("home"))
        self.project = self.home / "project"
        self.project.mkdir()
        for name, text in packages.source_tree("built", "1.0").items():
            (self.project / name).write_text(text)
        self.places = {
            "url": server.base, "root": ROOT_PASSWORD, "dist": dist,
            "f": {path.name: file_path(path) for path in dist.glob("hello-*")},
        }
        self.env = clean_env(self.home)
        # `devpi test` looks for tox there.
        self.env["PATH"] = str(self.program.parent) + os.pathsep + self.env["PATH"]

    def run(self, line):
        cwd = self.home
        if line.startswith("in project: "):
            line, cwd = line[len("in project: "):], self.project
        line, _, typed = line.partition(" << ")
        arguments = shlex.split(line.format(**self.places))
        command = [self.program, arguments[0], "--clientdir", self.home / "client", *arguments[1:]]
        ran = run(command, self.env, cwd, typed="".join(word + "\n" for word in typed.split()))
        return Said(ran.code, self.normalised(ran.text))

    def normalised(self, text):
        text = text.replace(self.server.base, "http://HOST").replace(self.server.base[len("http://"):], "HOST")
        # On macOS a program may see its temporary directory behind a link.
        text = text.replace(os.path.realpath(self.home), "HOME").replace(str(self.home), "HOME")
        try:
            text = json.dumps(without_times(json.loads(text)), indent=1, sort_keys=True)
        except ValueError:
            pass
        for pattern, word in NOISE:
            text = pattern.sub(word, text)
        return text.splitlines()


# What no two runs have in common, or what only we may call otherwise.
NOISE = [(re.compile(pattern), word) for pattern, word in (
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
    (r"toxresult-\d{14}-", "toxresult-TIME-"),
    (r"(toxresult-TIME-\d+)#sha256=[0-9a-f]{64}", r"\1#DIGEST"),
    # The temporary directories of devpi-client, and of tox.
    (r"(devpi-(test-)?|tmp)[a-z0-9_]{8}\b", r"\1RANDOM"),
    (r"(?m)^(\s*[-\w.:]*: (OK|FAIL|SKIP)\S*) \([^)]*\)", r"\1 (SECONDS)"),
    (r"\(\d+\.\d\d(=\S+)? seconds\)", "(SECONDS)"),
    (r"after \d+\.\d\d seconds", "after SECONDS"),
    (r"exit \d+ \(\d+\.\d\d seconds\)", "exit (SECONDS)"),
    (r"pid=\d+", "pid=PID"),
    (r" at 0x[0-9a-f]+>", " at ADDRESS>"),
    # Where a mirror's projects have their pages for people: no command of the client uses it.
    (r"(mirror_web_url_fmt=|\"mirror_web_url_fmt\": )\S+", r"\1FORMAT"),
)]


def without_times(value):
    """JSON without what differs from one moment to the next."""
    if isinstance(value, list):
        return [without_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("rel") == "toxresult":
        # Its bytes hold the times of the run.
        value = dict(value, hash_spec="DIGEST", hashes="DIGEST")
    return {key: "TIME" if key in ("when", "last_modified") else without_times(item) for key, item in value.items()}


def file_path(path):
    sha256 = packages.hashlib.sha256(path.read_bytes()).hexdigest()
    return "+f/{}/{}/{}".format(sha256[:3], sha256[3:16], path.name)


def make_dist(place):
    """The files that the commands upload; both servers get the same bytes."""
    wheel, sdist = packages.wheel, packages.sdist
    for directory, dists in {
        "": [wheel("hello", "1.0", ["beta"]), wheel("hello", "1.1", ["beta"]), wheel("hello", "1.2"),
             sdist("hello", "1.0"),
             packages.doczip("hello", "1.0", "first"), wheel("bobs", "1.0"), sdist("Some.Thing", "1.0"),
             sdist("tested", "1.0", requires=["beta"], more={"tox.ini": TOX_INI})],
        "other": [wheel("hello", "1.0", ballast=10), packages.doczip("hello", "1.0", "second")],
        "many": [wheel("hello", "1.1", ["beta"]), packages.doczip("hello", "1.1", "next")]
                + [wheel("many", version) for version in ("0.1", "0.2", "0.9", "0.10", "1.0", "1.1", "1.2rc1")],
        "wrong": [],
    }.items():
        (place / directory).mkdir(exist_ok=True)
        for dist in dists:
            (place / directory / dist.filename).write_bytes(dist.data)
    wrong = place / "wrong"
    (wrong / "hello-9.0-py3-none-any.whl").write_bytes(wheel("hello", "9.5").data)
    (wrong / "hello-9.1-py3-none-any.whl").write_bytes(wheel("goodbye", "9.1").data)
    (wrong / "broken-1.0-py3-none-any.whl").write_bytes(b"no zip")
    (wrong / "nameless.doc.zip").write_bytes(packages.doczip("nameless", "0", "").data)
    (place / "good.json").write_text(json.dumps(["title=Patched", "mirror_whitelist+=beta"]))
    (place / "bad.json").write_text(json.dumps({"type": "stage", "colour": "red"}))
    (place / "operations.json").write_text(json.dumps(["title-=", "mirror_whitelist-=beta"]))
    return place


def main():
    """devpi-server against devpi-server: nothing may differ."""
    tools = Tools(Path(__file__).resolve().parent.parent.parent / "target/clients")
    upstream = Upstream()
    peers = [Devpi(tools, upstream), Devpi(tools, upstream)]
    try:
        same_words(tools, peers[0].ready(), peers[1].ready(), [])
    except Broken as broken:
        sys.exit("BROKEN: {}".format(broken))


if __name__ == "__main__":
    main()
