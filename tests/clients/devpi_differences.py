"""Where we answer devpi-client otherwise than devpi-server does, and why; everything else must be the same.

A difference that is not here fails the check, and so does one that is here and no longer occurs. `lines` is a diff without
context: `-` is what devpi-server's client prints, `+` is what ours prints. A command that occurs again is called `… (2)`.
"""

import collections

# `code` is the exit code with ours: None where it is devpi-server's too.
Difference = collections.namedtuple("Difference", "command code lines why")

DIFFERENCES = [
]
