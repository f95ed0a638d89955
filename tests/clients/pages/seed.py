"""A data directory that looks like one in use: users, indexes, private projects, a mirror with cached files.

In: the binary. Out: a running server, filled through its own API alone. It may not know what is looked at.
"""

import io
import json
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import packages
from devpi_server import ROOT_PASSWORD, Private, must_api
from fixture import Upstream
from packages import sdist, wheel
from processes import get, require
from publishers import basic, listed, post

HERE = Path(__file__).resolve().parent
USER, PASSWORD = "team", "a password of the team"
OTHER, OTHER_PASSWORD = "lab", "a password of the lab"

# The project of the issue: its page is to stay below 300 KB and open at once.
MANY_VERSIONS, MANY_WHEELS = 2000, 20
PROJECTS = 60  # of one index: more than a page shows


def text(name):
    return (HERE / "texts" / name).read_text()


def told(summary, *more, description="", kind="text/markdown"):
    fields = [("Summary", summary), *more]
    if description:
        fields += [("Description-Content-Type", kind), ("Description", description)]
    return fields


KETTLE = told("Boils large tables down to small ones", ("Author", "The kettle makers"), ("License-Expression", "MIT"),
              ("Keywords", "tables,summary"), ("Project-URL", "Source, https://code.example.org/kettle"),
              ("Classifier", "Programming Language :: Python :: 3"), description=text("kettle.md"))
# What is upstream, and not on anybody's index here: name, version, summary.
UPSTREAM = [
    ("anchorage", "4.2.1", "Finds free ports and keeps them"),
    ("brine", "1.9.0", "Serialises what pickle should not"),
    ("cordage", "0.12.3", "Ropes: strings that are cheap to cut"),
    ("driftwood", "2.0.0", "Finds code that nothing calls"),
    ("estuary", "3.1.4", "Streams between processes, with back pressure"),
    ("foghorn", "1.0.2", "Warns once, and loudly"),
]


class Seeded:
    """The server, its upstream, and where things are."""

    def __init__(self, binary):
        self.upstream = mirror_world()
        self.private = Private(binary, self.upstream).ready()
        self.base = self.private.base
        self.secrets = {"root": ROOT_PASSWORD}
        try:
            self.fill()
        except BaseException:
            self.upstream.close()
            raise

    def close(self):
        self.private.close()
        self.upstream.close()

    def api(self, method, path, value=None, user=USER):
        return must_api(self.base, method, path, value, user, self.secrets.get(user))

    def upload(self, index, dist, user=USER, **fields):
        form = dict(form_of(dist), **fields)
        answer = post("{}/{}/".format(self.base, index), dist, user, self.secrets[user], **form)
        require(answer.status == 200, "the upload of {} to {} is answered {}: {}".format(
            dist.filename, index, answer.status, answer.body[:500]))

    def fill(self):
        for user, password in ((USER, PASSWORD), (OTHER, OTHER_PASSWORD)):
            self.api("PUT", "/" + user, {"password": password, "title": "The {}".format(user)}, "root")
            # A password is dear to check, and there are many uploads.
            login = self.api("POST", "/+login", {"user": user, "password": password}, None)
            self.secrets[user] = login["result"]["password"]
        self.api("PUT", "/team/prod", {
            "bases": ["root/pypi"], "volatile": False, "title": "What runs in production",
            "reserved": ["acme", "acme-*"]})
        self.api("PUT", "/team/dev", {
            "bases": ["team/prod"], "title": "What the team works on", "acl_upload": ["team", "lab"],
            "mirror_whitelist": ["brine"]})
        self.api("PUT", "/lab/nightly", {"bases": ["team/dev", "root/pypi"], "title": "Built every night"},
                 OTHER)
        self.api("PUT", "/lab/closed", {"bases": ["root/pypi"], "title": "For the lab alone", "acl_read": ["lab"]},
                 OTHER)
        self.private_projects()
        self.cached_projects()

    def private_projects(self):
        for dist in harbor("1.0", "1.1", "2.0"):
            self.upload("team/prod", dist)
        for dist in harbor("2.1rc1"):
            self.upload("team/dev", dist)
        self.api("PATCH", "/team/prod/harbor/1.1", {"yanked": "loses jobs on the last day of a leap year"})
        for version in ("0.3", "0.4"):
            self.upload("team/prod", wheel("tide-tables", version, told=told(
                "Tables of high and low water", ("Author", "Harbour offices"),
                description=text("tide-tables.rst"), kind="text/x-rst")))
        self.upload("team/dev", wheel("plain-notes", "1.0", told=told(
            "Notes as they were written", description=text("plain.txt"), kind="text/plain")))
        self.upload("team/dev", wheel("bare", "0.1"))
        self.upload("team/dev", wheel("no-wheel-at-all", "1.0"))
        # The same name as upstream's: upstream's releases are not asked for any more.
        self.upload("team/prod", wheel("foghorn", "0.1", told=told("Our own foghorn, quieter")))
        # Once it is whitelisted, upstream's releases stand beside ours.
        self.upload("team/dev", wheel("brine", "1.9.0.post1", told=told("Serialises what pickle should not, patched")))
        self.upload("lab/closed", wheel("unseen-by-others", "1.0"), OTHER)
        for number in range(PROJECTS):
            self.upload("lab/nightly", wheel("night-{:02}".format(number), "2026.{}".format(number)),
                        OTHER)
        self.documents()
        self.tox_results()

    def documents(self):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as out:
            for path, page in {
                "index.html": "<!doctype html><html lang=en><meta charset=utf-8><title>harbor</title>"
                              "<link rel=stylesheet href=_static/harbor.css><h1>harbor</h1>"
                              "<p><a href=guide/start.html>Start</a></p></html>",
                "guide/start.html": "<!doctype html><html lang=en><title>Start</title><h1>Start</h1></html>",
                "_static/harbor.css": "h1 { color: rgb(1, 2, 3) }",
            }.items():
                out.writestr(zipfile.ZipInfo(path, packages.ZIP_TIME), page)
        self.put_documents("team/prod", "harbor", "2.0", archive.getvalue())

    def put_documents(self, index, name, version, data, user=USER):
        dist = packages.Dist("{}-{}.doc.zip".format(name, version), data, None, None, None, None)
        answer = post("{}/{}/".format(self.base, index), dist, user, self.secrets[user], **{
            ":action": "doc_upload", "name": name, "version": version, "filetype": "", "pyversion": ""})
        require(answer.status == 200, "the documents of {} are answered {}: {}".format(
            name, answer.status, answer.body[:500]))

    def tox_results(self):
        for python, code in (("py312", 0), ("py313", 0), ("py314", 1)):
            self.put_tox("team/prod", "harbor", "harbor-2.0-py3-none-any.whl", python, code,
                         "collected 31 items\n" + ("31 passed" if not code else "30 passed, 1 failed"))

    def put_tox(self, index, project, filename, environment, code, output, user=USER):
        url, _ = listed("{}/{}/+simple/".format(self.base, index), project)[filename]
        result = {
            "toxversion": "4.67.15", "reportversion": "1", "host": "builder.example.org", "platform": "linux",
            "testenvs": {environment: {
                "python": {"executable": "/usr/bin/python3", "version": "3.14", "version_info": [3, 14, 0, "final", 0]},
                "setup": [{"command": ["pip", "install", filename], "output": "", "retcode": "0"}],
                "test": [{"command": ["pytest"], "output": output, "retcode": str(code)}],
                "installed_packages": ["pytest==9.0"],
            }},
        }
        answer = get(url, {"Authorization": basic(user, self.secrets[user]), "Content-Type": "application/json"}, "POST",
                     body=json.dumps(result).encode())
        require(answer.status == 200, "a tox result is answered {}: {}".format(answer.status, answer.body[:500]))

    def cached_projects(self):
        """What installers have fetched: pages, and of some projects metadata and files."""
        accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
        simple = self.base + "/root/pypi/+simple/"
        for name in ["kettle", "manyfiles", *(name for name, _, _ in UPSTREAM)]:
            page = get(simple + name + "/", accept)
            require(page.status == 200, "the page of {} is answered {}".format(name, page.status))
            if name in ("kettle", "brine", "estuary"):
                file = json.loads(page.body)["files"][-1]
                url = urljoin(simple + name + "/", file["url"])
                for asked in (url + ".metadata", url, url):
                    answer = get(asked)
                    require(answer.status == 200, "{} is answered {}".format(asked, answer.status))


    def add_upstream(self, name, dists):
        self.upstream.projects[name] = (name, dists)
        self.upstream.files.update({dist.path: dist for dist in dists})


def harbor(*versions):
    for version in versions:
        fields = told(
            "Moors long-running jobs and brings them home", ("Author", "The harbor team"),
            ("Author-email", "harbor@example.org"), ("License-Expression", "Apache-2.0"),
            ("Keywords", "jobs,nightly,supervision"), ("Project-URL", "Documentation, https://docs.example.org/harbor/"),
            ("Project-URL", "Source, https://code.example.org/harbor"),
            ("Classifier", "Development Status :: 5 - Production/Stable"),
            ("Classifier", "Programming Language :: Python :: 3"), description=text("harbor.md"))
        requires = ["tide-tables>=0.3", "kettle (>=1); extra == 'reports'", "estuary<4"]
        yield wheel("harbor", version, requires, ">=3.11", told=fields)
        yield sdist("harbor", version, requires=requires, told=fields)


def form_of(dist):
    """The fields of the form that upload tools send, out of the metadata."""
    form = {"filetype": "sdist" if dist.filename.endswith(".tar.gz") else "bdist_wheel"}
    form["pyversion"] = "source" if form["filetype"] == "sdist" else "py3"
    metadata = dist.metadata.decode() if dist.metadata else None
    if metadata is None:
        return form
    head, _, description = metadata.partition("\n\n")
    many = {"classifier": "classifiers", "requires_dist": "requires_dist", "project_url": "project_urls"}
    for line in head.splitlines():
        field, _, value = line.partition(": ")
        key = field.lower().replace("-", "_")
        if key in many:
            form.setdefault(many[key], []).append(value)
        elif key in ("name", "summary", "author", "author_email", "keywords", "license_expression", "requires_python",
                     "description_content_type", "home_page", "license"):
            form[key] = value
    if description:
        form["description"] = description
    return form


def mirror_world():
    upstream = Upstream()
    many = [light("manyfiles", "0.{}".format(version), tag) for version in range(MANY_VERSIONS)
            for tag in range(MANY_WHEELS)]
    projects = {
        "kettle": [sdist("kettle", "1.0"), wheel("kettle", "1.0", told=KETTLE),
                   wheel("kettle", "1.1", ["cordage", "brine>=1.9"], yanked="spills", told=KETTLE),
                   wheel("kettle", "1.2", ["cordage", "brine>=1.9"], requires_python=">=3.10", ballast=400_000,
                         uploaded="2026-06-01T00:00:00.000000Z", told=KETTLE)],
        "manyfiles": many,
    }
    for name, version, summary in UPSTREAM:
        projects[name] = [wheel(name, version, told=told(summary))]
    for name, dists in projects.items():
        upstream.projects[name] = (name, dists)
        upstream.files.update({dist.path: dist for dist in dists})
    return upstream


def light(name, version, tag):
    return packages.Dist("{0}-{1}-cp3{2}-cp3{2}-manylinux_2_28_x86_64.whl".format(name, version, tag),
                         "{} {} {}".format(name, version, tag).encode(), None, ">=3.8", "2025-01-02T03:04:05.000000Z",
                         None)
