"""Deliberately broken agents: what shows that the suite has teeth. `conform mutants` runs them.

catalogue/*.toml declares each mutant as replacements in the source of the oracle or of the C agent (load.py), from which it is
built in a temporary folder (build.py) and judged by part of the suite or all of it (trial.py); what failed is compared with
what was declared to fail (audit.py).
"""
