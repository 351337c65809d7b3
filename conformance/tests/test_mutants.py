"""The mutants' framework: catalogue, building, judging, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guestwire.judge import ledger
from guestwire.judge.outcome import CaseResult
from guestwire.mutants import audit, build, load, trial
from guestwire.mutants.audit import Findings
from guestwire.mutants.load import CatalogueError, Exempt, Mutant
from guestwire.mutants.trial import Known, Trial
from guestwire.tests.harness import CONFORM, Done, run, temporary

QUIET = """
[says-too-little]
breaks = ["GET-OK/size"]
why = "nothing is changed but a comment"
replace = [["# 1 Frames\\n", "# 1 frames\\n"]]
kills = ["GET-OK/size*"]
"""


def mutant(**fields: Any) -> Mutant:
    return load._mutant("m", {"breaks": ["PING"], "why": "w", "replace": [["a", "b"]], "kills": ["A"]} | fields)


def result(case: str, outcome: str = "PASS", **fields: Any) -> CaseResult:
    return CaseResult(case, "m", "unix", fields.pop("checks", ["PING"]), outcome, **fields)


def judged(one: Mutant, *results: CaseResult) -> Findings:
    findings = Findings()
    cases = {r.case: r for r in (result("PING"), *results)}
    audit.trial_findings(Trial(one, list(cases), cases), findings, full=True)
    return findings


# ---- the catalogue


def test_every_old_text_of_the_catalogue_stands_exactly_once() -> None:
    for one in load.catalogue().values():
        files = [("oracle/agent.py", *pair) for pair in one.replace] if one.source == "oracle" else one.replace
        for name in {file for file, *_ in files}:
            pairs = tuple((old, new) for file, old, new in files if file == name)
            build.replaced(one, (build.ROOT / name).read_text(), pairs, name)


def test_a_mutant_that_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"mutant m: .*SyntaxError: "):
        build.oracle_connectable(tmp_path, "m", "def f(:\n")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"breaks": ["NO-SUCH"]}, "NO-SUCH"),
        ({"kills": []}, "kills"),
        ({"outcomes": ["PASS"]}, "PASS"),
        ({"source": "c"}, "'c'"),
        ({"source": "agent"}, "3 texts"),
        ({"typo": 1}, "typo"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(CatalogueError, match=said):
        mutant(**fields)


@pytest.mark.parametrize(("text", "times"), [("b", 0), ("aa", 2)])
def test_an_old_text_stands_exactly_once(text: str, times: int) -> None:
    with pytest.raises(CatalogueError, match=f"mutant m: stands {times} times, not once, in x: 'a'"):
        build.replaced(mutant(), text, (("a", "b"),), "x")


def test_names() -> None:
    assert load.matches("A/b", "A/b:whole")
    assert load.matches("A/b:*", "A/b:c:whole")
    assert not load.matches("A/b", "A/b:bytewise")
    assert not load.matches("A", "A/b")
    assert load.unchunked("A/b:bytewise") == "A/b"


# ---- judging a mutant


def test_killed_as_declared() -> None:
    assert judged(mutant(), result("A", "FAIL"), result("B")).green


def test_a_survivor() -> None:
    findings = judged(mutant(), result("A"))
    assert findings.survivors == ["m: survives (w)"]


@pytest.mark.parametrize("outcome", ["CRASH", "TIMEOUT", "COULD-NOT-RUN"])
def test_what_kills_only_where_it_is_declared(outcome: str) -> None:
    assert judged(mutant(), result("A", outcome)).survivors
    if outcome != "COULD-NOT-RUN":
        assert judged(mutant(outcomes=[outcome]), result("A", outcome)).green


def test_more_than_declared() -> None:
    findings = judged(mutant(), result("A", "FAIL"), result("B", "FAIL"))
    assert findings.mismatches[0].startswith("m: B failed undeclared: FAIL")
    assert judged(mutant(also=["B"]), result("A", "FAIL"), result("B", "TIMEOUT")).green
    assert judged(mutant(also=["B*"]), result("A", "FAIL"), result("B1", "FAIL"), result("B2")).green


def test_less_than_declared() -> None:
    findings = judged(mutant(kills=["A*"], also=["B"]), result("A1", "FAIL"), result("A2"), result("B"))
    assert findings.mismatches == [
        "m: A2 was to fail (A*), it came to PASS",
        "m: B was to fail (B), it came to PASS",
    ]
    assert judged(mutant(also=["C"]), result("A", "FAIL")).mismatches == ["m: declares C, and no such case was run"]


def test_another_check_found_broken_is_a_failure() -> None:
    assert judged(mutant(), result("A", broken={"PING": ["one", "another"]})).green


def test_a_mutant_answers_a_ping() -> None:
    dead = (result("PING", "FAIL"), result("A", "FAIL"))
    assert judged(mutant(also=["PING"]), *dead).mismatches == ["m: does not start and answer a ping"]
    assert judged(mutant(also=["PING"], starts=False), *dead).green


def test_the_check_is_proved_by_what_kills() -> None:
    findings = judged(mutant(breaks=["GET-OK/size"]), result("A", "FAIL"))
    assert findings.mismatches == ["m: is said to break GET-OK/size, which no case that killed it proves"]


def test_a_lost_case() -> None:
    findings = Findings()
    audit.trial_findings(Trial(mutant(), ["PING", "A"], {"PING": result("PING")}), findings)
    assert "m: cases without a result: A" in findings.mismatches


# ---- judging the catalogue


def test_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {name: ledger.checks()[name] for name in ("PING", "GET-OK/size", "SRV-PEER/allow", "HOST-TRUNC")}
    checks["SRV-PEER/allow"] = replace(checks["SRV-PEER/allow"], pending="issue 9")
    monkeypatch.setattr(ledger, "checks", lambda *_: checks)
    cases = [Known(name, ("PING",), frozenset(), False) for name in ("A", "B", "B:bytewise", "C")]

    def found(mutants: list[Mutant], exempt: Exempt) -> list[list[str]]:
        findings = Findings()
        audit.coverage_findings(mutants, cases, exempt, findings)
        assert findings.green == (not (findings.coverage or findings.unbroken or findings.idle))
        return [findings.coverage, findings.unbroken, findings.idle]

    twin = load._mutant("twin", {"breaks": ["PING"], "why": "w", "replace": [["a", "b"]], "kills": ["A"]})
    assert found([mutant(), twin], Exempt({}, {})) == [
        ["killed by the very same cases, without a reason (same_as): m, twin"],
        ["GET-OK/size"],
        ["B", "C"],
    ]
    assert found([mutant(also=["B*", "D*"])], Exempt({"GET-OK/size": "why"}, {"C": "why"})) == [
        ["m: declares D*, and there is no such case"],
        [],
        ["B"],
    ]
    good = mutant(kills=["A"], also=["B:bytewise"])
    assert found([good], Exempt({"GET-OK/size": "why"}, {"C": "why"})) == [[], [], []]
    assert found([good], Exempt({"GET-OK/size": "why", "PING": "why"}, {"C": "why", "A": "why"})) == [
        ["exempt, and yet a mutant breaks it: PING", "the excuse for A excuses no case"],
        [],
        [],
    ]


def test_choosing() -> None:
    cases = [
        Known("A", ("PING",), frozenset({"start"}), False),
        Known("B:whole", ("PING",), frozenset(), False),
        Known("B:bytewise", ("PING",), frozenset(), False),
        Known("C", ("PING",), frozenset(), False),
        Known("D", ("GET-OK/size",), frozenset(), True),
    ]
    assert trial.sample(cases) == ["B:whole"]
    near = [Known(f"P{n}", (check,), frozenset(), False) for n, check in enumerate(("GET-OK/size", "GET-OK/mode"))]
    assert trial.sample(near) == ["P0"]
    assert trial.sample(near, ["GET-OK/size"]) == ["P0", "P1"]
    assert trial.chosen(mutant(kills=["A"], also=["B:bytewise"]), cases, False) == ["A", "B:whole", "B:bytewise"]
    assert trial.chosen(mutant(), cases, True) == [case.case for case in cases]


# ---- the command


def conform_mutants(*words: str) -> Done:
    with temporary() as folder:
        return run(folder, *CONFORM, "mutants", *words)


def test_an_unknown_mutant() -> None:
    done = conform_mutants("no-such")
    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert "no-such" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no such text", "mutant says-too-little: stands 0 times, not once, in oracle/agent.py: 'no such text'"),
        ('"', "one.toml: "),
    ],
)
def test_a_wrong_catalogue_is_a_bug_of_the_harness(text: str, said: str, tmp_path: Path) -> None:
    """One clear line, before anything runs."""
    (tmp_path / "one.toml").write_text(QUIET.replace("# 1 Frames\\n", text))
    done = conform_mutants("--catalogue", str(tmp_path))
    assert (done.status, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert said in done.stderr


def test_one_is_killed_and_one_survives(tmp_path: Path) -> None:
    """A survivor is red, and what was run is said."""
    (tmp_path / "two.toml").write_text(QUIET + (load.CATALOGUE / "frames.toml").read_text())
    done = conform_mutants("--catalogue", str(tmp_path), "says-too-little", "cap-off-by-one")
    assert done.status == 1
    assert "\nsurvivors:\n  says-too-little: survives" in done.stdout
    assert "1 of 2 mutants killed" in done.stdout
    assert done.stdout.endswith("1 passed, 1 failed, 0 skipped\n")
    assert "sampled: each met its declared cases" in done.stdout
    assert "cap-off-by-one:" not in done.stdout


def test_a_case_that_kills_none_is_red(tmp_path: Path) -> None:
    """Though every mutant there is was killed as declared."""
    text = (load.CATALOGUE / "frames.toml").read_text()
    start = text.index("[cap-off-by-one]")
    (tmp_path / "one.toml").write_text(text[start : text.index("\n[", start)])
    done = conform_mutants("--catalogue", str(tmp_path))
    assert done.status == 1
    assert "\nsurvivors:" not in done.stdout
    assert "\nnot as declared:" not in done.stdout
    told = done.stdout.partition("\ncases that kill no mutant:\n")[2].splitlines()
    assert "  PING" in told
    assert "  FRAME-CAP/at-cap:first-frame:1" not in told
