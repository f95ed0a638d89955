"""Latency at a fixed rate: the 13 KB page, asked for in an open loop at half of what nginx answers at its best."""

import statistics

import pages
from clients import page_headers, wrk
from servers import Nginx

CONNECTIONS = 64
SHARE_OF_PEAK = 0.5
# A machine whose hypervisor lends a core to somebody else for some milliseconds makes hundreds of requests wait: short samples,
# several a turn, of which the median is taken.
SECONDS, SAMPLES = 1, 3
# Whose median is beyond this cannot keep the rate: one sample says so.
BEHIND_MS = 100


def fixed_rate(bench):
    pages.make(bench)
    samples_max = 1 if bench.quick else SAMPLES
    with (
        bench.upstream() as upstream,
        bench.sidewheel(upstream, core=bench.server_core, workers=1, load="13 KB page at a fixed rate") as ours,
        Nginx(bench.fresh("nginx"), pages.static_copies(bench, ours), bench.server_core) as nginx,
        bench.others("latency", upstream, bench.server_core) as others,
    ):
        project = pages.project("small")
        contenders = [(server.name, server, server.page(project)) for server in (ours, nginx, *others)]
        contenders, _ = pages.warm(bench, "latency", contenders, "identity")
        peak = bench.report.median("page.small.identity.rate", "nginx")
        if peak != peak:
            peak = max(wrk(nginx.url + nginx.page(project), 1, bench.load_core)[1] for _ in range(2))
        rate = int(peak * SHARE_OF_PEAK)

        def sample(_, server, path):
            headers, taken = page_headers("identity"), []
            while len(taken) < samples_max and not (taken and is_behind(taken[0])):
                run = bench.drain.run(server, CONNECTIONS, SECONDS, 0, [path], core=bench.load_core, headers=headers, rate=rate)
                taken.append([run[which] * 1e3 for which in ("p50", "p99", "p999")])
            return [statistics.median(times) for times in zip(*taken)]

        found = bench.turns("latency", contenders, sample)
    for number, (which, title) in enumerate((("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))):
        samples = {name: [got[number] for got in taken] for name, taken in found.items()}
        bench.report.add(f"latency.{which}", f"page 13 KB at {rate:,} requests/s, {title}", "ms", samples, "less", 3)
    behind = [name for name, taken in found.items() if taken and all(map(is_behind, taken))]
    bench.report.note(
        f"latency: {CONNECTIONS} connections, requests due at even times, {rate:,} a second (half of nginx's peak), each counted from"
        " when it was due" + (f"; {', '.join(behind)} cannot keep that rate, so that the times are those of a growing queue" if behind else "")
    )


def is_behind(times):
    return times[0] > BEHIND_MS
