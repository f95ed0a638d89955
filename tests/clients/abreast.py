"""Parts of the checks beside each other, each in a process of its own: most of their time they wait.

In: how a part is started, and the parts' names. Out: what each wrote, in one piece when it has ended. It may not know
what a part checks.
"""

import concurrent.futures
import subprocess
import threading
import time

from processes import Broken

# Several times the slowest part.
PART_SECONDS_MAX = 900
# A part that is told to end stops what it started first.
END_SECONDS_MAX = 30


def abreast(command, names, jobs):
    """Runs `command` + [name] for each name, `jobs` at a time; how many checks passed. The first failure ends the rest."""
    team = Team(command)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(team.run, name) for name in names]
        try:
            for part in concurrent.futures.as_completed(waiting):
                part.result()
        finally:
            team.end()
    return team.passed


class Team:
    def __init__(self, command):
        self.command, self.passed = command, 0
        self.lock, self.running, self.ended = threading.Lock(), set(), False

    def run(self, name):
        with self.lock:
            if self.ended:
                return
            part = subprocess.Popen([*self.command, name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, errors="replace")
            self.running.add(part)
        started = time.monotonic()
        try:
            text, _ = part.communicate(timeout=PART_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Broken("the part {} did not end within {} s".format(name, PART_SECONDS_MAX))
        with self.lock:
            self.running.discard(part)
            if self.ended:
                return
            print("-- {} ({:.0f} s)\n{}".format(name, time.monotonic() - started, text), end="", flush=True)
            self.passed += sum(line.startswith("ok ") for line in text.splitlines())
        if part.returncode != 0:
            raise Broken("the part {} ended with {}".format(name, part.returncode))

    def end(self):
        """What still runs is told to end, and waited for."""
        with self.lock:
            self.ended = True
            running = list(self.running)
        for part in running:
            part.terminate()
        for part in running:
            try:
                part.wait(END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                part.kill()
