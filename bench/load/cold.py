"""Cold files and cold pages, beside the same straight from upstream: what it costs that there is a server between."""

import pathlib
import shutil

import fixture
import servers
from clients import DRAIN_SECONDS_MAX, UV_ENCODING, page_headers
from report import OURS

# (title, project, bytes)
SIZES = (
    ("20 KB", "cold-little", fixture.LITTLE_FILE_BYTES),
    ("1 MB", "cold-medium", fixture.MEDIUM_FILE_BYTES),
    ("100 MB", "cold-large", fixture.LARGE_FILE_BYTES),
)
HUGE = ("500 MB", "cold-huge", fixture.HUGE_FILE_BYTES)
FEW, MANY, CROWD = 1, 32, 200
PAGE_SECONDS_MAX = 20
# What a server may take for a crowd; ours and direct ones have the client's own bound.
CROWD_SECONDS_MAX = 30
UPSTREAM_TITLES = {"fast": "upstream as fast as loopback", "limited": "upstream at 100 MiB/s", "far": "upstream at 100 MiB/s, 20 ms away"}

# (key, title, files)
PAGES = (
    ("13 KB", "13 KB", fixture.PAGE_FILES),
    ("2.5 MB", "2.5 MB", fixture.BIG_PAGE_FILES),
    ("5,000", "5,000 files", 5_000),
    ("40,000", "40,000 files", 40_000),
)


def rounds_of(bench, size, clients, kind):
    """How often a cold file is asked for; 0: not at all. Many clients on a large file take many seconds each time."""
    large = size == "100 MB"
    if clients == FEW:
        return bench.rounds if large else 3 * bench.rounds
    if clients == MANY:
        return 1 if large or bench.quick else 2
    if large:
        # 20 GB go over loopback for each server.
        return 1 if kind == "limited" or (kind == "fast" and not bench.quick) else 0
    return 1 if bench.quick else 2


def files(bench, sizes=(), crowds=(FEW, MANY, CROWD)):
    plans = {kind: plan(bench, kind, sizes, crowds) for kind in UPSTREAM_TITLES if kind != "far" or servers.can_wait()}
    for size, project, count in SIZES:
        most = max(sum(rounds for which, _, rounds in steps if which == size) for steps in plans.values())
        if most:
            bench.wheels(project, most, count)
    if any(step[0] == HUGE[0] for steps in plans.values() for step in steps):
        bench.wheels(HUGE[1], 1, HUGE[2])
    for kind, steps in plans.items():
        one_upstream(bench, kind, steps)


def plan(bench, kind, sizes, crowds):
    """(size, clients, rounds) in order."""
    chosen = [size for size, *_ in SIZES if not sizes or size in sizes]
    steps = [(size, clients, rounds_of(bench, size, clients, kind)) for size in chosen for clients in crowds]
    if not bench.quick and not sizes and kind != "far":
        steps.append((HUGE[0], FEW, 1))
    return [step for step in steps if step[2]]


def one_upstream(bench, kind, steps):
    projects = {size: project for size, project, _ in (*SIZES, HUGE)}
    what = UPSTREAM_TITLES[kind]
    with (
        bench.upstream(kind) as upstream,
        bench.sidewheel(upstream, load=f"cold files, {what}") as ours,
        bench.others(f"cold ({what})", upstream) as others,
    ):
        links = {}
        for server in (ours, *others):
            try:
                found = {size: by_filename(server.links(projects[size])) for size in {step[0] for step in steps}}
            except Exception as error:
                if server is ours:
                    raise
                bench.report.lacks(f"cold.{kind}", server.name, error)
                continue
            links[server.name] = server, found
        links["direct"] = upstream, {size: None for size in projects}
        fresh = {size: iter(paths) for size, paths in paths_of(bench).items()}
        for size, clients, rounds in steps:
            contenders = [(name, *links[name]) for name in ("direct", *(name for name in links if name != "direct"))]
            crowd(bench, kind, size, clients, [next(fresh[size]) for _ in range(rounds)], contenders, upstream)
        data = ours.data
    shutil.rmtree(data)


def paths_of(bench):
    titles = {project: size for size, project, _ in (*SIZES, HUGE)}
    return {titles[project]: paths for (project, _), paths in bench.made.items() if project in titles}


def crowd(bench, kind, size, clients, paths, contenders, upstream):
    """Each of the paths, cold, for so many clients at once; contenders take turns at each."""
    key = f"cold.{size}.{kind}.{clients}"
    who = "one client" if clients == 1 else f"{clients} clients"
    title = f"cold {size}, {who}, {UPSTREAM_TITLES[kind]}"

    def sample(name, server, links):
        path = current[0]
        before = upstream.log_size()
        asked = path if name == "direct" else links[size][filename(path)]
        got = bench.drain.whole(server, clients, [asked], seconds=CROWD_SECONDS_MAX if name in bench.rivals else DRAIN_SECONDS_MAX)
        if name != "direct":
            server.settled()
        gets, sent = upstream.asked(path, before)
        return got["first_median"] * 1e3, got["total_median"] * 1e3, got["total_max"] * 1e3, got["total_max"] / got["total_min"], gets, sent / 1e6

    found, current = {}, [None]
    for path in paths:
        current[0] = path
        for name, samples in bench.turns(key, [c for c in contenders if (key, c[0]) not in bench.report.absent], sample, 1, warm_up=False).items():
            found.setdefault(name, []).extend(samples)
    columns = {name: list(zip(*samples)) for name, samples in found.items()}

    def add(which, title, unit, column, digits, without=()):
        samples = {name: list(values[column]) for name, values in columns.items() if name not in without}
        bench.report.add(f"{key}.{which}", title, unit, samples, "less", digits)

    add("first", f"{title}: first byte", "ms", 0, 2)
    add("total", f"{title}: total" + (" (median client)" if clients > 1 else ""), "ms", 1, 2)
    if clients > 1:
        add("last", f"{title}: last client", "ms", 2, 2)
        add("last_first", f"{title}: last client : first", "", 3, 2)
        add("gets", f"{title}: GETs at upstream", "", 4, 0, ("direct",))
        add("bytes", f"{title}: sent by upstream", "MB", 5, 2, ("direct",))


def pages(bench):
    """Cold pages as uv and as a client without compression asks, beside the upstream's own."""
    encodings = (("identity", "identity", "identity"), ("uv", UV_ENCODING, "as uv asks"))
    rounds = bench.rounds
    projects = {}
    for key, title, count in PAGES:
        for encoding, *_ in encodings:
            names = [f"cold-{count}-files-{encoding}-{n}" for n in range(min(rounds, 2) if count > 10_000 else rounds + 1)]
            for name in names:
                bench.fixture.long_page(name, count)
            projects[key, encoding] = names
    with (
        bench.upstream() as upstream,
        bench.sidewheel(upstream, load="cold pages") as ours,
        bench.others("coldpage", upstream) as others,
    ):
        # The first page that a server ever serves opens connections and databases: it is not among the samples.
        bench.fixture.long_page("first-page")
        for server in (ours, *others):
            try:
                bench.drain.whole(server, 1, [server.page("first-page")], headers=page_headers("identity"))
            except Exception as error:
                bench.report.lacks("coldpage", server.name, error)
        contenders = [(server.name, server) for server in (upstream, ours, *others)]
        for key, title, count in PAGES:
            for encoding, sent, who in encodings:
                one_page(bench, f"coldpage.{key}.{encoding}", f"cold page {title}, {who}", projects[key, encoding], contenders, sent)
        data = ours.data
    shutil.rmtree(data)


def one_page(bench, key, title, names, contenders, sent):
    found, current = {}, [None]

    def sample(name, server):
        got = bench.drain.whole(server, 1, [server.page(current[0])], seconds=PAGE_SECONDS_MAX, headers=page_headers(sent))
        if name != "direct":
            server.settled()
        return got["total_median"] * 1e3

    for name in names:
        current[0] = name
        left = [c for c in contenders if (key, c[0]) not in bench.report.absent]
        for who, samples in bench.turns(key, left, sample, 1, warm_up=False).items():
            found.setdefault(who, []).extend(samples)
    bench.report.add(key, title, "ms", found, "less", 2)
    direct = found["direct"]
    beyond = {who: [a - b for a, b in zip(samples, direct)] for who, samples in found.items() if who != "direct"}
    bench.report.add(f"{key}.beyond", f"{title}: beyond upstream's own", "ms", beyond, "less", 2)


def filename(path):
    return pathlib.PurePosixPath(path.split("?")[0]).name


def by_filename(paths):
    return {filename(path): path for path in paths}
