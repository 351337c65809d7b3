"""Agents by name: descriptors (agent.toml), and the folders in which they are looked for."""
