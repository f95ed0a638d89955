"""The clients that make the load: wrk, and drain.c, which costs next to nothing."""

import hashlib
import json
import os
import pathlib
import re
import subprocess

from processes import PIP_ACCEPT

# What is installed or compiled once, and kept for the next run.
PLACE = pathlib.Path(__file__).resolve().parents[2] / "target" / "bench-rivals"
# What uv 0.9 sends for pages; a server may choose any of them.
UV_ENCODING = "zstd, br, gzip, deflate"
# A bound for what should end by itself, in seconds.
DRAIN_SECONDS_MAX = 60


def wrk(url, seconds, core, header=None, encoding="identity"):
    """Requests, requests a second and the 99th percentile (ms) of a keep-alive GET with 16 connections."""
    command = ["taskset", "-c", str(core)] if core is not None else []
    command += ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"Accept: {PIP_ACCEPT}"]
    command += ["-H", f"Accept-Encoding: {encoding}", *(["-H", header] if header else []), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk saw failures:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return requests, per_second, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


class Drain:
    """The client of drain.c, compiled once for as long as it stays the same."""

    def __init__(self):
        source = pathlib.Path(__file__).with_name("drain.c")
        digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
        self.program = PLACE / f"drain-{digest}"
        if not self.program.exists():
            PLACE.mkdir(parents=True, exist_ok=True)
            made = self.program.with_suffix(f".{os.getpid()}")
            subprocess.run(["cc", "-O2", "-o", str(made), str(source)], check=True)
            made.rename(self.program)

    def start(self, server, connections, seconds, requests, paths, core=None, headers=(), rate=None):
        """`requests`: 0 for no bound but the time; `rate`: requests a second, asked when they are due."""
        command = ["taskset", "-c", str(core)] if core is not None else []
        command += [str(self.program), *(word for header in headers for word in ("-H", header))]
        command += ["-r", str(rate)] if rate else []
        command += ["127.0.0.1", str(server.port), str(connections), str(seconds), str(requests)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdin.write("\n".join(paths) + "\n")
        process.stdin.close()
        return process

    def finish(self, process):
        text, why = process.stdout.read(), process.stderr.read()
        if process.wait() != 0:
            raise RuntimeError(f"drain saw failures: {why.strip().splitlines()[-1:]} {text.strip()}")
        return json.loads(text)

    def run(self, *arguments, **named):
        return self.finish(self.start(*arguments, **named))

    def whole(self, server, clients, paths, requests=None, seconds=DRAIN_SECONDS_MAX, **named):
        """Every request answered in full, or an error."""
        return whole(self.run(server, clients, seconds, requests or clients, paths, **named))


def page_headers(encoding):
    return [f"Accept: {PIP_ACCEPT}", f"Accept-Encoding: {encoding}"]


def whole(got):
    """The figures of a drain whose every request had to be answered."""
    if got["unfinished"] or got["failed"]:
        raise RuntimeError(f"{got['requests']} requests were answered within {got['seconds']:.0f} s, {got['unfinished']} were not, {got['failed']} failed")
    return got
