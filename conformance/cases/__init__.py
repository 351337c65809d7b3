"""Cases that are only bytes in and frames out, as data that any language can read; README.md tells the format."""

from guestwire.cases.load import FOLDER, CaseFileError, all_cases, load, tables
from guestwire.cases.model import Conversation, DataCase

__all__ = ["FOLDER", "CaseFileError", "Conversation", "DataCase", "all_cases", "load", "tables"]
