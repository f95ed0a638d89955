#!/usr/bin/env python3
"""Samples of a run, and the tables made of them: medians, spreads, ratios, and the targets.

    bench/load/report.py OUT/samples.json      the tables of a run again, and its plots
"""

import json
import math
import pathlib
import statistics
import sys

import targets
from targets import OURS, number


class Report:
    """What a run found. A measure is a key, and for each server a list of samples."""

    def __init__(self):
        self.measures = {}
        self.absent = {}
        self.notes = []
        self.loads = []
        self.facts = {}

    def add(self, key, title, unit, samples, better="less", digits=1):
        """`samples`: {server: [number]}; those of a key that is there already are added to it."""
        measure = self.measures.setdefault(key, {"title": title, "unit": unit, "better": better, "digits": digits, "samples": {}})
        for server, values in samples.items():
            if values:
                measure["samples"].setdefault(server, []).extend(values)

    def lacks(self, what, server, why):
        """Why a server has a dash at what a measure's keys begin with."""
        why = " ".join(str(why).split())[:200]
        if (what, server) not in self.absent:
            print(f"  {what}: {server} is left out: {why}", file=sys.stderr)
        self.absent[what, server] = why

    def note(self, text):
        self.notes.append(text)

    def median(self, key, server=OURS):
        values = self.measures.get(key, {}).get("samples", {}).get(server)
        return statistics.median(values) if values else math.nan

    def servers(self):
        found = {}
        for measure in self.measures.values():
            found.update(dict.fromkeys(measure["samples"]))
        found.update(dict.fromkeys(server for _, server in self.absent))
        return [OURS, *(name for name in found if name != OURS)]

    # Kept as JSON, so that a table can be made again.

    def save(self, path):
        absent = [[*key, why] for key, why in self.absent.items()]
        kept = {**vars(self), "absent": absent}
        path.write_text(json.dumps(kept, indent=1))

    @classmethod
    def load(cls, path):
        report = cls()
        kept = json.loads(pathlib.Path(path).read_text())
        kept["absent"] = {(what, server): why for what, server, why in kept["absent"]}
        vars(report).update(kept)
        return report

    def text(self):
        """Everything a run says."""
        import targets

        parts = [f"{name}: {value}" for name, value in self.facts.items()]
        parts += ["", "Every measure: the median, ± half of the spread between lowest and highest in per cent of it, and below"]
        parts += ["others ours : theirs. ↑ more is better, ↓ less is better, - not measured (see the notes).", ""]
        parts += lines(self.table())
        if self.loads:
            parts += ["", "Resident memory of Sidewheel under each load of this run, highest", ""]
            parts += lines([("load", "budget MiB", "highest MiB", "over it"), *self.highest()])
        goals = targets.rows(self)
        if goals:
            parts += ["", "Targets", ""]
            parts += lines([("target", "ours", "theirs", "is", "goal", ""), *goals])
        parts += ["", "Notes", ""]
        parts += [f"- {note}" for note in self.notes]
        parts += [f"- {what}, {server} left out: {why}" for (what, server), why in self.absent.items()]
        return "\n".join(parts)

    def highest(self):
        """Of each load, the highest resident memory that any server had under it."""
        found = {}
        for load, budget, highest in self.loads:
            found[load, budget] = max(highest, found.get((load, budget), 0))
        return [(load, f"{budget}", f"{high:.1f}", f"{high - budget:+.1f}") for (load, budget), high in found.items()]

    def table(self):
        servers = self.servers()
        rows = [("measure", "unit", "", *servers)]
        for measure in self.measures.values():
            samples, digits = measure["samples"], measure["digits"]
            cells, ratios = [], []
            ours = statistics.median(samples[OURS]) if samples.get(OURS) else math.nan
            for server in servers:
                values = samples.get(server)
                if not values:
                    cells.append("-")
                    ratios.append("")
                    continue
                middle = statistics.median(values)
                cells.append(f"{middle:,.{digits}f}{spread(values, middle)}")
                ratios.append("" if server == OURS or not middle else number(ours / middle))
            rows.append((measure["title"], measure["unit"], "↑" if measure["better"] == "more" else "↓", *cells))
            if any(ratios):
                rows.append(("", "", "", *ratios))
        return rows


def spread(values, middle):
    if len(values) < 2 or not middle:
        return ""
    return f" ±{(max(values) - min(values)) / 2 / abs(middle) * 100:.0f}%"


def lines(rows):
    """The rows as text in columns; the first column is text, the others are numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(Report.load(sys.argv[1]).text())
