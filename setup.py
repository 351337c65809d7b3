"""The package guestwire lives in conformance/: whatever folder stands there is one of its subpackages, but those that only a
checkout has a use for."""

from setuptools import find_namespace_packages, setup

CHECKOUT_ONLY = ("bench", "examples", "tests", "__pycache__", "*.__pycache__")
FOUND = find_namespace_packages("conformance", exclude=[*CHECKOUT_ONLY, *(f"{name}.*" for name in CHECKOUT_ONLY)])
setup(packages=["guestwire", *(f"guestwire.{name}" for name in FOUND)])
