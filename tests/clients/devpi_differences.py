"""Where we answer devpi-client otherwise than devpi-server does, and why; everything else must be the same.

A difference that is not here fails the check, and so does one that is here and no longer occurs. `lines` is a diff without
context: `-` is what devpi-server's client prints, `+` is what ours prints. A command that occurs again is called `… (2)`.
"""

import collections

# `code` is the exit code with ours: None where it is devpi-server's too.
Difference = collections.namedtuple("Difference", "command code lines why")

ANONYMOUS = "whoever comes by makes no users here: root does, unless the settings say otherwise"
FOLLOWS = "that user was not made"
EMPTY = "a password is never empty, root's least of all"
KEYS = "what cannot be kept is refused: devpi-server says that it did it"
ADDRESS = "the user's name, where devpi-server prints a Python object"
SENTENCE = "a sentence that names what is not allowed, where devpi-server shows its framework's page"
CRASH = "an answer, where devpi-server fails with an internal error"

DIFFERENCES = [
    Difference("user -c eve password=eves-word", 1, [
        "-user created: eve",
        "+PUT http://HOST/eve",
        "+401 Unauthorized: no permission to create user eve: log in first",
    ], ANONYMOUS),
    Difference("user --delete -y eve", 1, [
        "-user deleted: eve",
        "+DELETE http://HOST/eve",
        "+404 Not Found: user 'eve' does not exist",
    ], FOLLOWS),
    Difference("user -m root password=", 1, [
        "-user modified: root",
        "+PATCH http://HOST/root",
        "+400 Bad Request: a password cannot be empty",
    ], EMPTY),
    Difference("user -m alice colour=red", 1, [
        "-user modified: alice",
        "+PATCH http://HOST/alice",
        "+400 Bad Request: Unknown keys in user config: colour",
    ], KEYS),
    Difference("user -m alice title=Mine", None, [
        "-403 Forbidden: no permission to modify user <devpi_server.model.User object at ADDRESS>",
        "+403 Forbidden: no permission to modify user alice",
    ], ADDRESS),
    Difference("user --delete -y bob", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete user bob",
    ], SENTENCE),
    Difference("index root/pypi title=Mine", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to modify index root/pypi",
    ], SENTENCE),
    Difference("index --delete -y root/pypi", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete index root/pypi",
    ], SENTENCE),
    Difference("remove -y beta==1.0", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete from index root/pypi",
    ], SENTENCE),
    Difference("index colour+=red", None, [
        "-WARN: devpi-client-7.3.0 got an unversioned reply, assuming API-VERSION 2 (as implemented by devpi-server-2.0)",
        "-500 Internal Server Error",
        "+400 Bad Request: The 'colour' setting is no list",
    ], CRASH),
    Difference("refresh nosuch", None, [
        "-Couldn't refresh nosuch via http://HOST/alice/dev/+simple/nosuch/refresh: 500 Internal Server Error",
        "+Couldn't refresh nosuch via http://HOST/alice/dev/+simple/nosuch/refresh: 404 Not Found",
    ], CRASH),
    Difference("push nosuch==1.0 alice/prod", None, [
        "-WARN: devpi-client-7.3.0 got an unversioned reply, assuming API-VERSION 2 (as implemented by devpi-server-2.0)",
        "-500 Internal Server Error",
        "+400 Bad Request: there are no files for nosuch 1.0 on stage root/pypi",
    ], CRASH),
]
