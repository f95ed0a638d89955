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
ONLY_ROOT = "only root makes users here, unless the settings say otherwise"
WEB = "the address of a project's page for people is not made up for a mirror: it is shown when somebody sets it"
PAGE = "a sentence, where devpi-server shows its framework's page for an address that cannot be"
WORDS = ":AUTHENTICATED: is one word in every case: devpi-server keeps it as typed, and then it lets nobody in"
AGAIN = "the very same files again are no conflict, as with an upload: a job that repeats its push goes on"
SENTENCE_UPLOAD = "a sentence that says what is not allowed, where devpi-server gives the status's own phrase"

DIFFERENCES = [
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
    Difference("refresh nosuch", None, [
        "-Couldn't refresh nosuch via http://HOST/alice/dev/+simple/nosuch/refresh: 500 Internal Server Error",
        "+Couldn't refresh nosuch via http://HOST/alice/dev/+simple/nosuch/refresh: 404 Not Found",
    ], CRASH),
    Difference("push nosuch==1.0 alice/prod", None, [
        "-WARN: devpi-client-7.3.0 got an unversioned reply, assuming API-VERSION 2 (as implemented by devpi-server-2.0)",
        "-500 Internal Server Error",
        "+400 Bad Request: there are no files for nosuch 1.0 on stage root/pypi",
    ], CRASH),
    Difference("user -c eve password=eves-word", 1, [
        "-user created: eve",
        "+PUT http://HOST/eve",
        "+401 Unauthorized: no permission to create user eve",
    ], ANONYMOUS),
    Difference("user --delete -y eve", 1, [
        "-user deleted: eve",
        "+DELETE http://HOST/eve",
        "+404 Not Found: no user 'eve'",
    ], FOLLOWS),
    Difference("user -c bad+name password=bads-word", None, [
        "-404 Not Found: The resource could not be found.",
        "-",
        "-",
        "-/bad+name",
        "-",
        "-",
        "+404 Not Found: there is nothing at this address",
    ], PAGE),
    Difference("user --delete -y root", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete user root",
    ], SENTENCE),
    Difference("index -c alice/bad+name", None, [
        "-404 Not Found: The resource could not be found.",
        "-",
        "-",
        "-/alice/bad+name",
        "-",
        "-",
        "+404 Not Found: there is nothing at this address",
    ], PAGE),
    Difference("index acl_upload+=bob,:authenticated:", None, [
        "-  acl_upload=alice,bob,:authenticated:",
        "+  acl_upload=alice,bob,:AUTHENTICATED:",
    ], WORDS),
    Difference("index acl_upload-=:AUTHENTICATED:", 0, [
        "-PATCH http://HOST/alice/dev",
        "-400 Bad Request: The 'acl_upload' setting doesn't have value ':AUTHENTICATED:'",
        "+http://HOST/alice/dev?no_projects=:",
        "+  type=stage",
        "+  bases=root/pypi",
        "+  volatile=True",
        "+  acl_upload=alice,bob",
        "+  acl_toxresult_upload=:ANONYMOUS:",
        "+  description=What-is-built",
        "+  mirror_whitelist=gamma",
        "+  mirror_whitelist_inheritance=intersection",
        "+  title=Development",
    ], WORDS),
    Difference("index colour+=red", None, [
        "-WARN: devpi-client-7.3.0 got an unversioned reply, assuming API-VERSION 2 (as implemented by devpi-server-2.0)",
        "-500 Internal Server Error",
        "+400 Bad Request: indexconfig got unexpected keyword arguments: colour=red",
    ], CRASH),
    Difference("patchjson /alice/nosuch {dist}/good.json", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+404 Not Found: The stage alice/nosuch could not be found.",
    ], SENTENCE),
    Difference("push hello==1.0 alice/prod (2)", 0, [
        "-PUSH http://HOST/alice/dev",
        "-409 Conflict: hello-1.0-py3-none-any.whl already exists in non-volatile index",
        "+   200 register hello 1.0 -> alice/prod",
        "+   200 store_releasefile alice/prod/+f/11f/0cb243d1963c7/hello-1.0-py3-none-any.whl",
        "+   200 store_releasefile alice/prod/+f/9f7/03d7f82d7da36/hello-1.0.tar.gz",
        "+   200 store_doczip hello 1.0 -> alice/prod",
    ], AGAIN),
    Difference("push hello-1.1 alice/prod", 0, [
        "-PUSH http://HOST/alice/dev",
        "-409 Conflict: hello-1.1-py3-none-any.whl already exists in non-volatile index",
        "+   200 register hello 1.1 -> alice/prod",
        "+   200 store_releasefile alice/prod/+f/d1e/70a0f70bd28de/hello-1.1-py3-none-any.whl",
        "+   200 store_doczip hello 1.1 -> alice/prod",
    ], AGAIN),
    Difference("remove -y hello", None, [
        "-403 Forbidden: project <NormalizedName 'hello' 'hello'> is on non-volatile index alice/prod",
        "+403 Forbidden: project 'hello' is on non-volatile index alice/prod",
    ], ADDRESS),
    Difference("user -m alice title=Bobs", None, [
        "-403 Forbidden: no permission to modify user <devpi_server.model.User object at ADDRESS>",
        "+403 Forbidden: no permission to modify user alice",
    ], ADDRESS),
    Difference("passwd alice << bobs-word bobs-word", None, [
        "-403 Forbidden: no permission to modify user <devpi_server.model.User object at ADDRESS>",
        "+403 Forbidden: no permission to modify user alice",
    ], ADDRESS),
    Difference("user --delete -y alice", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete user alice",
    ], SENTENCE),
    Difference("user -c carol password=carols-word", 1, [
        "-user created: carol",
        "+PUT http://HOST/carol",
        "+403 Forbidden: no permission to create user carol",
    ], ONLY_ROOT),
    Difference("index alice/dev title=Bobs", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to modify index alice/dev",
    ], SENTENCE),
    Difference("index --delete -y alice/dev", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete index alice/dev",
    ], SENTENCE),
    Difference("remove -y hello (2)", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+403 Forbidden: no permission to delete from index alice/dev",
    ], SENTENCE),
    Difference("upload {dist}/bobs-1.0-py3-none-any.whl (4)", None, [
        "-Unauthorized",
        "+no permission to submit",
    ], SENTENCE_UPLOAD),
    Difference("remove -y hello (3)", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+401 Unauthorized: no permission to delete from index alice/dev",
    ], SENTENCE),
    Difference("user -m alice title=x", None, [
        "-403 Forbidden: no permission to modify user <devpi_server.model.User object at ADDRESS>",
        "+401 Unauthorized: no permission to modify user alice",
    ], ADDRESS),
    Difference("user --delete -y bob (2)", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+401 Unauthorized: no permission to delete user bob",
    ], SENTENCE),
    Difference("index --delete -y alice/nosuch", None, [
        "-403 Forbidden: Access was denied to this resource.",
        "-",
        "-",
        "-Unauthorized: PyPIView failed permission check",
        "-",
        "-",
        "+404 Not Found: The stage alice/nosuch could not be found.",
    ], SENTENCE),
    Difference("user --delete -y carol", 1, [
        "-user deleted: carol",
        "+DELETE http://HOST/carol",
        "+404 Not Found: no user 'carol'",
    ], FOLLOWS),
    Difference("index root/pypi", None, [
        "-  mirror_web_url_fmt=FORMAT",
    ], WEB),
    Difference("getjson /", None, [
        "-     \"mirror_web_url_fmt\": FORMAT",
    ], WEB),
    Difference("getjson /root", None, [
        "-    \"mirror_web_url_fmt\": FORMAT",
    ], WEB),
    Difference("index (4)", None, [
        "-  mirror_web_url_fmt=FORMAT",
    ], WEB),
]
