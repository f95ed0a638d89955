"""Fifty clients that ask and upload without a pause, and forgive nothing.

In: a server's address. Out: how many answers came, the first failures. It may not know what is done to the server.
"""

import hashlib
import http.client
import json
import select
import socket
import threading
import time
import traceback
import uuid
from urllib.parse import urlsplit

import packages
from processes import require
from publishers import basic

SMALL_NEW, SMALL_KEPT, LARGE, SLOW, UPLOADERS = 22, 20, 4, 2, 2
# Between two requests of one client; the machine shall not be all theirs.
PAUSE_SECONDS = 0.03
UPLOAD_EVERY_SECONDS = 1
# What a slow client takes at once, and how often: the large file takes it some ten seconds.
SLOW_PIECE, SLOW_PAUSE = 64 * 1024, 0.03
PATIENCE_SECONDS = 30


class Crowd:
    def __init__(self, base, upstream, token, looks_first=False):
        where = urlsplit(base)
        self.host, self.port, self.token = where.hostname, where.port, token
        self.upstream = upstream
        # Whether a client looks, as every pool of connections does, if the server has ended the one that it kept.
        self.looks_first = looks_first
        self.failures, self.answered, self.longest = [], 0, 0.0
        self.uploaded = {}  # filename to digest: what was acknowledged
        self.served = set()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = []

    def begin(self):
        small = [self.page("alpha"), self.page("beta"), self.file("alpha-1.1-py3-none-any.whl", "alpha"),
                 ("/+ready", None), self.page("gamma")]
        large = [self.file("large-1.0-py3-none-any.whl", "large")]
        self.large = large[0]
        for number in range(SMALL_NEW + SMALL_KEPT):
            self.start(self.small, small[number % len(small):] + small, number >= SMALL_NEW)
        for number in range(LARGE):
            self.start(self.small, large, number % 2 == 0, 0.5)
        for _ in range(SLOW):
            self.start(self.slow)
        for number in range(UPLOADERS):
            self.start(self.uploads, number, number % 2 == 0)
        require(len(self.threads) == 50, "{} clients are no fifty".format(len(self.threads)))

    def fetch_held(self):
        """One more client, whose file upstream holds up half way."""
        self.start(self.once, self.file("held-1.0-py3-none-any.whl", "held"))

    def is_busy(self):
        self.check("at the start")
        return len(self.served) >= 48 - SLOW

    def check(self, when):
        require(not self.failures, "{}: {} requests failed, of {}; the first: {}".format(
            when, len(self.failures), self.answered, "\n".join(self.failures[:3])))

    def end(self):
        """They stop, and every one of them was served."""
        self.stop()
        require(not any(thread.is_alive() for thread in self.threads), "a client hangs")
        self.check("at the end")

    def stop(self):
        """They stop, whatever they met: what went wrong before is not hidden by what they say of it."""
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS + 20)

    # What is asked for: a path, and what the body must be.

    def page(self, project):
        return "/root/pypi/+simple/{}/".format(project), None

    def file(self, filename, project):
        connection = self.connect()
        connection.request("GET", "/root/pypi/+simple/{}/".format(project),
                           headers={"Accept": "application/vnd.pypi.simple.v1+json"})
        files = json.loads(connection.getresponse().read())["files"]
        connection.close()
        url = next(file["url"] for file in files if file["filename"] == filename)
        path = url.replace("../../", "/root/pypi/") if url.startswith("../../") else urlsplit(url).path
        return path, self.upstream.dist(filename).sha256

    # How they ask

    def start(self, work, *arguments):
        def guarded():
            try:
                work(*arguments)
            except Exception:
                self.failures.append("a client of the check itself broke: " + traceback.format_exc())

        thread = threading.Thread(target=guarded, daemon=True)
        self.threads.append(thread)
        thread.start()

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_SECONDS)

    def small(self, asks, kept, pause=PAUSE_SECONDS):
        connection = self.connect()
        count = 0
        while not self.over.is_set():
            path, sha256 = asks[count % len(asks)]
            count += 1
            self.ask(connection, path, sha256, measured=pause == PAUSE_SECONDS)
            if not kept:
                connection.close()
            time.sleep(pause)
        connection.close()

    def ask(self, connection, path, sha256, measured=False, method="GET", body=None, headers=None):
        if self.looks_first and connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        begun = time.monotonic()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            got = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return self.failed("{} {}: {!r} after {:.2f} s".format(method, path, error, time.monotonic() - begun))
        took = time.monotonic() - begun
        if response.status != 200:
            return self.failed("{} {}: {} {}".format(method, path, response.status, got[:200]))
        if sha256 and hashlib.sha256(got).hexdigest() != sha256:
            return self.failed("{} {}: {} bytes that are not the file".format(method, path, len(got)))
        with self.lock:
            self.answered += 1
            self.served.add(threading.get_ident())
            if measured:
                self.longest = max(self.longest, took)
        return True

    def failed(self, sentence):
        with self.lock:
            self.failures.append("[{:.2f}] {}".format(time.time(), sentence))
        return False

    def once(self, ask):
        connection = self.connect()
        self.ask(connection, *ask)
        connection.close()

    def slow(self):
        """Reads a large file in small pieces; in the middle of it, servers change."""
        path, sha256 = self.large
        while not self.over.is_set():
            connection = self.connect()
            # A small window, or the kernel would take it all at once.
            connection.sock = socket.create_connection((self.host, self.port), PATIENCE_SECONDS)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_PIECE)
            hasher, count = hashlib.sha256(), 0
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                while piece := response.read(SLOW_PIECE):
                    hasher.update(piece)
                    count += len(piece)
                    if not self.over.is_set():
                        time.sleep(SLOW_PAUSE)
            except (OSError, http.client.HTTPException) as error:
                self.failed("a slow download, after {} bytes: {!r}".format(count, error))
            else:
                if hasher.hexdigest() != sha256:
                    self.failed("a slow download: {} bytes that are not the file".format(count))
                self.answered += 1
            connection.close()

    def uploads(self, number, kept):
        connection = self.connect()
        count = 0
        while not self.over.is_set():
            count += 1
            dist = packages.wheel("crowd", "{}.{}".format(number, count), ballast=50_000)
            body, headers = upload(dist, self.token)
            if self.ask(connection, "/alice/dev/", None, method="POST", body=body, headers=headers):
                self.uploaded[dist.filename] = dist.sha256
            if not kept:
                connection.close()
            time.sleep(UPLOAD_EVERY_SECONDS)
        connection.close()


def upload(dist, token):
    """The form of 2007, as twine sends it."""
    boundary = uuid.uuid4().hex
    form = {":action": "file_upload", "protocol_version": "1", "metadata_version": "2.2", "name": "crowd",
            "version": dist.version, "filetype": "bdist_wheel", "pyversion": "py3", "sha256_digest": dist.sha256}
    lines = ["--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n".format(boundary, key, value)
             for key, value in form.items()]
    lines.append("--{}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{}\"\r\n\r\n".format(
        boundary, dist.filename))
    body = "".join(lines).encode() + dist.data + "\r\n--{}--\r\n".format(boundary).encode()
    return body, {"Authorization": basic("__token__", token), "Accept": "application/json",
                  "Content-Type": "multipart/form-data; boundary=" + boundary}
