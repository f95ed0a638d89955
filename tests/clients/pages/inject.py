"""Text that attacks, wherever somebody else's text is shown: nothing runs, nothing is asked for elsewhere, nothing frames.

In: a browser, a seeded server, the corpus. Out: passed checks; first that the traps themselves go off.
"""

import io
import json
import re
import zipfile
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from packages import wheel
from pages.elsewhere import Elsewhere
from pages.seed import OTHER, told
from processes import get, passed, require

CORPUS = Path(__file__).resolve().parent.parent.parent / "corpus/injection.txt"
# Cases that one description holds: a case that swallows what follows it is tried again alone.
GROUP = 12
INDEX = "lab/hostile"

# Each must set off the trap of that name, or the checks below could not fail.
UNSAFE = {
    "/script": ("<script>alert(1)</script>", "script: alert"),
    "/handler": ("<img src=data:, onerror=prompt(1)>", "script: prompt"),
    "/pwned": ("<script>window.__pwned = 1</script>", "script: __pwned"),
    "/late": ("<script>setTimeout(() => __pwned(1), 50)</script>", "script: __pwned"),
    "/style": ("<meta http-equiv=Content-Security-Policy content=\"style-src 'none'\"><style>b{}</style>",
               "script: the policy forbade"),
    "/picture": ("<img src=http://elsewhere.example.org/a.png>", "a request to http://elsewhere"),
    "/sheet": ("<link rel=stylesheet href=https://elsewhere.example.org/a.css>", "a request to https://elsewhere"),
    "/beacon": ("<script>navigator.sendBeacon('https://elsewhere.example.org/b')</script>", "a request to https://else"),
    "/refresh": ("<meta http-equiv=refresh content='0;url=https://elsewhere.example.org/r'>", "a request to https://else"),
    "/frame": ("<iframe srcdoc=hello></iframe>", "a frame"),
    "/error": ("<script>throw new Error('broken')</script>", "an error in a script"),
    "/console": ("<script>console.error('said')</script>", "console: said"),
    "/missing": ("<img src=/nothing.png>", "is answered 404"),
}

# What no page may hold after reading somebody's text, whether or not it ran.
SUSPECTS = """() => {
  const found = [];
  const say = (e, why) => found.push(why + ": " + e.outerHTML.slice(0, 200));
  const schemes = new Set(["http:", "https:", "mailto:"]);
  for (const e of document.querySelectorAll("*")) {
    const tag = e.localName;
    if (["iframe", "frame", "object", "embed", "applet", "base", "style", "portal", "math", "template", "noscript",
         "plaintext", "marquee", "audio", "video", "source"].includes(tag)) say(e, "an element");
    if (tag === "script" && !(e.src.startsWith(location.origin + "/+static/") && !e.textContent)) say(e, "a script");
    if (tag === "link" && !e.href.startsWith(location.origin + "/+static/")) say(e, "a link");
    if (tag === "meta" && e.httpEquiv) say(e, "a meta");
    for (const a of e.attributes) {
      if (/^on/i.test(a.name) || ["style", "srcdoc", "formaction", "ping", "background", "xlink:href"].includes(a.name))
        say(e, "the attribute " + a.name);
      if (["href", "src", "action", "cite", "poster"].includes(a.name)) {
        let scheme = "broken:";
        try { scheme = new URL(a.value, location.href).protocol; } catch {}
        const inline = scheme === "data:" && tag === "img" && /^data:image\\/(png|gif|jpeg|webp);/i.test(a.value);
        if (scheme !== "broken:" && !schemes.has(scheme) && !inline) say(e, "the scheme " + scheme);
      }
    }
    if (e.closest(".readme") && ["svg", "form", "input", "button", "textarea", "select", "dialog"].includes(tag) &&
        !(tag === "input" && e.type === "checkbox" && e.disabled)) say(e, "an element of a description");
    if (e.closest(".readme") && tag === "a" && e.target && !/noopener/.test(e.rel)) say(e, "an opener");
  }
  for (const name of ["cookie", "body", "head", "forms", "location", "documentElement", "createElement",
                      "querySelectorAll", "querySelector", "getElementById", "addEventListener"])
    if (document[name] instanceof Element && !["body", "head", "documentElement"].includes(name))
      found.push("document." + name + " is " + document[name].outerHTML.slice(0, 200));
  return found;
}"""


# What is no markup language: for every line that somebody types.
PRIME = " ".join([
    "\"><script>alert(1)</script>", "'><img src=x onerror=alert(1)>", "</title></textarea></script><svg onload=alert(1)>",
    "--><iframe srcdoc=x>", "&lt;script&gt;alert(1)&lt;/script&gt;", "javascript:alert(1)", "${alert(1)}{{alert(1)}}",
    "\u202eevil",
])
URLS = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:alert(1)", "//evil.example/x", "blob:https://evil.example/x",
    "https://evil.example/\" onmouseover=alert(1) x=\"", "javascript://evil.example/%0aalert(1)", "file:///etc/passwd",
]


class Case:
    def __init__(self, markup, name, text):
        self.markup, self.name, self.text = markup, name, text

    @property
    def line(self):
        return " ".join(self.text.split())


def corpus():
    _, *parts = re.split(r"^=== (\w+): (.*)\n", CORPUS.read_text(), flags=re.M)
    cases = [Case(*part) for part in zip(parts[::3], parts[1::3], (text[:-1] for text in parts[2::3]))]
    require(len(cases) >= 50, "{} holds {} cases only".format(CORPUS.name, len(cases)))
    return cases


def inject(browser, seeded):
    traps_go_off(browser)
    cases = corpus()
    seeded.api("PUT", "/" + INDEX, {"bases": ["root/pypi"], "title": PRIME, "description": PRIME}, OTHER)
    window = browser.window(seeded.base)
    descriptions(window, seeded, cases)
    mirrored(window, seeded, cases)
    lines(window, seeded)
    window.close()
    documents(browser, seeded)
    files(browser, seeded)
    framed(browser, seeded)


def harmless(window, what, title="", mentions=""):
    """What stands in the window has done nothing, and nothing in it could."""
    window.page.wait_for_timeout(20)  # for what begins a moment later
    window.well(what)
    found = window.page.evaluate(SUSPECTS)
    require(not found, "{} holds {}".format(what, found[:5]))
    require(window.page.evaluate("typeof window.clobbered") == "undefined", "{}: a name of the window is taken".format(what))
    if title:
        require(title in window.page.title(), "{}: the window is called {!r}".format(what, window.page.title()))
    if mentions:
        require(mentions in window.text("body"), "{} does not show {!r} as it was written:\n{}".format(
            what, mentions, window.text("body")[:2000]))


def mark(number):
    return "case-{}-was-shown".format(number)


def descriptions(window, seeded, cases):
    """Every case as a description, several to a page; one that swallows its neighbours has a page of its own too."""
    kinds = {"markdown": "text/markdown", "rst": "text/x-rst", "plain": "text/plain"}
    groups, number = [], 0
    for markup, kind in kinds.items():
        mine = [case for case in cases if case.markup == markup]
        groups += [(kind, mine[at:at + GROUP]) for at in range(0, len(mine), GROUP)]
    alone = []
    for number, (kind, group) in enumerate(groups):
        text = "\n\n".join(case.text + "\n\n" + mark(at) for at, case in enumerate(group))
        publish(seeded, "1.{}".format(number), kind, text, group)
        window.open("/{}/hostile/1.{}".format(INDEX, number))
        harmless(window, "cases {} to {} of {}".format(group[0].name, group[-1].name, kind), "hostile")
        shown = window.text("main")
        lost = [at for at in range(len(group)) if mark(at) not in shown]
        # From the first that was not shown as one of several, and the one before it.
        alone += [(kind, case) for case in group[max(min(lost) - 1, 0):]] if lost else []
    for number, (kind, case) in enumerate(alone):
        publish(seeded, "2.{}".format(number), kind, case.text, [case])
        window.open("/{}/hostile/2.{}".format(INDEX, number))
        harmless(window, "case {} of {}".format(case.name, kind), "hostile")
    require(len(alone) < len(cases) / 2, "{} of {} cases hide others".format(len(alone), len(cases)))
    passed("{} attacks in descriptions of Markdown, reStructuredText and plain text: nothing runs, nothing is asked for "
           "but pictures over https, no frame, form or handler is left ({} of them on a page of their own)".format(
               len(cases), len(alone)))


def publish(seeded, version, kind, description, group):
    lines = " ".join(case.line for case in group)
    fields = told(lines[:500], ("Author", lines[:500]), ("Author-email", PRIME), ("Keywords", lines[:500]),
                  ("License", lines[:500]), ("Home-page", URLS[0]), ("Classifier", PRIME),
                  *(("Project-URL", "{}, {}".format(PRIME[:30], url)) for url in URLS), description=description, kind=kind)
    seeded.upload(INDEX, wheel("hostile", version, told=fields), OTHER)


def mirrored(window, seeded, cases):
    """The same out of the metadata of a file that is upstream's."""
    cases = [case for case in cases if case.markup == "markdown"]
    dists = []
    for number, at in enumerate(range(0, len(cases), GROUP)):
        group = cases[at:at + GROUP]
        text = "\n\n".join(case.text for case in group) + "\n"
        dists.append(wheel("hostile-mirror", "1.{}".format(number), yanked=group[0].line[:200], told=told(
            group[0].line, ("Author", group[1 % len(group)].line), ("Keywords", PRIME), description=text,
            *(("Project-URL", "Home, " + url) for url in URLS))))
    seeded.add_upstream("hostile-mirror", dists)
    for dist in dists:
        window.open("/root/pypi/hostile-mirror/" + dist.version)
        harmless(window, "the mirrored hostile-mirror " + dist.version, "hostile-mirror")
    window.open("/root/pypi/hostile-mirror/")
    harmless(window, "the mirrored project", "hostile-mirror")
    passed("{} of them in what a mirror's wheels say of themselves, and in why they were yanked".format(len(cases)))


def lines(window, seeded):
    """What somebody typed in one line, on every page that shows it, as text."""
    seeded.api("PATCH", "/{}/hostile/1.0".format(INDEX), {"yanked": PRIME}, OTHER)
    seeded.upload(INDEX, wheel("hostile-lines", "1.0", told=told(PRIME, ("Author", PRIME), ("Keywords", PRIME))), OTHER)
    seeded.put_tox(INDEX, "hostile-lines", "hostile_lines-1.0-py3-none-any.whl", PRIME, 1, PRIME, OTHER)
    asked = quote(PRIME, safe="")
    project = "/{}/hostile-lines".format(INDEX)
    for path, status, mentions in [
        ("/", 200, PRIME),
        ("/lab", 200, PRIME),
        ("/{}/".format(INDEX), 200, PRIME),
        (project + "/", 200, PRIME),
        (project + "/1.0", 200, PRIME),
        (project + "/1.0/+toxresults", 200, PRIME),
        ("/{}/hostile/1.0".format(INDEX), 200, PRIME),
        ("/+search?q=hostile-lines", 200, PRIME),
        ("/+search?q=" + asked, 200, None),
        ("/+search?q=hostile&page=" + asked, 200, None),
        ("/lab?done=" + asked, 200, None),
        ("/+login?next=" + asked, 200, None),
        ("/{}/hostile/{}".format(INDEX, quote("\"><script>alert(1)<", safe="")), 404, None),
        ("/{}/{}".format(INDEX, quote("<script>alert(1)<", safe="")), 404, None),
    ]:
        window.open(path, status)
        harmless(window, path, mentions=mentions)
    passed("a line of markup as title, summary, author, keyword, reason, output, question and address is text on every page")


def documents(browser, seeded):
    """Uploaded documents are somebody else's pages at our own address: they are read, and do nothing."""
    page = """<!doctype html><title>attack</title><h1>documents</h1>
        <script>document.querySelector("h1").textContent = "ran"; alert(1)</script>
        <p onclick="document.querySelector('h1').textContent = 'ran'">paragraph</p>
        <a href="javascript:document.querySelector('h1').textContent = 'ran'">link</a>
        <form action="/+do/logout" method="post"><input name=token><button>press</button></form>
        <iframe src="/"></iframe><img src="https://evil.example/a.png"><object data="attack.svg"></object>"""
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>document.documentElement.id = 'ran'</script></svg>"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for path in ("index.html", "attack.svg", "attack.xhtml", "attack.pdf", "attack"):
            out.writestr(path, page if path == "index.html" else svg)
    seeded.put_documents(INDEX, "hostile-lines", "1.0", archive.getvalue(), OTHER)
    place = "/{}/hostile-lines/1.0/+doc/".format(INDEX)
    window = browser.window(seeded.base)
    window.open(place)
    policy = window.main.headers.get("content-security-policy", "")
    require("sandbox" in policy and not re.search("allow-(scripts|forms|modals)", policy),
            "documents are shown under " + repr(policy))
    for press in ("p", "a", "button"):
        window.page.click(press)
    window.page.wait_for_timeout(100)
    require(window.page.url == seeded.base + place and window.page.inner_text("h1") == "documents",
            "documents act: {} shows {}".format(window.page.url, window.page.inner_text("body")))
    # What they try is forbidden aloud; nothing of it leaves the house.
    require(not window.foreign and not any(trouble.startswith("script:") and "policy" not in trouble
                                           for trouble in window.troubles), "documents act: {}".format(window.troubles))
    for name in ("attack.svg", "attack.xhtml", "attack.pdf", "attack"):
        answer = get(seeded.base + place + name)
        policy = answer.headers.get("Content-Security-Policy") or ""
        attached = (answer.headers.get("Content-Disposition") or "").startswith("attachment")
        require(answer.headers.get("X-Content-Type-Options") == "nosniff", name + " of documents may be sniffed")
        require(answer.status == 200 and (attached or "sandbox" in policy and "allow-scripts" not in policy),
                "{} of documents is answered {} under {!r}".format(name, answer.status, policy))
    window.open(place + "attack.svg")
    require(window.page.evaluate("document.documentElement.id") != "ran", "a picture among documents runs its script")
    window.close()
    passed("uploaded documents do nothing: no script, no form, no frame, no question elsewhere")


def files(browser, seeded):
    """What is stored is saved, never shown."""
    window = browser.window(seeded.base)
    page = json.loads(get(seeded.base + "/{}/+simple/hostile-lines/".format(INDEX), {
        "Accept": "application/vnd.pypi.simple.v1+json"}).body)
    address = urljoin("/{}/+simple/hostile-lines/".format(INDEX), page["files"][0]["url"].split("#")[0])
    info = seeded.api("GET", "/{}/hostile-lines/1.0".format(INDEX), user=OTHER)["result"]
    addresses = [address, address + ".metadata"]
    addresses += [urlsplit(link["href"]).path for link in info["+links"] if link["rel"] != "releasefile"]
    require(len(addresses) >= 4, "there is nothing to save but {}".format(addresses))
    saved = 0
    for address in addresses:
        answer = get(seeded.base + address)
        said = {name.lower(): value for name, value in answer.headers.items()}
        require(answer.status == 200 and said.get("x-content-type-options") == "nosniff"
                and "sandbox" in said.get("content-security-policy", "sandbox"), "{} is answered {} with {}".format(
                    address, answer.status, said))
        if said["content-type"].startswith("text/plain"):
            continue
        require(said.get("content-disposition", "").startswith("attachment"), "{} is answered with {}".format(address, said))
        window.open("/")
        with window.page.expect_download() as download:
            window.page.evaluate("(to) => { location.href = to }", address)
        download.value.cancel()
        require(window.page.url == seeded.base + "/", "{} is shown".format(address))
        saved += 1
    require(saved >= 2, "only {} of {} are saved".format(saved, addresses))
    window.close()
    passed("a wheel and an archive of documents are saved, not shown; metadata and results are plain text")


def framed(browser, seeded):
    """No other site puts our pages in a frame."""
    looked = ["/", "/+login", "/{}/hostile-lines/".format(INDEX), "/nobody/nothing/"]
    elsewhere = Elsewhere({
        "/": "<!doctype html><title>around</title>" + "".join(
            "<iframe src='{}'></iframe>".format(seeded.base + path) for path in looked),
        "/control": "<!doctype html><title>around</title><iframe src=/inner></iframe>", "/inner": "<p>inside</p>"})
    window = browser.window(seeded.base)
    window.context.unroute_all()
    shown = {}
    for path in ("/", "/control"):
        window.page.goto(elsewhere.base + path, wait_until="load")
        shown[path] = [frame.inner_text("body") for frame in window.page.frames[1:]]
    require(shown["/control"] == ["inside"], "frames are not seen at all: {}".format(shown))
    require(len(shown["/"]) == len(looked) and not any("Sidewheel" in text for text in shown["/"]),
            "a page of ours is shown in a frame: {}".format(shown["/"]))
    window.close()
    elsewhere.close()
    passed("no page of ours is shown in another site's frame")


def traps_go_off(browser):
    elsewhere = Elsewhere({path: "<!doctype html><title>unsafe</title>" + markup for path, (markup, _) in UNSAFE.items()})
    for path, (_, trouble) in UNSAFE.items():
        window = browser.window(elsewhere.base)
        window.page.goto(elsewhere.base + path)
        window.page.wait_for_timeout(200)
        require(any(trouble in said for said in window.troubles), "the trap for {} does not go off: {}".format(
            path, window.troubles))
        window.close()
    elsewhere.close()
    passed("the traps go off: {} pages that are unsafe on purpose are found out".format(len(UNSAFE)))
