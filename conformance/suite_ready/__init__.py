"""The cases for readiness gates, one file for each part of ready-v1.md's sections."""
