"""`sidewheel configure` and `env` with real uv, pip, poetry, pdm, twine and devpi-client, each with a home of its own.

In: the tools, the binary. Out: passed checks: a plain install without any index option comes through us, and --undo
brings every file back byte for byte.
"""

import json
import os
from pathlib import Path

from fixture import Upstream
from processes import Sidewheel, clean_env, must, passed, require, run, temp_dir
from tools import DEVPI_CLIENT, TWINE, check_imports

PYPROJECT = """# kept: é
[project]
name = "consumer"   # and its blanks
version = "1"
requires-python = ">=3.10"
dependencies = ["alpha"]
"""
PIP_CONF = "# mine\n[global]\ntimeout = 20\n\n[list]\nformat = columns"  # without a last line end
UV_TOML = "offline = false # no\r\nindex-url = 'http://127.0.0.1:9/root/pypi/+simple/'\r\n"


def configure(tools, binary):
    upstream = Upstream()
    server = Sidewheel(binary, temp_dir("data"), upstream)
    at = Machine(binary, server.base)
    pip(tools, server, at)
    uv(tools, server, at)
    poetry(tools, server, at)
    pdm(tools, server, at)
    publishers(tools, at)
    refusals(at)
    environment(tools, server, at)
    server.stop()
    upstream.close()


class Machine:
    """A home in which tools read their own files, and the command that edits them."""

    def __init__(self, binary, base):
        self.binary, self.base, self.home = binary, base, Path(temp_dir("home"))

    def env(self, **more):
        env = clean_env(self.home, **more)
        for name in ("PIP_CONFIG_FILE", "UV_NO_CONFIG"):
            if name not in more:
                env.pop(name)
        return env

    def run(self, *arguments, cwd=None):
        return run([self.binary, "configure", "--url", self.base, *arguments], self.env(), cwd=cwd or self.home)

    def must(self, *arguments, cwd=None):
        ran = self.run(*arguments, cwd=cwd)
        require(ran.code == 0, ran.told())
        return ran.text

    def around(self, path, before, arguments, use, cwd=None):
        """Edits, uses, takes back: the file is then what it was, byte for byte, or gone where it was not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if before is not None:
            path.write_bytes(before.encode())
            path.chmod(0o640)
        else:
            path.unlink(missing_ok=True)
        shown = self.must(*arguments, "--dry-run", cwd=cwd)
        require("+" in shown and (path.read_bytes() if path.exists() else None) == (before and before.encode()),
                "--dry-run shows no difference or makes one:\n" + shown)
        self.must(*arguments, cwd=cwd)
        require("already" in self.must(*arguments, cwd=cwd), "a second time something is edited")
        use()
        self.must(*arguments, "--undo", cwd=cwd)
        after = path.read_bytes() if path.exists() else None
        require(after == (before.encode() if before is not None else None),
                "{} is not what it was:\n{!r}\n{!r}".format(path, before, after))
        require(before is None or path.stat().st_mode & 0o777 == 0o640, "{} has another mode".format(path))


def through_us(server, agent, action):
    """Runs `action`; the log then says that `agent` asked us."""
    before = len(server.whole_log())
    action()
    log = server.whole_log()[before:]
    require("/root/pypi/+simple/alpha/" in log and agent in log, "{} did not come through us:\n{}".format(agent, log[-2000:]))


def pip(tools, server, at):
    python = tools.pip_new.python

    def install():
        site = temp_dir("site")
        must([python, "-m", "pip", "install", "--retries", "0", "--no-cache-dir", "--target", site, "alpha"], at.env())
        check_imports(python, at.env(), path=site)

    for before in (None, PIP_CONF):
        at.around(at.home / "config/pip/pip.conf", before, ["pip"], lambda: through_us(server, "pip/", install))
    # A link stays one.
    real = Path(temp_dir("dotfiles")) / "pip.conf"
    link = at.home / "config/pip/pip.conf"
    real.write_text(PIP_CONF)
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(real)
    at.must("pip")
    require(link.is_symlink() and at.base in real.read_text(), "the link was replaced, or what it leads to not edited")
    at.must("pip", "--undo")
    require(link.is_symlink() and real.read_text() == PIP_CONF, "through a link nothing is taken back")
    link.unlink()
    passed("pip installs from here after `configure pip`, and --undo brings its file back, through a link too")


def uv(tools, server, at):
    def install():
        site = temp_dir("site")
        must([tools.uv.binary, "pip", "install", "--no-cache", "--python", tools.python, "--target", site, "alpha"], at.env())
        check_imports(tools.python, at.env(), path=site)

    for before in (None, UV_TOML):
        at.around(at.home / "config/uv/uv.toml", before, ["uv"], lambda: through_us(server, "uv/", install))
    project = Path(temp_dir("project"))

    def lock():
        must([tools.uv.binary, "lock", "--no-cache", "--python", tools.python], at.env(), cwd=project)
        require(at.base in (project / "uv.lock").read_text(), "uv.lock does not name us")

    at.around(project / "pyproject.toml", PYPROJECT, ["uv", "--project"], lambda: through_us(server, "uv/", lock), cwd=project)
    passed("uv installs and locks from here after `configure uv`, for the user and in a project")


def poetry(tools, server, at):
    project = Path(temp_dir("project"))
    text = PYPROJECT + "\n[tool.poetry]\npackage-mode = false\n"

    def lock():
        must([tools.poetry.binary, "lock"], at.env(POETRY_CACHE_DIR=temp_dir("cache")), cwd=project)
        require("sidewheel" in (project / "poetry.lock").read_text(), "poetry.lock does not name our source")

    at.around(project / "pyproject.toml", text, ["poetry"], lambda: through_us(server, "poetry/", lock), cwd=project)
    passed("poetry locks from here after `configure poetry`")


def pdm(tools, server, at):
    project = Path(temp_dir("project"))
    text = PYPROJECT + "\n[tool.pdm]\ndistribution = false\n"
    (project / "pyproject.toml").write_text(text)
    must([tools.python, "-m", "venv", "--without-pip", project / ".venv"], at.env())

    def lock():
        (project / "pdm.lock").unlink(missing_ok=True)
        must([tools.pdm.binary, "lock"], at.env(PDM_CACHE_DIR=temp_dir("cache")), cwd=project)

    at.around(at.home / "config/pdm/config.toml", "check_update = false\n", ["pdm"],
              lambda: through_us(server, "pdm/", lock), cwd=project)
    at.around(project / "pyproject.toml", text, ["pdm", "--project"], lambda: through_us(server, "pdm/", lock), cwd=project)
    passed("pdm locks from here after `configure pdm`, for the user and in a project")


def publishers(tools, at):
    twine = tools.program("twine", TWINE)
    wheel = Path(temp_dir("wheel")) / "alpha-1.0-py3-none-any.whl"

    def repository():
        text = (at.home / ".pypirc").read_text()
        require("password =" not in text.replace("password = kept", ""), "a password was written")
        wheel.write_bytes(b"")
        # No server is asked: twine reads its configuration, then the file, which is none.
        ran = run([twine, "upload", "--non-interactive", "-r", "sidewheel", wheel], at.env())
        require("index-servers" not in ran.text and "Missing" not in ran.text and ran.code, ran.told())

    known = "[distutils]\nindex-servers =\n    corp\n\n[corp]\nrepository = https://corp.example/\npassword = kept\n"
    at.around(at.home / ".pypirc", known, ["twine", "--index", "alice/dev"], repository)
    at.around(at.home / ".pypirc", None, ["twine", "--index", "alice/dev"], lambda: require(
        (at.home / ".pypirc").stat().st_mode & 0o777 == 0o600, ".pypirc can be read by others"))

    def use():
        ran = must([tools.program("devpi", DEVPI_CLIENT), "use"], at.env())
        require("{}/root/pypi".format(at.base) in ran.text, "devpi use does not name us:\n" + ran.text)

    # As devpi-client writes it; what it learns from us it would note here itself.
    features = ["push-no-docs", "push-only-docs", "push-register-project", "server-keyvalue-parsing"]
    current = json.dumps({"features": features, "index": "http://127.0.0.1:9/root/pypi", "username": "alice"}, indent=2)
    at.around(at.home / ".devpi/client/current.json", current, ["devpi"], use)
    passed("twine and devpi-client are pointed here and back; no password is written")


def refusals(at):
    conf = at.home / "config/pip/pip.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(PIP_CONF)
    at.must("pip")
    ours = conf.read_text()
    conf.write_text("# new\n" + ours + "\n[install]\nno-deps = true\n")
    at.must("pip", "--undo")
    require(conf.read_text() == "# new\n" + PIP_CONF + "\n[install]\nno-deps = true\n", "an edit elsewhere is lost")
    conf.write_text(PIP_CONF)
    at.must("pip")
    conf.write_text(ours.replace(at.base, "http://by-hand.example"))
    for arguments in (["pip", "--undo"], ["pip"]):
        ran = at.run(*arguments)
        require(ran.code == 64 and "by hand" in ran.text and "--force" in ran.text and "by-hand" in conf.read_text(),
                "a change by hand is overwritten or not told: " + ran.told())
    at.must("pip", "--undo", "--force")
    require(conf.read_text() == PIP_CONF, "--force does not take it back")
    conf.unlink()
    ran = run([at.binary, "configure", "pip", "--url", "https://ada:geheim@packages.example"], at.env())
    require(ran.code == 64 and "geheim" not in ran.text and not conf.exists(), "a password is taken: " + ran.told())
    require("mirror" in at.run("twine").text, "uploads are pointed to a mirror")
    passed("what was edited by hand elsewhere stays, what was edited here is refused without --force")


def environment(tools, server, at):
    def lines(*arguments):
        return must([at.binary, "env", "--url", at.base, *arguments], at.env()).text

    script = 'eval "$({0} env --url {1} --shell sh)" && {2} pip install --no-cache --python {3} --target {4} alpha && ' \
        'eval "$({0} env --url {1} --shell sh --undo)" && test -z "${{PIP_INDEX_URL-}}${{UV_DEFAULT_INDEX-}}"'
    site = temp_dir("site")
    script = script.format(at.binary, at.base, tools.uv.binary, tools.python, site)
    through_us(server, "uv/", lambda: must(["sh", "-c", script], at.env()))
    require("set -gx PIP_INDEX_URL" in lines("--shell", "fish"), "no line for fish")
    require("PIP_INDEX_URL={}/root/pypi/+simple/".format(at.base) in lines("--shell", "github").splitlines(), "no line for GitHub")
    require("TWINE_REPOSITORY_URL" in lines("--index", "alice/dev"), "no line for publishers")
    passed("the lines of `env` point a shell here and back")
