"""The cache's own commands: what uv and pip lock is fetched before anybody asks, seen, counted and taken out again.

In: the tools and the binary. Out: passed checks: prefetch from a `uv.lock`, a `pylock.toml` and requirements with
hashes, made here by a real uv; installs with upstream gone; list, stats and purge beside a server and without one.
"""

import json
from pathlib import Path
from urllib.parse import urljoin

from devpi_server import must_api
from fixture import Upstream
from processes import Sidewheel, check_database, check_store, clean_env, get, passed, require, run, temp_dir
from tools import check_imports

EXIT_INCOMPLETE = 1
EXIT_USAGE = 64


def cachetools(tools, binary):
    upstream = Upstream()
    locks = Locks(tools, upstream)
    for name, path in (("uv.lock", locks.uv), ("pylock.toml", locks.pylock), ("requirements.txt", locks.requirements)):
        prefetched(tools, binary, upstream, locks, name, path)
    alone(tools, binary, upstream, locks)
    protected(binary, upstream, locks)
    seen_and_purged(binary, upstream)
    upstream.close()


def cache(binary, data, *arguments):
    return run([binary, "cache", *arguments, "--data", data], clean_env(temp_dir("command")))


def listed(binary, data, *arguments):
    ran = cache(binary, data, "list", "--json", *arguments)
    require(ran.code == 0, ran.told())
    return json.loads(ran.text)["files"]


class Locks:
    """What a real uv makes of one project, against the upstream itself: its addresses are not the server's."""

    def __init__(self, tools, upstream):
        self.home = Path(temp_dir("locks"))
        self.project = tools.uv.project(upstream.url, self.home, ["alpha", "bigwheel"])
        for command in (["lock"], ["export", "--format", "pylock.toml", "-o", "pylock.toml"]):
            ran = tools.uv.in_project(self.project, self.home, *command)
            require(ran.code == 0, ran.told())
        (self.project / "in.txt").write_text("-r more.txt\nalpha>=1.0  # the rest follows\n")
        (self.project / "more.txt").write_text("bigwheel\n")
        ran = tools.uv.in_project(self.project, self.home, "pip", "compile", "--generate-hashes", "--default-index",
                                  upstream.url, "-o", "requirements.txt", "in.txt")
        require(ran.code == 0, ran.told())
        self.uv, self.pylock = self.project / "uv.lock", self.project / "pylock.toml"
        self.requirements, self.ranges = self.project / "requirements.txt", self.project / "in.txt"
        require("--hash=sha256:" in self.requirements.read_text(), self.requirements.read_text())


def prefetched(tools, binary, upstream, locks, name, path):
    """Through a running server; then upstream goes, and real installers get everything."""
    data = Path(temp_dir("prefetch")) / "data"
    server = Sidewheel(binary, data, upstream)
    home = Path(temp_dir("home"))
    if path == locks.uv:
        # What will be installed is locked through the server; then all that this brought goes again.
        place = tools.uv.project(server.index, home, ["alpha", "bigwheel"])
        ran = tools.uv.in_project(place, home, "lock")
        require(ran.code == 0, ran.told())
        ran = cache(binary, data, "purge", "--all", "--yes")
        require(ran.code == 0, ran.told())
    ran = cache(binary, data, "prefetch", path, "--check")
    require(ran.code == EXIT_INCOMPLETE and "alpha" in ran.text, "nothing is here, and: " + ran.told())
    ran = cache(binary, data, "prefetch", path, "--dry-run")
    require(ran.code == 0 and "bigwheel-1.0-py3-none-any.whl" in ran.text, ran.told())
    require(not [file for file in listed(binary, data) if file["filename"].endswith(".whl")],
            "a dry run fetched files")
    ran = cache(binary, data, "prefetch", path)
    require(ran.code == 0, ran.told())
    names = {file["filename"] for file in listed(binary, data)}
    wanted = {"alpha-1.1-py3-none-any.whl", "beta-1.5-py3-none-any.whl", "gamma-1.0-py3-none-any.whl",
              "bigwheel-1.0-py3-none-any.whl"}
    require(wanted <= names, "{} are not here after {}: {}".format(wanted - names, name, ran.text))
    require("gamma-1.0.tar.gz" not in names, "a source came although its wheel suits")
    ran = cache(binary, data, "prefetch", path, "--check")
    require(ran.code == 0 and "all is here" in ran.text, ran.told())

    upstream.switch_off()
    try:
        again = cache(binary, data, "prefetch", path)
        require(again.code == 0, "what is here is a hit, and: " + again.told())
        if path == locks.uv:
            ran = tools.uv.in_project(place, home, "sync", "--frozen", "--no-cache")
            require(ran.code == 0, ran.told())
            check_imports(place / ".venv/bin/python", clean_env(home))
        else:
            pip = tools.pip_new
            ran = run(pip.command("install", server.index, "--retries", "0", "--target", home / "site", "--no-deps",
                                  *(["--require-hashes"] if path == locks.requirements else []),
                                  "-r", locks.requirements), clean_env(home))
            require(ran.code == 0, ran.told())
            check_imports(pip.python, clean_env(home), path=home / "site")
    finally:
        upstream.switch_on()
    server.stop()
    check_store(data, "after the prefetch of " + name)
    passed("prefetch brings what a {} names; with upstream gone it installs".format(name))


def alone(tools, binary, upstream, locks):
    """Without a server, in the command's own process; failures are named and end with 1."""
    data = Path(temp_dir("alone")) / "data"
    config = Path(temp_dir("config")) / "sidewheel.toml"
    config.write_text('upstream = "{}"\nfile_origins = ["{}"]\n'.format(
        upstream.url, upstream.origin))
    ran = cache(binary, data, "prefetch", locks.ranges, "--config", config)
    require(ran.code == 0, ran.told())
    names = {file["filename"] for file in listed(binary, data)}
    require({"alpha-1.1-py3-none-any.whl", "bigwheel-1.0-py3-none-any.whl"} <= names, str(names))
    require("beta-1.5-py3-none-any.whl" not in names, "a requirement was resolved, which is not promised")
    bad = locks.home / "bad.txt"
    bad.write_text("alpha==1.1\nalpha==77\nno-such-project\n-e .\nbeta==1.5 --hash=sha256:" + "0" * 64 + "\n")
    ran = cache(binary, data, "prefetch", bad, "--config", config)
    require(ran.code == EXIT_INCOMPLETE, ran.told())
    for word in ("left out: -e .", "alpha", "==77", "no-such-project", "beta", "3 things were not to be had"):
        require(word in ran.text, "{!r} is not said: {}".format(word, ran.told()))
    ran = cache(binary, data, "prefetch", locks.uv, "--config", config, "--all-files")
    require(ran.code == 0, ran.told())
    require("gamma-1.0.tar.gz" in {file["filename"] for file in listed(binary, data)}, "--all-files left a file out")
    for wrong in (("--platform", "toaster"), ("--python", "2.7")):
        ran = cache(binary, data, "prefetch", locks.uv, *wrong)
        require(ran.code == EXIT_USAGE and wrong[1] in ran.text, ran.told())
    check_database(data, "after a prefetch without a server")
    passed("prefetch works without a server, and names what is not to be had")


def protected(binary, upstream, locks):
    """An index that not everybody may read: a token comes from a file, never from what is typed."""
    data = Path(temp_dir("protected")) / "data"
    server = Sidewheel(binary, data, upstream)
    password = (data / "root-password").read_text().strip()
    settings = {"bases": ["root/pypi"], "acl_read": ["root"]}
    must_api(server.base, "PUT", "/root/closed", settings, password=password)
    ran = cache(binary, data, "prefetch", locks.uv, "--index", "root/closed")
    require(ran.code == EXIT_INCOMPLETE and "--token-file" in ran.text, ran.told())
    env = clean_env(temp_dir("command"))
    token = run([binary, "token", "create", "--user", "root", "--read", "--data", data], env)
    require(token.code == 0, token.told())
    path = Path(temp_dir("token")) / "token"
    path.write_text(token.text)
    ran = cache(binary, data, "prefetch", locks.uv, "--index", "root/closed", "--token-file", path)
    require(ran.code == 0, ran.told())
    typed = server.base.replace("://", "://root:secret@") + "/root/closed/+simple/"
    ran = cache(binary, data, "prefetch", locks.uv, "--index-url", typed)
    require(ran.code == EXIT_USAGE and "--token-file" in ran.text and "secret" not in ran.text, ran.told())
    server.stop()
    passed("prefetch reads a protected index with a token from a file, and takes no secret that is typed")


def seen_and_purged(binary, upstream):
    data = Path(temp_dir("purge")) / "data"
    server = Sidewheel(binary, data, upstream)
    for _ in range(3):
        fetch(server, "alpha", "alpha-1.1-py3-none-any.whl")
    fetch(server, "bigwheel", "bigwheel-1.0-py3-none-any.whl")
    files = {file["filename"]: file for file in listed(binary, data)}
    wheel = files["alpha-1.1-py3-none-any.whl"]
    require((wheel["uses"], wheel["project"], wheel["version"], wheel["index"]) == (3, "alpha", "1.1", "root/pypi"),
            "the list says {}".format(wheel))
    ran = cache(binary, data, "list", "--sort", "size")
    lines = ran.text.splitlines()
    require(ran.code == 0 and "bigwheel" in lines[1] and "2 files" in lines[-1], ran.told())
    ran = cache(binary, data, "stats", "--json")
    require(ran.code == 0, ran.told())
    stats = json.loads(ran.text)
    day = stats["periods"]["24h"]
    require(day["files"]["miss"]["requests"] == 2 and day["files"]["hit_ratio"] == 0.5, "stats say {}".format(day))
    require(day["saved_bytes"] == 2 * wheel["size"], "saved are {}".format(day["saved_bytes"]))
    require(stats["top_served"][0]["project"] == "bigwheel", ran.told())
    require("hits" in cache(binary, data, "stats").text, "stats for people say nothing of hits")
    passed("cache list and stats tell what the server holds, also what it has not written down")

    ran = cache(binary, data, "purge", "alpha", "--dry-run")
    require(ran.code == 0 and "alpha-1.1-py3-none-any.whl" in ran.text, ran.told())
    require(len(listed(binary, data)) == 4, "a dry run purged")
    ran = cache(binary, data, "purge", "--all")
    require(ran.code == EXIT_USAGE and "--yes" in ran.text, "everything goes unasked: " + ran.told())
    asked = len(upstream.asked)
    ran = cache(binary, data, "purge", "alpha")
    require(ran.code == 0 and "purged: 2 files" in ran.text, ran.told())
    require([file["project"] for file in listed(binary, data)] == ["bigwheel"] * 2, "the wrong files went")
    require(server.page("alpha").tier == "miss", "the purged page is not fetched anew")
    require(fetch(server, "alpha", "alpha-1.1-py3-none-any.whl").tier == "miss", "the purged file is not fetched anew")
    require(fetch(server, "bigwheel", "bigwheel-1.0-py3-none-any.whl").tier in ("memory", "disk"), "too much went")
    require(len(upstream.asked) == asked + 2, "upstream was asked {} times".format(len(upstream.asked) - asked))
    server.stop()
    passed("a purge beside a running server holds for memory, pages and disk at once")

    ran = cache(binary, data, "purge", "--older-than", "1d", "--yes")
    require(ran.code == 0 and "nothing" in ran.text, ran.told())
    ran = cache(binary, data, "purge", "--all", "--yes")
    require(ran.code == 0 and "4 files" in ran.text, ran.told())
    require(check_store(data, "after the purge") == 0 and listed(binary, data) == [], "something is left")
    ran = cache(binary, data, "purge")
    require(ran.code == EXIT_USAGE, ran.told())
    ran = cache(binary, Path(temp_dir("none")) / "data", "list")
    require(ran.code == EXIT_USAGE and "--data" in ran.text, ran.told())
    passed("a purge without a server empties the directory")


def fetch(server, project, filename):
    page = json.loads(server.page(project).body)
    url = next(file["url"] for file in page["files"] if file["filename"] == filename)
    answer = get(urljoin(server.index + project + "/", url))
    require(answer.status == 200, "{} is answered {}".format(filename, answer.status))
    return answer
