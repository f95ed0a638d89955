"""From the start of the program to its first answers, with many cached files and with none."""

import time

import fixture
import processes
from report import OURS
from servers import Sidewheel

FILES, FILES_QUICK = 100_000, 2_000
TIMES, TIMES_QUICK = 7, 3
FILLING_CONNECTIONS = 16
FILLING_SECONDS_MAX = 600


def starts(bench):
    count, times = (FILES_QUICK, TIMES_QUICK) if bench.quick else (FILES, TIMES)
    projects = bench.fixture.small_projects(count)
    with bench.upstream() as upstream:
        data = filled(bench, upstream, projects, count)
        page = f"/root/pypi/+simple/{projects[0]}/"
        samples = {}
        for number in range(times):
            for what, path, directory in (
                ("start.page", page, data),
                ("start.health", "/+health", data),
                ("start.empty", "/+health", bench.fresh("data")),
            ):
                with Sidewheel(bench.program, directory, upstream.url, load=f"start with {count:,} cached files") as ours:
                    if processes.fetch(ours.url + path, processes.PIP_ACCEPT):
                        took = (time.monotonic() - ours.started) * 1e3
                samples.setdefault(what, []).append(took)
    report = bench.report
    for key, title in (
        ("start.page", f"start with {count:,} cached files to first 200 of a cached page"),
        ("start.health", f"start with {count:,} cached files to first 200 of /+health"),
        ("start.empty", "start with none to first 200 of /+health"),
    ):
        report.add(key, title, "ms", {OURS: samples[key]})
    report.note("start: the program and its files are in the page cache; rivals are not measured, for most take minutes to fetch so many files")
    if count < FILES:
        report.note(f"start: {count:,} files with --quick, {FILES:,} without")


def filled(bench, upstream, projects, count):
    """A data directory with so many cached files."""
    with bench.sidewheel(upstream, load=f"{count:,} cold files of 2 KB") as ours:
        began = time.monotonic()
        links = [link for project in projects for link in ours.links(project)]
        pages = time.monotonic() - began
        got = bench.drain.run(ours, FILLING_CONNECTIONS, FILLING_SECONDS_MAX, len(links), links)
        if got["requests"] < count:
            raise RuntimeError(f"only {got['requests']} of {count} files were answered")
        bench.report.note(f"start: {len(projects):,} cold pages in {pages:.1f} s, {count:,} cold files of {fixture.SMALL_FILE_BYTES} bytes by {FILLING_CONNECTIONS} clients in {got['seconds']:.1f} s")
        ours.settled()
        data = ours.data
    # They are of about that size.
    cached = sum(1 for path in data.rglob("*") if path.is_file() and path.stat().st_size >= fixture.SMALL_FILE_BYTES // 2)
    if cached < count:
        raise RuntimeError(f"only {cached} of {count} files are in the cache")
    return data
