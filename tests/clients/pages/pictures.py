"""Pictures of the main pages, for the README: `run.py BINARY --screenshots DIRECTORY`.

In: a browser, a seeded server. Out: PNGs, small enough for a repository.
"""

import math
import sqlite3
import time
from pathlib import Path

from packages import sdist, wheel
from pages.look import log_in
from pages.managing import drop
from pages.seed import told
from processes import note, require

HOST = "packages.example.org"
SIZE = {"width": 1120, "height": 760}
PHONE = {"width": 390, "height": 760}
BYTES_MAX = 120_000
SAMPLE_SECONDS = 300


def a_day(seeded):
    """Starts the server anew, under a name, after a day that it did not have."""
    seeded.private.restart(["--public-url", "http://{}/".format(HOST)], lambda: write_day(seeded.private.data))
    seeded.base = seeded.private.base


def write_day(data):
    now = int(time.time())
    now -= now % SAMPLE_SECONDS
    database = sqlite3.connect(Path(data) / "sidewheel.db")
    columns = [row[1] for row in database.execute("pragma table_info(sample)")]
    with database:
        for step in range(1, 288):
            start = now - step * SAMPLE_SECONDS
            hour = start % 86_400 / 3600
            busy = 0.15 + max(0, math.sin((hour - 6) / 13 * math.pi)) + 0.12 * math.sin(step * 1.7)
            requests = int(900 * max(busy, 0.05))
            miss = int(requests * (0.03 + (0.02 if step % 37 == 0 else 0)))
            sample = {
                "start": start, "requests": requests, "memory": int(requests * 0.72), "disk": int(requests * 0.2),
                "flight": requests // 200, "miss": miss, "stale": 0, "sent": requests * 410_000,
                "served": requests * 400_000, "fetched": miss * 900_000, "failures": 3 if step in (90, 91) else 0,
                "memory_bytes": 40_000_000 + requests * 20_000, "disk_bytes": 610_000_000 + (288 - step) * 800_000,
                "resident_bytes": 95_000_000 + requests * 20_000, "connections": 4 + requests // 40,
            }
            row = [sample.get(column, 0) for column in columns]
            database.execute("INSERT OR REPLACE INTO sample ({}) VALUES ({})".format(
                ", ".join(columns), ", ".join("?" * len(columns))), row)
    database.close()


def take(browser, seeded, directory):
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    base = "http://" + HOST
    window = browser.window(base, viewport=SIZE)
    log_in(window, "team")
    page = window.page
    for name, path in (("index", "/team/prod"), ("project", "/team/prod/harbor"), ("status", "/+status")):
        window.open(path)
        shoot(page, directory / (name + ".png"))
    window.open("/team/dev/+upload")
    for dist in (wheel("lantern", "1.0", told=told("Shows the way")), sdist("lantern", "1.0", told=told("Shows the way"))):
        drop(page, [(dist.filename, dist.data)])
    drop(page, [("notes.txt", b"no package")])
    page.locator("#uploads .bad").wait_for()
    shoot(page, directory / "upload.png")
    page.emulate_media(color_scheme="dark")
    window.open("/")
    page.focus("#find")
    page.keyboard.type("tab", delay=10)
    page.get_by_role("option").first.wait_for()
    shoot(page, directory / "search-dark.png")
    window.close()
    window = browser.window(base, viewport=PHONE)
    window.open("/root/pypi/kettle")
    shoot(window.page, directory / "project-phone.png")
    window.close()


def shoot(page, path):
    page.mouse.move(0, 0)
    page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    require(size <= BYTES_MAX, "{} has {} bytes".format(path.name, size))
    note("{}: {} bytes".format(path.name, size))
