"""Numbers on command lines."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number of 1 or more. Raises ArgumentTypeError."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number of 1 or more is accepted")
    return number
