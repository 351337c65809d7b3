"""A campaign over the wire against any agent: conversations drawn from the cases that are data, judged by the oracle.

seeds (cases and corpora as conversations) -> mutate (what is drawn of them) -> gate (nothing that could do harm gets through) ->
play (the same bytes to the agent and to the oracle) -> campaign (what differs, hangs, dies or leaks) -> shrink (fewer bytes that
fail the same way) -> keep (the finding as a case file and evidence).
"""
