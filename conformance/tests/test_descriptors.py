"""Descriptors: read strictly, found by name, driven by their template; and what an agent lacks is never green."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestwire import cli
from guestwire.agents import descriptor, registry
from guestwire.drive import connectable
from guestwire.drive.connectable import UsageError
from guestwire.drive.server import with_listen
from guestwire.judge.ledger import checks
from guestwire.judge.outcome import CaseResult
from guestwire.judge.verdict import Exit, RunVerdict, judge
from guestwire.tests.harness import CONFORM, MINI, TINY, run, temporary

GOOD = 'name = "small"\ncommand = "./agent -v --listen {listen}"\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    """TMPDIR of a run."""
    with temporary() as path:
        yield path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's folder of descriptors, empty."""
    place = tmp_path / "guestwire/agents"
    place.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return place


def tiny(name: str = "tiny", more: str = "") -> str:
    return f'name = "{name}"\ncommand = "{sys.executable} {TINY} --listen {{listen}}"\ntransports = ["unix"]\n{more}'


# ---- reading


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name =", "not TOML"),
        ('command = "a {listen}"', "name: '' is no name"),
        ('name = "A b"\ncommand = "a {listen}"', "name: 'A b' is no name"),
        ('name = "a"', "either command"),
        ('name = "a"\ncommand = "a {listen}"\nconnect = "unix:/a"', "either command"),
        ('name = "a"\ncommand = "agent"', "{listen} has to stand in it once"),
        ('name = "a"\ncommand = "agent {listen} {listen}"', "{listen} has to stand in it once"),
        ('name = "a"\ncommand = "agent {listen} {port}"', "unknown {port}; accepted: {listen}, {here}"),
        ('name = "a"\ncommand = "agent \'{listen}"', "command: No closing quotation"),
        ('name = "a"\ncommand = ["agent"]', "command: ['agent'] is not a command"),
        ('name = "a"\nconnect = "exec:a"', "no agent that runs already"),
        ('name = "a"\nconnect = "unix:/a"\ntransports = ["unix"]', "transports: an agent that runs already"),
        (f'{GOOD}transports = ["tcp"]', "unknown 'tcp'; accepted: unix, fd-listen, fd-conn, unix-ns"),
        (f"{GOOD}transports = []", "transports: [] is not a list that is not empty"),
        (f'{GOOD}transports = ["unix", "unix"]', "named twice"),
        (f"{GOOD}timeout = 3", "unknown key 'timeout'; accepted: name, contract, command, connect, transports,"),
        (f"{GOOD}lacks = 3", "lacks: 3 is not a table"),
        (f'{GOOD}[lacks]\noperations = ["ping"]', "accepted: run, put_file, get_file"),
        (f'{GOOD}[lacks]\nclauses = ["RUN-EXIST"]', "unknown 'RUN-EXIST'; no clause of an agent"),
        (f'{GOOD}[lacks]\nclauses = ["HOST-CAP"]', "HOST- ones are not an agent's"),
        (f'{GOOD}[lacks]\nchecks = ["RUN-EXIT/statuses"]', "unknown 'RUN-EXIT/statuses'; no check of an agent"),
        (f'{GOOD}[lacks]\nverbs = ["run"]', "unknown key 'verbs'; accepted: operations, clauses, checks"),
        (f"{GOOD}[environment]\nA = 1", "[environment] A: 1 is not a string"),
        (
            f"{GOOD}[timers]\nio_timeout = 1e300",
            "[timers] io_timeout: 1e+300 is not a number of seconds over 0, 86400 at most",
        ),
        (f"{GOOD}a = {'[' * 9999}", "nested too deeply"),
        (f"{GOOD}[timers]\nio_timeout = 0", "[timers] io_timeout: 0 is not a number of seconds over 0"),
        (f"{GOOD}[timers]\nio_timeout = nan", "io_timeout: nan is not a number"),
        (f"{GOOD}[timers]\nio_timeout = true", "io_timeout: True is not a number"),
        (f"{GOOD}[timers]\nio = 3", "unknown key 'io'; accepted: request_timeout, io_timeout, linger_timeout"),
        (f'{GOOD}[links]\nblog = ""', "unknown key 'blog'; accepted: home, source, documentation, issues"),
    ],
)
def test_mistake(text: str, says: str) -> None:
    """One line, which names the file."""
    with pytest.raises(UsageError) as error:
        descriptor.parse(text, Path("agent.toml"))
    assert says in str(error.value)
    lines = [line for line in str(error.value).splitlines() if "name: ''" not in line or "name: ''" in says]
    assert len(lines) == 1 or "is not a command" in says  # that one has no command left
    assert all(line.startswith("agent.toml: ") for line in lines)


def test_every_mistake_is_told() -> None:
    text = 'name = "a"\ncommand = "agent"\nbuilt = ""\n[timers]\nio_timeout = -1\nlinger = 2\n'
    with pytest.raises(UsageError) as error:
        descriptor.parse(text, Path("agent.toml"))
    assert len(str(error.value).splitlines()) == 4


def test_everything_in_a_descriptor(tmp_path: Path) -> None:
    text = f"""{GOOD}transports = ["unix", "fd-conn"]
        build = "make"
        [environment]
        A = "b c"
        [lacks]
        operations = ["get_file"]
        clauses = ["PING-ALWAYS"]
        checks = ["RUN-EXIT/status"]
        [timers]
        io_timeout = 3
        [links]
        source = "https://example.org/agent"
        """
    found = descriptor.parse(text, tmp_path / "agent.toml")
    assert found.command == (str(tmp_path / "agent"), "-v", "--listen", "{listen}")
    assert found.transports == ("unix", "fd-conn")
    assert found.environment == (("A", "b c"),)
    expected = {name for name in checks() if name.startswith("GET-")} | {"PING-ALWAYS", "RUN-EXIT/status"}
    assert found.lacks == expected
    assert found.timers == connectable.Timers(10, 3, 5)
    assert found.missing == f"no such program: {tmp_path}/agent (make)"


BUILT_IN = [path.stem for path in sorted(registry.BUILT_IN.glob("*.toml"))]


def test_built_in_descriptors() -> None:
    """Each is in a file of its name, and lacks nothing."""
    found = [descriptor.read(path) for path in sorted(registry.BUILT_IN.glob("*.toml"))]
    assert [agent.name for agent in found] == BUILT_IN
    assert {"oracle", "smolvm-guest-agent"} <= set(BUILT_IN)
    assert not any(agent.lacks for agent in found)


@pytest.mark.parametrize(
    ("template", "options", "listen", "expected"),
    [
        ("a", "", "unix:s", "a --listen unix:s"),
        ("a", "--port 3", None, "a --port 3"),
        ("a", "--listen fd:3", "unix:s", "a --listen fd:3"),
        ("a -l {listen} -v", "--port 3", "unix:s", "a -l unix:s -v --port 3"),
        ("a --listen={listen} -v", "", "unix:s", "a --listen=unix:s -v"),
        ("a --listen {listen} -v", "--listen fd:3", "unix:s", "a -v --listen fd:3"),
        ("a -l {listen}", "--port 3", None, "a --port 3"),
        ("sh -c x{listen}", "", "fd:3", "sh -c xfd:3"),
    ],
)
def test_template(template: str, options: str, listen: str | None, expected: str) -> None:
    assert with_listen((*template.split(), *options.split()), listen) == tuple(expected.split())


# ---- by name


def test_list(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Built-in first. Files with mistakes are told of, and keep nothing else from being listed."""
    (data / "tiny.toml").write_text(tiny(more='[lacks]\nchecks = ["PING"]\n'))
    (data / "far").mkdir()
    (data / "far/agent.toml").write_text('name = "far"\nconnect = "tcp:[::1]:7000"\n')
    assert cli.main(["list"]) == Exit.GREEN
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == [*BUILT_IN, "far", "tiny"]
    assert "tcp:[::1]:7000" in told.out
    assert "lacks 1 checks" in told.out
    (data / "far/agent.toml").write_text('name = "far"\ncommand = "/a\\u001b[2J {listen}"\n')
    assert cli.main(["list"]) == Exit.GREEN
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
    (data / "bad.toml").write_text("nam = 3\n")
    assert cli.main(["list"]) == Exit.USAGE
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == len(BUILT_IN) + 2
    assert f"{data}/bad.toml: unknown key 'nam'" in told.err


def test_built_in_name_wins(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "oracle.toml").write_text(tiny("oracle"))
    assert cli.main(["list"]) == Exit.GREEN
    warning = f"warning: {data}/oracle.toml is not used: the name 'oracle' stands for the built-in one\n"
    assert capsys.readouterr().err == warning
    found = connectable.parse("oracle")
    assert found.declared is not None
    assert found.declared.path.parent == registry.BUILT_IN
    assert "".join(f"{line}\n" for line in found.warnings) == warning


@pytest.mark.parametrize("text", ["nobody", "descriptor:/nowhere/agent.toml", "/nowhere/agent.toml"])
def test_unknown_agent(text: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    assert cli.main(["run", text]) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


# ---- judging


def test_run_by_name_and_path(data: Path, folder: Path) -> None:
    """With its environment, on its transports only, under its name."""
    script = "import os,sys; assert os.environ['MARK']=='m n'; os.execv(sys.executable,[sys.executable,*sys.argv[1:]])"
    (data / "starter.py").write_text(script)
    text = f'name = "tiny"\ncommand = "{sys.executable} {{here}}/starter.py {TINY} --listen={{listen}}"\n'
    path = data / "agent.toml"
    path.write_text(f'{text}transports = ["unix"]\n[environment]\nMARK = "m n"\n')
    for agent in ("tiny", f"descriptor:{path}"):
        done = run(folder, *CONFORM, "run", agent, "--clause=PING", "--jobs=1")
        assert (done.status, done.cases) == (3, {"PING@unix": ("PASS", "", "")}), done.stdout + done.stderr


def test_what_is_lacked_is_not_tested(data: Path, folder: Path) -> None:
    """The tiny agent takes duplicates: that fails, unless its descriptor says so."""
    path = data / "agent.toml"
    for more, outcome, status in (("", "FAIL", 1), ('[lacks]\nclauses = ["JSON-DUP"]\n', "NOT-APPLICABLE", 3)):
        path.write_text(tiny(more=more))
        done = run(folder, *MINI, "--agent", str(path), "-k=not slow")
        assert done.status == status
        assert done.cases["JSON-DUP/plain@unix"][0] == outcome
        assert done.cases["PING:1@unix"][0] == "PASS"
    assert "NOT-APPLICABLE 1 cases [tiny], lacks what they judge: JSON-DUP/plain (1)" in done.stdout


def test_case_that_uses_a_lacked_operation(data: Path, folder: Path) -> None:
    path = data / "agent.toml"
    path.write_text(tiny(more='[lacks]\noperations = ["put_file", "run"]\n'))
    done = run(folder, *CONFORM, "run", str(path), "--clause=CONV-HALFCLOSE", "--jobs=1")
    says = "uses put_file, which the agent lacks by its descriptor"
    assert done.cases["CONV-HALFCLOSE/put@unix"] == ("NOT-APPLICABLE", "the case to run", says)
    assert done.cases["CONV-HALFCLOSE/run@unix"][0] == "NOT-APPLICABLE"
    assert done.cases["CONV-HALFCLOSE/ping@unix"][0] == "PASS"


def verdict(lacked: set[str], strict: bool = False) -> RunVerdict:
    """Of a run in which every check is proved, but those that the agent lacks."""
    cases = [CaseResult(name, "a", "unix", [name], "NOT-APPLICABLE" if name in lacked else "PASS")
             for name, check in checks().items() if not check.pending]  # fmt: skip
    return judge(cases, [("a", "unix")], set(), filtered=False, strict=strict, expected=len(cases), errors=[],
                 lacked={"a": frozenset(lacked)})  # fmt: skip


def test_lacking_is_never_green() -> None:
    """A MUST that is not delivered is partial, a SHOULD only where it is gated; each is counted apart."""
    assert verdict(set()).exit == Exit.GREEN
    assert verdict({"RUN-EXIT/status"}).exit == Exit.PARTIAL
    should = {"ERR-CODE/not_found"}
    assert verdict(should).exit == Exit.GREEN
    assert verdict(should, strict=True).exit == Exit.PARTIAL
    assert verdict(set(checks())).exit == Exit.PARTIAL
    total = len(verdict(set()).rows[0].passed["MUST"]) + len(verdict(set()).rows[0].passed["SHOULD"])
    assert verdict({"RUN-EXIT/status"}).counts == (total - 1, 0, 1)
    assert verdict({"RUN-EXIT/status"}).lacked == {"a": ["RUN-EXIT/status"]}
    assert verdict({"RUN-EXIT/status"}).unproved == {"a": []}


def test_lacked_check_without_a_case_is_partial() -> None:
    """Where no case of it came to run at all."""
    cases = [CaseResult(name, "a", "unix", [name]) for name in checks() if name != "RUN-EXIT/status"]
    judged = judge(cases, [("a", "unix")], set(), filtered=False, strict=False, expected=len(cases), errors=[],
                   lacked={"a": frozenset({"RUN-EXIT/status"})})  # fmt: skip
    assert judged.exit == Exit.PARTIAL
