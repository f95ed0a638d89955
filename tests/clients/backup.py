"""Backups of a server that is at work, killed at every kind of write, put back and installed from; files that rot.

In: the tools and the binary. Out: passed checks. Nothing upstream is needed for what is restored: it is gone by then.
"""

import collections
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import threading
import time
from pathlib import Path

import packages
from devpi_server import ROOT_PASSWORD, api, init, must_api
from fixture import Upstream
from kills import file_url
from processes import (Broken, Sidewheel, check_database, check_store, clean_env, digest, get, must, note, passed, require,
                       run, temp_dir)
from publishers import basic, listed, post
from tools import DEVPI_CLIENT, check_imports

# sysexits.h, as docs/backup.md says.
DAMAGED, MISSING, UNREADABLE, TEMPORARY, CONFIG = 65, 66, 74, 75, 78
GOLDEN = Path(__file__).resolve().parent.parent / "it/golden/format-1.tar.gz"
PASSWORD = "alice's word"
# Uploads and removals while backups are taken.
LOAD_BACKUPS = 6
# What a killed run writes by; which numbers are tried of each.
CALLS = ("pwrite64", "write", "fsync", "rename", "mkdir", "unlink", "ftruncate")
NUMBERS = (1, 2, 3, 5, 8, 13)
KILL_SECONDS_MAX = 40
SCRUB_SECONDS_MAX = 30


def backup(tools, binary):
    upstream = Upstream()
    site = Site(binary, upstream)
    under_load(site)
    two_at_once(site)
    verified(site)
    killed(site)
    restored(tools, site, upstream)
    scrubbed(binary)
    formats(binary)


class Site:
    """A server with alice/dev, which needs nothing upstream, and a place for backups."""

    def __init__(self, binary, upstream):
        self.binary, self.data, self.target = binary, Path(temp_dir("data")) / "data", Path(temp_dir("target")) / "backup"
        init(binary, self.data)
        self.server = Sidewheel(binary, self.data, upstream)
        must_api(self.server.base, "PUT", "/alice", {"password": PASSWORD})
        must_api(self.server.base, "PUT", "/alice/dev", {"bases": [], "volatile": True}, "alice", PASSWORD)
        self.kept = {}
        for n in range(6):
            self.upload(packages.wheel("kept", "1.{}".format(n), ballast=1000 * n))
        self.upload(packages.wheel("beta", "1.0"))
        self.upload(packages.wheel("alpha", "1.0", requires=("beta",)))

    def upload(self, dist, keep=True):
        answer = post(self.server.base + "/alice/dev/", dist, "alice", PASSWORD)
        require(answer.status == 200, "{} is answered {}: {}".format(dist.filename, answer.status, answer.body[:300]))
        if keep:
            self.kept[dist.filename] = dist

    def command(self, *arguments, target=None, prefix=()):
        return command(self.binary, *arguments, prefix=prefix, place=["--data", self.data])

    def backup(self, *more, target=None):
        ran = self.command("backup", target or self.target, "--json", *more)
        require(ran.code == 0, ran.told())
        return json.loads(ran.text)

    def verify(self, target):
        return command(self.binary, "verify", target, "--json")


def command(binary, *arguments, prefix=(), place=()):
    return run([*prefix, binary, *arguments, *place], clean_env(temp_dir("command")))


def size(directory):
    return sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())


def under_load(site):
    stop, counts, trouble = threading.Event(), collections.Counter(), []

    def load(worker):
        n = 0
        while not stop.is_set():
            n += 1
            dist = packages.wheel("churn{}".format(worker), "1.{}".format(n), ballast=20_000)
            try:
                site.upload(dist, keep=False)
                version = "/alice/dev/churn{}/1.{}".format(worker, max(1, n - 2))
                gone = api(site.server.base, "DELETE", version, None, "alice", PASSWORD)
                require(gone.status in (200, 404), "DELETE {} is answered {}".format(version, gone.status))
                counts["uploads"] += 1
            except Broken as broken:
                trouble.append(broken)
                return

    workers = [threading.Thread(target=load, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    try:
        taken = [site.backup() for _ in range(LOAD_BACKUPS)]
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    if trouble:
        raise trouble[0]
    require(not any(one["lacking"] for one in taken), "a snapshot under load lacks files: {}".format(taken))
    ran = site.verify(site.target)
    found = json.loads(ran.text)
    require(ran.code == 0 and found["snapshots"] == LOAD_BACKUPS and not found["findings"], ran.told())
    named = rows_are_covered(site.target)
    require(counts["uploads"] > LOAD_BACKUPS, "there was no load: {} uploads".format(counts["uploads"]))
    passed("{} backups during {} uploads and removals: no row of a snapshot lacks its bytes ({} rows)".format(
        LOAD_BACKUPS, counts["uploads"], named))

    before = size(site.target)
    again = site.backup()
    still = site.backup()
    grown = (size(site.target) - before) / 2
    database = (site.target / "snapshots" / still["snapshot"] / "private.db").stat().st_size
    require(still["copied"] == {"files": 0, "bytes": 0}, "what is there is copied again: {}".format(still))
    require(grown < database + 100_000, "a backup of nothing new takes {} bytes".format(grown))
    kept = site.backup("--keep", "2")
    require(len(kept["pruned"]) == LOAD_BACKUPS + 1 and kept["removed"]["files"] > 0, "pruned: {}".format(kept))
    ran = site.verify(site.target)
    require(ran.code == 0 and json.loads(ran.text)["extra"]["files"] == 0, ran.told())
    lines = site.command("backup", "--list", site.target).text.splitlines()
    require(len(lines) == 2 and again["snapshot"] not in lines[0], "--list says {}".format(lines))
    modes = {oct(path.stat().st_mode & 0o777) for path in [site.target, *site.target.joinpath("snapshots").iterdir()]}
    require(modes == {"0o700"}, "others look into the backup: {}".format(modes))
    passed("a backup of nothing new copies no file, --keep removes what only old snapshots named, and nobody looks inside")


def rows_are_covered(target):
    """Counts the rows of all snapshots, each of which has its bytes, by SQLite and SHA-256 alone."""
    count = 0
    check_store(target, "in the backup", "private")
    for snapshot in target.joinpath("snapshots").iterdir():
        check_database(snapshot, "in the backup", "private.db")
        database = sqlite3.connect("file:{}?immutable=1".format(snapshot / "private.db"), uri=True)
        rows = database.execute("SELECT hex(sha256), size FROM file UNION ALL SELECT hex(metadata_sha256), metadata_size "
                                "FROM file WHERE metadata_sha256 IS NOT NULL").fetchall()
        database.close()
        for sha256, length in rows:
            path = target / "private" / sha256[:2].lower() / sha256[2:].lower()
            require(path.is_file() and path.stat().st_size == length, "{} lacks {}".format(snapshot.name, path))
            count += 1
    return count


def two_at_once(site):
    with open(site.target / "lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = site.command("backup", site.target)
    require(ran.code == TEMPORARY and "another backup" in ran.text, ran.told())
    ran = site.command("backup", site.data / "backup")
    require(ran.code == 64 and "place of its own" in ran.text, ran.told())
    ran = run([site.binary, "serve", "--data", site.target, "--listen", "127.0.0.1:0"], clean_env(temp_dir("command")))
    require(ran.code == CONFIG and "sidewheel restore" in ran.text, ran.told())
    passed("a second backup at once is told so, one inside the data directory is refused, and nobody serves a backup")


def verified(site):
    ran = site.command("verify", "--rate", "100MB")
    require(ran.code == 0, "beside the server: " + ran.told())
    place = Path(temp_dir("copy")) / "backup"

    def on(dist):
        return place / "private" / dist.sha256[:2] / dist.sha256[2:]

    def flip(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def directory(path):
        path.unlink()
        path.mkdir()

    first, second, third = (site.kept["kept-1.{}-py3-none-any.whl".format(n)] for n in range(3))
    for code, fault, dist, harm in ((UNREADABLE, "unreadable", first, directory), (MISSING, "missing", second, Path.unlink),
                                    (DAMAGED, "damaged", third, flip)):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(site.target, place)
        harm(on(dist))
        ran = command(site.binary, "verify", place)
        told = [line for line in ran.text.splitlines() if line.startswith(fault)]
        require(ran.code == code and len(told) == 1 and "alice/dev/" + dist.filename in told[0], ran.told())
        found = json.loads(command(site.binary, "verify", place, "--json").text.partition("\nsidewheel:")[0])
        require(found[fault] == 1 and len(found["findings"]) == 1, "--json says {}".format(found))
        data = Path(temp_dir("half")) / "data"
        ran = command(site.binary, "restore", place, "--data", data)
        require(ran.code == DAMAGED and dist.filename in ran.text and not any(data.glob("*")), ran.told())
    require(site.verify(site.target).code == 0, "the backup itself was touched")
    passed("verify tells damaged, missing and unreadable apart by exit code and by name, and restore refuses each")


def killed(site):
    if not sys.platform.startswith("linux"):
        return note("kill -9 of backups was NOT checked: only on Linux")
    require(shutil.which("strace"), "strace is needed for the kill -9 sweep; install it")
    base = Path(temp_dir("base")) / "backup"
    site.backup(target=base)
    for n in range(4):
        site.upload(packages.wheel("later", "1.{}".format(n), ballast=300_000))
    until, counts = time.monotonic() + KILL_SECONDS_MAX, collections.Counter()
    for number in NUMBERS:
        for call in CALLS:
            if time.monotonic() > until and counts[call]:
                continue
            target = Path(temp_dir("killed")) / "backup"
            shutil.copytree(base, target)
            ran = site.command("backup", target, prefix=killing(call, number))
            when = "after kill -9 of a backup at {} number {}".format(call, number)
            require(ran.code in (0, -signal.SIGKILL, 128 + signal.SIGKILL), when + ": " + ran.told())
            counts[call] += ran.code != 0
            ran = site.verify(target)
            require(ran.code == 0, when + ": " + ran.told())
            rows_are_covered_after_kill(target, when)
            taken = site.backup(target=target)
            require(not taken["lacking"] and site.verify(target).code == 0, when + ", the next run: {}".format(taken))
            left = [path.name for path in target.joinpath("snapshots").iterdir() if not path.name.endswith("Z")]
            require(not left and not any(target.joinpath("tmp").iterdir()), when + " there is left {}".format(left))
            shutil.rmtree(target.parent)
    blind = [call for call in ("pwrite64", "fsync", "rename", "mkdir") if not counts[call]]
    require(not blind, "no backup was killed at {}: the sweep is blind".format(blind))
    passed("kill -9 of a backup at {}: earlier snapshots stay good, and the next run goes on".format(
        ", ".join("{} ({} times)".format(call, counts[call]) for call in CALLS if counts[call])))


def killing(call, number):
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=?{0},?{0}at,?{0}at2".format(call), "-e",
            "inject=?{0},?{0}at,?{0}at2:signal=SIGKILL:when={1}".format(call, number)]


def rows_are_covered_after_kill(target, when):
    for shelf in ("private", "files"):
        check_store(target, when, shelf)


def restored(tools, site, upstream):
    taken = site.backup()
    ran = site.command("restore", site.target, "--force")
    require(ran.code == TEMPORARY and "in use" in ran.text, "over a running server: " + ran.told())
    site.server.stop()
    upstream.close()
    ran = site.command("restore", site.target)
    require(ran.code == 64 and "--force" in ran.text, ran.told())
    data = Path(temp_dir("restored")) / "data"
    ran = command(site.binary, "restore", site.target, "--data", data)
    require(ran.code == 0 and taken["snapshot"] in ran.text, ran.told())
    require(command(site.binary, "verify", "--data", data).code == 0, "what was restored is not good")
    server = Sidewheel(site.binary, data, upstream)
    index = server.base + "/alice/dev/+simple/"
    for name in ("kept", "alpha", "beta", "later"):
        for filename, (url, sha256) in listed(index, name).items():
            answer = get(url)
            require(answer.status == 200 and digest(answer.body) == sha256 == site.kept[filename].sha256
                    and answer.body == site.kept[filename].data, "{} is not as it was uploaded".format(filename))
    for tool in (tools.pip_new, tools.uv):
        home = temp_dir("home")
        ran = tool.run_install(index, home, ["alpha"])
        require(ran.code == 0, ran.told())
        check_imports(tool.python, clean_env(home), {"alpha": "1.0", "beta": "1.0"}, Path(home) / "site")
    devpi, home = tools.program("devpi", DEVPI_CLIENT), Path(temp_dir("home"))
    for line in (["use", server.base + "/alice/dev"], ["login", "alice", "--password", PASSWORD], ["list", "kept"]):
        ran = run([devpi, line[0], "--clientdir", home / "client", *line[1:]], clean_env(home), home)
        require(ran.code == 0, ran.told())
    require("kept-1.5" in ran.text, ran.told())
    must_api(server.base, "GET", "/alice", user="root", password=ROOT_PASSWORD)
    server.stop()
    ran = command(site.binary, "restore", site.target, "--force", "--data", data)
    aside = [path for path in data.parent.iterdir() if path != data]
    require(ran.code == 0 and len(aside) == 1 and (aside[0] / "private.db").is_file(), ran.told())
    passed("a restored server without upstream: pip and uv install from it, devpi-client logs in, every byte is equal")


def scrubbed(binary):
    upstream, data = Upstream(), Path(temp_dir("data")) / "data"
    init(binary, data)
    server = Sidewheel(binary, data, upstream)
    must_api(server.base, "PUT", "/alice", {"password": PASSWORD})
    must_api(server.base, "PUT", "/alice/dev", {"bases": []}, "alice", PASSWORD)
    own, cached = packages.wheel("own", "1.0"), upstream.dist("alpha-1.1-py3-none-any.whl")
    require(post(server.base + "/alice/dev/", own, "alice", PASSWORD).status == 200, "the upload fails")
    require(get(file_url(server, cached)).status == 200, "the mirror's file does not come")
    server.stop()
    for shelf, dist in (("private", own), ("files", cached)):
        path = data / shelf / dist.sha256[:2] / dist.sha256[2:]
        rotten = bytearray(path.read_bytes())
        rotten[20] ^= 1
        path.write_bytes(rotten)
    server = Sidewheel(binary, data, upstream, env=clean_env(temp_dir("server"), SIDEWHEEL_SCRUB_PERIOD="2s"))
    until = time.monotonic() + SCRUB_SECONDS_MAX

    def figures():
        text = get(server.base + "/+metrics").body.decode()
        return {line.split(" ")[0]: line.split(" ")[1] for line in text.splitlines() if not line.startswith("#")}

    while not (figures().get('sidewheel_events_total{event="file_damaged"}') == "2"
               and figures().get('sidewheel_level{what="scrub_finished"}', "0") != "0"):
        require(time.monotonic() < until, "the scrub finds nothing: {}".format(figures()))
        time.sleep(0.1)
    require(figures()['sidewheel_level{what="private_lost"}'] == "1", "the metrics say {}".format(figures()))
    log = server.whole_log()
    require("restore it from a backup" in log and own.sha256 in log, "the log does not say what is lost:\n" + log)
    require(any(path.name.startswith("private-" + own.sha256) for path in (data / "quarantine").iterdir()),
            "the damaged upload is not in the quarantine")
    url = listed(server.base + "/alice/dev/+simple/", "own")[own.filename][0]
    answer = get(url, {"Authorization": basic("alice", PASSWORD)})
    require(answer.status == 500 and own.filename.encode() in answer.body, "a lost file is answered {}: {}".format(
        answer.status, answer.body[:300]))
    answer = get(file_url(server, cached))
    require(answer.status == 200 and answer.body == cached.data, "the mirror's file is not fetched again")
    ran = command(binary, "verify", "--data", data)
    require(ran.code == MISSING and "alice/dev/" + own.filename in ran.text, ran.told())
    server.stop()
    upstream.close()
    passed("the scrub finds a flipped byte in a cached and in an uploaded file: one is fetched again, one set aside and told")


def formats(binary):
    data = golden()
    server = Sidewheel(binary, data, extra=["--offline"])
    require(any("format 1" in line and "before-format-3" in line for line in server.lines), "".join(server.lines))
    answer = get(listed(server.base + "/alice/dev/+simple/", "golden")["golden-1.0-py3-none-any.whl"][0])
    require(answer.status == 200 and answer.body == packages.wheel("golden", "1.0").data, "the upload of then is another")
    must_api(server.base, "PUT", "/alice/more", {"bases": []}, "alice", PASSWORD)
    server.stop()
    require(version(data / "before-format-3/private.db") == 1 and version(data / "private.db") > 1, "nothing was migrated")
    (data / "format").write_text("99\nsidewheel 7.0\n")
    ran = run([binary, "serve", "--data", data, "--listen", "127.0.0.1:0"], clean_env(temp_dir("command")))
    require(ran.code == CONFIG and all(word in ran.text for word in ("format 99", "7.0", "backup")), ran.told())
    passed("a directory of the first format is brought up with a copy first, and one of a newer program is refused")
    if not sys.platform.startswith("linux"):
        return note("kill -9 of a migration was NOT checked: only on Linux")
    counts, until = collections.Counter(), time.monotonic() + KILL_SECONDS_MAX
    for number in (1, 2, 3, 4, 6, 9, 14):
        for call in ("pwrite64", "fsync", "rename", "mkdir"):
            if time.monotonic() > until and counts[call]:
                continue
            data = golden()
            ran = command(binary, "init", "--data", data, prefix=killing(call, number))
            counts[call] += ran.code != 0
            ran = command(binary, "init", "--data", data)
            require(ran.code == 0, "after kill -9 of a migration at {} number {}: {}".format(call, number, ran.told()))
            kept = sorted(data.glob("before-format-3*"))
            require(len(kept) == 1 and version(kept[0] / "private.db") == 1 and version(data / "private.db") > 1,
                    "after kill -9 of a migration at {} number {}: {}".format(call, number, kept))
            check_database(data, "after the migration", "private.db")
            check_database(data, "after the migration")
    require(all(counts[call] for call in ("pwrite64", "fsync", "rename")), "no migration was killed: {}".format(counts))
    passed("kill -9 of a migration {} times: the next start ends it, and what was before is kept".format(
        sum(counts.values())))


def golden():
    place = Path(temp_dir("golden"))
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(place)
    return place / "data"


def version(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("pragma user_version").fetchone()[0]
    finally:
        database.close()
