"""guestwire: the conformance harness for guest agents that speak the guest control protocol."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("guestwire")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0"
