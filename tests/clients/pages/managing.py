"""What a person does who is logged in, by clicking: upload, promote, tokens, yank, remove and undo, indexes, the cache.

In: a browser, a seeded server, the tools. Out: passed checks; what was clicked is then asked for by curl or uv.
"""

import re
from pathlib import Path

from packages import sdist, wheel
from pages.look import log_in
from pages.seed import told
from processes import get, must, passed, require, temp_dir
from publishers import basic, listed


def managing(browser, seeded, tools):
    window = browser.window(seeded.base)
    log_in(window, "team")
    upload(window, seeded)
    promote(window, seeded)
    token(window, seeded, tools)
    download(window, seeded)
    yank(window, seeded, tools)
    remove(window, seeded)
    index(window, seeded)
    cache(browser, seeded)
    window.close()


def settled(window, what):
    """A page that a form led to is as good as any other."""
    window.fits(what)
    window.run_axe(what)
    window.well(what)


def press(window, name, of="main"):
    """Clicks a button of a form and waits for where it leads."""
    with window.page.expect_navigation():
        window.page.locator(of).get_by_role("button", name=name).click()


def unfold(window, text):
    window.page.locator("main summary", has_text=text).first.click()


def made(dist):
    path = Path(temp_dir("upload")) / dist.filename
    path.write_bytes(dist.data)
    return path


def upload(window, seeded):
    page = window.page
    window.open("/team/dev")
    page.get_by_role("link", name="Upload", exact=True).click()
    page.wait_for_url("**/+upload")
    settled(window, "the page for uploads")
    summary = told("Carried by hand")
    chosen = [wheel("by-hand", "1.0", told=summary), sdist("by-hand", "1.0", told=summary)]
    with page.expect_file_chooser() as chooser:
        page.click("#files-content")
    chooser.value.set_files([made(dist) for dist in chosen])
    page.locator("#files").get_by_role("button", name="Upload").click()
    for _ in chosen:
        page.locator("#uploads a").nth(len(chosen) - 1).wait_for()
    dropped = wheel("by-hand", "1.1", told=summary)
    drop(page, [(dropped.filename, dropped.data)])
    page.locator("#uploads a", has_text="1.1").wait_for()
    drop(page, [("<img src=x onerror=alert(1)>.whl", b"no wheel"), ("by_hand-1.2-py3-none-any.whl", b"no zip")])
    page.locator("#uploads .bad").nth(1).wait_for()
    require("<img src=x onerror=alert(1)>.whl" in window.text("#uploads"), "a file's name is not shown as it is")
    # The answer to what is no package is an error of its own kind.
    window.troubles = [trouble for trouble in window.troubles if "/+do/upload" not in trouble]
    settled(window, "the page after uploads")
    files = listed(seeded.base + "/team/dev/+simple/", "by-hand")
    require({name: sha256 for name, (_, sha256) in files.items()} == {
        dist.filename: dist.sha256 for dist in [*chosen, dropped]}, "uploaded was {}".format(sorted(files)))
    page.locator("#uploads a", has_text="1.1").click()
    page.wait_for_url("**/by-hand/1.1")
    require("Carried by hand" in window.text(), "the uploaded release shows:\n" + window.text())
    window.well("uploading")
    passed("files are chosen or dropped and uploaded; what is no package is told beside its name")


# As a desktop hands over files: Playwright has no dragging of files of its own.
DROP = """([to, files]) => {
  const data = new DataTransfer();
  for (const [name, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.querySelector(to).dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def drop(page, files):
    page.evaluate(DROP, [".drop", [[name, list(data)] for name, data in files]])


def promote(window, seeded):
    window.open("/team/dev/by-hand/1.1")
    unfold(window, "Promote release 1.1")
    window.page.select_option("select[name=target]", "team/prod")
    press(window, "Promote")
    settled(window, "the page after promoting")
    window.page.get_by_role("link", name="See it there").click()
    window.page.wait_for_url("**/team/prod/by-hand*")
    files = listed(seeded.base + "/team/prod/+simple/", "by-hand")
    require(sorted(files) == ["by_hand-1.1-py3-none-any.whl"], "promoted was {}".format(sorted(files)))
    window.well("promoting")
    passed("a release is promoted to another index")


def token(window, seeded, tools):
    page = window.page
    seeded.api("PUT", "/team/guarded", {"bases": [], "acl_read": ["team"]})
    seeded.upload("team/guarded", wheel("guarded-thing", "1.0"))
    window.open("/+account")
    settled(window, "the account")
    page.fill("#token-name", "the build of <b>nightly</b>")
    page.fill("#token-index", "team/guarded")
    page.select_option("#token-may", "both")
    page.select_option("#token-ends", "7")
    press(window, "Make a token")
    secret = page.locator("main .copy code").first.inner_text().strip()
    settled(window, "the page of a new token")
    require(re.fullmatch(r"\S{20,}", secret), "the token is shown as {!r}".format(secret))
    simple = "{}/team/guarded/+simple/".format(seeded.base)
    curl = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-u"]
    env = tools.env
    said = must([*curl, "__token__:" + secret, simple + "guarded-thing/"], env).text
    require(said == "200", "curl with the token is answered " + said)
    said = must([*curl, "__token__:" + secret[:-1], simple + "guarded-thing/"], env).text
    require(said in ("401", "403"), "curl with a part of the token is answered " + said)
    home = temp_dir("home")
    ran = tools.uv.run_install(simple.replace("://", "://__token__:{}@".format(secret)), home, ["guarded-thing"])
    require(ran.code == 0, "uv with the token: " + ran.told())
    window.open("/+account")
    text = window.text()
    require("the build of <b>nightly</b>" in text and secret not in page.content(), "the account shows:\n" + text)
    page.get_by_role("button", name="Revoke the build").click()
    page.get_by_text("The token is revoked").wait_for()
    require("the build of" not in window.text(), "a revoked token is still listed")
    headers = {"Authorization": basic("__token__", secret)}
    require(get(simple + "guarded-thing/", headers).status in (401, 403), "a revoked token still reads")
    settled(window, "the account after revoking")
    passed("a token is made and shown once, curl and uv use it, and it is revoked")


def download(window, seeded):
    seeded.api("PUT", "/team/kept", {"bases": [], "acl_read": ["team"]})
    dist = wheel("kept-thing", "1.0")
    seeded.upload("team/kept", dist)
    window.open("/team/kept/kept-thing")
    with window.page.expect_download() as saved:
        window.page.get_by_role("button", name=dist.filename, exact=True).click()
    require(Path(saved.value.path()).read_bytes() == dist.data, "another file was saved than was uploaded")
    window.well("saving a file")
    passed("a file of an index that not everybody may read is saved by who is logged in")


def yank(window, seeded, tools):
    window.open("/team/dev/by-hand/1.0")
    unfold(window, "Yank release 1.0")
    open_form = window.page.locator("main details[open]")
    open_form.locator("textarea[name=reason]").fill("drops what it carries")
    open_form.get_by_role("button", name="Yank", exact=True).click()
    window.page.get_by_text("It is yanked").wait_for()
    settled(window, "the page after yanking")
    simple = seeded.base + "/team/dev/+simple/"

    def installs(wanted):
        return tools.uv.run_install(simple, temp_dir("home"), [wanted])

    ran = installs("by-hand<1.1")
    require(ran.code != 0 and "yanked" in ran.text, "uv installs what is yanked: " + ran.told())
    ran = installs("by-hand==1.0")
    require(ran.code == 0 and "drops what it carries" in ran.text, "uv does not tell why: " + ran.told())
    press(window, "Take the yank of release 1.0")
    require("not yanked any more" in window.text(), "taking a yank back shows:\n" + window.text())
    ran = installs("by-hand<1.1")
    require(ran.code == 0, "uv does not install what is not yanked any more: " + ran.told())
    window.well("yanking")
    passed("a release is yanked with a reason, uv passes it over and tells why, and the yank is taken back")


def remove(window, seeded):
    simple = seeded.base + "/team/dev/+simple/"
    before = listed(simple, "by-hand")
    window.open("/team/dev/by-hand/1.0")
    unfold(window, "Remove by-hand 1.0")
    press(window, "Remove by-hand 1.0")
    settled(window, "the page after removing")
    left = listed(simple, "by-hand")
    require(not any("-1.0" in name for name in left), "after a removal there are {}".format(sorted(left)))
    press(window, "Undo the removal")
    settled(window, "the page after undoing")
    require(listed(simple, "by-hand") == before, "after undoing there are {}".format(sorted(listed(simple, "by-hand"))))
    answer = get(next(iter(before.values()))[0])
    require(answer.status == 200, "a file that came back is answered {}".format(answer.status))
    passed("a release is removed, is gone for everybody, and one click brings it back")


def index(window, seeded):
    page = window.page
    window.open("/team")
    page.get_by_role("link", name="Create an index").click()
    page.wait_for_url("**/+new")
    settled(window, "the form for a new index")
    page.fill("main input[name=name]", "by clicking")
    page.fill("main input[name=title]", "Made by <i>hand</i>")
    page.fill("main textarea[name=bases]", "team/nothing")
    press(window, "Make the index")
    require(page.locator("main .wrong").count() >= 1, "a wrong index is not told at its field:\n" + window.text())
    require(page.input_value("main input[name=title]") == "Made by <i>hand</i>", "what was typed is lost")
    settled(window, "the form for an index that cannot be")
    page.fill("main input[name=name]", "clicked")
    page.fill("main textarea[name=bases]", "team/dev\nroot/pypi")
    press(window, "Make the index")
    require("Made by <i>hand</i>" in window.text(), "a new index shows:\n" + window.text())
    made = seeded.api("GET", "/team/clicked?no_projects=")["result"]
    require(made["bases"] == ["team/dev", "root/pypi"], "made was {}".format(made))
    page.get_by_role("link", name="Settings", exact=True).click()
    page.wait_for_url("**/+settings")
    settled(window, "the settings of an index")
    page.fill("main input[name=title]", "Changed")
    page.fill("main textarea[name=reserved]", "acme\nacme-*")
    press(window, "Save the settings")
    changed = seeded.api("GET", "/team/clicked?no_projects=")["result"]
    require((changed["title"], changed["reserved"], changed["bases"]) == ("Changed", ["acme", "acme-*"], made["bases"]),
            "changed was {}".format(changed))
    settled(window, "an index that was changed")
    window.open("/team/clicked/+settings")
    page.fill("main input[name=confirm]", "team/clicked")
    press(window, "Delete team/clicked")
    require(get(seeded.base + "/team/clicked", {"Accept": "application/json"}).status == 404, "the index is still there")
    window.well("deleting an index")
    passed("an index is made, a mistake is told at its field, its settings are changed, and it is deleted")


def cache(browser, seeded):
    window = browser.window(seeded.base)
    log_in(window, "root")
    window.open("/root/pypi/kettle")
    require("cached" in window.text(), "kettle is not cached before it is purged")
    seeded.upstream.forget()
    press(window, "Ask upstream anew")
    require(seeded.upstream.page_gets()["kettle"] == 1, "upstream was asked {}".format(seeded.upstream.page_gets()))
    unfold(window, "Purge from the cache")
    press(window, "Purge")
    require("are gone" in window.text(), "purging shows:\n" + window.text())
    settled(window, "the page after purging")
    rows = window.page.locator("table.files tbody").inner_text()
    require("cached" not in rows and "at upstream" in rows, "after a purge the files are:\n" + rows)
    window.close()
    passed("a cached project is asked for anew, and purged")
