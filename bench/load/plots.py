#!/usr/bin/env python3
"""Pictures of a run's samples, by matplotlib.

    target/bench-rivals/matplotlib/bin/python bench/load/plots.py OUT/samples.json OUT
"""

import pathlib
import statistics
import subprocess
import sys

COLOURS = {
    "Sidewheel": "#1b7f5c", "direct": "#999999", "nginx": "#4a6fa5", "nginx gzip_static": "#8fb0d9", "proxy_cache": "#7a5ea8",
    "devpi": "#d98032", "proxpi": "#c9b037", "peryx": "#b5443c", "pypiron": "#d58aa4",
}
DPI = 110
OVER_BUDGET_MIB_MAX = 32

SIZES = ("20 KB", "1 MB", "100 MB")
UPSTREAMS = ("fast", "limited", "far")
# From this ratio of the highest to the lowest median on, an axis is logarithmic, and shows points in place of bars.
LOGARITHMIC_FROM = 8
# (file, how many columns, keys of the measures, one panel each)
PICTURES = (
    ("pages", 3, [f"page.{kind}.{encoding}.rate" for kind in ("small", "big") for encoding in ("identity", "gzip", "uv")]),
    ("pages-cpu", 3, [f"page.{kind}.{encoding}.cpu" for kind in ("small", "big") for encoding in ("identity", "gzip", "uv")]),
    ("wheels", 3, [f"wheel.{size}.{tier}.rate" for tier in ("memory", "disk") for size in SIZES]),
    ("wheels-cpu", 3, [f"wheel.{size}.{tier}.cpu" for tier in ("memory", "disk") for size in SIZES]),
    ("latency", 3, [f"latency.{which}" for which in ("p50", "p99", "p999")]),
    ("cold-first-byte", 3, [f"cold.{size}.{kind}.1.first" for size in SIZES for kind in UPSTREAMS]),
    ("cold-total", 3, [f"cold.{size}.{kind}.1.total" for size in SIZES for kind in UPSTREAMS]),
    ("cold-32-clients", 3, [f"cold.{size}.{kind}.32.last" for size in SIZES for kind in UPSTREAMS]),
    ("cold-200-clients", 3, [f"cold.{size}.{kind}.200.last" for size in SIZES for kind in UPSTREAMS]),
    ("cold-pages", 4, [f"coldpage.{size}.{encoding}" for encoding in ("identity", "uv") for size in ("13 KB", "2.5 MB", "5,000", "40,000")]),
    ("memory", 2, [f"memory.{which}" for which in ("idle", "pages", "peak", "after")]),
    ("installs", 2, ["install.cold", "install.warm", "lock.cold", "lock.warm"]),
)


def draw(report, out):
    """Called by a run: matplotlib lives in an environment of its own, so this file is its program."""
    import rivals

    if not rivals.has("matplotlib"):
        report.note("plots: none, for matplotlib could not be had from PyPI; the samples are kept, so they can be drawn later")
        return
    python = rivals.venv("matplotlib") / "bin/python"
    done = subprocess.run([python, __file__, out / "samples.json", out], capture_output=True, text=True)
    report.note("plots: not drawn: " + done.stderr[-300:] if done.returncode else f"plots: {done.stdout.strip()}")


def picture(measures, place, columns):
    import matplotlib.pyplot as plt

    rows = -(-len(measures) // columns)
    most = max(len(measure["samples"]) for measure in measures)
    size = (5.2 * columns, (0.9 + 0.3 * most) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(measures) :]:
        axis.set_visible(False)
    for axis, measure in zip(axes.flat, measures):
        panel(axis, measure)
    figure.savefig(place, dpi=DPI)
    plt.close(figure)


def panel(axis, measure):
    """The median of each server, with a line from the lowest to the highest sample."""
    samples = {name: measure["samples"][name] for name in COLOURS if measure["samples"].get(name)}
    names = list(samples)
    middles = [statistics.median(values) for values in samples.values()]
    low, high = min(min(values) for values in samples.values()), max(max(values) for values in samples.values())
    logarithmic = min(middles) > 0 and max(middles) / min(middles) >= LOGARITHMIC_FROM
    for row, (name, middle) in enumerate(zip(names, middles)):
        if logarithmic:
            axis.plot(middle, row, "o", color=COLOURS[name], markersize=8)
        else:
            axis.barh(row, middle, color=COLOURS[name])
        axis.plot([min(samples[name]), max(samples[name])], [row, row], "|-", color="black", lw=1, markersize=5)
        axis.annotate(f"{middle:,.{measure['digits']}f}", (max(samples[name]), row), va="center", fontsize=8, xytext=(7, 0), textcoords="offset points")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    if logarithmic:
        axis.set_xscale("log")
        axis.set_xlim(max(low, min(middles) / 10) / 2, high * 6)
        axis.grid(axis="x", color="#e3e3e3")
        plain(axis)
    else:
        axis.set_xlim(min(0, low), high * 1.25 or 1)
    better = "more is better" if measure["better"] == "more" else "less is better"
    axis.set_title(measure["title"], fontsize=8)
    axis.set_xlabel(f"{measure['unit']} ({better}{', logarithmic' if logarithmic else ''})".strip(), fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def plain(axis):
    """Numbers as people write them on a logarithmic axis, at whole powers of ten only."""
    from matplotlib import ticker

    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())


def loads(found, place):
    """Resident memory of Sidewheel under each load, against its budget."""
    import matplotlib.pyplot as plt

    rows = {}
    for load, budget, highest in found:
        rows[load, budget] = max(highest, rows.get((load, budget), 0))
    figure, axis = plt.subplots(figsize=(10, 1.2 + 0.32 * len(rows)), layout="constrained")
    for row, ((_, budget), highest) in enumerate(rows.items()):
        over = highest > budget + OVER_BUDGET_MIB_MAX
        axis.plot([budget + OVER_BUDGET_MIB_MAX] * 2, [row - 0.4, row + 0.4], color="#888888", lw=3, label="budget and 32 MiB" if not row else None)
        axis.plot(highest, row, "o", markersize=8, color="#b5443c" if over else COLOURS["Sidewheel"])
        axis.annotate(f"{highest:.0f}", (highest, row), va="center", fontsize=8, xytext=(7, 0), textcoords="offset points")
    axis.set_yticks(range(len(rows)), [f"{load} ({budget} MiB)" for load, budget in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xscale("log")
    axis.set_xlim(10, 10_000)
    axis.grid(axis="x", color="#e3e3e3")
    plain(axis)
    axis.set_title("Sidewheel's highest resident memory under each load (and its budget)", fontsize=9)
    axis.set_xlabel("MiB (less is better, logarithmic); red: over the budget by more than 32 MiB", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(place, dpi=DPI)
    plt.close(figure)


def main(samples, out):
    import json

    import matplotlib

    matplotlib.use("Agg")
    kept = json.loads(pathlib.Path(samples).read_text())
    made = []
    for name, columns, keys in PICTURES:
        measures = [kept["measures"][key] for key in keys if kept["measures"].get(key, {}).get("samples")]
        if measures:
            picture(measures, out / f"{name}.png", min(columns, len(measures)))
            made.append(f"{name}.png")
    if kept["loads"]:
        loads(kept["loads"], out / "memory-loads.png")
        made.append("memory-loads.png")
    print(", ".join(made))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
