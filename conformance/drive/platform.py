"""What only Linux can do. Elsewhere agents that run already are judged, behind unix:, tcp: and hybrid:."""

from __future__ import annotations

import sys

ON_LINUX = sys.platform.startswith("linux")


def lacking(what: str) -> str:
    """One line for whoever asked for it here."""
    judged = "agents that run already, behind unix:, tcp: or hybrid:, are judged here"
    return f"{what} needs Linux, and this is {sys.platform}; {judged}"
