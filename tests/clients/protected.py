"""What private indexes of ours can and devpi's cannot: tokens, yanked releases, readers, digests that are looked at.

In: the tools, our server with the user's indexes `dev` and `fixed`. Out: passed checks.
"""

import re
import time
from pathlib import Path

import packages
from devpi_server import api, must_api
from processes import clean_env, digest, get, passed, require, temp_dir
from publishers import Project, basic, listed, post, publishers
from tools import check_imports

# A server may remember for a moment that a token was good.
REVOKED_SECONDS_MAX = 5
REASON = "eats its young"
REFUSED = (401, 403)


def only_ours(tools, server, user, password):
    tokens(tools, server, user)
    yanked(tools, server, user, password)
    readers(tools, server, user, password)
    digests(server, user, password)


def create_token(server, user, index, *more):
    ran = server.command("token", "create", "--user", user, "--index", index, *more)
    lines = ran.text.strip().splitlines()
    require(lines and not re.search(r"\s", lines[-1]), "the last line of `token create` is no token: " + ran.text)
    return lines[-1]


def tokens(tools, server, user):
    url = "{}/{}/fixed/".format(server.base, user)
    token = create_token(server, user, user + "/fixed", "--upload", "--expires", "30d", "--name", "ci")
    for publisher in publishers(tools):
        name = "token" + publisher.name
        ran = publisher.publish(Project(name), url, "__token__", token)
        require(ran.code == 0, "{} does not publish with a token: {}".format(publisher.name, ran.told()))
        require(len(listed(url + "+simple/", name)) == 2, "after {} with a token the index lists {}".format(
            publisher.name, listed(url + "+simple/", name)))
    passed("every tool publishes with a token that the command line made")

    other = post("{}/{}/dev/".format(server.base, user), packages.wheel("stray", "1.0"), "__token__", token)
    require(other.status in REFUSED, "a token for one index uploads to another: {}".format(other.status))
    reader = create_token(server, user, user + "/fixed", "--read", "--expires", "30d", "--name", "reader")
    answer = post(url, packages.wheel("stray", "1.0"), "__token__", reader)
    require(answer.status in REFUSED, "a token without --upload uploads: {}".format(answer.status))

    rows = [line for line in server.command("token", "list").text.splitlines() if re.search(r"\bci\b", line)]
    require(len(rows) == 1, "`token list` has {} rows for the token `ci`".format(len(rows)))
    require(token not in rows[0], "`token list` shows the token itself")
    server.command("token", "revoke", rows[0].split()[0])
    until = time.monotonic() + REVOKED_SECONDS_MAX
    n = 0
    while True:
        n += 1
        answer = post(url, packages.wheel("revoked", "1.{}".format(n)), "__token__", token)
        if answer.status in REFUSED:
            break
        require(time.monotonic() < until, "a revoked token still uploads: {}".format(answer.status))
        time.sleep(0.2)
    passed("a token is good for its own index and rights only, and for nothing once it is revoked")


def yanked(tools, server, user, password):
    url = "{}/{}/dev/".format(server.base, user)
    for version in ("1.0", "2.0"):
        answer = post(url, packages.wheel("yanker", version), user, password)
        require(answer.status == 200, "yanker {} is answered {}".format(version, answer.status))
    must_api(server.base, "PATCH", "/{}/dev/yanker/2.0".format(user), {"yanked": REASON}, user, password)
    for installer in (tools.pip_new, tools.pip_old, tools.uv):
        for wanted, version in (("yanker", "1.0"), ("yanker==2.0", "2.0")):
            home = Path(temp_dir("home"))
            ran = installer.run_install(url + "+simple/", home, [wanted])
            require(ran.code == 0, ran.told())
            require(version == "1.0" or REASON in ran.text, "the reason is not told: " + ran.told())
            check_imports(tools.python, clean_env(home), {"yanker": version}, home / "site")
    passed("a release that its owner yanked is not chosen by pip (both) and uv, but installed when it is pinned")


def readers(tools, server, user, password):
    # The mirror has delta 1.0: whoever falls through gets that one.
    must_api(server.base, "PUT", "/{}/secret".format(user), {"acl_read": [user]}, user, password)
    path = "/{}/secret/".format(user)
    dist = packages.wheel("delta", "9.0")
    answer = post(server.base + path, dist, user, password)
    require(answer.status == 200, "delta 9.0 is answered {}".format(answer.status))
    login = {"Authorization": basic(user, password)}
    simple = server.base + path + "+simple/"
    file_url = listed(simple, "delta", login)[dist.filename][0]
    require(digest(get(file_url, login).body) == dist.sha256, "delta 9.0 is not served as it came")
    for page in (simple + "delta/", simple, file_url, file_url + ".metadata"):
        answer = get(page)
        require(answer.status == 401 and answer.headers.get("WWW-Authenticate", "").startswith("Basic"),
                "without credentials {} is answered {}".format(page, answer.status))
    for shown in ("delta", "delta/9.0"):
        status = api(server.base, "GET", path + shown).status
        require(status in REFUSED, "without credentials {} is answered {}".format(path + shown, status))

    for installer in (tools.pip_new, tools.pip_old, tools.uv):
        ran = installer.fail(simple, temp_dir("home"), "delta")
        require(ran.code != 0, "without credentials: " + ran.told())
    home = Path(temp_dir("home"))
    ran = tools.uv.run_install(server.server.index, home, ["delta"], "--index", simple)
    require(ran.code != 0 and "401" in ran.text, "uv passed over an index that it may not read: " + ran.told())
    passed("without credentials nothing of a protected index is shown; pip and uv fail, and uv asks no other index")

    token = create_token(server, user, user + "/secret", "--read", "--expires", "30d", "--name", "installer")
    for name, secret in ((user, password), ("__token__", token)):
        for installer in (tools.pip_new, tools.pip_old, tools.uv):
            home = Path(temp_dir("home"))
            ran = installer.run_install(simple.replace("//", "//{}:{}@".format(name, secret), 1), home, ["delta"])
            require(ran.code == 0, ran.told())
            check_imports(tools.python, clean_env(home), {"delta": "9.0"}, home / "site")
    passed("with a password or a token in the URL pip (both) and uv install from a protected index")


def digests(server, user, password):
    url = "{}/{}/dev/".format(server.base, user)
    for field, length in (("sha256_digest", 64), ("md5_digest", 32), ("blake2_256_digest", 64)):
        answer = post(url, packages.wheel("liar", "1.0"), user, password, **{field: "0" * length})
        require(answer.status == 400, "a wrong {} is answered {}".format(field, answer.status))
        require(not listed(url + "+simple/", "liar"), "a file with a wrong {} is listed".format(field))
    answer = post(url, packages.wheel("liar", "1.0"), user, password)
    require(answer.status == 200 and listed(url + "+simple/", "liar"), "the same file with the right digest is "
            "answered {}".format(answer.status))
    passed("an upload whose sha256, md5 or blake2 digest is wrong is refused, and nothing of it is listed")
