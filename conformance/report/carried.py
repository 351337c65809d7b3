"""A case's result on its way from a worker to the controller: with pytest's report of the case, as one text. As nested values
pytest-xdist would take a tenth of a worker's time to send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

_TEXT = "guestwire"
_FIELDS = "_guestwire_fields"


def load(report: pytest.TestReport, fields: dict[str, Any]) -> None:
    """Give the report these fields to carry."""
    setattr(report, _TEXT, json.dumps(fields))


def unload(report: pytest.TestReport) -> dict[str, Any] | None:
    """What it carries, None for the report of something that is no case."""
    if not hasattr(report, _TEXT):
        return None
    if not hasattr(report, _FIELDS):
        setattr(report, _FIELDS, json.loads(getattr(report, _TEXT)))
    fields: dict[str, Any] = getattr(report, _FIELDS)
    return fields
