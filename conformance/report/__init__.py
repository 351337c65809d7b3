"""Verdicts made readable."""
