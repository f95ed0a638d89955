"""Two tiny projects from the real public index, with the server's own default upstream.

In: the tools and the binary. Out: a passed check, or a sentence that says that the network is missing.
"""

import os
from pathlib import Path

from processes import Sidewheel, check_store, clean_env, must, passed, require, temp_dir

PROJECTS = ("iniconfig", "six")


def live(tools, binary):
    data = temp_dir("data")
    # The machine's own environment: it may know the way out (a proxy, its authorities).
    server = Sidewheel(binary, data, env=dict(os.environ, HOME=temp_dir("server")))
    for project in PROJECTS:
        status = server.page(project).status
        require(status == 200, "the public index cannot be reached from here ({} is answered {}), and this check needs "
                "it; skip it with --only, if you must. The server wrote:\n{}".format(project, status, server.log()))
    for _ in ("cold", "again"):
        home = Path(temp_dir("home"))
        ran = tools.uv.run_install(server.index, home, PROJECTS)
        require(ran.code == 0, "from the public index: " + ran.told())
        code = "import " + ", ".join(PROJECTS)
        must([tools.python, "-c", code], clean_env(home, PYTHONPATH=str(home / "site")))
    require(check_store(data, "after the live install") >= len(PROJECTS), "the live install kept no files")
    tier = server.page(PROJECTS[0]).tier
    require(tier in ("memory", "disk"), "a known page says X-Cache: {!r}".format(tier))
    server.stop()
    passed("uv installs {} from the public index, cold and again".format(" and ".join(PROJECTS)))
