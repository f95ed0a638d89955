"""Who is logged in with a browser, and that nobody else can make that browser act.

In: a browser, a seeded server. Out: passed checks.
"""

from urllib.parse import urlencode, urlsplit

from pages.elsewhere import Elsewhere
from pages.seed import PASSWORD, USER
from processes import get, passed, require

JSON = {"Accept": "application/json"}


def sessions(browser, seeded):
    window = wrong_then_right(browser, seeded)
    cookie_alone(window, seeded)
    other_sites(browser, window, seeded)
    log_out(window, seeded)
    window.close()


def wrong_then_right(browser, seeded):
    window = browser.window(seeded.base)
    page = window.page
    window.open("/team/dev")
    page.get_by_role("link", name="Log in").click()
    page.wait_for_url("**/+login*")
    page.fill("main input[name=user]", USER)
    page.fill("main input[name=password]", "not " + PASSWORD)
    with page.expect_navigation() as answer:
        page.keyboard.press("Enter")
    require(answer.value.status == 403, "a wrong password is answered {}".format(answer.value.status))
    alert = page.get_by_role("alert")
    require(alert.count() == 1 and alert.inner_text().strip(), "a wrong password is not told:\n" + window.text())
    require(page.input_value("main input[name=user]") == USER and not page.input_value("main input[name=password]"),
            "after a wrong password the form holds something else than the user's name")
    require(not window.context.cookies(), "a wrong password brings a cookie")
    window.run_axe("a login that failed")
    window.fits("a login that failed")
    page.fill("main input[name=password]", PASSWORD)
    with page.expect_navigation():
        page.click("main button[type=submit]")
    require(page.locator("header").get_by_role("button", name="Log out").count() == 1, "a login shows:\n" + window.text("body"))
    window.well("logging in")
    passed("a wrong password is told in the form, a right one logs in")
    return window


def cookie_of(window):
    cookies = window.context.cookies()
    require(len(cookies) == 1, "a login brings the cookies {}".format(cookies))
    return cookies[0]


def cookie_alone(window, seeded):
    cookie = cookie_of(window)
    said = {key: cookie[key] for key in ("httpOnly", "sameSite", "path", "domain")}
    wanted = {"httpOnly": True, "sameSite": "Strict", "path": "/", "domain": urlsplit(seeded.base).hostname}
    require(said == wanted, "the session's cookie is {}".format(said))
    require(window.page.evaluate("document.cookie") == "", "a script reads the session's cookie")
    header = {"Cookie": "{}={}".format(cookie["name"], cookie["value"])}
    seeded.api("PUT", "/team/locked", {"bases": [], "acl_read": ["team"]})
    page = get(seeded.base + "/team/locked", dict(header, Accept="text/html"))
    require(page.status == 200, "the cookie does not open a page, which is answered {}".format(page.status))
    for method, path, headers, body in [
        ("GET", "/team/locked", JSON, None),
        ("GET", "/team/locked/+simple/", {}, None),
        ("PUT", "/team/by-cookie", JSON, b"{}"),
        ("PATCH", "/team/dev", JSON, b'["title=changed"]'),
        ("DELETE", "/team/dev", JSON, None),
        ("PATCH", "/team/prod/harbor/1.0", JSON, b'{"yanked": true}'),
        ("DELETE", "/team/dev/bare", JSON, None),
        ("POST", "/team/dev/", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n"),
        ("PATCH", "/team", JSON, b'{"password": "another"}'),
    ]:
        answer = get(seeded.base + path, dict(header, **headers), method, body=body)
        require(answer.status in (401, 403), "{} {} by a cookie alone is answered {}: {}".format(
            method, path, answer.status, answer.body[:300]))
    passed("the session is a cookie that is HttpOnly and SameSite=Strict, and the API does not take it")


def other_sites(browser, window, seeded):
    window.open("/team/dev")
    cookie = cookie_of(window)
    token = window.page.get_attribute("header input[name=token]", "value")
    form = "<form id=f method=post action='{}{}'>{}</form>"
    fields = "".join("<input name={} value='{}'>".format(name, value) for name, value in (
        ("token", token), ("user", "lab"), ("password", "a password of the lab"), ("name", "stolen")))
    elsewhere = Elsewhere({
        **{"/" + name: "<!doctype html><title>elsewhere</title>" + form.format(seeded.base, path, fields)
           for name, path in (("logout", "/+do/logout"), ("login", "/+login"), ("upload", "/team/dev/"))},
        "/link": "<!doctype html><title>elsewhere</title><a href='{}/team/locked'>go</a>".format(seeded.base),
        "/fetch": "<!doctype html><title>elsewhere</title>"})
    window.also = (elsewhere.base,)
    for name in ("logout", "login", "upload"):
        window.page.goto(elsewhere.base + "/" + name)
        with window.page.expect_navigation() as answer:
            window.page.evaluate("document.getElementById('f').submit()")
        require(answer.value.status in (401, 403), "another site's form for {} is answered {}".format(name, answer.value.status))
    window.page.goto(elsewhere.base + "/fetch")
    read = window.page.evaluate("""async (base) => {
        const read = [];
        for (const path of ["/team/locked", "/+account", "/+api"]) {
          try { read.push((await (await fetch(base + path, {credentials: "include"})).text()).length) } catch { read.push(0) }
          const image = new Image();
          await new Promise((done) => { image.onload = image.onerror = done; image.src = base + path; });
        }
        return read; }""", seeded.base)
    require(read == [0, 0, 0], "another site's script reads {} bytes of our pages".format(read))
    window.troubles = []  # all of that fails loudly, as it should
    for what, headers, sent in (
        ("the right token from another origin", {"Origin": elsewhere.base}, token),
        ("the right token from another site", {"Sec-Fetch-Site": "cross-site"}, token),
        ("the right token without a word about where from", {}, token),
        ("a wrong token", {"Origin": seeded.base, "Sec-Fetch-Site": "same-origin"}, "x" * len(token)),
        ("no token", {"Origin": seeded.base, "Sec-Fetch-Site": "same-origin"}, ""),
    ):
        answer = post_form(seeded, cookie, "/+do/logout", {"token": sent}, headers)
        require(answer.status == 403, "a form with {} is answered {}".format(what, answer.status))
    window.open("/team/dev")
    require(window.page.locator("header").get_by_role("button", name="Log out").count() == 1, "another site has logged us out")
    passed("another site's forms and scripts do nothing here; a form of ours without its token neither")

    window.page.goto(elsewhere.base + "/link")
    window.page.click("a")
    window.page.wait_for_url(seeded.base + "/team/locked*")
    window.page.locator("header").get_by_role("button", name="Log out").wait_for()
    window.troubles = []
    elsewhere.close()
    passed("a link on another site leads to a page that only who is logged in may read")


def post_form(seeded, cookie, path, fields, headers):
    return get(seeded.base + path, {
        "Cookie": "{}={}".format(cookie["name"], cookie["value"]), "Accept": "text/html",
        "Content-Type": "application/x-www-form-urlencoded", **headers}, "POST", body=urlencode(fields).encode())


def log_out(window, seeded):
    window.open("/team/dev")
    cookie = cookie_of(window)
    token = window.page.get_attribute("header input[name=token]", "value")
    with window.page.expect_navigation():
        window.page.locator("header").get_by_role("button", name="Log out").click()
    require("logged out" in window.text(), "a logout shows:\n" + window.text("body"))
    require(not window.context.cookies(), "a logout leaves the cookies {}".format(window.context.cookies()))
    ours = {"Origin": seeded.base, "Sec-Fetch-Site": "same-origin"}
    answer = post_form(seeded, cookie, "/+do/logout", {"token": token}, ours)
    require(answer.status in (401, 403), "the cookie is good after a logout: {}".format(answer.status))
    window.well("logging out")
    passed("a logout ends the session, for a copy of its cookie too")
