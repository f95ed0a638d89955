"""The first minutes: a data directory that is made, root's password, and tokens from the command line.

In: the binary. Out: passed checks: `serve` alone makes a password, `init` takes one in three ways and only once,
`token` works beside a running server. Plain Python, no client.
"""

import json
import sqlite3
import stat
import time
from pathlib import Path

import packages
from devpi_server import api, must_api
from processes import Sidewheel, clean_env, get, passed, require, run, temp_dir
from publishers import basic, post

PASSWORD_FILE = "root-password"
ENV_FILE = "SIDEWHEEL_ROOT_PASSWORD_FILE"
# A running server notices within a second; a busy machine takes its time for the request itself.
REVOKED_SECONDS_MAX = 3
# sysexits.h, as the binary says: what was typed is wrong.
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69


def first_run(binary):
    served(binary)
    initialised(binary)
    standing(binary)
    unreadable(binary)
    tokens(binary)


def command(binary, data, *arguments, typed="", **env):
    return run([binary, *arguments, "--data", data], clean_env(temp_dir("command"), **env), typed=typed)


def log_in(base, password):
    return api(base, "POST", "/+login", {"user": "root", "password": password})


def served(binary):
    data = Path(temp_dir("first")) / "data"
    server = Sidewheel(binary, data)
    path = data / PASSWORD_FILE
    require(path.is_file(), "no {} after the first start; it wrote:\n{}".format(path.name, "".join(server.lines)))
    mode = stat.S_IMODE(path.stat().st_mode)
    require(mode == 0o600, "{} has the mode {:o}".format(path.name, mode))
    password = path.read_text().rstrip("\n")
    require(len(password) >= 20 and "\n" not in password, "the password is weak: {} characters".format(len(password)))
    said = [line for line in server.lines if PASSWORD_FILE in line]
    require(len(said) == 1 and str(path) in said[0], "the place of the password is said {} times".format(len(said)))
    told = "".join(server.lines) + server.whole_log()
    require(password not in told, "the password itself is in what the server says")
    require(log_in(server.base, password).status == 200, "the password that was made does not log in")
    for wrong in ("", "root", password[:-1]):
        status = log_in(server.base, wrong).status
        require(status in (400, 401), "the password {!r} is answered {}".format(wrong, status))
    status = json.loads(command(binary, data, "status", "--json").text)
    written = (data / "format").read_text().splitlines()[0]
    require(str(status["format"]) == written, "the server says format {}, the directory {}".format(status["format"], written))
    server.stop()
    passed("the first start makes root's password, in a file that only its user reads, and says where")

    path.unlink()
    again = Sidewheel(binary, data)
    require(not path.exists() and not any("password" in line for line in again.lines),
            "the second start makes or says a password again:\n" + "".join(again.lines))
    require(log_in(again.base, password).status == 200, "after a restart the password does not log in")
    require(password not in again.whole_log(), "the password is in the log")
    again.stop()
    passed("the second start makes and says nothing, and the password holds")


def initialised(binary):
    home = Path(temp_dir("passwords"))
    for name, text in (("good", "first of all\nsecond line\n"), ("windows", "first of all\r\n"), ("other", "other\n"),
                       ("empty", ""), ("blank", "\nsecond line\n"), ("long", "x" * 5000 + "\n")):
        (home / name).write_bytes(text.encode())

    ways = {
        "a file": lambda data: command(binary, data, "init", "--root-password-file", home / "good"),
        "a file of Windows": lambda data: command(binary, data, "init", "--root-password-file", home / "windows"),
        "standard input": lambda data: command(binary, data, "init", "--root-password-file", "-",
                                               typed="first of all\n"),
        "the environment": lambda data: command(binary, data, "init", **{ENV_FILE: str(home / "good")}),
    }
    for way, init in ways.items():
        data = Path(temp_dir("init")) / "data"
        ran = init(data)
        require(ran.code == 0, "init by {}: {}".format(way, ran.told()))
        require("first of all" not in ran.text, "init by {} says the password".format(way))
        require(not (data / PASSWORD_FILE).exists(), "init by {} writes a password all the same".format(way))
        again = command(binary, data, "init", "--root-password-file", home / "other")
        require(again.code == 0 and "nothing is changed" in again.text, "init twice: " + again.told())
        server = Sidewheel(binary, data, extra=["--root-password-file", str(home / "other")])
        require(log_in(server.base, "first of all").status == 200, "the password by {} does not log in".format(way))
        require(log_in(server.base, "other").status == 401, "a second init changed the password")
        server.stop()
    passed("init takes root's password from a file, standard input and the environment, and a second changes nothing")

    for name in ("empty", "blank", "long", "missing"):
        data = Path(temp_dir("init")) / "data"
        ran = command(binary, data, "init", "--root-password-file", home / name)
        require(ran.code != 0 and "password" in ran.text or name == "missing" and ran.code != 0,
                "a password file that is {} is taken: {}".format(name, ran.told()))
        require("panicked" not in ran.text, ran.told())
        # Nothing was set: the next one is taken.
        ran = command(binary, data, "init", "--root-password-file", home / "good")
        require(ran.code == 0 and "nothing is changed" not in ran.text, "after a bad file: " + ran.told())
    ran = command(binary, Path(temp_dir("init")) / "data", "init", "--root-password-file", "-")
    require(ran.code == EXIT_USAGE, "an empty standard input: " + ran.told())
    passed("an empty, a too long and a missing password are refused, and nothing is set")

    data = Path(temp_dir("init")) / "data"
    ran = command(binary, data, "init")
    path = data / PASSWORD_FILE
    require(ran.code == 0 and str(path) in ran.text and stat.S_IMODE(path.stat().st_mode) == 0o600, ran.told())
    server = Sidewheel(binary, data)
    require(not any(PASSWORD_FILE in line for line in server.lines), "serve says again what init said")
    require(log_in(server.base, path.read_text().rstrip("\n")).status == 200, "init's password does not log in")
    ran = command(binary, data, "init")
    require(ran.code != 0 and "panicked" not in ran.text, "init beside a running server: " + ran.told())
    server.stop()
    passed("init without a password makes one, and is refused beside a running server")


def standing(binary):
    data = Path(temp_dir("status")) / "data"
    for arguments in ((), ("--json",)):
        ran = command(binary, data, "status", *arguments)
        require(ran.code == EXIT_UNAVAILABLE and "no server runs" in ran.text, "status of nothing: " + ran.told())
    require(not data.exists(), "`status` makes a data directory")
    server = Sidewheel(binary, data)
    ran = command(binary, data, "status")
    require(ran.code == 0 and "ready" in ran.text and server.base in ran.text, ran.told())
    told = json.loads(command(binary, data, "status", "--json").text)
    require((told["pid"], told["addresses"], told["trouble"]) == (server.process.pid, [server.base], None),
            "`status --json` says {}".format(told))
    server.stop()
    require(command(binary, data, "status").code == EXIT_UNAVAILABLE, "`status` does not see that the server is gone")
    passed("status says who serves and that it is ready, and fails when nobody does")


def unreadable(binary):
    """A stage that is left out would let its private names be asked for upstream."""
    data = Path(temp_dir("unreadable")) / "data"
    server = Sidewheel(binary, data)
    root = (data / PASSWORD_FILE).read_text().rstrip("\n")
    must_api(server.base, "PUT", "/root/dev", {"bases": ["root/pypi"]}, password=root)
    server.stop()
    for damaged in ('{"type": "shelf"}', '{"type": "stage", "bases": 1}', "{"):
        with sqlite3.connect(data / "private.db") as database:
            changed = database.execute("UPDATE user_index SET settings = ? WHERE name = 'root/dev'", (damaged,))
            require(changed.rowcount == 1, "the stage does not stand in the database")
        database.close()
        ran = command(binary, data, "serve", "--listen", "127.0.0.1:0")
        require(ran.code not in (0, None) and "panicked" not in ran.text, "serves with {}: {}".format(damaged, ran.told()))
        named = "root/dev" in ran.text and "backup" in ran.text or damaged == "{"
        require(named, "the damaged stage and the way out are not named: " + ran.told())
    passed("a server that cannot read a stage's settings does not start, and says which")


def tokens(binary):
    data = Path(temp_dir("tokens")) / "data"
    ran = command(binary, data, "token", "list")
    require(ran.code == EXIT_USAGE and "init" in ran.text, "tokens of nothing: " + ran.told())
    require(not data.exists(), "`token list` makes a data directory")
    server = Sidewheel(binary, data)
    root = (data / PASSWORD_FILE).read_text().rstrip("\n")
    must_api(server.base, "PUT", "/ada", {"password": "ada's"}, password=root)
    must_api(server.base, "PUT", "/ada/dev", {"bases": []}, "ada", "ada's")
    must_api(server.base, "PUT", "/ada/closed", {"bases": [], "acl_read": ["ada"]}, "ada", "ada's")

    def token(*arguments):
        ran = command(binary, data, "token", *arguments)
        require("panicked" not in ran.text, ran.told())
        return ran

    for arguments, word in (
        (("--user", "nobody"), "nobody"),
        (("--user", "no/body"), "no/body"),
        (("--user", "ada", "--index", "ada/none"), "ada/none"),
        (("--user", "ada", "--index", "dev"), "dev"),
        (("--user", "ada", "--expires", "soon"), "soon"),
        (("--user", "ada", "--expires", "0d"), "0d"),
    ):
        ran = token("create", *arguments)
        require(ran.code == EXIT_USAGE and word in ran.text,
                "token create {}: not told by exit code {}: {}".format(" ".join(arguments), EXIT_USAGE, ran.told()))
    require(token("list", "--json").text.strip() == "[]", "a token was made all the same")
    ran = token("list", "--user", "nobody")
    require(ran.code == 0 and not ran.text.strip() or ran.code == EXIT_USAGE, ran.told())
    ran = token("revoke", "nothing")
    require(ran.code == EXIT_USAGE and "nothing" in ran.text, ran.told())
    passed("token says which user, index, time or id it does not know")

    def made(*arguments):
        ran = token("create", "--user", "ada", *arguments)
        require(ran.code == 0 and len(ran.text.split()) == 1, "`token create` prints more than the token: " + ran.told())
        return ran.text.strip()

    before = time.time()
    up = made("--index", "ada/dev", "--upload", "--name", "up")
    read = made("--index", "ada/closed", "--name", "read")
    short = made("--index", "ada/dev", "--upload", "--expires", "3s", "--name", "short")

    def upload(secret, version):
        return post(server.base + "/ada/dev/", packages.wheel("demo", version), "__token__", secret).status

    def reads(secret):
        return get(server.base + "/ada/closed/+simple/", {"Authorization": basic("__token__", secret)}).status

    require(upload(short, "0.1") == 200 or time.time() - before > 2, "a token that ends soon does not upload yet")
    require((upload(up, "1.0"), reads(read), reads(up)) == (200, 200, 403), "tokens do not do what they are made for: {}".format(
        (upload(up, "1.1"), reads(read), reads(up))))
    until = before + 3 + REVOKED_SECONDS_MAX
    while upload(short, "0.2") == 200:
        require(time.time() < until, "a token uploads after its end")
        time.sleep(0.2)
    # Ends are whole seconds: three of them are at least two.
    require(time.time() - before >= 2, "a token ended before its time")

    rows = json.loads(token("list", "--json").text)
    require({row["name"] for row in rows} == {"up", "read", "short"} and all(row["user"] == "ada" for row in rows),
            "`token list --json` shows {}".format(rows))
    text = token("list", "--user", "ada").text
    require(len(text.splitlines()) == 3 and "ended" in text, "`token list` shows:\n" + text)
    require(not any(secret in text or secret in json.dumps(rows) for secret in (up, read, short)), "a secret is listed")
    ids = {row["name"]: row["id"] for row in rows}
    for name, still in (("up", lambda: upload(up, "2.0")), ("read", lambda: reads(read))):
        require(still() == 200, "the token {} ended by itself".format(name))
        ran = token("revoke", ids[name])
        require(ran.code == 0 and ids[name] in ran.text, ran.told())
        until = time.monotonic() + REVOKED_SECONDS_MAX
        while still() == 200:
            require(time.monotonic() < until, "a revoked token is good {} s later".format(REVOKED_SECONDS_MAX))
            time.sleep(0.1)
    require(token("revoke", ids["up"]).code == EXIT_USAGE, "a token is revoked twice")
    server.stop()
    passed("tokens made beside a running server work at once, end in time, and are revoked within a second or so")
