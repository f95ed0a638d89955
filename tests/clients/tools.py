"""The installers: made ready once in a cache directory, then driven each in its own way.

In: an index URL, a directory. Out: an installation, checked by importing it. It may not know what server answers.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from processes import clean_env, must, note, require, run

# Each client at the version that the promises were measured with. `pdm[locked]`: pdm's own pins, because a newer
# release of its HTTP cache breaks it.
PIP_NEW = "pip==26.3"
PIP_OLD = "pip==22.1.2"  # of 2022: asks for HTML only, knows no `.metadata`
PIP_OLDEST_FOR_PYTHON_312 = "pip==23.2.1"  # the 2022 ones do not run on Python 3.12 and later
REQUIREMENTS = {
    "uv": "uv==0.13.9",
    "poetry": "poetry==2.5.1",
    "pdm": "pdm[locked]==2.29.3",
}
# Asked for by the parts that need them, each in an environment of its own: devpi's server and client want different
# setuptools. tox and virtualenv are what `devpi test` runs; virtualenv brings pip along and needs no network.
PEER = ["devpi-server==6.20.3"]
DEVPI_CLIENT = ["devpi-client==7.3.0", "tox==4.67.15", "virtualenv==21.15.11"]
TWINE = ["twine==7.0.0"]
FLIT = ["flit==4.2.0"]
HATCH = ["hatch==1.18.2"]
# Below it the newest clients do not run.
PYTHON_MIN = (3, 10)

# What every resolver must choose for `alpha`: not the yanked gamma 2.0, not gamma 3.0 for Python >= 99.
WANTED = {"alpha": "1.1", "beta": "1.5", "gamma": "1.0"}


def find_python():
    if sys.version_info >= PYTHON_MIN:
        return sys.executable
    for minor in range(14, 9, -1):
        found = shutil.which("python3.{}".format(minor))
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    require(False, "the newest clients need Python 3.10 or later; install one beside " + sys.version.split()[0])


class Tools:
    """All clients of the cache directory; a client that is there already is not installed again."""

    def __init__(self, directory):
        self.directory = Path(directory).resolve()
        self.python = find_python()
        version = must([self.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], dict(os.environ))
        self.python_version = tuple(int(part) for part in version.text.split("."))
        # Installing the clients is no check: it may use the machine's own configuration (a proxy, an inner mirror).
        self.env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
        self.env.pop("PYTHONPATH", None)
        old = PIP_OLD if self.python_version < (3, 12) else PIP_OLDEST_FOR_PYTHON_312
        note("the old pip is " + old)
        pip = self.pip = self.ready("pip-new", [PIP_NEW], None)
        self.pip_new = Pip("pip " + PIP_NEW[5:], pip / "bin/python")
        self.pip_old = Pip("pip " + old[5:], self.ready("pip-old", [old], pip) / "bin/python")
        self.uv = Uv("uv", self.ready("uv", [REQUIREMENTS["uv"]], pip) / "bin/uv", self.python)
        self.poetry = Poetry("poetry", self.ready("poetry", [REQUIREMENTS["poetry"]], pip) / "bin/poetry")
        self.pdm = Pdm("pdm", self.ready("pdm", [REQUIREMENTS["pdm"]], pip) / "bin/pdm", self.python)
        self.all = [self.pip_new, self.pip_old, self.uv, self.poetry, self.pdm]

    def ready(self, name, requirements, pip):
        """The environment `name`, made when it is not there; who wants it meanwhile waits."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / (name + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self.made(name, requirements, pip)

    def made(self, name, requirements, pip):
        key = hashlib.sha256(repr((requirements, self.python, self.python_version)).encode()).hexdigest()[:10]
        place = self.directory / "{}-{}".format(name, key)
        done = place / "done"
        if done.exists() and run([place / "bin/python", "-c", ""], self.env).code == 0:
            return place
        shutil.rmtree(place, ignore_errors=True)
        if pip is None:
            self.need_ensurepip()
            must([self.python, "-m", "venv", place], self.env)
            command = [place / "bin/python", "-m", "pip", "install", "-q", "--upgrade"]
        else:
            must([self.python, "-m", "venv", "--without-pip", place], self.env)
            command = [pip / "bin/python", "-m", "pip", "--python", place / "bin/python", "install", "-q"]
        # A first run fetches some 60 MB.
        must(command + requirements, self.env, seconds=300)
        done.write_text("\n".join(requirements))
        return place

    def program(self, name, requirements):
        """The program `name` of an environment that is made when it is first asked for."""
        return self.ready(name, requirements, self.pip) / "bin" / name

    def need_ensurepip(self):
        # Debian keeps it out of python3.
        if run([self.python, "-c", "import ensurepip, venv"], self.env).code == 0:
            return
        apt = shutil.which("apt-get")
        require(apt and os.geteuid() == 0, "python3 cannot make virtual environments; install python3-venv")
        must([apt, "install", "-y", "-qq", "--no-install-recommends", "python3-venv"],
             dict(self.env, DEBIAN_FRONTEND="noninteractive"))


def check_imports(python, env, wanted=None, path=None):
    """Each module of `wanted` is there in exactly that version."""
    wanted = wanted or WANTED
    code = "import {0}; print(' '.join(m.VERSION for m in ({0},)))".format(", ".join(wanted))
    more = {"PYTHONPATH": str(path)} if path else {}
    ran = must([python, "-c", code], dict(env, **more))
    require(ran.text.split() == list(wanted.values()),
            "installed are {} where {} were wanted".format(ran.text.split(), wanted))


class Pip:
    def __init__(self, name, python):
        self.name, self.python = name, python

    def command(self, verb, index, *arguments):
        return [self.python, "-m", "pip", verb, "--index-url", index, *arguments]

    def run_install(self, index, home, projects, *arguments, **env):
        # No retries: a failure is to be seen at once.
        return run(self.command("install", index, "--retries", "0", "--target", Path(home) / "site", *arguments,
                                *projects), clean_env(home, **env))

    def install(self, index, home, *arguments, **env):
        ran = self.run_install(index, home, ["alpha"], *arguments, **env)
        require(ran.code == 0, ran.told())
        check_imports(self.python, clean_env(home), path=Path(home) / "site")
        return ran

    def fail(self, index, home, project):
        return self.run_install(index, home, [project])


class Uv:
    def __init__(self, name, binary, python):
        self.name, self.binary, self.python = name, binary, python

    def run_install(self, index, home, projects, *arguments, **env):
        return run([self.binary, "pip", "install", "--python", self.python, "--target", Path(home) / "site",
                    "--default-index", index, *arguments, *projects],
                   clean_env(home, UV_HTTP_RETRIES="0", **env))

    def install(self, index, home, *arguments, **env):
        ran = self.run_install(index, home, ["alpha"], *arguments, **env)
        require(ran.code == 0, ran.told())
        check_imports(self.python, clean_env(home), path=Path(home) / "site")
        return ran

    def fail(self, index, home, project):
        return self.run_install(index, home, [project])

    def project(self, index, home, dependencies=("alpha",)):
        place = Path(home) / "project"
        place.mkdir()
        (place / "pyproject.toml").write_text(
            '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = {}\n'
            '[[tool.uv.index]]\nname = "here"\nurl = "{}"\ndefault = true\n'
            "[tool.uv]\npackage = false\n".format(list(dependencies), index))
        return place

    def in_project(self, place, home, *arguments):
        env = clean_env(home, UV_HTTP_RETRIES="0", UV_PYTHON=self.python)
        env.pop("UV_NO_CONFIG")  # it would hide the project's own [tool.uv]
        return run([self.binary, *arguments], env, cwd=place)


class Poetry:
    def __init__(self, name, binary):
        self.name, self.binary = name, binary

    def fail(self, index, home, project):
        place = Path(home) / "project"
        place.mkdir()
        (place / "pyproject.toml").write_text(
            '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["{}"]\n'
            "[tool.poetry]\npackage-mode = false\n"
            '[[tool.poetry.source]]\nname = "here"\nurl = "{}"\npriority = "primary"\n'.format(project, index))
        env = clean_env(home)
        ran = run([self.binary, "lock"], env, cwd=place)
        return ran if ran.code else run([self.binary, "install"], env, cwd=place)

    def install(self, index, home):
        ran = self.fail(index, home, "alpha")
        require(ran.code == 0, ran.told())
        check_imports(Path(home) / "project/.venv/bin/python", clean_env(home))
        return ran


class Pdm:
    def __init__(self, name, binary, python):
        self.name, self.binary, self.python = name, binary, python

    def fail(self, index, home, project):
        place = Path(home) / "project"
        place.mkdir()
        (place / "pyproject.toml").write_text(
            '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["{}"]\n'
            "[tool.pdm]\ndistribution = false\n"
            '[[tool.pdm.source]]\nname = "pypi"\nurl = "{}"\nverify_ssl = true\n'.format(project, index))
        # Without an environment of the project's own, pdm writes __pypackages__.
        env = clean_env(home)
        must([self.python, "-m", "venv", "--without-pip", place / ".venv"], env)
        return run([self.binary, "install"], env, cwd=place)

    def install(self, index, home):
        ran = self.fail(index, home, "alpha")
        require(ran.code == 0, ran.told())
        check_imports(Path(home) / "project/.venv/bin/python", clean_env(home))
        return ran
