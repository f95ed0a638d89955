"""kill -9 at every kind of write to the disk while a client uploads (Linux, strace).

In: the binary. Out: a passed check per system call. After each kill: what was acknowledged is listed and served with its
digest, what was not is there wholly or not at all, and the same upload can be made again.
"""

import collections
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import packages
from devpi_server import init, must_api
from kills import child_of
from processes import (Broken, Sidewheel, check_database, check_store, clean_env, digest, get, must, note, passed, require,
                       temp_dir)
from publishers import listed, post

# What writes: to a file, to the database and its log, to directories.
CALLS = {"write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "sync_file_range", "rename", "renameat",
         "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "ftruncate", "fallocate"}
# For the whole part; it is part of CI.
SWEEP_SECONDS_MAX = 75
# Evenly over what one upload after another does.
KILLS_EACH_MAX = 40
# Small ones and one that needs many writes; so many that a thread makes more directories than the start does, whose
# numbers strace counts too.
WHEELS = [packages.wheel("killed", "1.{}".format(n), ballast=ballast)
          for n, ballast in enumerate((100, 400_000, 3_000, 20_000, *range(200, 1_000, 100)))]
PROJECT = "killed"


def upload_kills(binary):
    if not sys.platform.startswith("linux"):
        return note("kill -9 during uploads was NOT checked: only on Linux")
    require(shutil.which("strace"), "strace is needed for the kill -9 sweep; install it")
    prepared = Path(temp_dir("prepared")) / "data"
    token = prepare(binary, prepared)
    until = time.monotonic() + SWEEP_SECONDS_MAX
    points = measured(binary, copied(prepared), token)
    require("fsync" in points or "fdatasync" in points, "uploads are acknowledged without any fsync")
    killed, survived = collections.Counter(), collections.Counter()
    # Round by round, so that when the time is up every call had its turn. A number may come again: which thread reaches
    # it, and in which upload, is chance.
    turns = [(call, numbers[turn % len(numbers)]) for turn in range(KILLS_EACH_MAX)
             for call, numbers in sorted(points.items())]

    def one(turn):
        call, number = turn
        if time.monotonic() > until and killed[call]:
            return
        data = copied(prepared)
        when = "after kill -9 at {} number {} during uploads".format(call, number)
        was_killed, acknowledged = killed_at(binary, data, token, call, number)
        (killed if was_killed else survived)[call] += 1
        check(binary, data, token, acknowledged, when)
        shutil.rmtree(data)

    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        try:
            for waiting in [pool.submit(one, turn) for turn in turns]:
                waiting.result()
        except Exception:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for call in sorted(points):
        require(killed[call], "no run was killed at {} during uploads: the sweep is blind".format(call))
        passed("kill -9 at {} during uploads: killed {} times, survived {}; nothing acknowledged is lost, nothing is "
               "half".format(call, killed[call], survived[call]))


def prepare(binary, data):
    """A data directory with a user, an index that keeps what it has, and a token to upload with."""
    init(binary, data)
    server = Sidewheel(binary, data, extra=["--offline"])
    must_api(server.base, "PUT", "/alice", {"password": "alices-word"})
    must_api(server.base, "PUT", "/alice/dev", {"volatile": False}, "alice", "alices-word")
    server.stop()
    ran = must([binary, "token", "create", "--data", data, "--user", "alice", "--index", "alice/dev", "--upload",
                "--expires", "30d", "--name", "kills"], clean_env(temp_dir("home")))
    return ran.text.strip().splitlines()[-1]


def copied(prepared):
    data = Path(temp_dir("data")) / "data"
    shutil.copytree(prepared, data)
    return data


def measured(binary, data, token):
    """For each call that uploads make: which numbers of it, counted by thread as strace counts, fall into them."""
    out = Path(temp_dir("strace")) / "calls"
    strace = ["strace", "-f", "-qq", "-ttt", "-o", str(out), "-e", "trace=" + ",".join("?" + call for call in CALLS)]
    server = Sidewheel(binary, data, extra=["--offline"], prefix=strace)
    begin = time.time()
    acknowledged = upload_all(server, token)
    end = time.time()
    os.kill(child_of(server.process.pid), signal.SIGTERM)
    require(server.process.wait(20) == 0, "the server under strace does not end in order; it wrote:\n" + server.log())
    server.kill()
    require(len(acknowledged) == len(WHEELS), "only {} of {} uploads are acknowledged; the server wrote:\n{}".format(
        len(acknowledged), len(WHEELS), server.log()))
    counted, points, started = collections.Counter(), collections.defaultdict(set), collections.Counter()
    for line in out.read_text(errors="replace").splitlines():
        found = re.match(r"(\d+)\s+(\d+\.\d+) (\w+)\(", line)
        if found and found.group(3) in CALLS:
            thread, at, call = found.groups()
            counted[thread, call] += 1
            if float(at) < begin:
                started[call] = max(started[call], counted[thread, call])
            elif float(at) <= end:
                points[call].add(counted[thread, call])
    # What one thread does for several uploads is chance: the numbers after those of the start are always tried.
    return {call: spread(sorted(numbers | set(range(started[call] + 1, started[call] + 4))))
            for call, numbers in points.items()}


def spread(numbers):
    """At most KILLS_EACH_MAX of them, over the whole length; the middle and the ends first."""
    if len(numbers) > KILLS_EACH_MAX:
        step = (len(numbers) - 1) / (KILLS_EACH_MAX - 1)
        numbers = sorted({numbers[round(n * step)] for n in range(KILLS_EACH_MAX)})
    middle = len(numbers) // 2
    return numbers[middle:middle + 1] + numbers[-1:] * (middle != len(numbers) - 1) + [
        number for place, number in enumerate(numbers) if place not in (middle, len(numbers) - 1)]


def upload_all(server, token):
    """One after another, until the server is gone; the wheels that it acknowledged."""
    acknowledged = []
    for dist in WHEELS:
        try:
            answer = post(server.base + "/alice/dev/", dist, "__token__", token)
        except Broken:
            break
        require(answer.status == 200, "{} is answered {}: {}".format(dist.filename, answer.status, answer.body[:500]))
        acknowledged.append(dist)
    return acknowledged


def killed_at(binary, data, token, call, number):
    """One run under strace. Whether it was killed after its start, and what it had acknowledged."""
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + call, "-e",
              "inject={}:signal=SIGKILL:when={}".format(call, number)]
    server = Sidewheel(binary, data, extra=["--offline"], prefix=strace, wait=False)
    acknowledged = []
    try:
        server.heard.wait(20)
        if server.base:
            acknowledged = upload_all(server, token)
            if len(acknowledged) == len(WHEELS) and server.process.poll() is None:
                os.kill(child_of(server.process.pid), signal.SIGTERM)
        try:
            code = server.process.wait(20)
        except subprocess.TimeoutExpired:
            raise Broken("the server under strace lives, but no longer answers; it wrote:\n" + server.log())
        require(code in (0, -signal.SIGKILL, 128 + signal.SIGKILL),
                "the server under strace ended with {} and was not killed; it wrote:\n{}".format(code, server.log()))
        return bool(server.base) and code != 0, acknowledged
    finally:
        server.kill()


def check(binary, data, token, acknowledged, when):
    check_store(data, when)
    check_store(data, when, "private")
    server = Sidewheel(binary, data, extra=["--offline"])
    left = list(Path(data, "tmp").iterdir())
    require(not left, "{}: tmp/ is not swept at the start: {}".format(when, left))
    index = server.base + "/alice/dev/"
    files = listed(index + "+simple/", PROJECT)
    for dist in acknowledged:
        require(dist.filename in files, "{}: {} was acknowledged and is not listed".format(when, dist.filename))
    for dist in WHEELS:
        if dist.filename in files:
            url, sha256 = files[dist.filename]
            answer = get(url)
            require(sha256 == dist.sha256 and answer.status == 200 and digest(answer.body) == dist.sha256,
                    "{}: {} is listed with {}, and answered {} with {} bytes".format(
                        when, dist.filename, sha256, answer.status, len(answer.body)))
        else:
            url = "{}+f/{}/{}/{}".format(index, dist.sha256[:3], dist.sha256[3:16], dist.filename)
            status = get(url).status
            require(status in (404, 410), "{}: {} is not listed, but answered {}".format(when, dist.filename, status))
        answer = post(index, dist, "__token__", token)
        require(answer.status == 200, "{}: {} uploaded again is answered {}: {}".format(
            when, dist.filename, answer.status, answer.body[:500]))
    files = listed(index + "+simple/", PROJECT)
    for dist in WHEELS:
        require(dist.filename in files and digest(get(files[dist.filename][0]).body) == dist.sha256,
                "{}: {} is not served after it was uploaded again".format(when, dist.filename))
    server.stop()
    check_store(data, when + " and a restart")
    kept = check_store(data, when + " and a restart", "private")
    require(kept >= len(WHEELS), "{}: {} files are on the private shelf".format(when, kept))
    check_database(data, when)
    # What was uploaded stands in the other one.
    check_database(data, when, "private.db")
