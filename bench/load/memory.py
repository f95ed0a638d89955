"""Resident memory: idle, under pages and cold wheels, and after; every server under the same load."""

import shutil
import time

import fixture
import pages
from clients import DRAIN_SECONDS_MAX, page_headers, whole
from servers import Nginx

# The smallest budget.
MEMORY_SMALL = "16MiB"
COLD_FILES = 16
IDLE_SECONDS = 1


def resident(bench):
    count = 4 if bench.quick else COLD_FILES
    bench.wheels("memory-large", COLD_FILES if not bench.quick else count, fixture.LARGE_FILE_BYTES)
    pages.make(bench)
    found = {}
    with bench.upstream() as upstream, bench.others("memory", upstream) as others:
        ours = bench.sidewheel(upstream, memory=MEMORY_SMALL, load=f"{count} cold 100 MB at once, and both pages")
        with ours, Nginx(bench.fresh("nginx"), bench.fixture.root) as nginx:
            time.sleep(IDLE_SECONDS)
            idle = {server.name: server.memory()[0] for server in (ours, nginx, *others)}
            for server in (ours, nginx, *others):
                try:
                    found[server.name] = one(bench, server, count)
                except Exception as error:
                    if server is ours:
                        raise
                    bench.report.lacks("memory", server.name, error)
            data = ours.data
        shutil.rmtree(data)
    report = bench.report
    budget = f"(ours: budget {MEMORY_SMALL})"
    report.add("memory.idle", "resident, idle after start", "MiB", {name: [value] for name, value in idle.items()})
    for number, (key, title) in enumerate((("pages", "after both pages in every encoding"), ("peak", f"highest, {count} cold 100 MB at once"), ("after", "after"))):
        samples = {name: [got[number]] for name, got in found.items()}
        report.add(f"memory.{key}", f"resident, {title} {budget}", "MiB", samples)
    report.note("memory: summed over the processes of a server, /proc's VmRSS and VmHWM; the highest is counted from the first wheel on; nginx's file pages are the kernel's and not counted")


def one(bench, server, count):
    """Resident after the pages, at its highest during the wheels, and after them."""
    for kind, *_ in pages.KINDS:
        for _, sent, _ in pages.ENCODINGS:
            path = server.page(pages.project(kind))
            bench.drain.whole(server, 4, [path], 8, 30, headers=page_headers(sent))
    server.settled()
    after_pages = server.memory()[0]
    links = server.links("memory-large")[:count]
    server.forget_peak()
    client = bench.drain.start(server, count, DRAIN_SECONDS_MAX, count, links)
    seen = [after_pages]
    while client.poll() is None:
        seen.append(server.memory()[0])
        time.sleep(0.01)
    whole(bench.drain.finish(client))
    server.settled()
    after, highest = server.memory()
    # The highest of a family is that of each of its processes, at whatever time: an upper bound.
    return after_pages, max(highest, *seen), after
