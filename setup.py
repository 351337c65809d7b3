"""The package guestwire lives in conformance/: whatever folder stands there is one of its subpackages."""

from setuptools import find_namespace_packages, setup

FOUND = find_namespace_packages("conformance", exclude=["tests", "tests.*", "*.__pycache__", "__pycache__"])
setup(packages=["guestwire", *(f"guestwire.{name}" for name in FOUND)])
