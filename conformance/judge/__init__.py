"""What was demanded (the ledger), what came out (outcomes), and what that means (verdicts)."""
