"""Every client: cold, again, with the upstream away, and offline.

In: the tools and the binary. Out: passed checks. The counters of the fixture say what the server asked upstream.
"""

import concurrent.futures

from fixture import Upstream
from processes import Sidewheel, note, passed, require, temp_dir

# What a page or file must be answered with when upstream cannot be asked: never 404, on which clients move on.
AWAY = (502, 503, 504)
UNKNOWN = "no-such-project"
# Another one: that the first is unknown may be remembered for a while.
NEVER_ASKED = "never-asked-before"


def everyone(tools, what):
    """All clients at once, as on a Monday morning; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(tools.all)) as pool:
        for waiting in [pool.submit(what, client) for client in tools.all]:
            waiting.result()


def install(index):
    def one(client):
        client.install(index, temp_dir("home"))
    return one


def fails(index):
    def one(client):
        ran = client.fail(index, temp_dir("home"), NEVER_ASKED)
        require(ran.code != 0, "{} installed a project that nobody has".format(client.name))
        status = any(str(code) in ran.text for code in AWAY)
        # pip and pdm say the same whatever the status is.
        if client.name in ("uv", "poetry"):
            require(status, "{} was not told that the upstream is away: {}".format(client.name, ran.told()))
    return one


def once_each(upstream, stage):
    for name, times in sorted(upstream.whole_gets().items()):
        require(times == 1, "{}: {} was fetched from upstream {} times, not once".format(stage, name, times))


def journeys(tools, binary, core_metadata):
    kind = "with core-metadata upstream" if core_metadata else "without core-metadata upstream"
    upstream = Upstream(core_metadata)
    data = temp_dir("data")
    server = Sidewheel(binary, data, upstream)
    names = ", ".join(client.name for client in tools.all)

    everyone(tools, install(server.index))
    passed("{} install alpha and its dependencies, cold, all at once ({})".format(names, kind))
    once_each(upstream, "cold")
    pages = upstream.page_gets()
    for project in ("alpha", "beta", "gamma"):
        require(pages[project] == 1, "the page of {} was asked {} times for all clients, not once".format(
            project, pages[project]))
        wheels = [name for name in upstream.whole_gets() if name.startswith(project) and name.endswith(".whl")]
        require(wheels, "no wheel of {} was asked upstream: this check is blind".format(project))
    if core_metadata:
        require(not upstream.range_gets(), "ranges were asked upstream although it offers metadata: {}".format(
            dict(upstream.range_gets())))
    passed("every page and every file came from upstream exactly once, for all clients together")

    # Without core-metadata upstream, the server looks for metadata by ranges, beside the requests.
    asked = lambda: (upstream.whole_gets(), upstream.page_gets(), core_metadata and upstream.range_gets())
    before = asked()
    everyone(tools, install(server.index))
    require(asked() == before, "installing again asked upstream more: {} were asked, now {}".format(before, asked()))
    tier = server.page("alpha").tier
    require(tier in ("memory", "disk"), "a known page says X-Cache: {!r}".format(tier))
    passed("again, with empty caches of their own: upstream is not asked at all")

    status = server.page(UNKNOWN).status
    require(status == 404, "a project that upstream does not know is answered {}, not 404".format(status))

    upstream.switch_off()
    everyone(tools, install(server.index))
    passed("again, with the upstream away")
    status = server.page(NEVER_ASKED).status
    require(status in AWAY, "an unknown project with the upstream away is answered {}, not 502 or 504".format(status))
    if core_metadata:  # once is enough: poetry follows Retry-After five times
        everyone(tools, fails(server.index))
        passed("a project that is not here fails in every client, with the upstream away (status {})".format(status))

    server.stop()
    passed("SIGTERM ends the server in order")
    server = Sidewheel(binary, data, upstream, ["--offline"])
    everyone(tools, install(server.index))
    status = server.page(NEVER_ASKED).status
    require(status in AWAY, "an unknown project is answered {} with --offline, not 502 or 504".format(status))
    server.stop()
    passed("again, after a restart with --offline; a project that is not here is answered {}".format(status))
    upstream.close()
