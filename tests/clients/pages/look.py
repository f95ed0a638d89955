"""Every page, looked at: in both colour schemes, on a desk and on a phone, by axe-core, by keyboard, without a script.

In: a browser, a seeded server. Out: passed checks.
"""

from dataclasses import dataclass, field

from devpi_server import ROOT_PASSWORD
from pages.browser import DESKTOP, PHONE
from pages.seed import OTHER, OTHER_PASSWORD, PASSWORD, USER
from processes import passed, require


PASSWORDS = {USER: PASSWORD, OTHER: OTHER_PASSWORD, "root": ROOT_PASSWORD}


@dataclass
class Look:
    path: str
    words: list = field(default_factory=list)  # what can be read there, with and without a script
    status: int = 200
    user: str = None  # who is logged in
    unsaid: list = field(default_factory=list)  # what may not be read there


LOOKS = [
    Look("/", ["root/pypi", "team/prod", "uv pip install", "devpi use"], unsaid=["lab/closed"]),
    Look("/team", ["The team", "team/dev", "team/prod"]),
    Look("/lab", ["lab/nightly"], unsaid=["closed"]),
    Look("/lab", ["lab/nightly", "lab/closed"], user="lab"),
    Look("/team/prod", ["What runs in production", "harbor", "tide-tables", "acme-*", "twine upload"], unsaid=["closed"]),
    Look("/team/prod", ["Upload", "Settings"], user="team"),
    Look("/team/dev?filter=plain", ["plain-notes"], unsaid=["bare"]),
    Look("/lab/nightly", ["night-00", "night-59"]),
    Look("/root/pypi", ["kettle", "brine", "estuary"]),
    Look("/root/pypi?order=size", ["kettle"]),
    Look("/team/prod/harbor", ["harbor", "2.0", "Moors long-running jobs", "Private name", "yanked", "leap year", "Apache-2.0",
                               "harbor-2.0.tar.gz", "tide-tables", "Test results", "Half an hour is"]),
    Look("/lab/nightly/harbor", ["2.1rc1", "pre-release", "team/dev", "team/prod"]),
    Look("/team/prod/tide-tables", ["0.4", "wind is not among them", "chart datum"]),
    Look("/team/dev/plain-notes", ["<b>angle brackets</b>", "*stars*"]),
    Look("/team/dev/bare", ["no description"]),
    Look("/team/dev/foghorn", ["Private name", "team/prod", "0.1"], unsaid=["1.0.2"]),
    Look("/team/dev/brine", ["1.9.0.post1", "root/pypi"]),
    Look("/team/prod/acme", status=404),
    Look("/root/pypi/kettle", ["Boils large tables", "spills", "cached", "holds one column at a time", "cordage"]),
    Look("/root/pypi/kettle/1.0", ["newer release", "kettle-1.0.tar.gz", "at upstream"]),
    Look("/root/pypi/manyfiles", ["0.1999", "1–50 of 2000"]),
    Look("/team/prod/harbor/1.1", ["Yanked", "leap year", "newer release"]),
    Look("/lab/nightly/harbor/latest", ["2.1rc1"]),
    Look("/lab/nightly/harbor/stable", ["2.0"], unsaid=["2.1rc1"]),
    Look("/team/prod/harbor/9.9", ["404"], status=404),
    Look("/lab/closed", ["Log in", "Password"], unsaid=["unseen-by-others"]),
    Look("/lab/closed", ["unseen-by-others"], user="lab"),
    Look("/lab/closed", ["403"], status=403, user="team", unsaid=["unseen-by-others"]),
    Look("/nobody/nothing/", ["404"], status=404),
    Look("/+login", ["Password"]),
    Look("/+search", ["Type a part of a name", "What is searched"]),
    Look("/+search?q=harbor", ["harbor", "Moors long-running jobs", "private"]),
    Look("/+search?q=ketle", ["kettle", "similar"]),
    Look("/+search?q=unseen", unsaid=["unseen-by-others"]),
    Look("/+search?q=unseen", ["unseen-by-others"], user="lab"),
    Look("/team/prod/harbor/2.0/+toxresults", ["py312", "py314", "30 passed, 1 failed"]),
    Look("/+account", ["Tokens", "Where you are logged in", "Change your password"], user="team"),
    Look("/team/+new", ["Name", "Bases"], user="team"),
    Look("/team/dev/+settings", ["Settings of team/dev", "Who may upload"], user="team"),
    Look("/team/prod/harbor/2.0", ["Yank release 2.0", "Promote release 2.0"], user="team"),
    Look("/root/pypi/kettle", ["Purge from the cache"], user="root"),
    Look("/+status", ["The last 24 hours", "Files under way", "root/pypi"]),
]


def look(browser, seeded, looks):
    windows = {}
    plain = {}
    for user in sorted({look.user or "" for look in looks}):
        windows[user] = browser.window(seeded.base)
        plain[user] = browser.window(seeded.base, java_script_enabled=False, viewport=PHONE)
        if user:
            log_in(windows[user], user)
            log_in(plain[user], user)
    for one in looks:
        look_at(windows[one.user or ""], one)
        read(plain[one.user or ""], one)
    passed("{} pages in light and dark, on a desk and a phone: no sideways scrolling, no error of a console, no request "
           "that fails, nothing that axe-core objects to".format(len(looks)))
    passed("they are read without a script too, on a phone")
    for one in looks:
        walk(windows[one.user or ""], one)
    passed("by keyboard: the first step is to skip to the content, every step is seen, the search box is reached")
    for window in [*windows.values(), *plain.values()]:
        window.close()


def log_in(window, user):
    window.open("/+login")
    window.page.fill("main input[name=user]", user)
    window.page.fill("main input[name=password]", PASSWORDS[user])
    with window.page.expect_navigation():
        window.page.click("main button[type=submit]")
    require(window.page.locator("header").get_by_text(user, exact=True).count() == 1,
            "after a login as {} the page shows:\n{}".format(user, window.text("body")[:1000]))
    window.well("logging in")


def look_at(window, one):
    page = window.page
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    window.open(one.path, one.status)
    said(window, one)
    window.fits(one.path)
    window.run_axe(one.path + ", light")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    window.fits(one.path + " on a phone")
    window.run_axe(one.path + ", dark, on a phone")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    require(page.evaluate(ground) != dark, "{} looks the same in the dark".format(one.path))
    window.well(one.path)


def read(window, one):
    window.open(one.path, one.status)
    said(window, one)
    window.fits(one.path + " on a phone, without a script")
    window.well(one.path + " without a script")


def said(window, one):
    text = window.text("body")
    for word in one.words:
        require(word in text, "{} does not say {!r}; it says:\n{}".format(one.path, word, text[:3000]))
    for word in one.unsaid:
        require(word not in text, "{} says {!r}".format(one.path, word))


# What has the focus: its text, whether something is drawn around it, and whether it is in sight.
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  return { name: e.id || e.name || e.textContent.trim().slice(0, 40), href: e.getAttribute("href"), tag: e.tagName,
    html: e.outerHTML.slice(0, 160),
    drawn: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight };
}"""
STEPS_MAX = 20


def walk(window, one):
    page = window.page
    page.set_viewport_size(DESKTOP)
    window.open(one.path, one.status)
    reached = []
    for step in range(STEPS_MAX):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            break  # the end of the page, and then the browser's own bar
        require(at["drawn"] and at["seen"], "{}: the focus cannot be seen at step {}: {}".format(one.path, step + 1, at))
        reached.append(at)
    require(reached and reached[0]["href"] == "#main", "{}: the first step leads to {}".format(one.path, reached[:1]))
    require(any(at["name"] == "find" for at in reached), "{}: the search box is not reached: {}".format(one.path, reached))
    page.focus(".skip")
    page.keyboard.press("Enter")
    require(page.evaluate("document.activeElement.id") == "main", one.path + ": skipping does not lead to the content")
    window.well(one.path + " by keyboard")
