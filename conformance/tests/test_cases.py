"""The cases that are data: what a file may say, and that each refusal is one change away from its twin."""

from __future__ import annotations

from collections import Counter

import pytest

from guestwire.cases.change import RUN, change
from guestwire.cases.load import CaseFileError, all_cases, check_twins, parse
from guestwire.cases.model import Conversation, DataCase

APART = 79  # refusals that are more than one change away, each with its reason; fewer are welcome


def served(case: DataCase) -> list[Conversation]:
    """The conversations that a refused case may be one change away from."""
    name, _, part = case.twin.partition("#")
    found = all_cases()[name or case.id].conversations
    return [
        conversation for conversation in found if not conversation.negative and (not part or conversation.name == part)
    ]


def far(case: DataCase) -> set[str]:
    """The refused conversations of a case that are not one change away from its twin."""
    twins = served(case)
    refused = [conversation for conversation in case.conversations if conversation.negative]
    return {one.name for one in refused if not any(change(one, other) for other in twins)}


def test_every_refusal_is_one_change_away() -> None:
    """Or says why not; a reason that is not needed is one too many."""
    wrong, apart = [], 0
    for case in all_cases().values():
        away, said = far(case) if case.negative else set(), dict(case.apart)
        wrong += [f"{case.id} {name}: more than one change" for name in away - set(said)]
        wrong += [f"{case.id}: {said} is no reason, it is one change" for _ in said if not away & set(said)]
        apart += len(away)
    assert wrong == []
    assert apart <= APART


def test_the_changes_are_of_every_kind() -> None:
    """And the rule is not passed by one kind alone."""
    refused = [(case, one) for case in all_cases().values() for one in case.conversations if one.negative]
    kinds = Counter(next(filter(None, (change(one, other) for other in served(case))), "") for case, one in refused)
    assert kinds["bytes"] > 200
    assert kinds["member"] > 100
    assert set(kinds) >= {"type", "length", "cut"}


PING = """{ send = '{"op":"ping"}' }"""
UPLOAD = """{ send = '{"op":"put_file","path":"/f","size":3}' }, { send = { type = 4, payload = "abc" } }"""


def conversation(steps: str) -> Conversation:
    (case,) = parse(f'["PING:x"]\nsteps = [{steps}]\nexpect = {{ closed = true }}\n', "x.toml").values()
    return case.conversations[0]


@pytest.mark.parametrize(
    ("refused", "twin", "kind"),
    [
        (PING, PING, ""),
        (f"{PING}, {{ wait = 0.1 }}", PING, ""),
        (f"{PING}, {{ shutdown = true }}", PING, "end"),
        ("""{ send = { length = 13, json = '{"op":"pi' } }""", PING, "cut"),
        ("{ send = { raw = [1, 0, 0] } }", PING, "cut"),
        (f"{UPLOAD}, {{ send = {{ type = 5 }} }}", UPLOAD, "frame"),
        (f"{UPLOAD}, {{ send = {{ type = 5 }} }}, {{ send = {{ type = 5 }} }}", UPLOAD, ""),
        ("""{ send = { type = 2, payload = '{"op":"ping"}' } }""", PING, "type"),
        ("""{ send = { type = 2, payload = '{"op":"pink"}' } }""", PING, ""),
        ("""{ send = { length = "cap+1", json = '{"op":"ping"}' } }""", PING, "length"),
        ("""{ send = { length = "cap+1", json = '{"op":"pink"}' } }""", PING, ""),
        ("""{ send = '{"op":"ping"' }""", PING, "bytes"),
        ("""{ send = '{"op":"ping"}xxxxxxxxxxxxxxxx' }""", PING, "bytes"),
        ("""{ send = '{"op":"ping"}xxxxxxxxxxxxxxxxx' }""", PING, ""),
        ("""{ send = 'x{"op":"ping"}x' }""", PING, "bytes"),
        ("""{ send = '{"op":"pong"}' }""", PING, "member"),
        ("""{ send = '{"op":"ping","op":"ping"}' }""", PING, "member"),
        ("""{ send = '{"op":"ping","x":1,"y":1}' }""", PING, ""),
        (UPLOAD.replace('"/f"', '""'), UPLOAD, "member"),
        (UPLOAD.replace('"/f"', '""').replace("abc", "abcd"), UPLOAD, ""),
        (UPLOAD.replace("abc", "abcd"), UPLOAD, "bytes"),
    ],
)
def test_one_change(refused: str, twin: str, kind: str) -> None:
    assert change(conversation(refused), conversation(twin)) == kind
    assert RUN == 16


# ---- files that are wrong

TWIN = '["CONV-ONE/single:ping"]\npayload = \'{"op":"ping"}\'\nexpect = "pong"\n'
REFUSED = '["CONV-OP/unknown:x"]\npayload = \'{}\'\nexpect = { error = "unknown_op" }\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (REFUSED, "x.toml: CONV-OP/unknown:x: the agent has to refuse it, so it needs a twin that is not refused"),
        (REFUSED + 'twin = "CONV-ONE/single:pong"', "its twin 'CONV-ONE/single:pong' does not exist"),
        (REFUSED + 'twin = "CONV-ONE/single:ping#part"', "its twin 'CONV-ONE/single:ping#part' does not exist"),
        (REFUSED + 'twin = "CONV-OP/unknown:x"', "is refused itself"),
        (REFUSED + 'twin = "CONV-ONE/single:ping"\nneeds = []\n', ""),
        (REFUSED + 'twin = "CONV-ONE/single:ping"\napart = { y = "far" }', "apart is about what is refused"),
        (REFUSED + 'twin = "CONV-ONE/single:ping"\napart = ""', "apart"),
        (TWIN.replace("single:ping", "single:y") + 'twin = "CONV-ONE/single:ping"', "the agent has to refuse nothing"),
        (TWIN.replace("single:ping", "single:y") + 'apart = "far"', "apart is about what is refused: nothing here"),
        (REFUSED + 'twins = "x"', "x.toml: CONV-OP/unknown:x"),
        (REFUSED + "steps = []", "x.toml: CONV-OP/unknown:x"),
        (REFUSED.replace("'{}'", "[256]"), "x.toml: CONV-OP/unknown:x"),
        ("[", "x.toml: no TOML"),
    ],
)
def test_wrong_file(text: str, says: str) -> None:
    """One line that names file and case."""
    if not says:
        check_twins(parse(TWIN + text, "x.toml"))
        return
    with pytest.raises(CaseFileError) as caught:
        check_twins(parse(TWIN + text if text != "[" else text, "x.toml"))
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_twin_that_does_not_run_everywhere() -> None:
    cases = parse(TWIN + 'transports = ["unix"]\n' + REFUSED + 'twin = "CONV-ONE/single:ping"\n', "x.toml")
    with pytest.raises(CaseFileError, match="does not run everywhere it does"):
        check_twins(cases)
