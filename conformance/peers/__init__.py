"""Peers that misbehave on purpose, to judge the host functions and the harness by."""
