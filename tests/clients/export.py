"""The way back: `export --devpi` beside a running server, read by the real devpi-import, served by the real devpi-server;
and the way here: devpi-server's command lines, variables and files are understood.

In: the tools and the binary. Out: passed checks.
"""

import json
import os
import re
import time
from pathlib import Path

import packages
from devpi_server import CHEAP_SECRET, PEER_START_SECONDS_MAX, Private, api, free_port, must_api
from fixture import Upstream
from processes import (Broken, clean_env, digest, end, get, must, note, passed, require, run, start, temp_dir)
from publishers import listed, post
from tools import DEVPI_CLIENT, PEER

PASSWORD = "alice's own"
# sysexits.h, as the binary says.
EXIT_USAGE, EXIT_DATA, EXIT_CONFIG = 64, 65, 78
# What devpi-export says of itself, and we of ourselves.
SIGNATURES = {"pythonversion", "devpi_server", "sidewheel"}
# Where devpi's own export of what it imported from ours differs, with the reason.
KNOWN = {
    "/indexes/root/pypi/indexconfig/mirror_web_url_fmt": "devpi fills in its default where we have none",
}


def export(tools, binary):
    upstream = Upstream()
    ours = Private(binary, upstream).ready()
    filled = fill(tools, ours, upstream)
    dump = exported(ours, upstream)
    refused(ours, binary, upstream)
    imported(tools, ours, dump, filled, upstream)
    damaged(binary, ours, upstream)
    ours.close()
    upstream.close()
    known(tools, binary)
    understood(binary)


def fill(tools, ours, upstream):
    """Users, a stage over a mirror, and everything that can hang on a release; the release files by index."""
    must_api(ours.base, "PUT", "/alice", {"password": PASSWORD, "email": "alice@example.org"})

    def alice(method, path, value=None):
        return must_api(ours.base, method, path, value, "alice", PASSWORD)

    alice("PUT", "/alice/dev", {"bases": "root/pypi", "title": "Development"})
    alice("PUT", "/alice/prod", {"bases": [], "volatile": False, "mirror_whitelist": ["hello"]})
    alice("PUT", "/alice/closed", {"bases": [], "acl_read": ["alice"], "reserved": ["acme-*"]})
    wheel, sdist = packages.wheel("hello", "1.0", requires=["beta"]), packages.sdist("hello", "1.0")
    yanked, docs = packages.wheel("hello", "1.1"), packages.doczip("hello", "1.0", "how to greet")
    for dist, fields in ((wheel, {}), (sdist, {"filetype": "sdist", "pyversion": "source"}), (yanked, {}),
                         (docs, {":action": "doc_upload", "version": "1.0"})):
        answer = post(ours.base + "/alice/dev/", dist, "alice", PASSWORD, **fields)
        require(answer.status == 200, "{} is answered {}: {}".format(dist.filename, answer.status, answer.body[:300]))
    url = listed(ours.base + "/alice/dev/+simple/", "hello")[wheel.filename][0].split("#")[0]
    tox = {"testenvs": {"here": {"test": [{"retcode": 0}]}}, "reportversion": "1", "platform": "linux"}
    # The page's link leads to the index that has the file.
    must_api(ours.base, "POST", url[len(ours.base):], tox, "alice", PASSWORD)
    alice("PUSH", "/alice/dev", {"name": "hello", "version": "1.0", "targetindex": "alice/prod"})
    alice("PATCH", "/alice/dev/hello/1.1", {"yanked": "a wrong greeting"})
    ours.command("token", "create", "--user", "alice", "--upload", "--name", "ci")
    tools.pip_new.install(ours.server.index, temp_dir("home"))
    return {"alice/dev": [wheel, sdist, yanked], "alice/prod": [wheel, sdist]}


def ran_export(binary, data, upstream, *arguments):
    # The same settings that the server has: where root/pypi mirrors from is one of them.
    env = clean_env(temp_dir("command"), SIDEWHEEL_UPSTREAM=upstream.url, SIDEWHEEL_FILE_ORIGINS=upstream.origin)
    return run([binary, "export", "--data", data, *arguments], env)


def exported(ours, upstream):
    dump = Path(temp_dir("dump")) / "dump"
    ran = ran_export(ours.binary, ours.data, upstream, "--devpi", dump, "--include-mirrored-files", "--json")
    require(ran.code == 0, ran.told())
    report = json.loads(ran.text)
    kinds = sorted({left["kind"] for left in report["left_out"]})
    require(kinds == ["provenance", "setting", "token", "yank"] or kinds == ["setting", "token", "yank"],
            "left out is {}: {}".format(kinds, report["left_out"]))
    told = " ".join(left["what"] for left in report["left_out"])
    require("acl_read of alice/closed" in told and "reserved of alice/closed" in told and "hello-1.1" in told, told)
    require(report["users"] == 2 and report["indexes"] == 4 and report["files"] >= 8, "the report says {}".format(report))
    require(report["linked"] == report["files"] or os.stat(dump).st_dev != os.stat(ours.data).st_dev,
            "on one file system {} of {} files are linked".format(report["linked"], report["files"]))
    names = {path.name for path in dump.iterdir()}
    require(names == {"alice", "root", "dataindex.json"}, "the dump holds {}".format(names))
    require(dump.stat().st_mode & 0o077 == 0, "others may read the hashes of passwords")
    index = json.loads((dump / "dataindex.json").read_text())
    for name, said in index["indexes"].items():
        for file in said.get("files", []):
            data = (dump / file["relpath"]).read_bytes()
            require(file["entrymapping"]["hash_spec"] == "sha256=" + digest(data), file["relpath"] + " is another file")
    passed("export beside a running server: {} files with their digests, and what devpi cannot hold is said".format(
        report["files"]))
    plain = Path(temp_dir("dump")) / "plain"
    ran = ran_export(ours.binary, ours.data, upstream, "--devpi", plain)
    require(ran.code == 0 and "left out:" in ran.text and "a wrong greeting" in ran.text, ran.told())
    said = json.loads((plain / "dataindex.json").read_text())["indexes"]["root/pypi"]
    require(set(said) == {"indexconfig"} and said["indexconfig"]["mirror_url"] == upstream.url,
            "of a mirror is told {}".format(said))
    return dump


def refused(ours, binary, upstream):
    full = Path(temp_dir("dump"))
    (full / "something").write_text("else")
    ran = ran_export(binary, ours.data, upstream, "--devpi", full)
    require(ran.code == EXIT_USAGE and "not empty" in ran.text, ran.told())
    nothing = Path(temp_dir("nothing"))
    ran = ran_export(binary, nothing / "data", upstream, "--devpi", nothing / "dump")
    require(ran.code == EXIT_USAGE and not list(nothing.iterdir()), ran.told())
    passed("a directory that holds something is not exported into, and nothing makes no export")


class Imported:
    """A real devpi-server on what devpi-import made of a dump."""

    def __init__(self, tools, dump):
        programs = tools.program("devpi-server", PEER).parent
        self.programs, self.env = programs, clean_env(temp_dir("peer"))
        self.data = Path(temp_dir("peer-data")) / "data"
        must([programs / "devpi-import", "--serverdir", self.data, dump], self.env)
        # Before anybody logs in: devpi then makes the hash anew.
        compare(self, dump)
        self.base = "http://127.0.0.1:{}".format(free_port())
        self.log_path = self.data.parent / "log"
        with open(self.log_path, "wb") as log:
            self.process = start([str(programs / "devpi-server"), "--serverdir", str(self.data), "--listen",
                                  self.base.split("//")[1], *CHEAP_SECRET], stdout=log, stderr=log, env=self.env)
        until = time.monotonic() + PEER_START_SECONDS_MAX
        while True:
            try:
                if get(self.base + "/+api", seconds=5).status == 200:
                    return
            except Broken:
                time.sleep(0.1)
            log = self.log_path.read_text(errors="replace")[-4000:]
            require(self.process.poll() is None, "devpi-server ended; it wrote:\n" + log)
            require(time.monotonic() < until, "devpi-server does not answer; it wrote:\n" + log)


def imported(tools, ours, dump, filled, upstream):
    peer = Imported(tools, dump)
    upstream.switch_off()
    clients = tools.program("devpi", DEVPI_CLIENT)
    home = Path(temp_dir("client"))

    def devpi(*arguments):
        return must([clients, arguments[0], "--clientdir", home / "client", *arguments[1:]], clean_env(home)).text

    devpi("use", peer.base + "/alice/dev")
    devpi("login", "alice", "--password", PASSWORD)
    text = devpi("list", "hello")
    for dist in filled["alice/dev"]:
        require(dist.filename in text, "`devpi list hello` does not name {}:\n{}".format(dist.filename, text))
    passed("the real devpi-import takes the dump, and alice logs in to devpi-server with her password")

    for index, dists in filled.items():
        theirs, mine = [shown(base, index) for base in (peer.base, ours.base)]
        require(theirs == mine, "{}/hello is shown otherwise:\n{}\nand here\n{}".format(index, theirs, mine))
        place = Path(temp_dir("download"))
        for dist in dists:
            got = listed(peer.base + "/" + index + "/+simple/", "hello")[dist.filename]
            require(got[1] == dist.sha256 and digest(get(got[0]).body) == dist.sha256,
                    "{} of {} is another file".format(dist.filename, index))
        must(tools.pip_new.command("download", peer.base + "/" + index + "/+simple/", "--no-deps", "-d", place,
                                   "hello==1.0"), clean_env(place))
        require(digest((place / dists[0].filename).read_bytes()) == dists[0].sha256, "pip downloaded other bytes")
    for name in ("title", "bases", "volatile", "acl_upload", "mirror_whitelist"):
        for index in ("dev", "prod"):
            theirs, mine = [must_api(base, "GET", "/alice/" + index, user=None)["result"].get(name)
                            for base in (peer.base, ours.base)]
            require(theirs == mine, "{} of alice/{} is {} there and {} here".format(name, index, theirs, mine))
    tools.pip_new.install(peer.base + "/root/pypi/+simple/", temp_dir("home"))
    passed("releases, links, histories, settings and bytes are the same there, and the mirror's files install offline")
    upstream.switch_on()
    end(peer.process)


def shown(base, index):
    """What a server says of hello, without times of links and words that are only ours."""
    versions = api(base, "GET", "/{}/hello?ignore_bases=".format(index)).body
    versions = json.loads(versions)["result"]
    for version in versions.values():
        version.pop("yanked", None)
        version.pop("+shadowing", None)
        for link in version.get("+links", []):
            link["href"] = link["href"].replace(base, "")
            if "for_href" in link:
                link["for_href"] = link["for_href"].replace(base, "")
        version["+links"] = sorted(version.get("+links", []), key=lambda link: (link["rel"], link["href"]))
    return versions


def compare(peer, dump):
    """devpi's own export of what it imported, beside ours."""
    again = Path(temp_dir("again")) / "dump"
    must([peer.programs / "devpi-export", "--serverdir", peer.data, "--include-mirrored-files", again], peer.env)
    theirs, mine = [json.loads((place / "dataindex.json").read_text()) for place in (again, dump)]
    found = []
    differences(without_order(theirs), without_order(mine), "", found)
    surprising = [line for line in found if line.split(": ")[0] not in KNOWN]
    require(not surprising, "devpi-export differs from ours:\n" + "\n".join(surprising))
    require(len(found) == len(KNOWN), "what is listed differs no more; found is only:\n" + "\n".join(found))
    theirs, mine = [sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
                    for place in (again, dump)]
    require(theirs == mine, "devpi-export has other files: {}".format(set(theirs) ^ set(mine)))
    passed("devpi-export of what was imported is what we exported, but for {}".format("; ".join(KNOWN.values())))


def without_order(index):
    index = {key: value for key, value in index.items() if key not in SIGNATURES}
    for said in index["indexes"].values():
        if "files" in said:
            said["files"] = {file["relpath"]: file for file in said["files"]}
    return index


def differences(theirs, mine, path, found):
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for key in sorted(set(theirs) | set(mine)):
            differences(theirs.get(key, "(nothing)"), mine.get(key, "(nothing)"), path + "/" + key, found)
    elif theirs != mine:
        found.append("{}: {} there, {} here".format(path, json.dumps(theirs)[:120], json.dumps(mine)[:120]))


def damaged(binary, ours, upstream):
    ours.server.stop()
    name = packages.wheel("hello", "1.0", requires=["beta"]).sha256
    path = ours.data / "private" / name[:2] / name[2:]
    data = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    dump = Path(temp_dir("dump")) / "dump"
    ran = ran_export(binary, ours.data, upstream, "--devpi", dump)
    path.write_bytes(data)
    require(ran.code == EXIT_DATA and "damaged" in ran.text and (dump / "dataindex.json").is_file(), ran.told())
    passed("a damaged file is left out and said, and the exit code tells of it")


def known(tools, binary):
    """Every option of the real devpi-server's help is taken, with the kind of value that it shows there."""
    server = tools.program("devpi-server", PEER)
    home = Path(temp_dir("help"))
    text = must([server, "--help"], clean_env(home, COLUMNS="500")).text.split("usage:", 1)[1].split("options:", 1)[0]
    options = re.findall(r"\[(--[a-z-]+)( [^\]]+)?\]", text) + [("--configfile", " FILE")]
    require(len(options) > 35, "devpi-server's help names only {}".format(options))
    (home / "FILE").write_text("devpi-server:\n")
    values = {"--listen": "127.0.0.1:0", "--host": "127.0.0.1", "--role": "auto", "--configfile": home / "FILE",
              "--outside-url": "https://pypi.example.org", "--restrict-modify": "root", "--storage": "sqlite",
              "--unix-socket": home / "socket", "--max-request-body-size": "1073741824"}
    refused = []
    for option, value in options:
        value = [values.get(option, "7")] if value else []
        ran = run([binary, "check", option, *value], clean_env(home))
        if ran.code == EXIT_CONFIG and "cannot be done here" in ran.text:
            refused.append(option)
            continue
        require(ran.code == 0, ran.told())
        told = option in ran.text or option in ("--version", "--listen", "--configfile")
        require(told, "nothing is said of {}: {}".format(option, ran.told()))
    require(sorted(refused) == ["--master-url", "--passwd", "--primary-url"], "refused are {}".format(refused))
    passed("all {} options of devpi-server are known: each is told, and {} are refused".format(
        len(options), ", ".join(refused)))


def understood(binary):
    """A typical command line, environment and file of devpi-server."""
    home = Path(temp_dir("devpi-options"))
    port = free_port()
    arguments = ["serve", "--serverdir", home / "data", "--host", "localhost", "--port", port, "--outside-url",
                 "https://pypi.example.org", "--restrict-modify", "root", "--secretfile", home / "secret", "--threads",
                 "4", "--role", "standalone", "--offline-mode"]
    env = clean_env(home, DEVPISERVER_REQUEST_TIMEOUT="7", DEVPISERVER_MIRROR_CACHE_EXPIRY="900",
                    DEVPISERVER_INDEXER_BACKEND="null", DEVPISERVER_COLOUR="blue")
    words = ["--serverdir is devpi-server's name of --data", "--host and --port are devpi-server's names of --listen",
             "--outside-url is devpi-server's name of --public-url", "--restrict-modify", "--secretfile", "--threads",
             "--role", "--offline-mode is devpi-server's name of --offline", "SIDEWHEEL_UPSTREAM_TIMEOUT",
             "SIDEWHEEL_PAGE_TTL", "DEVPISERVER_INDEXER_BACKEND", "DEVPISERVER_COLOUR"]
    ran = run([binary, "check", *arguments[1:]], env)
    require(ran.code == 0 and all(ran.text.count(word) == 1 for word in words), ran.told())
    served(binary, arguments, env, port, words)
    (home / "devpi-server.yml").write_text(
        "devpi-server:\n  serverdir: {}\n  listen:\n    - localhost:{}\n  offline-mode: true\n".format(home / "data", port))
    served(binary, ["serve", "-c", home / "devpi-server.yml"], clean_env(home), port,
           ["{} in {} is devpi-server's name of".format(name, home / "devpi-server.yml")
            for name in ("serverdir", "listen", "offline-mode")])
    for option, value, word in (("--role", "replica", "--upstream"), ("--storage", "pg8000", "devpi-export"),
                                ("--primary-url", "https://pypi.example.org", "--upstream")):
        ran = run([binary, "serve", "--serverdir", home / "data", option, value], env)
        require(ran.code == EXIT_CONFIG and word in ran.text, ran.told())
    (home / "old").mkdir()
    (home / "old/.serverversion").write_text("4")
    ran = run([binary, "serve", "--serverdir", home / "old"], env)
    line = "sidewheel import devpi --serverdir {}".format(home / "old")
    require(ran.code == EXIT_USAGE and line in ran.text, ran.told())
    require([path.name for path in (home / "old").iterdir()] == [".serverversion"], "something was written there")
    passed("devpi-server's options, variables and file are served with and told; what cannot be done is refused")


def served(binary, arguments, env, port, words):
    log_path = Path(temp_dir("log")) / "log"
    with open(log_path, "wb") as log:
        process = start([str(part) for part in [binary, *arguments]], stdout=log, stderr=log, env=env)
    base = "http://127.0.0.1:{}".format(port)
    until = time.monotonic() + 20
    while True:
        require(process.poll() is None and time.monotonic() < until,
                "no server at {}; it wrote:\n{}".format(base, log_path.read_text()))
        try:
            require(get(base + "/+api").status == 200, "+api is not answered")
            break
        except Broken:
            time.sleep(0.1)
    end(process)
    text = log_path.read_text()
    require(all(text.count(word) == 1 for word in words),
            "not said once: {}\nthe server wrote:\n{}".format([w for w in words if text.count(w) != 1], text))
