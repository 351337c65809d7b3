"""The cases of the bridge's contract, one file for each section."""
