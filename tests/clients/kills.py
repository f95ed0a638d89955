"""kill -9 at every kind of write to the disk, while files arrive and while they are evicted (Linux, strace).

In: the binary. Out: a passed check per system call. After each kill: what is stored is whole, the start sweeps,
the database is sound, and the same file can be had.
"""

import concurrent.futures
import os
import shutil
import signal
import sqlite3
import sys
import time
import urllib.error
from http.client import HTTPException
from pathlib import Path

from fixture import Upstream
from processes import Broken, Sidewheel, check_store, digest, get, note, passed, require, temp_dir

# By name and for every machine: `?` passes over what this one does not have.
CALLS = {
    "pwrite64": "pwrite64",
    "rename": "?rename,?renameat,?renameat2",
    "fsync": "?fsync,?fdatasync",
    "unlink": "?unlink,?unlinkat",
    "ftruncate": "?ftruncate",
    "mkdir": "?mkdir,?mkdirat",
}
# For the whole sweep; it is part of CI. N is counted by thread, so even the first few cover many places.
SWEEP_SECONDS_MAX = 60
# Below the sum of the two large wheels: the second evicts the first.
DISK = "4MB"
WANTED = ("alpha-1.1-py3-none-any.whl", "bigwheel-1.0-py3-none-any.whl", "epsilon-1.0-py3-none-any.whl")


def numbers():
    """1, 2, 3 … 8, then ever wider: the later calls of one kind do the same again."""
    n = 1
    while True:
        yield n
        n += 1 if n < 8 else n // 4


def kills(binary):
    if not sys.platform.startswith("linux"):
        return note("kill -9 sweep: only on Linux")
    require(shutil.which("strace"), "strace is needed for the kill -9 sweep; install it")
    upstream = Upstream()
    until = time.monotonic() + SWEEP_SECONDS_MAX
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        waiting = [pool.submit(sweep, binary, upstream, name, until) for name in CALLS]
        for sweep_of in waiting:
            passed(sweep_of.result())
    upstream.close()


def sweep(binary, upstream, name, until):
    killed = 0
    for n in numbers():
        data = temp_dir("data")
        if not killed_at(binary, upstream, data, CALLS[name], n):
            end = "until there are no more"
            break
        killed += 1
        check(binary, upstream, data, "after kill -9 at {} number {}".format(name, n))
        shutil.rmtree(data)
        if time.monotonic() > until:
            end = "until the time was up, at number {}".format(n)
            break
    require(killed or name in ("ftruncate", "mkdir", "unlink"), "no run was killed at {}: the sweep is blind".format(name))
    return "kill -9 at {}: {} places, {}; nothing half, all files to be had again".format(name, killed, end)


def killed_at(binary, upstream, data, calls, n):
    """One run under strace: fill, evict, stop in order. Whether the kill came before the end."""
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "--seccomp-bpf", "-e", "trace=" + calls, "-e",
              "inject={}:signal=SIGKILL:when={}".format(calls, n)]
    server = Sidewheel(binary, data, upstream, prefix=strace, disk=DISK, wait=False)
    try:
        server.wait_until_ready()
        fill(server, upstream)
        os.kill(child_of(server.process.pid), signal.SIGTERM)
        return server.process.wait(20) != 0
    except (OSError, HTTPException, urllib.error.URLError, Broken):
        code = server.process.wait(20)
        require(code == -signal.SIGKILL or code == 128 + signal.SIGKILL,
                "the server under strace ended with {} and was not killed; it wrote:\n{}".format(code, server.log()))
        return True
    finally:
        server.kill()


def child_of(pid):
    children = Path("/proc/{0}/task/{0}/children".format(pid)).read_text().split()
    require(children, "strace has no child")
    return int(children[0])


def fill(server, upstream):
    for filename in WANTED:
        answer = get(file_url(server, upstream.dist(filename)), seconds=20)
        require(answer.status == 200, "{} is answered {}".format(filename, answer.status))


def file_url(server, dist):
    return "{}/root/pypi/+f/{}/{}/{}".format(server.base, dist.sha256[:3], dist.sha256[3:16], dist.filename)


def check(binary, upstream, data, when):
    check_store(data, when)
    server = Sidewheel(binary, data, upstream, disk=DISK)
    left = list(Path(data, "tmp").iterdir())
    require(not left, "{}: tmp/ is not swept at the start: {}".format(when, left))
    for filename in WANTED:
        dist = upstream.dist(filename)
        answer = get(file_url(server, dist))
        require(answer.status == 200 and digest(answer.body) == dist.sha256,
                "{}: {} is answered {} with {} bytes".format(when, filename, answer.status, len(answer.body)))
    server.stop()
    check_store(data, when + " and a restart")
    database = sqlite3.connect(os.path.join(data, "sidewheel.db"))
    try:
        said = database.execute("pragma integrity_check").fetchall()
    finally:
        database.close()
    require(said == [("ok",)], "{}: the database is not sound: {}".format(when, said[:3]))
