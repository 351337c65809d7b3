"""Measurements, side by side with a floor and with peers in one run."""
