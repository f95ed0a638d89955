"""Uploads and devpi's API through real Caddy, of a server that was not told its public URL.

In: the binary, and how to start Caddy before a socket. Out: passed checks.
"""

import json
import os
from pathlib import Path

import packages
from devpi_server import init, must_api
from processes import Sidewheel, digest, end, get, passed, require, temp_dir
from publishers import listed

USER, PASSWORD = "ada", "ada's password"
UPLOAD_BYTES_MAX = 2_000_000
FORMS = (("--http1.1", "1.1"), ("--http2", "2"))


def uploads(binary, caddy_before):
    data = Path(temp_dir("caddy-data")) / "data"
    init(binary, data)
    unix = Path(temp_dir("socket")) / "http.sock"
    server = Sidewheel(binary, data, extra=["--listen", "unix:{}".format(unix),
                                            "--upload-max", "{}kB".format(UPLOAD_BYTES_MAX // 1000)])
    must_api(server.base, "PUT", "/" + USER, {"password": PASSWORD})
    for name in ("dev", "fixed"):
        must_api(server.base, "PUT", "/{}/{}".format(USER, name), {"bases": [], "volatile": name == "dev"},
                 USER, PASSWORD)
    caddy = caddy_before(unix)
    published(caddy, server)
    refused(caddy)
    addresses(caddy, server)
    end(caddy.process)
    server.stop()


class Told:
    def __init__(self, version, status, body, ran):
        self.version, self.status, self.body, self.ran = version, status, body, ran


def post(caddy, form, index, dist, *more, password=PASSWORD):
    """A multipart POST in the order in which twine sends its fields."""
    place = Path(temp_dir("post"))
    path, out = place / dist.filename, place / "answer"
    path.write_bytes(dist.data)
    name, version = dist.filename.split("-")[:2]
    fields = {":action": "file_upload", "protocol_version": "1", "metadata_version": "2.2", "name": name,
              "version": version, "filetype": "bdist_wheel", "pyversion": "py3", "sha256_digest": dist.sha256}
    parts = [word for key, value in fields.items() for word in ("-F", "{}={}".format(key, value))]
    ran = caddy.curl("localhost", "/{}/{}/".format(USER, index), form, "-u", "{}:{}".format(USER, password),
                     *parts, "-F", "content=@{};type=application/octet-stream".format(path), *more,
                     "-o", str(out), "-w", "%{http_version} %{http_code}")
    require(ran.code == 0, ran.told())
    version, status = ran.text.split()[-2:]
    return Told(version, int(status), out.read_text(errors="replace") if out.exists() else "", ran)


def published(caddy, server):
    for form, version in FORMS:
        dist = packages.wheel("through" + version.replace(".", ""), "1.0", ballast=1_500_000)
        told = post(caddy, form, "dev", dist)
        require((told.version, told.status) == (version, 200), "an upload: {} {}".format(told.body, told.ran.told()))
        files = listed("{}/{}/dev/+simple/".format(server.base, USER), dist.filename.split("-")[0])
        require(files[dist.filename][1] == dist.sha256, "the upload over HTTP/{} is listed as {}".format(version, files))
        out = Path(temp_dir("fetched")) / "wheel"
        path = "/{}/dev/+f/{}/{}/{}".format(USER, dist.sha256[:3], dist.sha256[3:16], dist.filename)
        ran = caddy.curl("localhost", path, form, "-f", "-o", str(out))
        require(ran.code == 0 and digest(out.read_bytes()) == dist.sha256, "fetched again: " + ran.told())
    passed("a wheel of 1.5 MB is uploaded and fetched through Caddy over HTTP/1.1 and 2")


def refused(caddy):
    first, other = packages.wheel("fixed", "1.0"), packages.wheel("fixed", "1.0", requires=["beta"])
    require(post(caddy, "--http2", "fixed", first).status == 200, "the first upload to a fixed index")
    large = packages.wheel("large", "1.0", ballast=30_000_000)
    for form, version in FORMS:
        for what, status, sentence, told in (
            ("other bytes", 409, "already exists in non-volatile index", post(caddy, form, "fixed", other)),
            ("a wrong password", 401, "no permission to submit", post(caddy, form, "dev", first, password="x")),
            ("a large file", 413, str(UPLOAD_BYTES_MAX), post(caddy, form, "dev", large)),
            # Without a length that could be looked at first.
            ("a large file in chunks", 413, str(UPLOAD_BYTES_MAX),
             post(caddy, form, "dev", large, "-H", "Transfer-Encoding: chunked")),
            ("a wrong digest", 400, "sha256_digest", post(caddy, form, "dev", first, "-F", "sha256_digest=" + "0" * 64)),
            ("no index", 404, "none", post(caddy, form, "none", first)),
        ):
            require((told.version, told.status) == (version, status), "{} over HTTP/{} is {}: {}".format(
                what, version, told.status, told.body))
            require(sentence in told.body, "{} over HTTP/{}: the body says only {!r}".format(what, version, told.body))
    passed("what is wrong with an upload stands in the body, where HTTP/2 has no reason phrase")


def addresses(caddy, server):
    for form, version in FORMS:
        ran = caddy.curl("localhost", "/{}/dev/+api".format(USER), form, "-f", "-H", "X-Forwarded-Proto: gopher",
                         "-H", "X-Forwarded-Host: evil.example")
        require(ran.code == 0, ran.told())
        result = json.loads(ran.text)["result"]
        urls = [result[key] for key in ("index", "simpleindex", "pypisubmit", "login")]
        require(all(url.startswith(caddy.base + "/") for url in urls), "+api over HTTP/{} leads to {}".format(version, urls))
    ran = caddy.curl("localhost", "/{}/dev/".format(USER), "-o", os.devnull, "-A", "pip/26.0", "-w", "%{redirect_url}")
    require(ran.text == "{}/{}/dev/+simple/".format(caddy.base, USER), "pip is sent to {}".format(ran.text))
    plain = json.loads(get("{}/{}/dev/+api".format(server.base, USER)).body)["result"]["index"]
    require(plain == "{}/{}/dev".format(server.base, USER), "without Caddy +api leads to {}".format(plain))
    passed("without --public-url the addresses of devpi's API are https behind Caddy, and http beside it")
