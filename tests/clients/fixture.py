"""An upstream index on 127.0.0.1: counts what it is asked for, and can misbehave on demand.

In: projects of `packages.world()`. Out: pages (HTML and JSON, API 1.1) and files (with Range) over HTTP/1.1.
It may not know anything about the server under test.
"""

import collections
import html
import http.server
import json
import re
import socket
import struct
import threading
from urllib.parse import unquote

import packages

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"

# A check that forgets to let go of a held file shall not hang for long.
HOLD_SECONDS_MAX = 30

Asked = collections.namedtuple("Asked", "method path range")


class Upstream:
    """Starts on construction, on a port of the system's choice; `close` ends it."""

    def __init__(self, core_metadata=True):
        self.core_metadata = core_metadata
        self.projects = packages.world()
        self.files = {dist.path: dist for _, dists in self.projects.values() for dist in dists}
        self.on = True
        self.flipped = set()  # filenames whose last byte goes out wrong
        self.held = {}  # filename to Event: the second half waits for it
        self.lock = threading.Lock()
        self.asked = []
        self.open = set()
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.upstream = self
        self.origin = "http://127.0.0.1:{}".format(self.server.server_address[1])
        self.url = self.origin + "/simple/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.switch_off()
        self.server.shutdown()
        self.server.server_close()

    def switch_off(self):
        """From now on every connection is reset, those that are open too."""
        with self.lock:
            self.on = False
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone already

    def switch_on(self):
        with self.lock:
            self.on = True

    def dist(self, filename):
        for dist in self.files.values():
            if dist.filename == filename:
                return dist
        raise KeyError(filename)

    def forget(self):
        with self.lock:
            self.asked = []

    def whole_gets(self):
        """How often each file (by filename, `.metadata` included) was asked for as a whole."""
        with self.lock:
            return collections.Counter(
                ask.path.rsplit("/", 1)[1]
                for ask in self.asked
                if ask.method == "GET" and ask.range is None and ask.path.startswith("/packages/")
            )

    def range_gets(self):
        with self.lock:
            return collections.Counter(ask.path.rsplit("/", 1)[1] for ask in self.asked if ask.range is not None)

    def page_gets(self):
        with self.lock:
            return collections.Counter(
                ask.path[len("/simple/"):].strip("/")
                for ask in self.asked
                if ask.method == "GET" and ask.path.startswith("/simple/")
            )

    def total(self):
        with self.lock:
            return len(self.asked)

    # Pages

    def page_json(self, name):
        _, dists = self.projects[name]
        files = []
        for dist in dists:
            entry = {
                "filename": dist.filename,
                "url": self.origin + dist.path,
                "hashes": {"sha256": dist.sha256},
                "size": len(dist.data),
                "upload-time": dist.uploaded,
                "requires-python": dist.requires_python,
                "yanked": dist.yanked if dist.yanked is not None else False,
            }
            if self.core_metadata:
                entry["core-metadata"] = {"sha256": metadata_sha256(dist)} if dist.metadata else False
                entry["data-dist-info-metadata"] = entry["core-metadata"]
            files.append(entry)
        versions = sorted({dist.version for dist in dists})
        page = {"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": files}
        return json.dumps(page).encode()

    def page_html(self, name):
        _, dists = self.projects[name]
        out = ['<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1">',
               "<title>Links for {}</title></head><body>".format(html.escape(name))]
        for dist in dists:
            attributes = ' data-requires-python="{}"'.format(html.escape(dist.requires_python))
            if dist.yanked is not None:
                attributes += ' data-yanked="{}"'.format(html.escape(dist.yanked))
            if self.core_metadata and dist.metadata:
                attributes += ' data-core-metadata="sha256={}"'.format(metadata_sha256(dist))
            out.append('<a href="{}{}#sha256={}"{}>{}</a><br>'.format(
                self.origin, dist.path, dist.sha256, attributes, dist.filename))
        return "\n".join(out + ["</body></html>"]).encode()

    def list_json(self):
        names = [{"name": name} for name, _ in self.projects.values()]
        return json.dumps({"meta": {"api-version": "1.1"}, "projects": names}).encode()

    def list_html(self):
        links = "".join('<a href="/simple/{}/">{}</a>\n'.format(key, name) for key, (name, _) in self.projects.items())
        return ("<!DOCTYPE html><html><body>\n" + links + "</body></html>").encode()


def metadata_sha256(dist):
    return packages.hashlib.sha256(dist.metadata).hexdigest()


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def process_request(self, request, client_address):
        with self.upstream.lock:
            self.upstream.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self.upstream.lock:
            self.upstream.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # a peer that goes away is the ordinary case here


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        upstream = self.server.upstream
        if not upstream.on:
            # A reset, as a dead host's router gives: no status line at all.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        path = unquote(self.path.split("?")[0])
        with upstream.lock:
            upstream.asked.append(Asked(self.command, path, self.headers.get("Range")))
        if path.startswith("/simple/"):
            self.page(upstream, path[len("/simple/"):].strip("/"))
        else:
            self.file(upstream, path)

    def page(self, upstream, name):
        accept = self.headers.get("Accept", "")
        as_json = JSON_TYPE in accept
        as_html = HTML_TYPE if HTML_TYPE in accept else "text/html"
        if not name:
            body = upstream.list_json() if as_json else upstream.list_html()
        elif name in upstream.projects:
            body = upstream.page_json(name) if as_json else upstream.page_html(name)
        else:
            return self.send(404, "text/plain", b"no such project")
        etag = '"{}"'.format(packages.hashlib.sha256(body).hexdigest()[:32])
        if etag in self.headers.get("If-None-Match", ""):
            return self.send(304, None, b"", {"ETag": etag})
        extra = {"ETag": etag, "Cache-Control": "max-age=600, public", "Vary": "Accept"}
        return self.send(200, JSON_TYPE if as_json else as_html, body, extra)

    def file(self, upstream, path):
        dist = upstream.files.get(path)
        data = dist.data if dist else None
        if dist is None and upstream.core_metadata and path.endswith(".metadata"):
            of = upstream.files.get(path[: -len(".metadata")])
            data = of.metadata if of else None
        if data is None:
            return self.send(404, "text/plain", b"no such file")
        if path.rsplit("/", 1)[1] in upstream.flipped:
            data = data[:-1] + bytes([data[-1] ^ 1])
        extra = {
            "ETag": '"{}"'.format(packages.hashlib.sha256(data).hexdigest()[:32]),
            "Accept-Ranges": "bytes",
            "Cache-Control": "max-age=365000000, immutable, public",
        }
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not wanted or wanted.group(0) == "bytes=-":
            return self.send(200, "application/octet-stream", data, extra, upstream.held.get(dist and dist.filename))
        first, last = wanted.groups()
        if first:
            start, end = int(first), min(int(last) if last else len(data) - 1, len(data) - 1)
        else:
            start, end = max(len(data) - int(last), 0), len(data) - 1
        if start > end:
            return self.send(416, "text/plain", b"", {"Content-Range": "bytes */{}".format(len(data))})
        extra["Content-Range"] = "bytes {}-{}/{}".format(start, end, len(data))
        return self.send(206, "application/octet-stream", data[start:end + 1], extra)

    def send(self, status, content_type, body, extra=None, held=None):
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        for key, value in (extra or {}).items():
            self.send_header(key, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(body) // 2 if held else 0
        self.wfile.write(body[:half])
        if held:
            held.wait(HOLD_SECONDS_MAX)
        self.wfile.write(body[half:])
