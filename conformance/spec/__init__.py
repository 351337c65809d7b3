"""The contract (protocol-v1.md), its ledger (clauses.toml) and its constants (constants.toml)."""
