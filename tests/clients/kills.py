"""kill -9 at every kind of write to the disk, while files arrive and while they are evicted (Linux, strace).

In: the binary. Out: a passed check per system call. After each kill: what is stored is whole, the start sweeps,
the database is sound, and the same file can be had.
"""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from fixture import Upstream
from processes import Broken, Sidewheel, check_database, check_store, digest, get, note, passed, require, temp_dir

# By name and for every machine: `?` passes over what this one does not have.
CALLS = {
    "pwrite64": "pwrite64",
    "rename": "?rename,?renameat,?renameat2",
    "fsync": "?fsync,?fdatasync",
    "unlink": "?unlink,?unlinkat",
    "ftruncate": "?ftruncate",
    "mkdir": "?mkdir,?mkdirat",
}
# For the whole sweep; it is part of CI.
SWEEP_SECONDS_MAX = 60
# strace counts by thread, and which thread does what is chance: one run that ends well does not prove the last number.
SURVIVED_RUNS = 2
# When the second large wheel has come, one of the two goes soon.
EVICT_SECONDS_MAX = 10
# Below the sum of the two large wheels: one of them must go.
DISK = "4MB"
WANTED = ("alpha-1.1-py3-none-any.whl", "bigwheel-1.0-py3-none-any.whl", "epsilon-1.0-py3-none-any.whl")


class NotEvicted(Broken):
    """A promise of its own, not a sign that the server was killed."""


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
    killed = survived = n = 0
    while survived < SURVIVED_RUNS and time.monotonic() < until:
        n += 1
        data = temp_dir("data")
        if killed_at(binary, upstream, data, CALLS[name], n):
            killed += 1
            survived = 0
        else:
            survived += 1
        check(binary, upstream, data, "after kill -9 at {} number {}".format(name, n))
        shutil.rmtree(data)
    end = "until there are no more" if survived == SURVIVED_RUNS else "until the time was up"
    require(killed or name in ("ftruncate", "mkdir", "unlink"), "no run was killed at {}: the sweep is blind".format(name))
    return "kill -9 at {}, number 1 to {}: killed {} times, {}; nothing half, all files to be had again".format(
        name, n, killed, end)


def killed_at(binary, upstream, data, calls, n):
    """One run under strace: fill, evict, stop in order. Whether the kill came before the end."""
    # Not with --seccomp-bpf: with it strace 6.1 never comes to number 2.
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + calls, "-e",
              "inject={}:signal=SIGKILL:when={}".format(calls, n)]
    server = Sidewheel(binary, data, upstream, prefix=strace, disk=DISK, wait=False)
    try:
        server.wait_until_ready()
        fill(server, upstream)
        evicted(server, [upstream.dist(name) for name in WANTED[1:]])
        os.kill(child_of(server.process.pid), signal.SIGTERM)
        return server.process.wait(20) != 0
    except NotEvicted:
        raise
    except (OSError, Broken) as error:
        try:
            code = server.process.wait(20)
        except subprocess.TimeoutExpired:
            raise Broken("the server under strace lives, but: {}".format(error))
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


def evicted(server, large):
    """Waits until one of the two is off the disk: both were used in the same second, so either may go."""
    paths = [Path(server.data, "files", dist.sha256[:2], dist.sha256[2:]) for dist in large]
    until = time.monotonic() + EVICT_SECONDS_MAX
    while all(path.exists() for path in paths):
        require(server.process.poll() is None, "the server is gone")
        if time.monotonic() > until:
            raise NotEvicted("with --disk {} both of two large wheels are still there after {} s".format(
                DISK, EVICT_SECONDS_MAX))
        time.sleep(0.02)


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
    check_database(data, when)
