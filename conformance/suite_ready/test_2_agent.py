"""Section 2: `agent` (READY-AGENT)."""

from __future__ import annotations

import json

from guestwire import protocol
from guestwire.drive.gate import GateBench
from guestwire.drive.services import Act, asked, bytewise, says, then_hangs_up
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal

PONG = b'{"ok":true,"op":"pong","agent_version":"1.0","proto":1}'
CAP = 1_048_576  # bytes of a control frame


def frame(payload: bytes, kind: int = protocol.FRAME_JSON, length: int | None = None) -> bytes:
    """A frame; `length` where it declares another one than it has."""
    return bytes([kind]) + (len(payload) if length is None else length).to_bytes(4, "big") + payload


def answers(data: bytes) -> Act:
    """Says it once it is asked something."""
    return asked(says(data), b'"ping"')


@case("READY-AGENT/pong")
def test_a_pong(gate: GateBench) -> None:
    more = b'{"op":"pong","proto":1,"instance":"x","nested":{"ok":false},"agent_version":"1.0","ok":true}'
    gate.ready(
        "agent",
        {
            "alone": answers(frame(PONG)),
            "then closed": then_hangs_up(answers(frame(PONG))),
            "more members, in another order": answers(frame(more)),
            "white space": answers(frame(b' {\t"ok" : true ,\r\n "op" : "pong" } ')),
            "with bytes behind it": answers(frame(PONG) + b"\x07more"),
        },
    )


@case("READY-AGENT/asks", variant="tcp")
def test_what_is_asked(gate: GateBench) -> None:
    """One ping, and nothing behind it."""
    service = gate.service(answers(frame(PONG)), form="tcp")
    expect_equal(gate.probe("agent", service.target, 10).status, 0, "exit status")
    received = bytes(service.left()[0].received)
    expect(received[:1] == b"\x01" and len(received) > 5, "a control frame", received)
    expect_equal(int.from_bytes(received[1:5], "big"), len(received) - 5, "declared length of the only frame")
    ping = json.loads(received[5:])
    expect(isinstance(ping, dict) and ping.get("op") == "ping" and ping.get("v", 1) == 1, "a ping", ping)


@case("READY-AGENT/segments")
def test_any_segmentation(gate: GateBench) -> None:
    whole = frame(PONG)
    gate.ready(
        "agent",
        {
            "one-byte pieces": asked(bytewise(whole, every=0.002), b'"ping"'),
            "cut in the header": asked(says(whole[:3], whole[3:], every=0.05), b'"ping"'),
            "cut behind the header": asked(says(whole[:5], whole[5:], every=0.05), b'"ping"'),
            "cut before the last byte": asked(says(whole[:-1], whole[-1:], every=0.05), b'"ping"'),
        },
    )


@case("READY-AGENT/error", twin="READY-AGENT/pong")
def test_an_error(gate: GateBench) -> None:
    gate.not_ready(
        "agent",
        {
            "malformed": answers(frame(b'{"ok":false,"op":"error","error":"no","code":"malformed"}')),
            "ok true": answers(frame(b'{"ok":true,"op":"error","error":"no"}')),
        },
    )


@case("READY-AGENT/other", twin="READY-AGENT/pong")
def test_another_answer(gate: GateBench) -> None:
    others = [
        b'{"ok":false,"op":"pong"}', b'{"ok":1,"op":"pong"}', b'{"ok":"true","op":"pong"}', b'{"op":"pong"}',
        b'{"ok":true,"op":"exit","exit_code":0}', b'{"ok":true,"op":"PONG"}', b'{"ok":true,"op":["pong"]}',
        b'{"ok":true}', b"{}", b'["pong"]', b"true", b"", b'{"ok":true,"op":"pong"', b"\xff\xfe", PONG + b"x",
    ]  # fmt: skip
    gate.not_ready("agent", {repr(other): answers(frame(other)) for other in others})


@case("READY-AGENT/frame", twin="READY-AGENT/pong")
def test_no_control_frame(gate: GateBench) -> None:
    inputs = {f"type {kind}": answers(frame(PONG, kind)) for kind in (0, 2, 3, 4, 5, 6, 255)}
    inputs["an SSH banner"] = says(b"SSH-2.0-OpenSSH_9.2\r\n")
    inputs["an HTTP answer"] = answers(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    inputs["JSON without a frame"] = answers(PONG)
    gate.not_ready("agent", inputs)


@case("READY-AGENT/cap")
def test_a_length_over_the_cap(gate: GateBench) -> None:
    """Told by the header: the payload never comes."""
    lengths = (CAP + 1, 16_777_216, 16_777_217, 0x7FFFFFFF, 0xFFFFFFFF)
    gate.not_ready("agent", {str(length): answers(frame(b"", length=length)) for length in lengths})
    gate.ready("agent", {"of exactly the cap": answers(frame(PONG.ljust(CAP)))})


@case("READY-AGENT/cut", twin="READY-AGENT/pong")
def test_a_pong_that_is_cut_short(gate: GateBench) -> None:
    whole = frame(PONG)
    gate.not_ready(
        "agent",
        {str(length): then_hangs_up(answers(whole[:length])) for length in (1, 4, 5, len(whole) - 1)},
        reason="incomplete|closed",
    )
