"""A disk that fills up in the middle of a file, is full at the start, or can only be read (Linux, as root: mount).

In: the binary. Out: a passed check for each. Clients are served through, whole and verified, and told nothing of it.
"""

import os
import subprocess
import sys
from pathlib import Path

from fixture import Upstream
from kills import WANTED, file_url
from processes import Sidewheel, digest, get, must, clean_env, note, passed, require, temp_dir

# The database and one small wheel fit; the large one, of about 3 MB, does not.
DISK_BYTES = 2_500_000


def disks(binary):
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return note("full and read-only disks were NOT checked: that needs Linux and root, to mount a small one")
    place = Path(temp_dir("disk"))
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size={}".format(DISK_BYTES), "tmpfs", str(place)])
    if mount.returncode != 0:
        return note("full and read-only disks were NOT checked: this machine lets nobody mount")
    upstream = Upstream()
    try:
        served(binary, place, upstream, "a disk that fills up in the middle of a file", 2)
        fill(place / "fill")
        served(binary, place, upstream, "a disk that is full at the start", 2)
        (place / "fill").unlink(missing_ok=True)
        must(["mount", "-o", "remount,ro", str(place)], clean_env(str(place)))
        served(binary, place, upstream, "a disk that can only be read", 2)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
        upstream.close()


def fill(path):
    try:
        with open(path, "wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
    except OSError:
        pass


def served(binary, data, upstream, what, times):
    server = Sidewheel(binary, data, upstream)
    for _ in range(times):
        for filename in WANTED:
            dist = upstream.dist(filename)
            answer = get(file_url(server, dist), seconds=20)
            right = answer.status == 200 and digest(answer.body) == digest(dist.data)
            require(right, "{}: {} came with status {}, wrong or cut".format(what, filename, answer.status))
    require("cannot be written" in server.whole_log(), "{}: the log does not say so".format(what))
    server.stop()
    passed("{} is no reason to fail: every file came whole, {} times over".format(what, times))
