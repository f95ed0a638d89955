"""The rivals: pinned, installed once from PyPI, and started as their own documentation says."""

import subprocess
import sys

import processes
from clients import PLACE
from devpi import Devpi
from processes import Process
from servers import Nginx

# nginx and its cache are Debian's.
KNOWN = ("nginx", "proxy_cache", "devpi", "proxpi", "peryx", "pypiron")
PINS = {
    "devpi": ["devpi-server==6.20.3"],
    "proxpi": ["proxpi==1.3.1", "gunicorn==23.0.0"],
    "peryx": ["peryx==2026.1010.0"],
    "pypiron": ["pypiron==0.0.29"],
    "uv": ["uv==0.13.9"],
    "matplotlib": ["matplotlib==3.10.9"],
}


def install(names, report, tools=()):
    """What is chosen and not there yet; what cannot be had is struck from `names`, with a note."""
    for name in [*names, *tools]:
        if name not in PINS:
            continue
        try:
            ensure(name)
            if name in names:
                report.note(f"{name}: {', '.join(PINS[name])}")
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", None) or error
            report.lacks("all", name, f"not installed: {str(why)[-150:]}")
            if name in names:
                names.remove(name)


def venv(name):
    return PLACE / name


def has(name):
    return (venv(name) / "pins").exists() and (venv(name) / "pins").read_text() == "\n".join(PINS[name])


def ensure(name):
    if has(name):
        return
    print(f"installing {', '.join(PINS[name])} into {venv(name)}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv(name)], check=True, capture_output=True, text=True)
    pip = [venv(name) / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *PINS[name]], check=True, capture_output=True, text=True)
    (venv(name) / "pins").write_text("\n".join(PINS[name]))


def start(name, directory, upstream, core):
    """A running rival that mirrors the upstream."""
    if name == "proxy_cache":
        return ProxyCache(directory, directory, core, name=name, proxy=upstream.url)
    return {"devpi": Devpi, "proxpi": Proxpi, "peryx": Peryx, "pypiron": Pypiron}[name](directory, venv(name), upstream, core)


class ProxyCache(Nginx):
    """The same nginx, as a cache before the upstream: the first of many clients fetches, the others wait for it."""


class Rival(Process):
    """One that is told its port and logs to a file."""

    def launch(self, directory, command, core, environment=None, ready="/"):
        self.log = (directory / "log").open("wb")
        super().__init__(command, core, environment, stdout=self.log, stderr=self.log, cwd=directory)
        self.url = f"http://127.0.0.1:{self.chosen_port}"
        self.until_answers(ready, log=directory / "log")

    def stop(self):
        super().stop()
        self.log.close()


class Proxpi(Rival):
    """Under gunicorn as in its Dockerfile: one process, for its cache is not shared, and two threads."""

    name = "proxpi"

    def __init__(self, directory, venv, upstream, core):
        (directory / "cache").mkdir(parents=True)
        self.chosen_port = processes.free_port()
        command = [venv / "bin/gunicorn", "--preload", "--bind", f"127.0.0.1:{self.chosen_port}", "--threads", "2"]
        environment = {
            "PROXPI_INDEX_URL": f"{upstream.url}/simple/",
            "PROXPI_INDEX_TTL": "3600",
            "PROXPI_CACHE_DIR": str(directory / "cache"),
            "PROXPI_CACHE_SIZE": str(40 * 10**9),
            # It redirects to upstream what takes longer, and then it would not be proxpi that is measured.
            "PROXPI_DOWNLOAD_TIMEOUT": "600",
            "PROXPI_LOGGING_LEVEL": "WARNING",
        }
        self.launch(directory, [*command, "--timeout", "600", "proxpi.server:app"], core, environment, "/health")

    def page(self, project):
        return f"/index/{project}/" if project else "/index/"


class Peryx(Rival):
    """One index, of the upstream; it refuses loopback addresses unless they are named."""

    name = "peryx"

    def __init__(self, directory, venv, upstream, core):
        directory.mkdir(parents=True)
        self.chosen_port = processes.free_port()
        config = directory / "peryx.toml"
        config.write_text(f"""host = "127.0.0.1"
port = {self.chosen_port}
data_dir = "{directory}/data"
cache_ttl_secs = 3600
[[index]]
name = "pypi"
route = "pypi"
[[index.upstream]]
name = "bench"
url = "{upstream.url}/simple/"
trusted_hosts = ["127.0.0.1"]
""")
        environment = {"TOKIO_WORKER_THREADS": "1"} if core is not None else None
        self.launch(directory, [venv / "bin/peryx", "serve", "--config", config, "--log-level", "warn"], core, environment, "/+health")

    def page(self, project):
        return f"/pypi/simple/{project}/" if project else "/pypi/simple/"


class Pypiron(Rival):
    """A proxy of an http upstream at a private address, without its cooldown and without its feed of advisories."""

    name = "pypiron"

    def __init__(self, directory, venv, upstream, core):
        directory.mkdir(parents=True)
        self.chosen_port = processes.free_port()
        command = [venv / "bin/pypiron", "serve", "--bind-addr", f"127.0.0.1:{self.chosen_port}"]
        command += ["--proxy-upstream", upstream.url, "--allow-insecure-upstream", "--proxy-allow-cidr", "127.0.0.0/8"]
        command += ["--exclude-newer", "", "--advisory-feed", "", "--malware-block", "false"]
        environment = {"PYPIRON_DATA_DIR": str(directory / "data"), "RUST_LOG": "warn"}
        if core is not None:
            environment["TOKIO_WORKER_THREADS"] = "1"
        self.launch(directory, command, core, environment, "/health")

    def page(self, project):
        return f"/simple/{project}/" if project else "/simple/"
