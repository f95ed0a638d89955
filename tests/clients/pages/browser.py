"""A real browser: Chromium, driven by Playwright, which reports all that a page did and should not have done.

In: the tools, an origin. Out: windows that were opened, and their troubles. It may not know what a page is for.
"""

import shutil
import sys
from urllib.parse import urlsplit

from processes import clean_env, note, require, temp_dir

# axe-core comes inside the second; greenlet is what Playwright itself leaves open.
BROWSER = ["playwright==1.65.2", "axe-playwright-python==0.1.8", "greenlet==3.5.6"]
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]
NAMES = ["chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
         "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]
# A page of a debug binary on a busy machine.
WAIT_MS_MAX = 20_000
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# What a public index is checked by; best practices too.
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# One transparent pixel, for the pictures of descriptions.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")

# Says in every frame what an injected script would do; `alarm` is the way out of the page.
TRAPS = """
(() => {
  const alarm = window.__alarm;
  for (const name of ["alert", "confirm", "prompt", "print", "open"]) {
    window[name] = (...all) => { alarm(name + "(" + all.join() + ")"); return null; };
  }
  let pwned;
  Object.defineProperty(window, "__pwned", { configurable: true,
    get: () => { alarm("__pwned was read"); return (...all) => alarm("__pwned(" + all.join() + ")"); },
    set: (value) => { alarm("__pwned was set"); } });
  document.addEventListener("securitypolicyviolation", (event) =>
    alarm("the policy forbade " + (event.blockedURI || "something") + " by " + event.violatedDirective));
})();
"""


class Browser:
    """One Chromium for the whole part; windows are cheap."""

    def __init__(self, tools, host=None, port=None):
        """`host` is a name that leads to `port` of this machine, as if over https; no others are asked for."""
        place = tools.ready("browser", BROWSER, tools.pip)
        site = next(place.glob("lib/python*/site-packages"))
        if str(site) not in sys.path:
            sys.path.append(str(site))
        from playwright.sync_api import Error, sync_playwright  # it is installed by now
        self.error = Error
        self.axe = next(site.glob("axe_playwright_python/axe.min.js")).read_text()
        program = next(filter(None, map(shutil.which, NAMES)), None)
        require(program, "no Chromium; install Debian's package chromium, or on macOS `brew install chromium`")
        rules = ["MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1", "EXCLUDE localhost"]
        more = []
        if host:
            rules.insert(0, "MAP {} 127.0.0.1:{}".format(host, port))
            more = ["--unsafely-treat-insecure-origin-as-secure=http://" + host]
        self.playwright = sync_playwright().start()
        try:
            self.chromium = self.playwright.chromium.launch(
                executable_path=program, env=clean_env(temp_dir("chromium")),
                args=[*ARGUMENTS, *more, "--host-resolver-rules=" + ", ".join(rules)])
        except BaseException:
            self.playwright.stop()
            raise
        note("the browser is Chromium " + self.chromium.version)

    def close(self):
        self.chromium.close()
        self.playwright.stop()

    def window(self, base, **options):
        return Window(self, base, **options)


class Window:
    """A tab with a memory of its own; everything that goes wrong in it is in `troubles`."""

    def __init__(self, browser, base, viewport=DESKTOP, also=(), **options):
        self.browser, self.base = browser, base
        self.also = also  # origins that a check itself leads to
        self.troubles = []
        self.foreign = []  # addresses elsewhere that were asked for
        self.context = browser.chromium.new_context(viewport=viewport, reduced_motion="reduce", **options)
        self.context.set_default_timeout(WAIT_MS_MAX)
        self.context.expose_binding("__alarm", lambda source, text: self.troubles.append("script: " + text))
        self.context.add_init_script(TRAPS)
        self.context.route(lambda url: not self.is_ours(url), self.elsewhere)
        self.page = self.context.new_page()
        self.page.on("console", self.console)
        self.page.on("pageerror", lambda error: self.troubles.append("an error in a script: {}".format(error)))
        self.page.on("dialog", self.dialog)
        self.page.on("frameattached", lambda frame: self.troubles.append("a frame: {}".format(frame.url or frame.name)))
        self.page.on("popup", lambda popup: self.troubles.append("another window: " + popup.url))
        self.page.on("requestfailed", self.failed)
        self.page.on("response", self.response)
        self.main = None  # the answer to the last navigation

    def close(self):
        self.context.close()

    def is_ours(self, url):
        known = tuple(base + "/" for base in (self.base, *self.also))
        return url.startswith(known) or url.startswith(("data:", "blob:", "about:"))

    def elsewhere(self, route):
        request = route.request
        self.foreign.append(request.url)
        picture = request.resource_type == "image" and urlsplit(request.url).scheme == "https"
        if picture:
            return route.fulfill(status=200, content_type="image/gif", body=PIXEL)
        self.troubles.append("a request to {}".format(request.url))
        return route.abort()

    def console(self, message):
        # Chromium reports each answer of 400 and more; `response` does so with its address.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.troubles.append("console: " + message.text)

    def dialog(self, dialog):
        self.troubles.append("a dialog: " + dialog.message)
        dialog.dismiss()

    def failed(self, request):
        # A download or a page that is left while it loads ends a request too.
        if request.failure != "net::ERR_ABORTED":
            self.troubles.append("{} failed: {}".format(request.url, request.failure))

    def response(self, response):
        if response.status >= 400 and not response.request.is_navigation_request():
            self.troubles.append("{} is answered {}".format(response.url, response.status))

    def open(self, path, status=200):
        answer = self.page.goto(self.base + path, wait_until="load")
        require(answer is not None and answer.status == status, "{} is answered {} where {} is right".format(
            path, answer and answer.status, status))
        self.main = answer
        return answer

    def well(self, what):
        """No trouble since the last call."""
        troubles, self.troubles = self.troubles, []
        require(not troubles, "{}: {}".format(what, "; ".join(troubles[:10])))

    def text(self, of="main"):
        return self.page.inner_text(of)

    def run_axe(self, what):
        """axe-core's violations, as a sentence each."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(self.browser.axe + "; undefined")
        only = {"type": "tag", "values": AXE_TAGS}
        found = self.page.evaluate("(only) => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only)
        said = []
        for violation in found["violations"]:
            nodes = ["{} ({})".format(node["html"][:160], (node.get("failureSummary") or "").replace("\n", " ")[:240])
                     for node in violation["nodes"][:3]]
            said.append("{}, {}: {}".format(violation["id"], violation["help"], " | ".join(nodes)))
        require(not said, "axe-core on {}:\n  {}".format(what, "\n  ".join(said)))

    def fits(self, what):
        """Nothing makes the page wider than its window."""
        wide, inner, by = self.page.evaluate("""() => {
            const wide = document.documentElement.scrollWidth, inner = document.documentElement.clientWidth;
            const inside = (e) => { for (let p = e.parentElement; p; p = p.parentElement)
                if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
            const by = wide > inner ? [...document.body.querySelectorAll("*")].filter((e) =>
                e.getBoundingClientRect().right > inner + 1 && !inside(e)).map((e) => e.outerHTML.slice(0, 160)) : [];
            return [wide, inner, by.slice(-2)]; }""")
        require(wide <= inner, "{} scrolls sideways: {} of {} px, because of {}".format(what, wide, inner, by))


