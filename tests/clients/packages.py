"""Small real distributions, made here: wheels and one sdist that every installer accepts.

In: names, versions and dependencies. Out: bytes with a name, a digest and core metadata. No network, no disk.
"""

import base64
import gzip
import hashlib
import io
import json
import random
import tarfile
import zipfile

# What a zip and a tar say about time; fixed, so that two runs make the same bytes.
ZIP_TIME = (2024, 1, 1, 0, 0, 0)
TAR_TIME = 1704067200

# An in-tree build backend: building the sdist needs nothing from an index.
BACKEND = '''
import os, zipfile
NAME, VERSION = {name!r}, {version!r}
INFO = NAME + "-" + VERSION + ".dist-info"
FILES = {{
    NAME + ".py": "VERSION = " + repr(VERSION) + "\\n",
    INFO + "/METADATA": {metadata!r},
    INFO + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: fixture\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}}
def get_requires_for_build_wheel(config_settings=None):
    return []
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    os.makedirs(os.path.join(metadata_directory, INFO))
    for name, text in FILES.items():
        if name.startswith(INFO):
            with open(os.path.join(metadata_directory, name), "w") as out:
                out.write(text)
    return INFO
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = NAME + "-" + VERSION + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as out:
        record = INFO + "/RECORD"
        FILES[record] = "".join(name + ",,\\n" for name in list(FILES) + [record])
        for name, text in FILES.items():
            out.writestr(zipfile.ZipInfo(name, {time}), text)
    return wheel
'''


class Dist:
    """One distribution file and what an index says about it."""

    def __init__(self, filename, data, metadata, requires_python, uploaded, yanked):
        self.filename = filename
        self.data = data
        self.metadata = metadata  # bytes of METADATA; None for an sdist
        self.requires_python = requires_python
        self.uploaded = uploaded
        self.yanked = yanked  # None, or the reason
        self.sha256 = hashlib.sha256(data).hexdigest()
        blake = hashlib.blake2b(data, digest_size=32).hexdigest()
        self.path = "/packages/{}/{}/{}/{}".format(blake[:2], blake[2:4], blake[4:], filename)

    @property
    def version(self):
        return self.filename.split("-")[1].replace(".tar.gz", "")


def core_metadata(name, version, requires, requires_python, told=()):
    """`told` is more of it: pairs of field and value; the description stands after the fields."""
    told = [("Summary", "a fixture"), *told] if "Summary" not in dict(told) else list(told)
    lines = ["Metadata-Version: 2.2", "Name: " + name, "Version: " + version]
    lines += ["{}: {}".format(*pair) for pair in told if pair[0] != "Description"]
    if requires_python:
        lines.append("Requires-Python: " + requires_python)
    lines += ["Requires-Dist: " + requirement for requirement in requires]
    described = ["\n" + text for field, text in told if field == "Description"]
    return "\n".join(lines) + "\n" + "".join(described)


def wheel(name, version, requires=(), requires_python=">=3.8", uploaded="2024-01-02T03:04:05.000000Z", yanked=None,
          ballast=0, told=()):
    """A pure wheel with one module; `ballast` adds that many bytes which do not compress."""
    module = name.lower().replace(".", "_").replace("-", "_")
    info = "{}-{}.dist-info".format(module, version)
    metadata = core_metadata(name, version, requires, requires_python, told)
    files = [(module + ".py", "VERSION = {!r}\n".format(version).encode())]
    if ballast:
        files.append((module + "_ballast.bin", random.Random(name + version).randbytes(ballast)))
    files += [
        (info + "/METADATA", metadata.encode()),
        (info + "/WHEEL", b"Wheel-Version: 1.0\nGenerator: fixture\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    ]
    record = ""
    for path, data in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "{},sha256={},{}\n".format(path, digest, len(data))
    record += info + "/RECORD,,\n"
    files.append((info + "/RECORD", record.encode()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files:
            entry = zipfile.ZipInfo(path, ZIP_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    filename = "{}-{}-py3-none-any.whl".format(module, version)
    return Dist(filename, out.getvalue(), metadata.encode(), requires_python, uploaded, yanked)


def source_tree(name, version, requires=(), told=()):
    """The files of a project of one module that builds without asking any index, the same bytes each time."""
    metadata = core_metadata(name, version, requires, ">=3.8", told)
    pyproject = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "{}"\nversion = "{}"\nrequires-python = ">=3.8"\ndependencies = {}\n'.format(
            name, version, json.dumps(list(requires)))
    )
    return {
        "PKG-INFO": metadata,
        "pyproject.toml": pyproject,
        "backend.py": BACKEND.format(name=name, version=version, metadata=metadata, time=ZIP_TIME),
        name + ".py": "VERSION = {!r}\n".format(version),
    }


def sdist(name, version, uploaded="2024-01-02T03:04:05.000000Z", requires=(), more=(), told=()):
    """A source distribution of `source_tree` and the files of `more`."""
    root = "{}-{}".format(name, version)
    files = dict(source_tree(name, version, requires, told), **dict(more))
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(root + "/" + path)
            entry.size, entry.mtime, entry.mode = len(text.encode()), TAR_TIME, 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    data = gzip.compress(plain.getvalue(), mtime=TAR_TIME)
    return Dist(root + ".tar.gz", data, None, ">=3.8", uploaded, None)


def doczip(name, version, text):
    """Documentation as devpi takes it: a zip with an index.html."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.html", ZIP_TIME), "<html><body>{}</body></html>".format(text))
    return Dist("{}-{}.doc.zip".format(name, version), out.getvalue(), None, None, None, None)


def normalised(name):
    return name.lower().replace("_", "-").replace(".", "-")


def world():
    """The projects of the fixture: normalised name to (name as upstream writes it, distributions)."""
    projects = {
        "alpha": [
            wheel("alpha", "1.0", ["beta>=1", "gamma"]),
            wheel("alpha", "1.1", ["beta>=1", "gamma"]),
        ],
        "beta": [
            wheel("beta", "0.9"),
            wheel("beta", "1.0", uploaded="2024-06-01T00:00:00.000000Z"),
            wheel("beta", "1.5", uploaded="2026-06-01T00:00:00.000000Z"),
        ],
        "gamma": [
            sdist("gamma", "1.0"),
            wheel("gamma", "1.0"),
            wheel("gamma", "2.0", yanked="eats its young"),
            wheel("gamma", "3.0", requires_python=">=99"),
        ],
        # `versions` of a page names it as its owner writes it; clients ask for the normalised name.
        "Zope.Thing": [wheel("Zope.Thing", "1.0")],
        # 3 MB: streams while it is cold, where the small ones are waited for.
        "bigwheel": [wheel("bigwheel", "1.0", ballast=3_000_000)],
        # For checks that need a file nobody asked for before.
        "delta": [wheel("delta", "1.0")],
        "epsilon": [wheel("epsilon", "1.0", ballast=2_500_000)],
    }
    return {normalised(name): (name, dists) for name, dists in projects.items()}
