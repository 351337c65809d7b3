"""Waiting out an agent's times, several at once."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from guestwire.drive.conversation import Conversation
from guestwire.drive.host import Host

EARLY = 0.95  # the part of a timeout during which a case looks out for one that strikes too soon
LATE = 2.0  # seconds that a loaded machine may add to a timeout
BIG = 64 << 20  # bytes of a file that no socket takes at once


def readable(conversations: list[Conversation], until: float) -> bool:
    """Whether something, an end of stream too, can be read on one of them before that time."""
    return bool(select.select([c.sock for c in conversations], [], [], max(until - time.monotonic(), 0))[0])


@dataclass
class Wait:
    """A time of the agent's being waited for; `checks` get its verdict. `gone` asks whether the agent has given up."""

    checks: tuple[str, ...]
    limit: float
    conversation: Conversation
    gone: Callable[[], bool]
    start: float
    asked: bool = False

    def over(self, host: Host) -> bool:
        """Ask, from 95 % of the time on; record the verdict once there is one."""
        passed = time.monotonic() - self.start
        if passed < EARLY * self.limit:
            return False
        gone = self.gone()
        if not gone and passed <= self.limit + LATE:
            self.asked = True
            return False
        actual = f"{'closed' if gone else 'open'} after {passed:.1f} s"
        in_time = gone and (self.asked or passed >= self.limit)
        for check in self.checks:
            host.should(check, in_time, f"closed after {self.limit:g} s, at most {LATE:g} s late", actual)
        self.conversation.close()
        return True


def watch(host: Host, waits: list[Wait]) -> None:
    """Until each of them is over."""
    while waits:
        time.sleep(0.05)
        waits = [wait for wait in waits if not wait.over(host)]
