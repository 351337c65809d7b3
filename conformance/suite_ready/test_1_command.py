"""Section 1: exit statuses and the command line (READY-EXIT, READY-USAGE), several probes (READY-MANY)."""

from __future__ import annotations

import time

import pytest

from guestwire.drive.gate import START, Gate, GateBench, Told, expect_late, expect_ready
from guestwire.drive.services import Act, Visit, hangs_up, says, silent
from guestwire.judge.case import case
from guestwire.judge.outcome import about, expect, expect_equal

BANNER = says(b"SSH-2.0-OpenSSH_9.2\r\n")


def after(seconds: float, act: Act) -> Act:
    """Does that a while after the connection."""

    def act_later(visit: Visit) -> None:
        visit.pause(seconds)
        act(visit)

    return act_later


# ---- exit statuses


@case("READY-EXIT/ready")
def test_exit_0_as_soon_as_answered(gate: GateBench) -> None:
    told = gate.probe("ssh", gate.service(after(0.5, BANNER)).target, 15)
    expect_ready(told)
    expect(0.45 <= told.seconds <= 0.5 + START, "the end when the service has answered, after 0.5 s", told.seconds)


@case("READY-EXIT/late")
def test_exit_1_when_the_time_is_over(gate: GateBench) -> None:
    told = gate.probe("ssh", gate.service(hangs_up).target, 0.7)
    expect_late(told)
    expect(told.seconds >= 0.65, "not before 0.7 s", told.seconds)


@case("READY-EXIT/late", variant="never-ready")
def test_never_0_without_a_service(gate: GateBench) -> None:
    told = gate.probe("ssh", f"unix:{gate.path('nothing')}", 0.3)
    expect_late(told)


def expect_line(line: str, kind: str, target: str, reason: str) -> None:
    """A line that says which probe has failed, and how."""
    expect(all(word in line for word in (kind, target, reason)), f"a line with {kind}, {target} and {reason}", line)


@case("READY-EXIT/line")
def test_one_line_for_a_probe(gate: GateBench) -> None:
    target = gate.service(form="tcp", listening=False).target
    told = gate.probe("ssh", target, 0.4)
    expect_equal((told.status, len(told.lines)), (1, 1), "exit status and lines on stderr")
    expect_line(told.lines[0], "ssh", target, "refused")


@case("READY-EXIT/line", variant="several")
@pytest.mark.parametrize("mode", ["--all", "--any"])
def test_a_line_for_each_probe(gate: GateBench, mode: str) -> None:
    """With --all none for one that has answered."""
    refused, wrong = gate.service(form="tcp", listening=False).target, gate.service(says(b"SSH-1.5-x\r\n")).target
    ready = ["ssh", gate.service(BANNER).target] if mode == "--all" else []
    told = gate.run(mode, "agent", refused, *ready, "ssh", wrong, "--timeout", "0.6", "--interval", "50")
    expect_equal((told.status, len(told.lines)), (1, 2), "exit status and lines on stderr")
    for kind, target, reason in (("agent", refused, "refused"), ("ssh", wrong, "unexpected")):
        expect_line(next((line for line in told.lines if target in line), ""), kind, target, reason)


# ---- the command line


def refused(gate: GateBench, lines: list[list[str]], contains: tuple[str, ...] = ()) -> None:
    """Each of these is refused with exit 2 and one line on stderr that has all the words."""
    runs: list[tuple[list[str], Gate]] = [(words, gate.start(*words)) for words in lines]
    for words, run in runs:
        with about(" ".join(words)):
            told = run.end()
            expect_equal((told.status, told.stdout), (2, ""), f"exit status and stdout (stderr {told.stderr!r})")
            expect_equal(len(told.lines), 1, f"lines on stderr ({told.stderr!r})")
            missing = [word for word in contains if word not in told.stderr]
            expect(not missing, f"a line that says what is accepted: {missing}", told.stderr)


@case("READY-USAGE/probe", "READY-EXIT/usage")
def test_bad_kinds(gate: GateBench) -> None:
    there = gate.service(BANNER).target
    kinds = ("agent", "ssh", "tcp-banner", "http", "notify")
    refused(gate, [["telnet", there], ["SSH", there], ["", there], [there], ["ssh", there, "telnet", there]], kinds)
    refused(gate, [[], ["--all"], ["--timeout", "5"], ["ssh", there, "again"]])


@case("READY-USAGE/probe", variant="targets", twin="READY-TARGET/tcp")
def test_bad_targets(gate: GateBench) -> None:
    targets = [
        "", "nowhere", "22", "/path", "tcp", "tcp:", "tcp:22", "tcp:127.0.0.1", "tcp:127.0.0.1:", "tcp::22",
        "tcp:127.0.0.1:0", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:-1", "tcp:127.0.0.1:22x", "tcp:127.0.0.1:ssh",
        "tcp:::1:22", "tcp:[::1]", "tcp:[::1:22", "tcp:[]:22", "udp:127.0.0.1:22", "unix:", "hybrid:/sock",
        "hybrid:/sock:", "hybrid:/sock:0", "hybrid::1", "hybrid:/sock:x", "vsock:3", "vsock:x:1", "vsock:3:x", "vsock:3:0",
        "vsock:", "vsock::1", "vsock:3:", "vsock:3:4294967295", "vsock:4294967296:1", "vsock:-1:1", "vsock:1:2:3",
    ]  # fmt: skip
    refused(gate, [["ssh", target] for target in targets], ("tcp:HOST:PORT",))
    refused(gate, [["ssh"], ["ssh", "--all"], ["ssh", gate.service(BANNER).target, "http"]])


@case("READY-USAGE/probe", variant="notify", twin="READY-NOTIFY/listen")
def test_bad_places_to_listen(gate: GateBench) -> None:
    """It listens: that is no place for it."""
    refused(gate, [["notify", target] for target in ("tcp:127.0.0.1:9", "hybrid:/x:1", "unix:", "x")])
    refused(gate, [["notify", f"vsock:{rest}"] for rest in ("", "x", "0", "-1", "2:9", "4294967295", "1:2:3")])
    refused(gate, [["notify"], ["notify", "--listen", "tcp:127.0.0.1:9"], ["notify", "--listen"]])
    path = f"unix:{gate.path('notify')}"
    refused(gate, [["notify", path, "--listen", path]])


@case("READY-USAGE/option")
def test_bad_options(gate: GateBench) -> None:
    probe = ["ssh", gate.service(BANNER).target]
    refused(gate, [[*probe, *words] for words in (["--bogus"], ["-x"], ["--time", "5"], ["--timeouts", "5"])])
    values = ("x", "", "-1", "0", "0.0", "nan", "inf", "1s", "1,5", ".", "1.", " 1", "0x10")
    names = ("--timeout", "--attempt-timeout", "--interval")
    refused(gate, [[*probe, names[index % 3], value] for index, value in enumerate(values)])
    refused(gate, [[*probe, name, "0"] for name in names] + [[*probe, name] for name in names])
    repeated = (["--timeout", "5", "--timeout=6"], ["--all", "--all"], ["--json", "--json"], ["--interval=1"] * 2)
    refused(gate, [[*probe, *words] for words in (*repeated, ["--all", "--any"], ["--any", "--all"])])
    refused(gate, [[*probe, *words] for words in (["--json=1"], ["--all=yes"], ["--any="])])


@case("READY-USAGE/belongs")
def test_options_of_another_probe(gate: GateBench) -> None:
    """They belong to the probe they follow, and only to a kind that has them."""
    there = gate.service(BANNER).target
    for option, value, kind in (("--expect", "x", "tcp-banner"), ("--path", "/", "http"), ("--status", "200", "http")):
        others = [other for other in ("ssh", "agent", "tcp-banner", "http") if other != kind]
        lines = [
            [other, there, *(["--expect", "y"] if other == "tcp-banner" else []), option, value] for other in others
        ]
        refused(gate, [*lines, [option, value, kind, there]])
    refused(gate, [["--hint", "x", "ssh", there], ["ssh", there, "--listen", "unix:/x"]])
    refused(gate, [["http", there, "--path", "/", "--path", "/"], ["ssh", there, "--hint", "a", "--hint", "b"]])
    refused(gate, [["tcp-banner", there, "ssh", there, "--expect", "SSH"]])


@case("READY-USAGE/belongs", variant="each")
def test_each_probe_has_its_own(gate: GateBench) -> None:
    one, other = gate.service(says(b"one")).target, gate.service(says(b"other")).target
    words = ["tcp-banner", one, "--expect", "one", "--timeout", "10", "tcp-banner", other, "--expect=other", "--all"]
    expect_ready(gate.run(*words))


@case("READY-USAGE/undialled")
def test_nothing_is_dialled(gate: GateBench) -> None:
    service = gate.service(BANNER)
    gate.program.keep("notify")
    place = f"{gate.program.folder}/notify"
    late_mistakes = [["--bogus"], ["--timeout"], ["ssh"], ["ssh", "nowhere"], ["--hint"], ["--all", "--any"]]
    refused(gate, [["ssh", service.target, "notify", f"unix:{place}", *words] for words in late_mistakes])
    expect_equal(service.visits, [], "connections")
    expect_equal(gate.program.witness.info(place), None, "the socket to listen on")


@case("READY-USAGE/help")
def test_help_and_version(gate: GateBench) -> None:
    service = gate.service(BANNER)
    for words in (["--help"], ["--version"], ["ssh", service.target, "--help"]):
        with about(" ".join(words)):
            told = gate.run(*words)
            expect_equal((told.status, told.stderr), (0, ""), "exit status and stderr")
            expect(told.stdout.strip(), "something on stdout", told.stdout)
            for word in ("tcp-banner", "--attempt-timeout") if "--help" in words else ():
                expect(word in told.stdout, f"{word} in the help", told.stdout)
    expect_equal(service.visits, [], "connections")


# ---- several probes


@case("READY-MANY/together")
def test_probes_run_at_the_same_time(gate: GateBench) -> None:
    """Three that take 0.8 s each, and one that is quick."""
    slow = [word for _ in range(3) for word in ("ssh", gate.service(after(0.8, BANNER)).target)]
    told = gate.run(*slow, "ssh", gate.service(BANNER).target, "--timeout", "10", "--json")
    expect_ready(told)
    expect(told.seconds < 0.8 + START, "all of them after 0.8 s", told.seconds)
    expect(told.probes[3]["elapsed"] < 0.6, "the quick one ready by itself", told.probes[3])
    expect(all(probe["elapsed"] > 0.7 for probe in told.probes[:3]), "0.8 s for each slow one", told.probes)


@case("READY-MANY/all")
@pytest.mark.parametrize("words", [[], ["--all"]], ids=["default", "all"])
def test_all_have_to_answer(gate: GateBench, words: list[str]) -> None:
    one, other = gate.service(BANNER).target, gate.service(BANNER).target
    expect_ready(gate.run(*words, "ssh", one, "ssh", other, "--timeout", "10"))
    nobody = gate.service(form="tcp", listening=False).target
    for order in ([one, nobody], [nobody, one]):
        told = gate.run(*words, "ssh", order[0], "ssh", order[1], "--timeout", "0.5")
        expect_late(told)


@case("READY-MANY/any")
def test_any_may_answer(gate: GateBench) -> None:
    nobody = gate.service(form="tcp", listening=False).target
    dumb = gate.service(silent).target
    for order in (0, 1, 2):
        targets = [nobody, dumb]
        targets.insert(order, gate.service(BANNER).target)
        told = gate.run("--any", *(word for target in targets for word in ("ssh", target)), "--timeout", "10")
        expect_ready(told)
        expect(told.seconds < 5, "the end with the first answer", told.seconds)
    expect_late(gate.run("ssh", nobody, "ssh", dumb, "--any", "--timeout", "0.5"))


@case("READY-MANY/once")
def test_one_that_has_answered_is_not_asked_again(gate: GateBench) -> None:
    service, later = gate.service(BANNER), gate.service(BANNER, listening=False)
    waiting = gate.start("ssh", service.target, "ssh", later.target, "--timeout", "10", "--interval", "0.05")
    service.left()
    time.sleep(0.4)
    later.open()
    told: Told = waiting.end(12)
    expect_ready(told)
    expect_equal(len(service.visits), 1, "connections to the one that answered at once")
