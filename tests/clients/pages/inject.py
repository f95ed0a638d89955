"""Text that attacks, wherever somebody else's text is shown: nothing runs, nothing is asked for elsewhere, nothing frames.

In: a browser, a seeded server, the corpus. Out: passed checks; first that the traps themselves go off.
"""

import html
from pathlib import Path

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


def inject(browser, seeded):
    traps_go_off(browser)


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
