"""Hot wheels, to a client that drops them inside the kernel: from memory and from disk."""

import fixture
from report import OURS
from servers import Nginx

# A wheel of 100 MB must be within an eighth of the budget to be held in memory.
MEMORY_FOR_LARGE = "2GiB"
# The smallest budget; the disk rows ask for more than it holds, in turn, so that memory can answer little of it.
MEMORY_SMALL = "16MiB"
# Who takes longer to fetch the files of a row once is left out of it.
HEAT_SECONDS_MAX = 60
# (title, project, bytes, connections, how many files in turn for the disk row, whether there is a memory row)
SIZES = (
    ("20 KB", "little", fixture.LITTLE_FILE_BYTES, 16, 2_000, True),
    ("1 MB", "medium", fixture.MEDIUM_FILE_BYTES, 16, 64, True),
    ("100 MB", "large", fixture.LARGE_FILE_BYTES, 4, 1, True),
    ("500 MB", "huge", fixture.HUGE_FILE_BYTES, 2, 1, False),
)


def hot(bench, only=()):
    sizes = [size for size in SIZES if (size[0] in only if only else not bench.quick or size[0] != "500 MB")]
    for _, project, size, _, count, _ in sizes:
        bench.wheels(project, count, size)
    core = bench.server_core
    with (
        bench.upstream() as upstream,
        bench.sidewheel(upstream, core=core, workers=1, memory=MEMORY_FOR_LARGE, load="hot wheels from memory") as memory,
        bench.sidewheel(upstream, core=core, workers=1, memory=MEMORY_SMALL, load="hot wheels from disk") as disk,
        Nginx(bench.fresh("nginx"), bench.fixture.root, core=core) as nginx,
        bench.others("wheel", upstream, core) as others,
    ):
        for title, project, size, connections, count, held in sizes:
            static = bench.wheels(project, count, size)
            rivals = [("nginx", nginx, static)] + linked(bench, f"wheel.{title}", others, project)
            if held:
                [path, *_] = sorted(memory.links(project))
                memory.heat(path)
                contenders = [(OURS, memory, [path])] + [(name, server, paths[:1]) for name, server, paths in rivals]
                tier(bench, title, "memory", contenders, connections, memory)
            contenders = [(OURS, disk, disk.links(project)), *rivals]
            tier(bench, title, "disk", contenders, connections, disk)


def linked(bench, what, others, project):
    """The rivals and the paths that their pages link."""
    found = []
    for other in others:
        try:
            found.append((other.name, other, other.links(project)))
        except Exception as error:
            bench.report.lacks(what, other.name, error)
    return found


def heat(bench, key, name, server, paths):
    """Cold files become hot ones. Some rivals refuse one of many on the way: that is noted, and they try again."""
    for left in (1, 0):
        try:
            bench.drain.whole(server, min(8, len(paths)), paths, len(paths), HEAT_SECONDS_MAX)
            return
        except RuntimeError as error:
            if name == OURS or not left or "503" not in str(error):
                raise
            bench.report.note(f"{key}: {name} did not fetch all {len(paths)} cold files at the first try: {str(error)[:80]}")
            server.settled()


def tier(bench, size, tier, contenders, connections, ours):
    key, title = f"wheel.{size}.{tier}", f"wheel {size} hot, {tier}"
    ready = []
    for name, server, paths in contenders:
        try:
            heat(bench, key, name, server, paths)
            server.settled()
            ready.append((name, server, paths))
        except Exception as error:
            if name == OURS:
                raise
            bench.report.lacks(key, name, error)
    seconds = 1

    def sample(_, server, paths):
        before = server.cpu()
        got = bench.drain.run(server, connections, seconds, 0, paths, core=bench.load_core)
        gigabytes = got["bytes"] / 1e9
        if not gigabytes:
            raise RuntimeError(f"not one byte in {seconds} s")
        used = server.cpu() - before
        return gigabytes / got["seconds"], used / gigabytes, used / got["seconds"], got["requests"] / got["seconds"]

    before = {which: ours.answered("file", which) for which in ("memory", "disk")}
    found = bench.turns(key, ready, sample)
    answered = {which: ours.answered("file", which) - count for which, count in before.items()}
    rates, costs, shares, requests = ({name: [got[n] for got in samples] for name, samples in found.items()} for n in range(4))
    bench.report.add(f"{key}.rate", title, "GB/s", rates, "more", 2)
    bench.report.add(f"{key}.cpu", f"{title}, CPU", "s/GB", costs, "less", 3)
    if size == "20 KB":
        bench.report.add(f"{key}.requests", f"{title}, requests", "requests/s", requests, "more", 0)
    bench.busy(title, shares)
    all_answered = sum(answered.values()) or 1
    note = f"{title}: {connections} connections, {len(contenders[0][2])} files in turn; ours from {tier}: {answered[tier] / all_answered * 100:.0f} % of the answers"
    bench.report.note(note)
    if answered[tier] / all_answered < 0.5:
        bench.report.note(f"{title}: NOT WHAT IT SAYS: most answers of ours came from elsewhere than {tier}")
