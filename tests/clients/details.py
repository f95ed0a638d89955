"""What single clients rely on: hashes, lockfiles, dates, yanked releases, source distributions, wrong bytes.

In: the tools and the binary. Out: passed checks. One server and one upstream for all of them.
"""

import shutil
from pathlib import Path

from fixture import Upstream
from processes import Sidewheel, check_store, clean_env, digest, get, must, passed, require, run, temp_dir
from tools import WANTED, check_imports


def details(tools, binary):
    upstream = Upstream()
    data = temp_dir("data")
    server = Sidewheel(binary, data, upstream)
    require_hashes(tools, server, upstream)
    alias(tools, server)
    source(tools, server, upstream)
    dates(tools, server)
    yanked(tools, server)
    unnormalised(tools, server)
    wrong_bytes(tools, server, upstream, data)
    locked(tools, binary, server, upstream, data)
    upstream.close()


def require_hashes(tools, server, upstream):
    home = Path(temp_dir("home"))
    lines = []
    for name, version in WANTED.items():
        dist = upstream.dist("{}-{}-py3-none-any.whl".format(name, version))
        lines.append("{}=={} --hash=sha256:{}\n".format(name, version, dist.sha256))
    (home / "requirements.txt").write_text("".join(lines))
    for pip in (tools.pip_new, tools.pip_old):
        site = temp_dir("site")
        must(pip.command("install", server.index, "--require-hashes", "--target", site, "-r",
                         home / "requirements.txt"), clean_env(home))
        check_imports(pip.python, clean_env(home), path=site)
    must([tools.uv.binary, "pip", "install", "--python", tools.python, "--target", home / "uv", "--default-index",
          server.index, "--require-hashes", "-r", home / "requirements.txt"], clean_env(home))
    check_imports(tools.python, clean_env(home), path=home / "uv")
    wrong = lines[0].replace(lines[0][-9:-1], "00000000")
    (home / "wrong.txt").write_text(wrong)
    ran = run(tools.pip_new.command("install", server.index, "--require-hashes", "--no-deps", "--target",
                                    home / "wrong", "-r", home / "wrong.txt"), clean_env(home))
    require(ran.code != 0 and "HASHES" in ran.text, "pip took a file of another hash: " + ran.told())
    passed("pip (both) and uv install with --require-hashes; another hash is refused")


def alias(tools, server):
    home = temp_dir("home")
    tools.uv.install(server.base + "/simple/", home)
    passed("uv installs through the alias /simple/")


def source(tools, server, upstream):
    home = Path(temp_dir("home"))
    for pip in (tools.pip_new, tools.pip_old):
        place = Path(temp_dir("sdist"))
        must(pip.command("download", server.index, "--no-deps", "--no-binary", ":all:", "-d", place, "gamma==1.0"),
             clean_env(home))
        got = (place / "gamma-1.0.tar.gz").read_bytes()
        require(digest(got) == upstream.dist("gamma-1.0.tar.gz").sha256,
                pip.name + " downloaded an sdist that is not upstream's")
    site = home / "site"
    ran = tools.uv.run_install(server.index, home, ["gamma"], "--no-binary", "gamma")
    require(ran.code == 0, ran.told())
    check_imports(tools.python, clean_env(home), {"gamma": "1.0"}, site)
    passed("pip (both) downloads the sdist, uv builds and installs it")


def dates(tools, server):
    def compiled(*more):
        home = Path(temp_dir("home"))
        (home / "in.txt").write_text("alpha\n")
        return must([tools.uv.binary, "pip", "compile", "-q", "--no-header", "--no-annotate", "--python",
                     tools.python, "--default-index", server.index, *more, home / "in.txt"], clean_env(home)).text

    require("beta==1.5" in compiled(), "uv pip compile does not choose beta 1.5: " + compiled())
    old = compiled("--exclude-newer", "2025-01-01T00:00:00Z")
    require("beta==1.0" in old and "alpha==1.1" in old, "--exclude-newer chose otherwise: " + old)
    home = Path(temp_dir("home"))
    must(tools.pip_new.command("install", server.index, "--uploaded-prior-to", "2025-01-01T00:00:00Z", "--target",
                               home / "site", "beta"), clean_env(home))
    check_imports(tools.python, clean_env(home), {"beta": "1.0"}, home / "site")
    passed("uv --exclude-newer and pip --uploaded-prior-to choose by upload time")


def yanked(tools, server):
    for pip in (tools.pip_new, tools.pip_old, tools.uv):
        home = Path(temp_dir("home"))
        ran = pip.run_install(server.index, home, ["gamma==2.0"])
        require(ran.code == 0 and "eats its young" in ran.text,
                pip.name + " does not install a pinned yanked release with its reason: " + ran.told())
        check_imports(tools.python, clean_env(home), {"gamma": "2.0"}, home / "site")
        home = Path(temp_dir("home"))
        ran = pip.run_install(server.index, home, ["gamma>=1"])
        require(ran.code == 0, ran.told())
        check_imports(tools.python, clean_env(home), {"gamma": "1.0"}, home / "site")
    passed("a yanked release is not chosen, but installed when it is pinned, and its reason is told")


def unnormalised(tools, server):
    for client in (tools.pip_new, tools.pip_old, tools.uv):
        for name in ("Zope.Thing", "zope_thing"):
            home = Path(temp_dir("home"))
            ran = client.run_install(server.index, home, [name])
            require(ran.code == 0, ran.told())
            check_imports(tools.python, clean_env(home), {"zope_thing": "1.0"}, home / "site")
    answer = get(server.index + "Zope.Thing/")
    require(answer.status in (301, 302, 307, 308) or answer.status == 200,
            "the page of Zope.Thing is answered {}, neither redirected nor served".format(answer.status))
    passed("a project is found by every spelling of its name")


def wrong_bytes(tools, server, upstream, data):
    # delta is small: the server waits for all of it. epsilon is large: it streams, and the connection is cut.
    for client, name in ((tools.pip_new, "delta"), (tools.uv, "epsilon")):
        wheel = upstream.dist(name + "-1.0-py3-none-any.whl")
        before = upstream.whole_gets()[wheel.filename]
        upstream.flipped.add(wheel.filename)
        home = Path(temp_dir("home"))
        ran = client.run_install(server.index, home, [name])
        require(ran.code != 0, "{} installed {} with a wrong byte".format(client.name, name))
        require(upstream.whole_gets()[wheel.filename] > before, "the wrong {} was never asked for: {}".format(
            name, ran.told()))
        check_store(data, "after wrong bytes of " + name)
        upstream.flipped.clear()
        home = Path(temp_dir("home"))
        ran = client.run_install(server.index, home, [name])
        require(ran.code == 0, "after upstream's {} is good again: {}".format(name, ran.told()))
        check_imports(tools.python, clean_env(home), {name: "1.0"}, home / "site")
        stored = Path(data, "files", wheel.sha256[:2], wheel.sha256[2:])
        require(stored.is_file(), "the good {} is not kept".format(name))
    passed("one wrong byte of a small and of a large wheel fails pip and uv; the next try works once upstream is good")


def locked(tools, binary, server, upstream, data):
    home = Path(temp_dir("home"))
    place = tools.uv.project(server.index, home)

    def uv(*arguments, of=home):
        ran = tools.uv.in_project(place, of, *arguments)
        require(ran.code == 0, ran.told())
        check = place / ".venv/bin/python"
        if "sync" in arguments:
            check_imports(check, clean_env(of))
            shutil.rmtree(place / ".venv")

    uv("lock")
    lock = (place / "uv.lock").read_text()
    require(server.base + "/root/pypi/+f/" in lock, "uv.lock does not point at the server:\n" + lock)
    require("size = " in lock and "upload-time = " in lock, "uv.lock knows no sizes and times:\n" + lock)
    uv("sync", "--frozen")
    uv("sync", "--frozen", of=temp_dir("home"))
    passed("uv lock points at the server, with sizes and times; uv sync --frozen installs from it")

    before = server.base
    server.stop()
    shutil.rmtree(data)
    # The old lockfile but for the port, which the system chose: no page was asked, no file is there.
    server = Sidewheel(binary, data, upstream)
    for name in ("uv.lock", "pyproject.toml"):
        text = (place / name).read_text().replace(before, server.base)
        (place / name).write_text(text)
    uv("sync", "--frozen", of=temp_dir("home"))
    passed("uv sync --frozen with an old lockfile installs from a server whose data directory was removed")
    server.stop()
