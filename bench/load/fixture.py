"""What is measured: projects and files of fixed random bytes, and nginx to serve them.

The same seed gives the same bytes on every machine. A wheel is a small true archive: random bytes that are stored and
not compressed, and its METADATA, so that a server that reads metadata out of wheels finds some.
"""

import hashlib
import json
import pathlib
import random
import zipfile

SEED = 3141
PAGE_CONTENT_TYPE = "application/vnd.pypi.simple.v1+json"
UPLOADED = "2024-05-06T07:08:09.123456Z"

# 22 files of some 600 bytes of JSON each make a page of 13 KB, the size of a common project's.
PAGE_FILES = 22
# The small files of the start-up measure: enough to tell, small enough to be fetched in seconds.
SMALL_FILE_BYTES = 2048
SMALL_FILES_PER_PROJECT = 100
MEDIUM_FILE_BYTES = 1_000_000


class Fixture:
    """A directory with `simple/{project}/index.json` and `files/{project}/{filename}`, as an upstream shows them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.random = random.Random(SEED)
        self.block = b""

    def _bytes(self, count):
        if len(self.block) < count:
            self.block = self.random.randbytes(count)
        return memoryview(self.block)[:count]

    def _wheel(self, project, version, size):
        """One wheel of about `size` bytes; the facts a page states of it."""
        name = project.replace("-", "_")
        filename = f"{name}-{version}-py3-none-any.whl"
        path = self.root / "files" / project / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\nRequires-Python: >=3.9\n".encode()
        information = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            # The first member differs in each wheel, so that no two have the same digest.
            archive.writestr(zipfile.ZipInfo(f"{name}/which.py"), f"# {filename}\n")
            with archive.open(zipfile.ZipInfo(f"{name}/data.bin"), "w") as member:
                member.write(self._bytes(size))
            archive.writestr(zipfile.ZipInfo(f"{information}/METADATA"), metadata)
            archive.writestr(zipfile.ZipInfo(f"{information}/WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\n")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"filename": filename, "size": path.stat().st_size, "sha256": digest}

    def _page(self, project, files):
        versions = [f["filename"].split("-")[1] for f in files]
        page = {
            "meta": {"api-version": "1.1", "_last-serial": SEED},
            "name": project,
            "versions": versions,
            "files": [
                {
                    "filename": f["filename"],
                    "hashes": {"sha256": f["sha256"]},
                    "requires-python": ">=3.9",
                    "size": f["size"],
                    "upload-time": UPLOADED,
                    "url": f"../../files/{project}/{f['filename']}",
                    "yanked": False,
                    **({"core-metadata": {"sha256": f["metadata"]}} if "metadata" in f else {}),
                }
                for f in files
            ],
        }
        path = self.root / "simple" / project / "index.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(page))

    def project(self, project, count, size):
        """A project of `count` wheels of `size` bytes; the paths of the wheels under the root."""
        files = [self._wheel(project, f"1.0.{number}", size) for number in range(count)]
        self._page(project, files)
        return [f"/files/{project}/{f['filename']}" for f in files]

    def long_page(self, project):
        """A project whose files nobody fetches: only its page is wanted, so only the page is made."""
        name = project.replace("-", "_")
        files = [
            {
                "filename": f"{name}-2.{n // 5}.{n % 5}-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "size": self.random.randrange(1_000_000, 9_000_000),
                "sha256": self.random.randbytes(32).hex(),
                "metadata": self.random.randbytes(32).hex(),
            }
            for n in range(PAGE_FILES)
        ]
        self._page(project, files)

    def small_projects(self, count):
        """Projects with `count` small wheels together; their names."""
        projects = []
        for number in range(-(-count // SMALL_FILES_PER_PROJECT)):
            projects.append(f"small-{number}")
            left = count - number * SMALL_FILES_PER_PROJECT
            self.project(projects[-1], min(left, SMALL_FILES_PER_PROJECT), SMALL_FILE_BYTES)
        return projects


def nginx_conf(directory, port, root, limit_rate=None, log=False, page_type=PAGE_CONTENT_TYPE):
    """nginx as the rival and as the upstream: one process, sendfile, open files remembered, no log unless asked."""
    access = f"{directory}/access.log counted" if log else "off"
    limit = f"limit_rate {limit_rate};" if limit_rate else ""
    return f"""
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    log_format counted '$request_method $uri $status $body_bytes_sent';
    access_log {access};
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 60;
    keepalive_requests 1000000000;
    open_file_cache max=20000 inactive=600s;
    open_file_cache_valid 600s;
    open_file_cache_min_uses 1;
    types {{ }}
    default_type application/octet-stream;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        {limit}
        location /simple/ {{
            default_type {page_type};
            index index.json;
        }}
    }}
}}
"""
