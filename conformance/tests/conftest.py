"""How the tests are handed to pytest-xdist's workers: what takes longest first, and one by one, but for those that share
something dear."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from guestwire.tests.vm_fixtures import faults, guest, world

__all__ = ["faults", "guest", "world"]  # fixtures for all
SHARING = {  # file -> what its tests share
    "test_report_page.py": "a browser",
    "test_fuzz_page.py": "a campaign",
    "test_twins.py": "the suite",
    "test_explain.py": "the suite",
    "test_prefilter.py": "the suite",
    "test_workers.py": "the suite",
}


class _OneByOne(LoadScopeScheduling):  # type: ignore[misc]
    """The largest group is started first, then single tests in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        """What goes to one worker."""
        return SHARING.get(PurePath(nodeid.partition("::")[0]).name, nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _OneByOne(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has been given a time of its own takes long."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
