"""Section 2: `ssh` (READY-SSH, READY-PREAMBLE, READY-BANNER), RFC 4253, section 4.2."""

from __future__ import annotations

from guestwire.drive.gate import GateBench, expect_ready
from guestwire.drive.services import Visit, bytewise, says, then_hangs_up
from guestwire.judge.case import case
from guestwire.suite_ready.servers import free_port, sshd

BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
BINARY = b"\0\0\x01\x34\x06\x14" + bytes(range(256))  # a key exchange follows the string, NULs and all


@case("READY-SSH/modern")
def test_modern_banner(gate: GateBench) -> None:
    gate.ready(
        "ssh",
        {
            "alone": says(BANNER),
            "then closed": then_hangs_up(says(BANNER)),
            "with what follows in one segment": says(BANNER + BINARY),
            "without a comment": says(b"SSH-2.0-x\r\n"),
        },
    )


@case("READY-SSH/compatible")
def test_banner_of_a_compatible_server(gate: GateBench) -> None:
    gate.ready("ssh", {"1.99": says(b"SSH-1.99-OpenSSH_3.9p1\r\n"), "1.99, LF": says(b"SSH-1.99-x\n")})


@case("READY-SSH/lf")
def test_lf_alone(gate: GateBench) -> None:
    gate.ready("ssh", {"LF": says(b"SSH-2.0-dropbear\n"), "LF before it too": says(b"hello\nSSH-2.0-dropbear\n")})


@case("READY-SSH/length")
def test_255_bytes(gate: GateBench) -> None:
    gate.ready(
        "ssh",
        {
            "CR LF": says(b"SSH-2.0-" + b"x" * 245 + b"\r\n"),
            "LF": says(b"SSH-2.0-" + b"x" * 246 + b"\n"),
            "1.99": says(b"SSH-1.99-" + b"x" * 244 + b"\r\n"),
        },
    )


@case("READY-SSH/segments")
def test_any_segmentation(gate: GateBench) -> None:
    whole = b"hello\r\n" + BANNER
    gate.ready(
        "ssh",
        {
            "one-byte pieces": bytewise(BANNER),
            "one-byte pieces, slowly": bytewise(b"SSH-2.0-x\r\n", every=0.03),
            "one-byte pieces, with a line before it": bytewise(whole, every=0.003),
            "cut in the opening": says(b"hello\r\nSS", BANNER[2:], every=0.05),
            "cut in the version": says(BANNER[:7], BANNER[7:], every=0.05),
            "cut between CR and LF": says(BANNER[:-1], b"\n", every=0.05),
        },
    )


@case("READY-SSH/whole")
def test_without_its_end_it_is_none(gate: GateBench) -> None:
    cut = {
        "no end": BANNER[:-2],
        "CR alone": BANNER[:-1],
        "opening alone": b"SSH-",
        "a line before it alone": b"hello\r\n",
    }
    gate.not_ready(
        "ssh",
        {name: then_hangs_up(says(data)) for name, data in cut.items()},
        reason="incomplete|closed",
    )


@case("READY-SSH/whole", variant="waited-for", twin="READY-SSH/modern")
def test_without_its_end_within_the_attempt_it_is_none(gate: GateBench) -> None:
    cut = {"no end": BANNER[:-2], "CR alone": BANNER[:-1], "a line before it alone": b"hello\r\n"}
    gate.not_ready("ssh", {name: says(data) for name, data in cut.items()}, reason="incomplete", attempt_timeout="0.4")


@case("READY-SSH/server")
def test_a_real_sshd(gate: GateBench) -> None:
    """Its own key, configuration and port; it comes up while the gate waits."""
    port = free_port()
    waiting = gate.start("ssh", f"tcp:127.0.0.1:{port}", "--timeout", "15")
    sshd(gate, port)
    expect_ready(waiting.end(17))


# ---- before it


@case("READY-PREAMBLE/skipped")
def test_lines_before_it_are_skipped(gate: GateBench) -> None:
    before = {
        "one line": b"Welcome\r\n",
        "an empty line": b"\r\n",
        "an empty line, LF": b"\n",
        "another case": b"ssh-2.0-x\r\n",
        "not at its beginning": b" SSH-1.5-x\r\n",
        "the opening cut off": b"SSH\r\nSS\nS\n",
        "a byte before it": b"xSSH-2.0-no\r\n",
        "not ASCII": bytes(range(128, 256)) + b"\r\n",
    }
    gate.ready("ssh", {name: says(data + BANNER) for name, data in before.items()})


@case("READY-PREAMBLE/lines")
def test_1024_lines_are_skipped(gate: GateBench) -> None:
    gate.ready(
        "ssh",
        {
            "CR LF": says(b"line\r\n" * 1024 + BANNER),
            "LF": says(b"\n" * 1024 + BANNER),
            "long ones": says(*(b"x" * 2000 + b"\r\n" for _ in range(1024)), BANNER),
        },
    )


@case("READY-PREAMBLE/more", twin="READY-PREAMBLE/lines")
def test_1025_lines_are_not(gate: GateBench) -> None:
    gate.not_ready(
        "ssh", {"CR LF": says(b"line\r\n" * 1025 + BANNER), "LF": says(b"\n" * 1025 + BANNER), "for ever": flood}
    )


def flood(visit: Visit) -> None:
    """Lines until the gate leaves."""
    while True:
        visit.send(b"line\r\n" * 100)


@case("READY-PREAMBLE/bytes")
def test_8192_bytes_are_skipped(gate: GateBench) -> None:
    line = b"x" * 8190 + b"\r\n"
    gate.ready(
        "ssh",
        {
            "CR LF": says(line + BANNER),
            "LF": says(b"x" * 8191 + b"\n" + BANNER),
            "three of them": says(line * 3 + BANNER),
            "in pieces": says(line[:5000], line[5000:] + BANNER, every=0.05),
        },
    )


@case("READY-PREAMBLE/longer", twin="READY-PREAMBLE/bytes")
def test_8193_bytes_are_not(gate: GateBench) -> None:
    gate.not_ready(
        "ssh",
        {
            "CR LF": says(b"x" * 8191 + b"\r\n" + BANNER),
            "LF": says(b"x" * 8192 + b"\n" + BANNER),
            "behind a short one": says(b"short\r\n" + b"x" * 8192 + b"\n" + BANNER),
            "without an end": says(b"x" * 8193),
        },
    )


# ---- another banner


@case("READY-BANNER/version", twin="READY-SSH/modern")
def test_another_version(gate: GateBench) -> None:
    others = (b"1.5-x", b"1.3-x", b"1.98-x", b"1.999-x", b"2.1-x", b"3.0-x", b"20.0-x", b"2-x", b"2.0", b"", b"-2.0-x")
    gate.not_ready("ssh", {repr(other): says(b"SSH-" + other + b"\r\n") for other in others})


@case("READY-BANNER/nul", twin="READY-SSH/modern")
def test_a_nul(gate: GateBench) -> None:
    gate.not_ready(
        "ssh",
        {
            "in it": says(b"SSH-2.0-Open\0SSH\r\n"),
            "at its end": says(b"SSH-2.0-OpenSSH\0\r\n"),
            "in its version": says(b"SSH-2\0.0-OpenSSH\r\n"),
        },
    )


@case("READY-BANNER/long", twin="READY-SSH/length")
def test_256_bytes(gate: GateBench) -> None:
    gate.not_ready(
        "ssh",
        {
            "CR LF": says(b"SSH-2.0-" + b"x" * 246 + b"\r\n"),
            "LF": says(b"SSH-2.0-" + b"x" * 247 + b"\n"),
            "1.99": says(b"SSH-1.99-" + b"x" * 245 + b"\r\n"),
            "behind a line": says(b"hello\r\nSSH-2.0-" + b"x" * 246 + b"\r\n"),
            "without an end": says(b"SSH-2.0-" + b"x" * 300),
        },
    )
