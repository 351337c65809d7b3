"""In which order the tests are handed out: those that take longest first, so that nobody waits for one at the end."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has been given a time of its own takes long."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
