"""What a person does who only reads: searches, opens, copies the line; and that large projects open at once.

In: a browser, a seeded server. Out: passed checks.
"""

import json
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
    search(browser, seeded)
    documents(browser, seeded)
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


def search(browser, seeded):
    window = browser.window(seeded.base)
    page = window.page
    window.open("/")
    page.focus("#find")
    page.keyboard.type("long-running", delay=10)
    options = page.get_by_role("option")
    options.first.wait_for()
    window.run_axe("the front page while one searches")
    window.fits("the front page while one searches")
    require("harbor" in options.first.inner_text(), "the first of the hits is {!r}".format(options.first.inner_text()))
    page.keyboard.press("ArrowDown")
    require(options.first.get_attribute("aria-selected") == "true", "an arrow key chooses nothing")
    page.keyboard.press("Enter")
    page.wait_for_url("**/harbor")
    require("Moors long-running jobs" in window.text(), "the hit leads to {}".format(page.url))
    page.focus("#find")
    page.keyboard.type("kett", delay=10)
    options.first.wait_for()
    page.keyboard.press("Escape")
    require(options.count() == 0 or not options.first.is_visible(), "Escape does not close the hits")
    page.keyboard.press("Enter")
    page.wait_for_url("**/+search?q=kett*")
    hits = page.locator(".hits")
    require("kettle" in hits.inner_text(), "the page of hits shows:\n" + window.text())
    page.fill("#search-text", "")
    page.locator("#search-text").press_sequentially("tide tabels", delay=10)
    hits.get_by_text("tide-tables").wait_for()
    require(page.url.endswith("q=tide%20tabels&index="), "the address while one types is " + page.url)
    page.select_option("#search-index", "root/pypi")
    page.get_by_text("Nothing is found").wait_for()
    window.run_axe("the page of hits")
    window.well("searching")
    window.close()
    answer = get(seeded.base + "/+search?q=harbor&format=json", {"Accept": "application/json"})
    first = json.loads(answer.body)["hits"][0]
    require(first["project"] == "harbor" and first["summary"].startswith("Moors"),
            "as JSON the first of the hits is {}".format(first))
    passed("typing shows hits, the keyboard chooses one, a slip is forgiven; the same as JSON")


def documents(browser, seeded):
    window = browser.window(seeded.base)
    page = window.page
    window.open("/team/prod/harbor")
    page.get_by_role("link", name="Documentation").first.click()
    page.wait_for_url("**/+doc/**")
    require(page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)",
            "the documents have lost their style")
    page.get_by_role("link", name="Start").click()
    page.wait_for_url("**/guide/start.html")
    require(page.inner_text("h1") == "Start", "the documents' own links do not lead on")
    window.well("reading documents")
    window.close()
    passed("uploaded documents are read with their styles and links")
