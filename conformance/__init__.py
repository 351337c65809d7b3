"""Conformance suite for guest agents that speak the guest control protocol."""
