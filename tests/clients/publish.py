"""The tools that upload, and pip and uv that install what came: twine, uv, flit, hatch, poetry, pdm.

In: the tools and the binary. Out: passed checks. `python3 tests/clients/publish.py` runs what a real devpi-server can do
as well against one: so the tools' own ways are known apart from ours.
"""

import concurrent.futures
import json
import sys
from pathlib import Path

import packages
from devpi_server import Devpi, Private, api, must_api
from fixture import Upstream
from processes import Broken, clean_env, digest, get, passed, require, run, temp_dir
from protected import only_ours
from publishers import Project, listed, post, publishers, uv_publish
from tools import Tools, check_imports

ALICE, PASSWORD = "alice", "alices-word"
# As many as a busy team's CI; each uploads some files one after another.
CROWD, CROWD_FILES = 10, 5
CONFLICT = "already exists"


def publish(tools, binary):
    upstream = Upstream()
    server = Private(binary, upstream).ready()
    everywhere(tools, server)
    only_ours(tools, server, ALICE, PASSWORD)
    server.close()
    upstream.close()


def everywhere(tools, server):
    must_api(server.base, "PUT", "/alice", {"password": PASSWORD})
    for name, volatile in (("dev", True), ("fixed", False)):
        must_api(server.base, "PUT", "/alice/" + name, {"bases": ["root/pypi"], "volatile": volatile}, ALICE, PASSWORD)
    installed_again(tools, server)
    uploaded_again(tools, server)
    wrong_password(tools, server)
    crowd(server)


def each(tools, what):
    """Every tool at once; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for waiting in [pool.submit(what, publisher) for publisher in publishers(tools)]:
            waiting.result()


def installed_again(tools, server):
    url = server.base + "/alice/dev/"
    wanted = {}

    def one(publisher):
        project = Project("by" + publisher.name)
        ran = publisher.publish(project, url, ALICE, PASSWORD)
        require(ran.code == 0, "{} does not publish: {}".format(publisher.name, ran.told()))
        files = listed(url + "+simple/", project.name)
        require(sorted(files) == sorted(dist.filename for dist in project.dists),
                "after {} the index lists {}".format(publisher.name, sorted(files)))
        wanted[project.name] = project.version

    each(tools, one)
    names = list(wanted)
    # Each needs beta, which only the mirror below has.
    wanted["beta"] = "1.5"
    for installer in (tools.pip_new, tools.pip_old, tools.uv):
        home = Path(temp_dir("home"))
        ran = installer.run_install(url + "+simple/", home, names)
        require(ran.code == 0, ran.told())
        check_imports(tools.python, clean_env(home), wanted, home / "site")
    passed("{} publish with a password; pip (both) and uv install it all, with a dependency from the mirror".format(
        ", ".join(publisher.name for publisher in publishers(tools))))


def uploaded_again(tools, server):
    url = server.base + "/alice/fixed/"
    simple = url + "+simple/"

    def one(publisher):
        name = "again" + publisher.name
        for time in ("for the first time", "again"):
            ran = publisher.publish(Project(name), url, ALICE, PASSWORD)
            require(ran.code == 0, "{} does not publish {}: {}".format(publisher.name, time, ran.told()))
        before = listed(simple, name)
        require(len(before) == 2, "after {} the index lists {}".format(publisher.name, sorted(before)))
        ran = publisher.publish(Project(name, ballast=7), url, ALICE, PASSWORD)
        if publisher.name == "hatch":
            # It looks by itself, and passes over names that are there.
            require(CONFLICT in ran.text, "hatch does not see what is there: " + ran.told())
        else:
            require(ran.code != 0 and "409" in ran.text, "{} put other bytes over a file of an index that is not "
                    "volatile, or was not told: {}".format(publisher.name, ran.told()))
        # pdm shows the status alone.
        if publisher.name not in ("hatch", "pdm"):
            require(CONFLICT in ran.text, "{} was not told the reason: {}".format(publisher.name, ran.told()))
        require(listed(simple, name) == before, "{} changed a file of an index that is not volatile".format(
            publisher.name))

    each(tools, one)
    passed("in an index that is not volatile the same bytes may come again, and every tool tells that others may not")

    home = temp_dir("home")
    command, more = uv_publish(tools, Project("againuv"), url, ALICE, PASSWORD, "--check-url", simple)
    ran = run(command, clean_env(home, **more))
    require(ran.code == 0 and "skipping" in ran.text, "uv does not skip what --check-url has: " + ran.told())
    command, more = uv_publish(tools, Project("againuv", ballast=7), url, ALICE, PASSWORD, "--check-url", simple)
    ran = run(command, clean_env(home, **more))
    require(ran.code != 0 and "do not match" in ran.text, "uv does not see other bytes by --check-url: " + ran.told())
    passed("uv publish --check-url skips the same bytes and refuses others")


def wrong_password(tools, server):
    url = server.base + "/alice/dev/"

    def one(publisher):
        name = "wrong" + publisher.name
        ran = publisher.publish(Project(name), url, ALICE, "nonsense")
        require(ran.code != 0 and ("401" in ran.text or "403" in ran.text),
                "{} with a wrong password: {}".format(publisher.name, ran.told()))
        require(not listed(url + "+simple/", name), "{} published with a wrong password".format(publisher.name))

    each(tools, one)
    passed("with a wrong password no tool publishes, and each is told")


def crowd(server):
    """Ten clients upload to one project of one index at the same time."""
    url = server.base + "/alice/dev/"
    # A login, not the password: that one is made to be slow.
    login = json.loads(api(server.base, "POST", "/+login", {"user": ALICE, "password": PASSWORD}).body)
    secret = login["result"]["password"]
    dists = [[packages.wheel("crowd", "{}.{}".format(client, file), ballast=20_000) for file in range(CROWD_FILES)]
             for client in range(CROWD)]

    def one(mine):
        for dist in mine:
            answer = post(url, dist, ALICE, secret)
            require(answer.status == 200, "{} uploaded beside nine others is answered {}: {}".format(
                dist.filename, answer.status, answer.body[:500]))

    with concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
        for waiting in [pool.submit(one, mine) for mine in dists]:
            waiting.result()
    files = listed(url + "+simple/", "crowd")
    require(len(files) == CROWD * CROWD_FILES, "{} files were uploaded and {} are listed".format(
        CROWD * CROWD_FILES, len(files)))
    for dist in (dist for mine in dists for dist in mine):
        file_url, sha256 = files.get(dist.filename, (None, None))
        require(sha256 == dist.sha256, "{} is listed with the digest {}".format(dist.filename, sha256))
        require(digest(get(file_url).body) == dist.sha256, "{} is not served as it came".format(dist.filename))
    passed("{} clients upload {} files each to one project at once: all are listed and served".format(
        CROWD, CROWD_FILES))


def main():
    tools = Tools(Path(__file__).resolve().parent.parent.parent / "target/clients")
    try:
        everywhere(tools, Devpi(tools, Upstream()).ready())
    except Broken as broken:
        sys.exit("BROKEN: {}".format(broken))


if __name__ == "__main__":
    main()
