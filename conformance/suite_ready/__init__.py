"""The cases of the readiness gate's contract, one file for each section."""
