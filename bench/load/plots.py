#!/usr/bin/env python3
"""Pictures of a run's samples, by matplotlib.

    target/bench-rivals/matplotlib/bin/python bench/load/plots.py OUT/samples.json OUT
"""

import pathlib
import statistics
import subprocess
import sys

COLOURS = {
    "Sidewheel": "#1b7f5c", "nginx": "#4a6fa5", "nginx gzip_static": "#8fb0d9", "proxy_cache": "#7a5ea8", "direct": "#999999",
    "devpi": "#d98032", "proxpi": "#c9b037", "peryx": "#b5443c", "pypiron": "#d58aa4",
}
DPI = 110

SIZES = ("20 KB", "1 MB", "100 MB")
UPSTREAMS = ("fast", "limited", "far")
# (file, how many columns, whether a logarithmic axis is needed, keys of the measures, one panel each)
PICTURES = (
    ("pages", 3, False, [f"page.{kind}.{encoding}.rate" for kind in ("small", "big") for encoding in ("identity", "gzip", "uv")]),
    ("pages-cpu", 3, True, [f"page.{kind}.{encoding}.cpu" for kind in ("small", "big") for encoding in ("identity", "gzip", "uv")]),
    ("wheels", 3, False, [f"wheel.{size}.{tier}.rate" for tier in ("memory", "disk") for size in SIZES]),
    ("latency", 3, True, [f"latency.{which}" for which in ("p50", "p99", "p999")]),
    ("cold-first-byte", 3, True, [f"cold.{size}.{kind}.1.first" for size in SIZES for kind in UPSTREAMS]),
    ("cold-total", 3, True, [f"cold.{size}.{kind}.1.total" for size in SIZES for kind in UPSTREAMS]),
    ("cold-crowd", 3, True, [f"cold.{size}.{kind}.{clients}.last" for clients in (32, 200) for size in SIZES for kind in UPSTREAMS]),
    ("cold-pages", 4, True, [f"coldpage.{size}.{encoding}" for encoding in ("identity", "uv") for size in ("13 KB", "2.5 MB", "5,000", "40,000")]),
    ("memory", 4, False, [f"memory.{which}" for which in ("idle", "pages", "peak", "after")]),
    ("installs", 2, False, ["install.cold", "install.warm", "lock.cold", "lock.warm"]),
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


def picture(measures, place, columns, logarithmic):
    import matplotlib.pyplot as plt

    rows = -(-len(measures) // columns)
    most = max(len(measure["samples"]) for measure in measures)
    size = (5.2 * columns, (0.9 + 0.3 * most) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(measures) :]:
        axis.set_visible(False)
    for axis, measure in zip(axes.flat, measures):
        panel(axis, measure, logarithmic)
    figure.savefig(place, dpi=DPI)
    plt.close(figure)


def panel(axis, measure, logarithmic):
    """A bar for each server: the median, with a line from the lowest to the highest sample."""
    samples = {name: values for name, values in measure["samples"].items() if values}
    names = list(samples)
    middles = [statistics.median(samples[name]) for name in names]
    spread = [[middle - min(samples[name]) for name, middle in zip(names, middles)], [max(samples[name]) - middle for name, middle in zip(names, middles)]]
    axis.barh(names, middles, color=[COLOURS.get(name, "#666666") for name in names], xerr=spread, error_kw={"lw": 1, "capsize": 2})
    axis.invert_yaxis()
    if logarithmic and min(middles) > 0:
        axis.set_xscale("log")
        axis.set_xlim(min(middles) / 3, max(middles) * 6)
    else:
        axis.set_xlim(0, max(max(values) for values in samples.values()) * 1.25 or 1)
    for row, name in enumerate(names):
        axis.annotate(f" {middles[row]:,.{measure['digits']}f}", (max(samples[name]), row), va="center", fontsize=8, xytext=(3, 0), textcoords="offset points")
    better = "more is better" if measure["better"] == "more" else "less is better"
    axis.set_title(measure["title"], fontsize=9)
    axis.set_xlabel(f"{measure['unit']} ({better}{', logarithmic' if axis.get_xscale() == 'log' else ''})", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def loads(found, place):
    """Resident memory of Sidewheel under each load, against its budget."""
    import matplotlib.pyplot as plt

    rows = {}
    for load, budget, highest in found:
        rows[load, budget] = max(highest, rows.get((load, budget), 0))
    names = [f"{load} ({budget} MiB)" for load, budget in rows]
    figure, axis = plt.subplots(figsize=(9, 0.9 + 0.32 * len(names)), layout="constrained")
    axis.barh(names, [budget + 32 for _, budget in rows], color="#e3e3e3", label="budget and 32 MiB")
    axis.barh(names, list(rows.values()), height=0.5, color=COLOURS["Sidewheel"], label="highest resident")
    for row, highest in enumerate(rows.values()):
        axis.annotate(f" {highest:.0f}", (highest, row), va="center", fontsize=8)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel("MiB (logarithmic)", fontsize=8)
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
    for name, columns, logarithmic, keys in PICTURES:
        measures = [kept["measures"][key] for key in keys if kept["measures"].get(key, {}).get("samples")]
        if measures:
            picture(measures, out / f"{name}.png", min(columns, len(measures)), logarithmic)
            made.append(f"{name}.png")
    if kept["loads"]:
        loads(kept["loads"], out / "memory-loads.png")
        made.append("memory-loads.png")
    print(", ".join(made))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
