#!/usr/bin/env python3
"""Real clients against the real binary: python3 tests/clients/run.py path/to/sidewheel

One line per check that passed; ends at the first promise that is broken, with a sentence and exit code 1.
Needs Linux or macOS with curl, caddy and a way to the public index; on Linux also strace.
"""

import argparse
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

import backup
import cachetools
import caddy
import configure
import deploy
import details
import devpi_client
import doctor
import disks
import export
import first_run
import journeys
import kills
import live
import monitoring
import pages
import publish
import takeover
import recipes
import upgrade
import service
import upload_kills
import wheel
from abreast import abreast
from processes import Broken, Tally, end_all, require, temp_dir
from tools import Tools

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

# More of them would wait for each other's disk.
JOBS_MAX = 4
# They take minutes: begun last, each would run alone at the end.
LONG = ("devpi", "deploy", "pages", "recipes")


def parts(tools, build):
    binary = build.binary
    return {
        "journeys": lambda: journeys.journeys(tools, binary, core_metadata=True),
        "details": lambda: details.details(tools, binary),
        "caddy": lambda: caddy.through_caddy(tools, binary, REPOSITORY / "Caddyfile.example"),
        "configure": lambda: configure.configure(tools, binary),
        "doctor": lambda: doctor.doctor(tools, binary, REPOSITORY / "Caddyfile.example"),
        "first-run": lambda: first_run.first_run(binary),
        "devpi": lambda: devpi_client.devpi_client(tools, binary),
        "publish": lambda: publish.publish(tools, binary),
        "cachetools": lambda: cachetools.cachetools(tools, binary),
        "kills": lambda: kills.kills(binary),
        "upload-kills": lambda: upload_kills.upload_kills(binary),
        "backup": lambda: backup.backup(tools, binary),
        "upgrade": lambda: upgrade.upgrade(binary),
        "disks": lambda: disks.disks(binary),
        "import": lambda: takeover.takeover(tools, binary),
        "deploy": lambda: deploy.deploy(tools, build),
        "monitoring": lambda: monitoring.monitoring(tools, binary, REPOSITORY),
        "recipes": lambda: recipes.recipes(tools, build),
        "pages": lambda: pages.pages(tools, binary),
        "export": lambda: export.export(tools, binary),
        "service": lambda: service.service(tools, binary),
        "wheel": lambda: wheel.wheel(tools, build),
        "live": lambda: live.live(tools, binary),
        "plain": lambda: journeys.journeys(tools, binary, core_metadata=False),
    }


def build_of(options):
    """All parts run one copy of the binary: builds of the repository go on beside them."""
    made = Path(options.binary).resolve()
    if not options.copy:
        require(os.access(made, os.X_OK), "{} is no program; build it with `cargo build`".format(made))
        options.copy = shutil.copy(made, temp_dir("binary"))
    return wheel.Build(options.copy, made, REPOSITORY)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", help="the sidewheel to check")
    parser.add_argument("--cache", default=REPOSITORY / "target/clients", help="where the clients are installed")
    parser.add_argument("--screenshots", help="take pictures of the pages into this directory, and run no part")
    parser.add_argument("--only", action="append", help="run only this part; may be repeated")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, JOBS_MAX),
                        help="how many parts run at a time (default: one for each processor, up to {})".format(JOBS_MAX))
    parser.add_argument("--copy", help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = 0
    try:
        build = build_of(options)
        if options.screenshots:
            pages.screenshots(Tools(options.cache), build.binary, options.screenshots)
            return 0
        all_parts = parts(Tools(options.cache), build)
        unknown = set(options.only or ()) - set(all_parts)
        require(not unknown, "no such part: {}; there are {}".format(", ".join(unknown), ", ".join(all_parts)))
        names = [name for name in all_parts if not options.only or name in options.only]
        if options.jobs > 1 and len(names) > 1:
            again = [sys.executable, __file__, build.made, "--copy", build.binary, "--cache", options.cache, "--only"]
            Tally.passed = abreast(again, sorted(names, key=lambda name: name not in LONG), options.jobs)
        else:
            for name in names:
                all_parts[name]()
    except Broken as broken:
        failed = 1
        print("BROKEN: {}".format(broken), flush=True)
    except Exception:
        failed = 1
        print("BROKEN: the check itself failed:\n" + traceback.format_exc(), flush=True)
    finally:
        end_all()
    print("{} passed, {} failed".format(Tally.passed, failed), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
