"""What a person does who only reads: searches, opens, copies the line; and that large projects open at once.

In: a browser, a seeded server. Out: passed checks.
"""

import threading
import time
from urllib.parse import urlsplit

from processes import get, note, passed, require
from publishers import listed

PAGE_BYTES_MAX = 300_000
# Of a release build on a quiet machine; told, not judged: timings decide no test.
PAGE_MS_PROMISED = 200


def reading(browser, seeded):
    many(seeded)
    copy(browser, seeded)
    live(browser, seeded)


def many(seeded):
    slowest = 0
    for path in ("/root/pypi/manyfiles", "/root/pypi/manyfiles?page=40", "/root/pypi/manyfiles/0.1000", "/lab/nightly/manyfiles"):
        started = time.monotonic()
        answer = get(seeded.base + path, {"Accept": "text/html"})
        slowest = max(slowest, (time.monotonic() - started) * 1000)
        require(answer.status == 200 and b"manyfiles" in answer.body, "{} is answered {}".format(path, answer.status))
        require(len(answer.body) < PAGE_BYTES_MAX, "{} has {} bytes".format(path, len(answer.body)))
    note("the slowest page of 40,000 files took {:.0f} ms here; a release build promises {}".format(
        slowest, PAGE_MS_PROMISED))
    passed("a project of 40,000 files has pages of less than {} bytes".format(PAGE_BYTES_MAX))


def copy(browser, seeded):
    window = browser.window(seeded.base, permissions=["clipboard-read", "clipboard-write"])
    copied = 0
    for path in ("/", "/team/prod", "/team/prod/harbor"):
        window.open(path)
        for line in window.page.locator(".copy").all():
            wanted = line.locator("code").inner_text()
            button = line.get_by_role("button")
            button.focus()
            window.page.keyboard.press("Enter")
            line.get_by_text("Copied").wait_for()
            got = window.page.evaluate("navigator.clipboard.readText()")
            require(got == wanted and seeded.base in got, "{}: copied is {!r}, shown is {!r}".format(path, got, wanted))
            copied += 1
    require(copied >= 10, "only {} lines to copy were found".format(copied))
    window.well("copying")
    window.close()
    passed("{} lines to paste are copied as they are shown, by keyboard".format(copied))


def live(browser, seeded):
    """The status changes in front of who looks at it."""
    held = "epsilon-1.0-py3-none-any.whl"
    address = seeded.base + "/root/pypi" + file_of(seeded, "epsilon", held)
    go_on = seeded.upstream.held[held] = threading.Event()
    window = browser.window(seeded.base)
    window.open("/+status")
    window.page.evaluate("window.here = 'not reloaded'")
    require(held not in window.text(), "a file is under way that nobody asked for")
    got = []
    asker = threading.Thread(target=lambda: got.append(get(address)), daemon=True)
    try:
        asker.start()
        window.page.get_by_text(held).first.wait_for()
        moving = window.text()
    finally:
        go_on.set()
    asker.join()
    window.page.get_by_text(held).first.wait_for(state="hidden")
    require(window.page.evaluate("window.here") == "not reloaded", "the page of the status was loaded again")
    require("root/pypi" in moving and got[0].status == 200, "the transfer is not told: " + moving)
    window.well("the status while a file is fetched")
    window.close()
    passed("the page of the status shows a file while it is fetched, and lets it go, without being loaded again")


def file_of(seeded, project, filename):
    url, _ = listed(seeded.base + "/root/pypi/+simple/", project)[filename]
    return urlsplit(url).path.removeprefix("/root/pypi")
