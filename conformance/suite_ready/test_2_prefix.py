"""Section 2: `tcp-banner` (READY-PREFIX)."""

from __future__ import annotations

from guestwire.drive.gate import GateBench, expect_ready
from guestwire.drive.services import bytewise, says, then_hangs_up
from guestwire.judge.case import case
from guestwire.judge.outcome import expect_equal

EXPECT = ("--expect", "220 mail")


@case("READY-PREFIX/same")
def test_the_prefix_comes(gate: GateBench) -> None:
    gate.ready(
        "tcp-banner",
        {
            "alone": says(b"220 mail"),
            "then closed": then_hangs_up(says(b"220 mail")),
            "with more": says(b"220 mail.example ESMTP\r\n"),
            "with NULs": says(b"220 mail\0\0\0"),
        },
        *EXPECT,
    )
    gate.ready("tcp-banner", {"one byte": says(b"* OK IMAP4rev1")}, "--expect", "*")
    gate.ready("tcp-banner", {"not ASCII": says("größer\n".encode())}, "--expect=größ")


@case("READY-PREFIX/segments")
def test_any_segmentation(gate: GateBench) -> None:
    gate.ready(
        "tcp-banner",
        {
            "one-byte pieces": bytewise(b"220 mail.example", every=0.01),
            "the last byte later": says(b"220 mai", b"l", every=0.1),
        },
        *EXPECT,
    )


@case("READY-PREFIX/other", twin="READY-PREFIX/same")
def test_other_bytes(gate: GateBench) -> None:
    """Told by the first one: the service neither closes nor says more."""
    others = (b"221 mail", b"220 Mail", b"220  mail", b" 220 mail", b"\r\n220 mail", b"X220 mail", b"220 mai\0", b"5")
    gate.not_ready("tcp-banner", {repr(other): says(other) for other in others}, *EXPECT)
    cut = {"a part, then closed": then_hangs_up(says(b"220 mai"))}
    gate.not_ready("tcp-banner", cut, *EXPECT, reason="incomplete|closed")


@case("READY-PREFIX/asks")
def test_nothing_is_sent(gate: GateBench) -> None:
    """A service that answers whoever asks something is not what this probe looks for."""
    service = gate.service(says(b"", b"220 mail", every=0.3))
    expect_ready(gate.run("tcp-banner", service.target, *EXPECT, "--timeout", "10"))
    expect_equal(bytes(service.left()[0].received), b"", "bytes sent to the service")


@case("READY-PREFIX/empty")
def test_an_empty_prefix(gate: GateBench) -> None:
    service = gate.service(says(b"220 mail"))
    for words in (["--expect", ""], ["--expect="], []):
        told = gate.run("tcp-banner", service.target, *words)
        expect_equal((told.status, len(told.lines)), (2, 1), f"exit status, and lines on stderr, for {words}")
    expect_equal(service.visits, [], "connections")
