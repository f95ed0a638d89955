"""Writes what became of each task as one line of JSON, into the file that RECORDED names."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: recorded
    type: notification
    short_description: one line of JSON for each task
    description: What became of each task, for a program to read.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorded"
    CALLBACK_NEEDS_ENABLED = True

    def write(self, result, how):
        told = {"task": result.task.get_name(), "how": how, "changed": bool(result.result.get("changed"))}
        with open(os.environ["RECORDED"], "a") as out:
            out.write(json.dumps(told) + "\n")

    def v2_runner_on_ok(self, result):
        self.write(result, "ok")

    def v2_runner_on_skipped(self, result):
        self.write(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.write(result, "failed")
