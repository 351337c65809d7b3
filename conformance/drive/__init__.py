"""Connectables, transports, the process under test and the witness: everything that reaches an agent, and no verdicts."""
