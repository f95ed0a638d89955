"""An upstream index on disk: pages in PEP 691 JSON and real wheels, laid out for nginx to serve them.

The same seed gives the same bytes on every machine. A wheel is one that uv and pip install: a package with a file of
random bytes that are stored and not compressed, METADATA, WHEEL, and RECORD with true digests; its METADATA stands
beside it too, as PyPI offers it (PEP 658).
"""

import base64
import hashlib
import io
import json
import pathlib
import random
import zipfile

SEED = 3141
UPLOADED = "2024-05-06T07:08:09.123456Z"

# Files of some 600 bytes of JSON each: 22 make a page of 13 KB, the size of a common project's, 4,300 one of 2.5 MB.
PAGE_FILES = 22
BIG_PAGE_FILES = 4_300
# The small files of the start-up measure: enough to tell, small enough to be fetched in seconds.
SMALL_FILE_BYTES = 2048
SMALL_FILES_PER_PROJECT = 100
LITTLE_FILE_BYTES = 20_000
MEDIUM_FILE_BYTES = 1_000_000
LARGE_FILE_BYTES = 100_000_000
HUGE_FILE_BYTES = 500_000_000
# The packages that depend on each other, and how many of the later ones each needs at most.
GRAPH_PACKAGES = 150
GRAPH_NEEDS_MAX = 5
# Larger files repeat their bytes: making random ones takes longer than hashing them.
BLOCK_BYTES = 1 << 24


class Fixture:
    """A directory with `simple/{project}/index.json` and `files/{project}/{filename}`, as an upstream shows them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.block = b""
        self.digests = {}

    # Projects: each gives the paths of its files under the root.

    def project(self, project, count, size):
        """A project of `count` wheels of about `size` bytes."""
        (self.root / "files" / project).mkdir(parents=True, exist_ok=True)
        files = [self._wheel(project, f"1.0.{number}", size) for number in range(count)]
        self._page(project, files)
        return [f"/files/{project}/{f['filename']}" for f in files]

    def small_projects(self, count):
        """Projects with `count` small wheels together; their names."""
        projects = []
        for number in range(-(-count // SMALL_FILES_PER_PROJECT)):
            projects.append(f"small-{number}")
            left = count - number * SMALL_FILES_PER_PROJECT
            self.project(projects[-1], min(left, SMALL_FILES_PER_PROJECT), SMALL_FILE_BYTES)
        return projects

    def long_page(self, project, count=PAGE_FILES):
        """A project whose files nobody fetches: only its page is wanted, so only the page is made."""
        name, rng = project.replace("-", "_"), random.Random(f"{SEED} {project}")
        files = [
            {
                "filename": f"{name}-2.{n // 5}.{n % 5}-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "size": rng.randrange(1_000_000, 9_000_000),
                "sha256": rng.randbytes(32).hex(),
                "metadata": rng.randbytes(32).hex(),
            }
            for n in range(count)
        ]
        self._page(project, files)

    def graph(self):
        """Packages of about 20 KB that depend on each other without a circle; the root's name, which reaches all."""
        rng = random.Random(f"{SEED} graph")
        names = ["graph-root"] + [f"graph-{n:03}" for n in range(1, GRAPH_PACKAGES)]
        needs = {name: set() for name in names}
        for n in range(1, GRAPH_PACKAGES):
            # Somebody earlier needs it, so the root reaches it; and it needs some later ones.
            needs[names[rng.randrange(max(0, n - 12), n)]].add(names[n])
            for later in rng.sample(names[n + 1 :], min(rng.randrange(GRAPH_NEEDS_MAX), GRAPH_PACKAGES - n - 1)):
                needs[names[n]].add(later)
        for name in names:
            (self.root / "files" / name).mkdir(parents=True, exist_ok=True)
            # Two releases of each, so that a resolver has something to choose.
            files = [self._wheel(name, version, LITTLE_FILE_BYTES, sorted(needs[name])) for version in ("1.0.0", "1.1.0")]
            self._page(name, files)
        return names[0]

    def list_projects(self):
        """The list of all projects, as it is now; servers that keep one ask for it."""
        pages = self.root / "simple"
        pages.mkdir(parents=True, exist_ok=True)
        projects = [{"name": path.name} for path in sorted(pages.iterdir()) if path.is_dir()]
        (pages / "index.json").write_text(json.dumps({"meta": {"api-version": "1.1", "_last-serial": SEED}, "projects": projects}))

    # How they are made.

    def _pieces(self, size):
        if not self.block:
            self.block = random.Random(SEED).randbytes(BLOCK_BYTES)
        while size > 0:
            yield memoryview(self.block)[: min(size, BLOCK_BYTES)]
            size -= BLOCK_BYTES

    def _record(self, path, size):
        """The line of RECORD for a file of our bytes of that size."""
        if size not in self.digests:
            digest = hashlib.sha256()
            for piece in self._pieces(size):
                digest.update(piece)
            self.digests[size] = digest.digest()
        return record(path, self.digests[size], size)

    def _wheel(self, project, version, size, needs=()):
        """One wheel of about `size` bytes; the facts a page states of it."""
        name = project.replace("-", "_")
        filename = f"{name}-{version}-py3-none-any.whl"
        path = self.root / "files" / project / filename
        requires = "".join(f"Requires-Dist: {need}>=1.0\n" for need in needs)
        information = f"{name}-{version}.dist-info"
        texts = {
            # It differs in each wheel, so that no two have the same digest.
            f"{name}/__init__.py": f'"""{filename}"""\n',
            f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\nRequires-Python: >=3.9\n{requires}",
            f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        lines = [record(where, hashlib.sha256(text.encode()).digest(), len(text)) for where, text in texts.items()]
        lines += [self._record(f"{name}/data.bin", size), f"{information}/RECORD,,"]
        texts[f"{information}/RECORD"] = "\n".join(lines) + "\n"
        file = io.BytesIO() if size < BLOCK_BYTES else path.open("w+b")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for where, text in texts.items():
                archive.writestr(zipfile.ZipInfo(where), text)
            with archive.open(zipfile.ZipInfo(f"{name}/data.bin"), "w") as member:
                for piece in self._pieces(size):
                    member.write(piece)
        if isinstance(file, io.BytesIO):
            path.write_bytes(file.getbuffer())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.close()
        metadata = texts[f"{information}/METADATA"].encode()
        path.with_name(filename + ".metadata").write_bytes(metadata)
        facts = {"filename": filename, "size": path.stat().st_size, "sha256": digest}
        return {**facts, "metadata": hashlib.sha256(metadata).hexdigest()}

    def _page(self, project, files):
        page = {
            "meta": {"api-version": "1.1", "_last-serial": SEED},
            "name": project,
            "versions": [f["filename"].split("-")[1] for f in files],
            "files": [
                {
                    "filename": f["filename"],
                    "hashes": {"sha256": f["sha256"]},
                    "requires-python": ">=3.9",
                    "size": f["size"],
                    "upload-time": UPLOADED,
                    "url": f"../../files/{project}/{f['filename']}",
                    "yanked": False,
                    "core-metadata": {"sha256": f["metadata"]},
                }
                for f in files
            ],
        }
        path = self.root / "simple" / project / "index.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(page))


def record(path, digest, size):
    return f"{path},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{size}"
