"""Hot pages: as they are and compressed, beside the same bytes as static files and beside the rivals' own pages."""

import gzip

import fixture
import processes
import servers
from clients import UV_ENCODING, page_headers, wrk
from report import OURS
from servers import Nginx

# (key, what it is called, how many files it lists, how many clients ask)
KINDS = (("small", "13 KB", fixture.PAGE_FILES, 16), ("big", "2.5 MB", fixture.BIG_PAGE_FILES, 8))
# (key, what the client sends, what it is called)
ENCODINGS = (("identity", "identity", "identity"), ("gzip", "gzip", "gzip"), ("uv", UV_ENCODING, "as uv asks"))
WARM_SECONDS_MAX = 20
# How long one client alone waits for a server that answers nobody when many ask.
SLOW_SECONDS = 10
GZIP_STATIC = "nginx gzip_static"


def compressing():
    """nginx compresses as it sends, and has files that somebody has compressed beforehand."""
    return f"""
        gzip on;
        gzip_types *;
        location /gz/ {{
            gzip off;
            gzip_static on;
            default_type {servers.PAGE_CONTENT_TYPE};
            index index.json;
        }}"""


def project(kind):
    return f"bench-page-{kind}"


def static_copies(bench, ours):
    """What ours serves as files for nginx: at /simple/{project}/, and with a .gz beside it at /gz/{project}/."""
    root = bench.fresh("static")
    for kind, *_ in KINDS:
        body = processes.fetch(ours.url + ours.page(project(kind)), processes.PIP_ACCEPT)
        for where in ("simple", "gz"):
            place = root / where / project(kind)
            place.mkdir(parents=True)
            (place / "index.json").write_bytes(body)
        (root / "gz" / project(kind) / "index.json.gz").write_bytes(gzip.compress(body, 9))
    return root


def make(bench):
    for kind, _, files, _ in KINDS:
        bench.fixture.long_page(project(kind), files)


def hot(bench, kinds=("small", "big"), encodings=("identity", "gzip", "uv")):
    make(bench)
    with (
        bench.upstream() as upstream,
        bench.sidewheel(upstream, core=bench.server_core, workers=1, load="hot pages") as ours,
        Nginx(bench.fresh("nginx"), static_copies(bench, ours), bench.server_core, extra=compressing()) as nginx,
        bench.others("page", upstream, bench.server_core) as others,
    ):
        bench.report.note(f"Sidewheel's command: {ours.command.replace(str(bench.root), 'TMP')}")
        for kind, title, _, connections in (one for one in KINDS if one[0] in kinds):
            for encoding, sent, who in (one for one in ENCODINGS if one[0] in encodings):
                contenders = [(OURS, ours, ours.page(project(kind))), ("nginx", nginx, nginx.page(project(kind)))]
                if sent != "identity":
                    contenders.append((GZIP_STATIC, nginx, f"/gz/{project(kind)}/"))
                contenders += [(other.name, other, other.page(project(kind))) for other in others]
                one(bench, f"page.{kind}.{encoding}", f"page {title} hot, {who}", contenders, sent, connections)
        if (KINDS[0][0], ENCODINGS[0][0]) == (kinds[0], encodings[0]):
            two_workers(bench, upstream)


def one(bench, key, title, contenders, sent, connections):
    """One page in one encoding. The small one without compression is asked for by wrk, as it always was."""
    seconds = 1
    with_wrk = key == "page.small.identity"
    contenders, bodies = warm(bench, key, contenders, sent)
    headers = page_headers(sent)

    def sample(name, server, path):
        before = server.cpu()
        if with_wrk:
            requests, per_second, _ = wrk(server.url + path, seconds, bench.load_core)
            took = requests / per_second
        else:
            got = bench.drain.run(server, connections, seconds, 0, [path], core=bench.load_core, headers=headers)
            if not got["requests"]:
                got = bench.drain.run(server, 1, SLOW_SECONDS, 2, [path], core=bench.load_core, headers=headers)
                bench.report.lacks(f"{key} for {connections} clients", name, f"not one answer in {seconds} s; what is shown is one client alone")
            requests, took = got["requests"], got["seconds"]
        if not requests:
            raise RuntimeError(f"not one answer to one client in {SLOW_SECONDS} s")
        used = server.cpu() - before
        return requests / took, used / requests * 1e6, used / took

    found = bench.turns(key, contenders, sample)
    rates, costs, shares = ({name: [got[n] for got in samples] for name, samples in found.items()} for n in range(3))
    bench.report.add(f"{key}.rate", title, "requests/s", rates, "more", 0)
    bench.report.add(f"{key}.cpu", f"{title}, CPU", "ms/1,000 requests", costs, "less", 1)
    per_cpu = {name: [1e6 / cost for cost in values if cost] for name, values in costs.items()}
    bench.report.add(f"{key}.per_cpu", f"{title}, requests per CPU second", "1/s", per_cpu, "more", 0)
    bench.busy(title, shares)
    client = "wrk -t1 -c16" if with_wrk else f"drain, {connections} connections"
    bench.report.note(f"{title} ({client}): sent were {', '.join(bodies)}")


def warm(bench, key, contenders, sent):
    """Those that answer, asked three times; and what each sends."""
    left, bodies = [], []
    for name, server, path in contenders:
        try:
            for _ in range(3):
                body, headers = processes.answer(server.url + path, processes.PIP_ACCEPT, sent, WARM_SECONDS_MAX)
        except Exception as error:
            if name == OURS:
                raise
            bench.report.lacks(key, name, error)
            continue
        left.append((name, server, path))
        kind = "HTML" if "html" in headers.get("Content-Type", "") else "JSON"
        bodies.append(f"{name} {len(body):,} bytes of {kind}, {headers.get('Content-Encoding', 'identity')}")
        server.settled()
    return left, bodies


def two_workers(bench, upstream):
    """Both cores for the server and its client together, against one for each."""
    with bench.sidewheel(upstream, workers=2, load="hot pages, two workers") as ours:
        path = ours.page(project("small"))
        server = (OURS, ours, path)
        warm(bench, "two workers", [server], "identity")
        found = bench.turns("two workers", [server], lambda _, ours, path: wrk(ours.url + path, 1, None)[1])
    key, one_worker = "page.small.two_workers", bench.report.median("page.small.identity.rate")
    bench.report.add(key, "page 13 KB hot, two workers, nothing pinned", "requests/s", found, "more", 0)
    ratio = bench.report.median(key) / one_worker
    bench.report.note(f"two workers that share two cores with their client : one worker on a core of its own = {ratio:.2f}")
