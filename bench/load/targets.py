"""The targets that Sidewheel works towards, each judged by the samples of one run."""

import math

OURS = "Sidewheel"
NGINX = "nginx"
SIZES = ("20 KB", "1 MB", "100 MB", "500 MB")
UPSTREAMS = ("fast", "limited", "far")
CROWD = 200
IDLE_MIB_MAX = 15
OVER_BUDGET_MIB_MAX = 32


def rows(found):
    """(target, ours, theirs, what it is, goal, verdict), of those that the run measured."""
    judged = Judged(found)
    judged.ratio("hot 13 KB page, requests per CPU second : nginx static", "page.small.identity.per_cpu", NGINX, ">=", 1.0)
    for encoding, who in (("gzip", "gzip"), ("uv", "as uv asks")):
        key = f"page.big.{encoding}.rate"
        for server in found.servers()[1:]:
            judged.ratio(f"2.5 MB page compressed ({who}), requests/s : {server}", key, server, ">=", 5.0)
    for size in ("1 MB", "100 MB"):
        judged.ratio(f"hot wheel {size} from memory : nginx sendfile", f"wheel.{size}.memory.rate", NGINX, ">=", 1.4)
        judged.ratio(f"hot wheel {size} from disk : nginx sendfile", f"wheel.{size}.disk.rate", NGINX, ">=", 1.0)
    judged.ratio("p99 at half of nginx's peak : nginx", "latency.p99", NGINX, "<=", 1.0)
    for upstream in UPSTREAMS:
        for size in SIZES:
            what = f"cold {size}, {upstream} upstream"
            judged.later(f"{what}: first byte later than direct", f"cold.{size}.{upstream}.1.first", "direct", 1.0, "ms")
            judged.ratio(f"{what}: total : direct", f"cold.{size}.{upstream}.1.total", "direct", "<=", 1.02)
    for upstream in UPSTREAMS:
        for size in SIZES:
            what, key = f"{CROWD} clients on one cold {size}, {upstream} upstream", f"cold.{size}.{upstream}.{CROWD}"
            judged.highest(f"{what}: GETs at upstream", f"{key}.gets", "<=", 1, "")
            judged.median(f"{what}: last client : first", f"{key}.last_first", "<=", 1.1, "")
    for encoding, who in (("identity", "identity"), ("uv", "as uv asks")):
        judged.later(f"cold 2.5 MB page ({who}) later than upstream", f"coldpage.2.5 MB.{encoding}", "direct", 10.0, "ms")
    judged.ratio("warm uv pip install of 150 packages : nginx static", "install.warm", NGINX, "<=", 1.02)
    judged.median("resident memory, idle", "memory.idle", "<=", IDLE_MIB_MAX, "MiB")
    over = [(high - budget, load) for load, budget, high in found.loads]
    if over:
        worst, load = max(over)
        judged.row(f"highest resident memory over the budget ({load})", f"{worst:.1f}", "", worst, "<=", OVER_BUDGET_MIB_MAX, "MiB")
    for key, what in (("start.page", "page"), ("start.health", "/+health")):
        title = found.measures.get(key, {}).get("title", "")
        judged.median(f"{title}", key, "<=", 50, "ms")
    return judged.rows


class Judged:
    def __init__(self, found):
        self.found = found
        self.rows = []

    def row(self, title, ours, theirs, value, sign, bound, unit):
        verdict = "ok" if (value >= bound if sign == ">=" else value <= bound) else "MISS"
        shown = number(value) if not unit else f"{value:.1f} {unit}"
        self.rows.append((title, ours, theirs, shown, f"{sign} {bound:g}{' ' + unit if unit else ''}", verdict))

    def ratio(self, title, key, server, sign, bound):
        ours, theirs = self.found.median(key), self.found.median(key, server)
        if not (math.isnan(ours) or math.isnan(theirs)) and theirs:
            self.row(title, self._shown(key, ours), self._shown(key, theirs), ours / theirs, sign, bound, "")

    def later(self, title, key, server, bound, unit):
        ours, theirs = self.found.median(key), self.found.median(key, server)
        if not (math.isnan(ours) or math.isnan(theirs)):
            self.row(title, self._shown(key, ours), self._shown(key, theirs), ours - theirs, "<=", bound, unit)

    def median(self, title, key, sign, bound, unit):
        ours = self.found.median(key)
        if not math.isnan(ours):
            self.row(title, self._shown(key, ours), "", ours, sign, bound, unit)

    def highest(self, title, key, sign, bound, unit):
        values = self.found.measures.get(key, {}).get("samples", {}).get(OURS)
        if values:
            self.row(title, self._shown(key, max(values)), "", max(values), sign, bound, unit)

    def _shown(self, key, value):
        return f"{value:,.{self.found.measures[key]['digits']}f}"


def number(ratio):
    return "-" if math.isnan(ratio) else f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}"
