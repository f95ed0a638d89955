"""The tools that upload, each driven in its own way, and a plain multipart POST for what no tool would send.

In: an index URL, a user and a password or token, a project with its files in dist/. Out: a finished command.
"""

import base64
import json
import uuid
from pathlib import Path
from urllib.parse import urljoin

import packages
from processes import clean_env, get, run, temp_dir
from tools import FLIT, HATCH, TWINE


class Project:
    """A source tree whose files lie in dist/, made by hand; flit makes its own."""

    def __init__(self, name, version="1.0", requires=("beta",), ballast=0):
        self.name, self.version = name, version
        self.place = Path(temp_dir("publish"))
        self.dists = []
        (self.place / "dist").mkdir()
        for path, text in packages.source_tree(name, version, requires).items():
            (self.place / path).write_text(text)
        (self.place / "README.md").write_text("# {}\n".format(name))
        self.write(packages.wheel(name, version, requires, ballast=ballast))
        self.write(packages.sdist(name, version, requires=requires, more={"more.txt": "x" * ballast}))
        (self.place / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["flit_core>=3"]\nbuild-backend = "flit_core.buildapi"\n'
            '[project]\nname = "{}"\nversion = "{}"\ndescription = "a fixture"\nrequires-python = ">=3.8"\n'
            "dependencies = {}\n".format(name, version, json.dumps(list(requires))))
        (self.place / (name + ".py")).write_text("VERSION = {!r}\n{}".format(version, "#" * ballast))

    def write(self, dist):
        self.dists.append(dist)
        (self.place / "dist" / dist.filename).write_bytes(dist.data)

    def files(self):
        return [self.place / "dist" / dist.filename for dist in self.dists]


class Publisher:
    """`command` makes (command line, more environment) out of (project, URL, user, secret)."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def publish(self, project, url, user, secret):
        home = temp_dir("home")
        command, more = self.command(project, url, user, secret)
        # flit and whatever else builds shall make the same bytes again.
        return run(command, clean_env(home, SOURCE_DATE_EPOCH=str(packages.TAR_TIME), COLUMNS="200", **more),
                   project.place)


def publishers(tools):
    twine, flit = tools.program("twine", TWINE), tools.program("flit", FLIT)
    hatch = tools.program("hatch", HATCH)
    return [
        Publisher("twine", lambda project, url, user, secret: (
            [twine, "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url, "-u", user,
             "-p", secret, *project.files()], {})),
        Publisher("uv", lambda project, url, user, secret: uv_publish(tools, project, url, user, secret)),
        Publisher("flit", lambda project, url, user, secret: (
            [flit, "publish"], {"FLIT_INDEX_URL": url, "FLIT_USERNAME": user, "FLIT_PASSWORD": secret})),
        Publisher("hatch", lambda project, url, user, secret: (
            [hatch, "--no-color", "publish", "--no-prompt", "--repo", url, "--user", user, "--auth", secret,
             *project.files()], {})),
        Publisher("poetry", lambda project, url, user, secret: (
            [tools.poetry.binary, "publish", "--no-ansi", "-r", "here", "-u", user, "-p", secret],
            {"POETRY_REPOSITORIES_HERE_URL": url})),
        Publisher("pdm", lambda project, url, user, secret: (
            [tools.pdm.binary, "publish", "--no-build", "-r", url, "-u", user, "-P", secret], {})),
    ]


def uv_publish(tools, project, url, user, secret, *more):
    # uv takes a token by an option of its own.
    login = ["--token", secret] if user == "__token__" else ["-u", user, "-p", secret]
    return [tools.uv.binary, "publish", "--trusted-publishing", "never", "--publish-url", url, *login, *more,
            *project.files()], {"UV_HTTP_RETRIES": "0"}


def basic(user, secret):
    return "Basic " + base64.b64encode("{}:{}".format(user, secret).encode()).decode()


def post(index, dist, user, secret, **fields):
    """One upload of one file, as the upload API of 2007 wants it; `fields` replaces or adds form fields, a list
    of them where the value is one."""
    name = dist.filename.split("-")[0]
    form = {
        ":action": "file_upload", "protocol_version": "1", "metadata_version": "2.2", "name": name,
        "version": dist.version, "filetype": "bdist_wheel", "pyversion": "py3", "sha256_digest": dist.sha256, **fields,
    }
    boundary = uuid.uuid4().hex
    parts = ['--{}\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'.format(boundary, key, value).encode()
             for key, values in form.items() for value in (values if isinstance(values, list) else [values])]
    parts.append('--{}\r\nContent-Disposition: form-data; name="content"; filename="{}"\r\n'
                 "Content-Type: application/octet-stream\r\n\r\n".format(boundary, dist.filename).encode())
    body = b"".join(parts) + dist.data + "\r\n--{}--\r\n".format(boundary).encode()
    return get(index, {"Authorization": basic(user, secret), "Accept": "application/json",
                       "Content-Type": "multipart/form-data; boundary=" + boundary}, "POST", body=body)


def listed(simple, project, headers=None):
    """What the index says of a project: filename to (URL, sha256)."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    answer = get(simple + project + "/", dict(accept, **(headers or {})))
    if answer.status == 404:
        return {}
    files = json.loads(answer.body)["files"]
    return {file["filename"]: (urljoin(simple + project + "/", file["url"]), file["hashes"]["sha256"])
            for file in files}
