"""Moving here from devpi: a directory of a real devpi-server, what devpi-export makes of it, and a directory of wheels.

In: the tools and the binary. Out: passed checks. devpi-server is filled over HTTP, stopped or killed, its directory taken
over with upstream gone, and every address that it answered is asked of us: the same bytes.
"""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import packages
from devpi_server import ROOT_PASSWORD, Devpi, api, must_api
from fixture import JSON_TYPE, Upstream
from processes import (Broken, Sidewheel, check_database, check_store, clean_env, digest, end, get, must, note, passed,
                       require, run, start, temp_dir)
from publishers import post
from tools import DEVPI_CLIENT, check_imports

ALICE, BOB = ("alice", "alices-new-word"), ("bob", "bobs-word")
WHEEL = packages.wheel("hello", "1.0", ["beta>=1"])
SDIST = packages.sdist("hello", "1.0")
FIRST, SECOND = packages.wheel("again", "1.0", ballast=100), packages.wheel("again", "1.0", ballast=200)
GONE = packages.wheel("gone", "1.0")
DOCS = packages.doczip("hello", "1.0", "read me")
TOX = {"toxversion": "4", "platform": "linux", "testenvs": {}}
# How many times an import is killed in its middle before it may come to its end.
KILLS = 6


class Loose(Upstream):
    """Upstreams of long ago: links with an MD5, or with nothing."""

    def page_json(self, name):
        page = json.loads(super().page_json(name))
        for file in page["files"]:
            data = self.dist(file["filename"]).data
            file["hashes"] = {"md5": hashlib.md5(data).hexdigest()} if name == "delta" else {}
            file.pop("core-metadata", None)
            file.pop("data-dist-info-metadata", None)
        return json.dumps(page).encode()


def takeover(tools, binary):
    upstream, loose = Upstream(), Loose(core_metadata=False)
    peer = Devpi(tools, upstream).ready()
    fill(peer, loose)
    addresses = known_addresses(peer)
    kill_while_it_writes(peer)
    upstream.switch_off()
    loose.switch_off()
    before = snapshot(peer.serverdir)
    data = Path(temp_dir("taken")) / "data"
    report = imported(binary, data, upstream, "devpi", "--serverdir", peer.serverdir, "--dry-run")
    require(not data.exists(), "a dry run made the data directory")
    dry = report["kinds"]
    report = imported(binary, data, upstream, "devpi", "--serverdir", peer.serverdir)
    require(dry == report["kinds"], "a dry run says {} and the import {}".format(dry, report["kinds"]))
    require(report["copied"] == 0 and report["linked"] > 5, "files were not linked: {}".format(report))
    require(snapshot(peer.serverdir) == before, "the import changed devpi's directory")
    check_store(data, "after the import")
    check_store(data, "after the import", "private")
    passed("a devpi-server directory, left by kill -9, is taken over and not changed: {}".format(
        ", ".join("{} {}".format(counts["new"], kind) for kind, counts in report["kinds"].items())))

    state = state_of(data)
    again = imported(binary, data, upstream, "devpi", "--serverdir", peer.serverdir)
    require(all(counts["new"] == 0 for counts in again["kinds"].values()), "a second import adds: {}".format(again))
    require(state_of(data) == state, "a second import changed the databases")
    killed_and_again(binary, upstream, peer, state)

    server = Sidewheel(binary, data, upstream)
    refused = run([binary, "import", "devpi", "--serverdir", peer.serverdir, "--data", data], clean_env(temp_dir("no")))
    require(refused.code != 0 and "in use by process" in refused.text, refused.told())
    for path, body in addresses.items():
        answer = get(server.base + path)
        require(answer.status == 200 and answer.body == body, "{} is answered {}, not as devpi did".format(
            path, answer.status))
    places = {"f": 0, "e": 0}
    for path in addresses:
        places[path.split("/+")[1][0]] += 1
    require(places["f"] > 8 and places["e"] > 0, "too few addresses were looked at: {}".format(places))
    passed("{f} old +f and {e} old +e addresses answer with the same bytes, upstream being gone".format(**places))
    installs(tools, server)
    histories(server)
    with_devpi_client(tools, server)
    server.stop()

    exports(tools, binary, peer, upstream, addresses)
    wheels(tools, binary, upstream)
    upstream.close()
    loose.close()


def fill(peer, loose):
    base = peer.base
    must_api(base, "PUT", "/alice", {"password": "alices-word", "email": "alice@example.com"}, None, None)
    must_api(base, "PATCH", "/alice", {"password": ALICE[1]}, "alice", "alices-word")
    must_api(base, "PATCH", "/alice", {"title": "Alice of old"}, *ALICE)
    must_api(base, "PUT", "/bob", {"password": BOB[1]}, None, None)
    must_api(base, "PUT", "/alice/dev", {"bases": ["root/pypi"], "title": "Work"}, *ALICE)
    must_api(base, "PUT", "/alice/prod", {"volatile": False, "acl_upload": ["alice", "bob"]}, *ALICE)
    must_api(base, "PUT", "/bob/cycle", {"bases": ["alice/dev"], "mirror_whitelist": ["something"]}, *BOB)
    url = loose.url.replace("://", "://user:word@")
    must_api(base, "PUT", "/root/loose", {"type": "mirror", "mirror_url": url, "volatile": False,
                                          "mirror_cache_expiry": 600})
    for dist in (WHEEL, SDIST, FIRST, GONE):
        kind = {} if dist.filename.endswith(".whl") else {"filetype": "sdist", "pyversion": "source"}
        answer = post(base + "/alice/dev/", dist, *ALICE, **kind)
        require(answer.status == 200, "devpi takes no upload: {}".format(answer.body))
    require(post(base + "/alice/dev/", SECOND, *ALICE).status == 200, "devpi takes no other file in its place")
    docs = post(base + "/alice/dev/", DOCS, *ALICE, **{":action": "doc_upload", "name": "hello", "version": "1.0"})
    require(docs.status == 200, "devpi takes no documentation: {}".format(docs.body))
    links = release(base, "/alice/dev/hello/1.0")["+links"]
    tested = next(urlsplit(link["href"]).path for link in links if link["href"].endswith(".whl"))
    must_api(base, "POST", tested, TOX, None, None)
    must_api(base, "PUSH", "/alice/dev", {"name": "hello", "version": "1.0", "targetindex": "alice/prod"}, *ALICE)
    gone = release(base, "/alice/dev/gone/1.0")["+links"][0]["href"]
    must_api(base, "DELETE", urlsplit(gone).path, None, *ALICE)


def release(base, path):
    return must_api(base, "GET", path, None, None, None)["result"]


def known_addresses(peer):
    """Everything that devpi has the bytes of, by path: what it holds itself, and what it is made to download."""
    base, found = peer.base, {}
    for path in ("/alice/dev/hello/1.0", "/alice/dev/again/1.0", "/alice/prod/hello/1.0"):
        for link in release(base, path)["+links"]:
            found[urlsplit(link["href"]).path] = None
    accept = {"Accept": JSON_TYPE}
    # gamma 3.0 and all of epsilon stay what is known and not downloaded.
    for page in ("/root/pypi/+simple/alpha/", "/root/pypi/+simple/beta/", "/root/pypi/+simple/gamma/",
                 "/root/pypi/+simple/epsilon/", "/root/pypi/+simple/zope-thing/", "/root/loose/+simple/delta/",
                 "/root/loose/+simple/beta/"):
        answer = get(base + page, accept)
        require(answer.status == 200, "devpi has no page {}: {}".format(page, answer.body))
        for file in json.loads(answer.body)["files"]:
            if file["filename"].split("-")[:2] not in (["gamma", "3.0"], ["epsilon", "1.0"]):
                found[urlsplit(urljoin(base + page, file["url"])).path] = None
    for path in found:
        answer = get(base + path)
        require(answer.status == 200, "devpi does not have {}: {}".format(path, answer.body))
        found[path] = answer.body
    # devpi writes down what it downloaded after the client has it.
    until = time.monotonic() + 30
    while any("immutable" not in get(base + path).headers.get("Cache-Control", "") for path in found):
        require(time.monotonic() < until, "devpi does not keep what it downloaded")
    return found


def kill_while_it_writes(peer):
    """So that a change may be left half done, with its journal."""
    busy = threading.Event()

    def change():
        for number in range(1000):
            try:
                api(peer.base, "PATCH", "/bob", {"description": "x" * 50_000 + str(number)}, *BOB)
            except Broken:
                return
            busy.set()

    threads = [threading.Thread(target=change, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    busy.wait(30)
    end(peer.process)
    for thread in threads:
        thread.join(60)


def snapshot(directory):
    """Every file with its bytes and times."""
    found = {}
    for path in sorted(Path(directory).rglob("*")):
        facts = path.lstat()
        body = digest(path.read_bytes()) if path.is_file() else None
        found[str(path.relative_to(directory))] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ino, body)
    return found


def command(binary, data, upstream, *arguments):
    config = Path(temp_dir("config")) / "sidewheel.toml"
    config.write_text('upstream = "{}"\nfile_origins = ["{}"]\n'.format(upstream.url, upstream.origin))
    return [binary, "import", *arguments, "--config", config, "--data", data, "--json"]


def imported(binary, data, upstream, *arguments, code=0):
    ran = run(command(binary, data, upstream, *arguments), clean_env(temp_dir("import")))
    require(ran.code == code, ran.told())
    # Before it a line may tell where root's password is, after it what was left out.
    report, _ = json.JSONDecoder().raw_decode(ran.text[ran.text.index("{\n"):])
    return report


def state_of(data):
    """What both databases hold, but for when it came and who this server is."""
    found = {}
    for name, tables in (("private.db", ("user", "user_index", "project", "release", "file", "address")),
                         ("sidewheel.db", ("document", "blob", "unhashed", "address"))):
        check_database(data, "after an import", name)
        database = sqlite3.connect(os.path.join(data, name))
        for table in tables:
            found[name, table] = sorted(map(repr, database.execute("select * from " + table).fetchall()))
        database.close()
    return found


def killed_and_again(binary, upstream, peer, state):
    data = Path(temp_dir("killed")) / "data"
    began = time.monotonic()
    arguments = ("devpi", "--serverdir", peer.serverdir)
    whole = Path(temp_dir("whole")) / "data"
    imported(binary, whole, upstream, *arguments)
    seconds = time.monotonic() - began
    for number in range(1, KILLS + 1):
        process = start([str(part) for part in command(binary, data, upstream, *arguments)],
                        env=clean_env(temp_dir("import")), stdout=open(os.devnull, "w"))
        time.sleep(seconds * number / (KILLS + 1))
        end(process)
    imported(binary, data, upstream, *arguments)
    there = ignoring_now(state_of(data))
    differ = {key: set(rows) ^ set(there[key]) for key, rows in ignoring_now(state).items() if rows != there[key]}
    require(not differ, "kills in the middle of an import leave another state: {}".format(differ))
    require(not list((data / "tmp").iterdir()), "an import leaves something in tmp")
    passed("an import that was killed {} times ends as one that was not; a second one adds nothing".format(KILLS))


def ignoring_now(state):
    """`project.since` and the rows of root and of users without a date say when the import was; a file that was on the
    disk and in no book when a start found it counts as used then."""
    return {key: [row.rsplit(",", 1)[0] for row in rows] if key[1] == "blob" else rows
            for key, rows in state.items() if key[1] not in ("project", "user")}


def installs(tools, server):
    for index in ("/alice/dev/+simple/", "/bob/cycle/+simple/"):
        for client in (tools.pip_new, tools.uv):
            home = temp_dir("home")
            ran = client.run_install(server.base + index, home, ["hello"])
            require(ran.code == 0, ran.told())
            check_imports(tools.python, clean_env(home), {"hello": "1.0", "beta": "1.5"}, Path(home) / "site")
    tools.pip_new.install(server.base + "/alice/dev/+simple/", temp_dir("home"))
    page = json.loads(get(server.base + "/root/pypi/+simple/gamma/", {"Accept": JSON_TYPE}).body)
    gamma = {file["filename"]: file for file in page["files"]}
    require(gamma["gamma-2.0-py3-none-any.whl"]["yanked"] == "eats its young", "a yank was lost: {}".format(gamma))
    require(gamma["gamma-3.0-py3-none-any.whl"]["requires-python"] == ">=99", "requires-python was lost")
    passed("pip and uv install from a stage over the mirror with upstream gone")


def histories(server):
    hello = release(server.base, "/alice/prod/hello/1.0")
    require(hello["summary"] == "" or "name" in hello, "the metadata is lost: {}".format(hello))
    logs = {link["rel"]: [line["what"] for line in link.get("log", [])] for link in hello["+links"]}
    require(logs["releasefile"] == ["upload", "push"], "the history is lost: {}".format(hello["+links"]))
    require({"releasefile", "doczip", "toxresult"} <= set(logs), "something is lost of {}".format(logs))
    again = release(server.base, "/alice/dev/again/1.0")["+links"]
    require(len(again) == 1 and [line["what"] for line in again[0]["log"]][0] == "overwrite",
            "an overwritten file has another history: {}".format(again))
    require("gone" not in release(server.base, "/alice/dev")["projects"], "a deleted project came back")
    user = release(server.base, "/alice")
    require((user["title"], user["email"]) == ("Alice of old", "alice@example.com"), "facts are lost: {}".format(user))
    require(user["indexes"]["prod"]["volatile"] is False and user["indexes"]["dev"]["title"] == "Work",
            "settings are lost: {}".format(user))
    cycle = release(server.base, "/bob")["indexes"]["cycle"]
    require(cycle["mirror_whitelist"] == ["something"] and cycle["bases"] == ["alice/dev"], "settings: {}".format(cycle))
    loose = release(server.base, "/root")["indexes"]["loose"]
    require("word" not in json.dumps(loose) and loose["mirror_cache_expiry"] == 600, "a mirror: {}".format(loose))
    passed("users, settings, metadata, histories, documentation and test results are as they were")


def with_devpi_client(tools, server):
    home = Path(temp_dir("home"))
    devpi = tools.program("devpi", DEVPI_CLIENT)
    env = clean_env(home)

    def client(*arguments, code=0):
        ran = run([devpi, arguments[0], "--clientdir", home / "client", *arguments[1:]], env, home)
        require((ran.code == 0) == (code == 0), ran.told())
        return ran.text

    client("use", server.base + "/alice/dev")
    client("login", "alice", "--password=alices-word", code=1)
    client("login", "root", "--password=", code=1)
    client("login", "root", "--password=" + ROOT_PASSWORD)
    client("login", "bob", "--password=" + BOB[1])
    client("login", "alice", "--password=" + ALICE[1])
    require("hello" in client("list"), "devpi list does not show hello")
    later = packages.wheel("hello", "2.0")
    (home / later.filename).write_bytes(later.data)
    client("upload", home / later.filename)
    require("hello-2.0" in client("list", "hello"), "devpi list does not show what was uploaded")
    passed("devpi-client logs in with the old passwords, lists and uploads")


def exports(tools, binary, peer, upstream, addresses):
    directory = Path(temp_dir("export")) / "export"
    must([peer.programs / "devpi-export", "--serverdir", peer.serverdir, "--include-mirrored-files", directory],
         peer.env)
    before = snapshot(directory)
    data = Path(temp_dir("exported")) / "data"
    report = imported(binary, data, upstream, "devpi-export", directory)
    again = imported(binary, data, upstream, "devpi-export", directory)
    require(all(counts["new"] == 0 for counts in again["kinds"].values()), "a second import adds: {}".format(again))
    require(snapshot(directory) == before, "the import changed the export")
    as_exported(tools, binary, data, upstream, addresses)
    passed("what devpi-export wrote is taken over, once, and answers as devpi did: {}".format(
        ", ".join("{} {}".format(counts["new"], kind) for kind, counts in report["kinds"].items())))

    # As an old devpi wrote it.
    path = directory / "dataindex.json"
    dump = json.loads(path.read_text())
    dump["dumpversion"] = "1"
    for index in dump["indexes"].values():
        index["indexconfig"]["uploadtrigger_jenkins"] = None
        index["indexconfig"].pop("mirror_whitelist_inheritance", None)
        if "mirror_whitelist" in index["indexconfig"]:
            index["indexconfig"]["pypi_whitelist"] = index["indexconfig"].pop("mirror_whitelist")
        for file in index.get("files", ()):
            file.pop("version", None)
            mapping = file["entrymapping"]
            mapping["md5"] = hashlib.md5((directory / file["relpath"]).read_bytes()).hexdigest()
            mapping.pop("hashes", None)
            mapping.pop("hash_spec", None)
    dump["users"]["old"] = {"username": "old", "pwsalt": "c2FsdA==", "pwhash": "00", "created": "2015-01-01T00:00:00Z"}
    path.write_text(json.dumps(dump))
    data = Path(temp_dir("old-export")) / "data"
    report = imported(binary, data, upstream, "devpi-export", directory, code=65)
    require([line["what"] for line in report["left_out"]] == ["user old: password"],
            "of dumpversion 1 is left out: {}".format(report["left_out"]))
    as_exported(tools, binary, data, upstream, addresses)
    passed("an export of dumpversion 1 is taken over; a hash of long ago is told")


def as_exported(tools, binary, data, upstream, addresses):
    server = Sidewheel(binary, data, upstream)
    count = 0
    for path, body in addresses.items():
        # An export does not say where files lay that had no SHA-256.
        if path.startswith("/root/loose/"):
            continue
        answer = get(server.base + path)
        require(answer.status == 200 and answer.body == body, "{} is answered {}".format(path, answer.status))
        count += 1
    require(count > 8, "only {} addresses were looked at".format(count))
    must_api(server.base, "POST", "/+login", {"user": ALICE[0], "password": ALICE[1]}, None, None)
    cycle = release(server.base, "/bob")["indexes"]["cycle"]
    require(cycle["mirror_whitelist"] == ["something"], "a whitelist is lost: {}".format(cycle))
    tools.pip_new.install(server.base + "/alice/dev/+simple/", temp_dir("home"))
    server.stop()


def wheels(tools, binary, upstream):
    directory = Path(temp_dir("wheels"))
    (directory / "more").mkdir()
    for place, dist in (("", WHEEL), ("", packages.wheel("beta", "1.5")), ("more", packages.sdist("gamma", "1.0")),
                        ("more", packages.wheel("gamma", "1.0")), ("more", packages.wheel("alpha", "1.1", ["beta", "gamma"]))):
        (directory / place / dist.filename).write_bytes(dist.data)
    (directory / "readme.txt").write_text("not a wheel")
    (directory / "broken-1.0-py3-none-any.whl").write_text("neither")
    before = snapshot(directory)
    data = Path(temp_dir("wheels-data")) / "data"
    report = imported(binary, data, upstream, "wheels", directory, "--index", "root/wheels", code=65)
    require(report["kinds"]["files"] == {"new": 5, "same": 0, "left_out": 2}, "of wheels came {}".format(report))
    report = imported(binary, data, upstream, "wheels", directory, "--index", "root/wheels", code=65)
    require(report["kinds"]["files"] == {"new": 0, "same": 5, "left_out": 2}, "a second time {}".format(report))
    require(snapshot(directory) == before, "the import changed the directory of wheels")
    ran = run(command(binary, data, upstream, "wheels", directory, "--index", "nobody/wheels"), clean_env(temp_dir("no")))
    require(ran.code == 64 and "there is no user nobody" in ran.text, ran.told())
    server = Sidewheel(binary, data, upstream)
    tools.pip_new.install(server.base + "/root/wheels/+simple/", temp_dir("home"))
    tools.uv.install(server.base + "/root/wheels/+simple/", temp_dir("home"))
    hello = release(server.base, "/root/wheels/hello/1.0")
    require(hello["summary"] == "a fixture" and hello["requires_dist"] == ["beta>=1"], "metadata: {}".format(hello))
    server.stop()
    passed("a directory of wheels and sdists becomes an index that pip and uv install from")
