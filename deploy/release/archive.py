#!/usr/bin/env python3
"""Makes the archive of a release out of its wheel: archive.py WHEEL DIRECTORY

The same binary as in the wheel, with licences and examples, for those who have no pip. Prints the archive's path.
The archive of one wheel is always the same, byte for byte.
"""

import gzip
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BESIDE = ("LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md", "Caddyfile.example",
          "sidewheel.example.toml")


def archive(wheel, directory):
    found = re.fullmatch(r"(sidewheel-[^-]+)-py3-none-([\w.]+)\.whl", wheel.name)
    if not found:
        sys.exit("archive.py: {} is no wheel of sidewheel".format(wheel.name))
    # manylinux_2_28_x86_64.manylinux2014_x86_64: one name of several is enough.
    name = "{}-{}".format(found.group(1), found.group(2).split(".")[0])
    with zipfile.ZipFile(wheel) as source:
        binary = source.read(found.group(1) + ".data/scripts/sidewheel")
    made = Path(directory) / (name + ".tar.gz")
    with open(made, "wb") as file, gzip.GzipFile("", "wb", 6, file, 0) as packed, \
            tarfile.open(fileobj=packed, mode="w") as tar:
        add(tar, name + "/sidewheel", binary, 0o755)
        for beside in BESIDE:
            add(tar, name + "/" + beside, (REPOSITORY / beside).read_bytes(), 0o644)
    return made


def add(tar, name, data, mode):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(archive(Path(sys.argv[1]), sys.argv[2]))
