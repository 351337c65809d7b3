"""Interleaved hosts: sequences of steps that several hosts take with one agent, found by Hypothesis or read from a file.

steps (what a host can do, as data) -> model (what the contract makes of it) -> player (does it, on one agent or on two in
step, and compares) -> machine (Hypothesis draws the steps and shrinks a failure) -> cases/stateful (failures kept as cases).
"""
