"""What people wait for: `uv pip install` and `uv lock` of 150 packages that depend on each other.

uv begins each time with an empty cache of its own and a fresh environment, so that what differs is the index: one that
has never seen the packages (cold), and the same one again (warm).
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import fixture
import rivals
from report import OURS
from servers import Nginx

SECONDS_MAX = 120

# What is compared with nginx at two hundredths is taken so often in each turn; one run differs from the next by a fifth.
WARM_RUNS = 5


def installs(bench):
    uv = shutil.which("uv") or rivals.venv("uv") / "bin/uv"
    if not pathlib.Path(uv).exists():
        bench.report.note("installs: left out, for there is no uv on PATH and it could not be had from PyPI")
        return
    version = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    root = bench.fixture.graph()
    bench.report.note(f"installs: {version}; {fixture.GRAPH_PACKAGES} packages of 20 KB, each with two releases and PEP 658 metadata")
    commands = {"install": (install, "uv pip install"), "lock": (lock, "uv lock")}
    with bench.upstream() as upstream:
        for key, (command, title) in commands.items():
            def sample(name):
                with started(bench, name, upstream) as server:
                    server.settled()
                    cold = command(bench, uv, server, root)
                    warm = []
                    for _ in range(WARM_RUNS if name in (OURS, "nginx") and not bench.quick else 1):
                        server.settled()
                        warm.append(command(bench, uv, server, root))
                    return cold, warm

            names = [OURS, "nginx", *(name for name in bench.rivals if name != "nginx")]
            found = bench.turns(key, [(name,) for name in names], sample, warm_up=False)
            cold = {name: [got[0] for got in taken] for name, taken in found.items()}
            warm = {name: [took for got in taken for took in got[1]] for name, taken in found.items()}
            bench.report.add(f"{key}.cold", f"{title} of {fixture.GRAPH_PACKAGES} packages, server cold", "s", cold, "less", 2)
            bench.report.add(f"{key}.warm", f"{title} of {fixture.GRAPH_PACKAGES} packages, server warm", "s", warm, "less", 2)


@contextlib.contextmanager
def started(bench, name, upstream):
    """A server that has never seen a package; its data goes when it ends."""
    directory = bench.fresh(name)
    if name == OURS:
        server = bench.sidewheel(upstream, load=f"uv pip install and uv lock of {fixture.GRAPH_PACKAGES} packages")
        directory = server.data
    elif name == "nginx":
        server = Nginx(directory, bench.fixture.root)
    else:
        server = rivals.start(name, directory, upstream, None)
    with server:
        yield server
    shutil.rmtree(directory, ignore_errors=True)


def install(bench, uv, server, root):
    """Seconds until all packages are installed."""
    place = bench.fresh("install")
    run(uv, place, "venv", "--python", sys.executable, place / "venv")
    took = run(uv, place, "pip", "install", "--python", place / "venv", "--index-url", server.index(), root)
    installed = len(list(place.glob("venv/lib/*/site-packages/*.dist-info")))
    shutil.rmtree(place)
    if installed != fixture.GRAPH_PACKAGES:
        raise RuntimeError(f"{installed} of {fixture.GRAPH_PACKAGES} packages were installed")
    return took


def lock(bench, uv, server, root):
    """Seconds until the lock file is there."""
    place = bench.fresh("lock")
    place.mkdir()
    (place / "pyproject.toml").write_text(
        f'[project]\nname = "bench"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = ["{root}"]\n'
        f'[[tool.uv.index]]\nurl = "{server.index()}"\ndefault = true\n'
    )
    took = run(uv, place, "lock", "--python", sys.executable)
    locked = (place / "uv.lock").read_text().count("[[package]]")
    shutil.rmtree(place)
    # The packages, and the project itself.
    if locked != fixture.GRAPH_PACKAGES + 1:
        raise RuntimeError(f"{locked - 1} of {fixture.GRAPH_PACKAGES} packages were locked")
    return took


def run(uv, place, *words):
    """Seconds that uv takes, with a cache of its own under `place`."""
    place.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "VIRTUAL_ENV"))}
    environment.update(UV_CACHE_DIR=str(place / "cache"), UV_PYTHON_DOWNLOADS="never", NO_PROXY="127.0.0.1")
    if words[0] != "lock":
        environment["UV_NO_CONFIG"] = "1"
    began = time.monotonic()
    done = subprocess.run(
        [str(word) for word in (uv, *words)], cwd=place, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX
    )
    took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"uv {words[0]} failed: {done.stderr[-300:]}")
    return took
