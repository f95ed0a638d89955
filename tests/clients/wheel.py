"""The package as pip and uv get it: a wheel that holds the binary, and an archive of the sources.

In: the build under test. Out: both built by maturin, installed in fresh environments, started, looked through.
It may not know what the server serves.
"""

import email
import fcntl
import os
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from processes import Sidewheel, clean_env, digest, get, must, note, passed, require, run, temp_dir
from tools import TWINE

MATURIN = ["maturin==1.16.0"]
# The binary of an unoptimised build is some 110 MB, which uv and pip unpack.
INSTALL_SECONDS_MAX = 120
# Compiling our own crate on a busy machine; its dependencies lie in the shared target directory.
COMPILE_SECONDS_MAX = 600


class Build:
    """The binary under test where no build moves it, and the place in a target directory where cargo made it.

    maturin takes a binary away from where cargo put it, and puts it back: who starts it meanwhile finds none.
    """

    def __init__(self, binary, made, repository):
        self.binary, self.made, self.repository = Path(binary), Path(made), Path(repository)

    def cargo_env(self):
        """The same target directory, so that nothing is compiled twice."""
        return dict(os.environ, CARGO_TARGET_DIR=str(self.made.parent.parent))

    def wheel(self, tools):
        """The wheel of this binary: made once, beside it; who wants it meanwhile waits."""
        out = self.binary.parent / "wheel"
        out.mkdir(exist_ok=True)
        with open(self.binary.parent / "wheel.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not any(out.iterdir()):
                profile = {"debug": "dev"}.get(self.made.parent.name, self.made.parent.name)
                must([tools.program("maturin", MATURIN), "build", "--profile", profile, "--out", out], self.cargo_env(),
                     cwd=self.repository, seconds=COMPILE_SECONDS_MAX)
        wheels = list(out.iterdir())
        require(len(wheels) == 1 and wheels[0].suffix == ".whl", "maturin made {}".format(wheels))
        return wheels[0]


def wheel(tools, build):
    built = build.wheel(tools)
    looked_through(tools, built, build.binary, build.repository)
    by_pip(tools, built)
    by_uv(tools, built)
    sources(tools, build)


def version_of(repository):
    found = re.search(r'^version = "([^"]+)"$', (repository / "Cargo.toml").read_text(), re.MULTILINE)
    require(found, "Cargo.toml names no version")
    return found.group(1)


def looked_through(tools, built, binary, repository):
    name = "sidewheel-" + version_of(repository)
    system = r"manylinux_\d+_\d+_\w+|musllinux_\d+_\d+_\w+|linux_\w+" if sys.platform == "linux" else r"macosx_\w+"
    require(re.fullmatch(re.escape(name) + "-py3-none-({})\\.whl".format(system), built.name),
            "a wheel of one binary for any Python is not called " + built.name)
    with zipfile.ZipFile(built) as archive:
        script = name + ".data/scripts/sidewheel"
        info = name + ".dist-info/"
        names = {entry.filename for entry in archive.infolist() if not entry.is_dir()}
        strange = {entry for entry in names - {script} if not entry.startswith(info)}
        require(script in names and not strange, "the wheel holds {}".format(sorted(names)))
        require(archive.getinfo(script).external_attr >> 16 & 0o111 == 0o111, "the binary in the wheel cannot be run")
        require(digest(archive.read(script)) == digest(binary.read_bytes()), "the wheel holds another binary")
        licences = {info + "licenses/" + file for file in ("LICENSE", "LICENSE-APACHE", "LICENSE-MIT")}
        require(licences <= names, "of the licences the wheel lacks {}".format(licences - names))
        facts = email.message_from_bytes(archive.read(info + "METADATA"))
    require(facts["Version"] == version_of(repository), "the wheel says it is version " + str(facts["Version"]))
    require(facts["License-Expression"] == "MIT OR Apache-2.0", "its licence is {}".format(facts["License-Expression"]))
    require(facts["Summary"] and not facts.get_all("Requires-Dist"), "its summary or its dependencies are wrong")
    require(facts.get_payload(decode=True).decode().strip() == (repository / "README.md").read_text().strip(),
            "the long description is not the README")
    # Unknown classifiers are refused by PyPI; descriptions that cannot be shown are found here.
    must([tools.program("twine", TWINE), "check", "--strict", built], clean_env(temp_dir("twine")))
    passed("maturin makes a wheel for any Python with our binary, the licences and nothing else")


def by_pip(tools, built):
    place = Path(temp_dir("venv")) / "venv"
    env = clean_env(temp_dir("home"))
    must([tools.python, "-m", "venv", "--without-pip", place], env)
    must([tools.pip_new.python, "-m", "pip", "--python", place / "bin/python", "install", "--no-index", built], env,
         seconds=INSTALL_SECONDS_MAX)
    program = place / "bin/sidewheel"
    said = must([program, "--version"], env).text.split()
    require(said == ["sidewheel", built.name.split("-")[1]], "the installed program says it is {}".format(said))
    serves(Sidewheel(program, Path(temp_dir("served")) / "data"))
    must([tools.pip_new.python, "-m", "pip", "--python", place / "bin/python", "uninstall", "--yes", "sidewheel"], env)
    left = [str(path) for path in place.rglob("*sidewheel*")]
    require(not left, "uninstalled, and still there: {}".format(left))
    passed("`pip install` of the wheel: the program says its version, serves, and goes without a trace")


def by_uv(tools, built):
    uvx = tools.uv.binary.parent / "uvx"
    env = clean_env(temp_dir("uvx"), UV_PYTHON=tools.python, UV_OFFLINE="1")
    said = run([uvx, "--from", built, "sidewheel", "--version"], env, seconds=INSTALL_SECONDS_MAX)
    require(said.code == 0 and built.name.split("-")[1] in said.text, said.told())
    serves(Sidewheel("sidewheel", Path(temp_dir("served")) / "data", prefix=[str(uvx), "--from", str(built)], env=env))
    passed("`uvx --from WHEEL sidewheel serve` serves, and ends in order when uvx is told to")


def serves(server):
    """Ready, and stops when told."""
    answer = get(server.base + "/+ready")
    require((answer.status, answer.body) == (200, b"ready\n"), "/+ready is answered {}".format(answer.status))
    server.stop()


def sources(tools, build):
    repository = build.repository
    out = Path(temp_dir("sdist"))
    must([tools.program("maturin", MATURIN), "sdist", "--out", out], build.cargo_env(), cwd=repository)
    [archive] = out.iterdir()
    root = "sidewheel-" + version_of(repository)
    require(archive.name == root + ".tar.gz", "the archive is called " + archive.name)
    with tarfile.open(archive) as sources:
        names = {member.name.split("/", 1)[1] for member in sources.getmembers() if member.isfile()}
        for member in sources.getmembers():
            require(member.name.startswith(root + "/") and ".." not in member.name, "a member is called " + member.name)
        # Always the same place: each place is compiled, and kept by cargo, for itself.
        place = tools.directory / "sources"
        shutil.rmtree(place, ignore_errors=True)
        sources.extractall(place)
    wanted = {"Cargo.toml", "Cargo.lock", "pyproject.toml", "PKG-INFO", "README.md", "LICENSE", "LICENSE-APACHE",
              "LICENSE-MIT", "src/main.rs"}
    require(wanted <= names, "the archive lacks {}".format(wanted - names))
    unwanted = [name for name in names
                if re.match(r"target/|\.git/|\.github/|\.ci/|bench/load/out/", name) or "__pycache__" in name]
    require(not unwanted, "the archive holds {}".format(unwanted[:5]))
    tracked = run(["git", "ls-files"], dict(os.environ), cwd=repository)
    if tracked.code == 0:
        strange = names - set(tracked.text.splitlines()) - {"PKG-INFO"}
        require(not strange, "the archive holds files that the repository does not know: {}".format(sorted(strange)[:5]))
    else:
        note("no git here: whether the archive holds only the repository's own files was not checked")
    # That what is in it is enough to build from; the dependencies are there, our own crate is compiled anew.
    must(["cargo", "check", "--locked", "--quiet", "--bin", "sidewheel"], build.cargo_env(), cwd=place / root,
         seconds=COMPILE_SECONDS_MAX)
    shutil.rmtree(place)
    passed("the archive of the sources holds what a build needs, and nothing that was built")
