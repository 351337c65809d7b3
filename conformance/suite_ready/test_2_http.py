"""Section 2: `http` (READY-HTTP)."""

from __future__ import annotations

import re

from guestwire.drive.gate import GateBench, expect_ready
from guestwire.drive.services import Act, Service, Visit, asked, bytewise, says, then_hangs_up
from guestwire.judge.case import case
from guestwire.judge.outcome import expect, expect_equal
from guestwire.suite_ready.servers import free_port, web_server

END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
REQUEST = re.compile(rb"GET (\S+) HTTP/1\.[01]\r\n((?:[A-Za-z-]+: [ -~]*\r\n)*)\r\n")
LIMIT = 8192  # bytes of an answer within which its status line ends


def answers(*pieces: bytes, every: float = 0.0) -> Act:
    """Says it once a whole request has come."""
    return asked(says(*pieces, every=every), END)


def status_line(length: int) -> bytes:
    """A status line of so many bytes with its end."""
    start = b"HTTP/1.1 200 "
    return start + b"x" * (length - len(start) - 2) + b"\r\n"


@case("READY-HTTP/versions")
def test_versions(gate: GateBench) -> None:
    gate.ready(
        "http",
        {
            "HTTP/1.1": answers(OK),
            "HTTP/1.0": then_hangs_up(answers(b"HTTP/1.0 200 OK\r\n\r\nhi")),
            "another reason": answers(b"HTTP/1.1 200 Never better\r\n\r\n"),
            "no reason": answers(b"HTTP/1.1 200 \r\n\r\n"),
            "a body without an end": answers(OK, b"x" * 100_000),
        },
    )


def _asked(service: Service) -> tuple[bytes, bytes]:
    """The path and the fields of the only request."""
    received = bytes(service.left()[0].received)
    match = REQUEST.fullmatch(received)
    expect(match, "one well-formed GET and nothing else", received)
    assert match is not None
    return match[1], match[2]


@case("READY-HTTP/asks")
def test_what_is_asked(gate: GateBench) -> None:
    service = gate.service(answers(OK), form="tcp")
    path = "/health/ready?full=1&x=%20"
    expect_ready(gate.run("http", service.target, "--path", path, "--timeout", "10"))
    asked_for, fields = _asked(service)
    expect_equal(asked_for, path.encode(), "path of the request")
    host = re.findall(rb"(?im)^host: (.*)\r$", fields)
    expect_equal(host, [service.target.removeprefix("tcp:").encode()], "Host of the request")


@case("READY-HTTP/asks", variant="status")
def test_another_status_is_wanted(gate: GateBench) -> None:
    for status in ("204", "404", "599"):
        reply = f"HTTP/1.1 {status} As asked\r\n\r\n".encode()
        gate.ready("http", {status: answers(reply)}, "--status", status)


@case("READY-HTTP/defaults")
def test_defaults(gate: GateBench) -> None:
    service = gate.service(answers(OK))
    expect_equal(gate.probe("http", service.target, 10).status, 0, "exit status")
    expect_equal(_asked(service)[0], b"/", "path of the request")
    gate.not_ready("http", {"201": answers(b"HTTP/1.1 201 Created\r\n\r\n")})


@case("READY-HTTP/status", twin="READY-HTTP/versions")
def test_another_status(gate: GateBench) -> None:
    others = (201, 204, 301, 302, 400, 401, 404, 500, 503, 999)
    gate.not_ready("http", {str(status): answers(b"HTTP/1.1 %d Other\r\n\r\n" % status) for status in others})
    gate.not_ready("http", {"200 where 404 is wanted": answers(OK)}, "--status", "404")


@case("READY-HTTP/interim")
def test_interim_responses(gate: GateBench) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nX: HTTP/1.1 500 no\r\n\r\n"
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    gate.ready(
        "http",
        {
            "100": answers(go_on + OK),
            "100, then later": answers(go_on, OK, every=0.1),
            "several": answers(go_on + early + early + OK),
            "with fields": answers(early + OK),
        },
    )
    gate.not_ready("http", {"100, then 503": answers(go_on + b"HTTP/1.1 503 Not yet\r\n\r\n")})


@case("READY-HTTP/line", twin="READY-HTTP/versions")
def test_no_status_line(gate: GateBench) -> None:
    others = [
        b"200 OK\r\n\r\n", b"<html>200</html>\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n", b"HTTP/1.10 200 OK\r\n\r\n", b"http/1.1 200 OK\r\n\r\n", b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1 OK 200\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n", b"hello\r\nHTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0\0",
    ]  # fmt: skip
    gate.not_ready("http", {repr(other): answers(other) for other in others})


@case("READY-HTTP/limit")
def test_8192_bytes(gate: GateBench) -> None:
    interim = b"HTTP/1.1 100 Continue\r\nX: %s\r\n\r\n" % (b"x" * 8000)
    rest = LIMIT - len(interim)
    gate.ready(
        "http",
        {
            "a line of 8,192": answers(status_line(LIMIT)),
            "8,192 with what is skipped": answers(interim + status_line(rest)),
        },
    )
    gate.not_ready(
        "http",
        {
            "a line of 8,193": answers(status_line(LIMIT + 1)),
            "8,193 with what is skipped": answers(interim + status_line(rest + 1)),
            "no end": answers(status_line(LIMIT + 10)[:-2]),
            "100 for ever": asked(_interims, END),
        },
    )


def _interims(visit: Visit) -> None:
    while True:
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@case("READY-HTTP/segments")
def test_any_segmentation(gate: GateBench) -> None:
    whole = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + OK
    gate.ready(
        "http",
        {
            "one-byte pieces": asked(bytewise(whole, every=0.002), END),
            "cut in the status": answers(OK[:10], OK[10:], every=0.05),
            "cut between CR and LF": answers(OK[:16], OK[16:], every=0.05),
            "cut in the empty line": answers(whole[:-60], whole[-60:], every=0.05),
        },
    )


@case("READY-HTTP/bounds")
def test_bounds_of_options(gate: GateBench) -> None:
    service = gate.service(answers(OK))
    bad = [("--status", value) for value in ("100", "199", "600", "2000", "20", "-200", "ok", "+200", "0x1")]
    bad += [("--path", value) for value in ("x", "", "/a b", "/a\tb", "/a\r\nX: y", "/\x7f", "/\x1b[0m")]
    runs = {pair: gate.start("http", service.target, *pair, "--timeout", "2") for pair in bad}
    for pair, run in runs.items():
        told = run.end()
        expect_equal(told.status, 2, f"exit status for {pair}")
        expect_equal(len(told.lines), 1, f"lines on stderr for {pair}")
    expect_equal(service.visits, [], "connections")


@case("READY-HTTP/server")
def test_a_real_server(gate: GateBench) -> None:
    """It comes up while the gate waits."""
    port = free_port()
    target = f"tcp:127.0.0.1:{port}"
    waiting = gate.start("http", target, "--timeout", "15")
    missing = gate.start("http", target, "--path", "/missing", "--status", "404", "--timeout", "15")
    web_server(gate, port)
    expect_ready(waiting.end(17))
    expect_ready(missing.end(17))
    told = gate.run("http", target, "--path", "/missing", "--timeout", "1", "--interval", "50", "--json")
    expect_equal((told.status, told.probe["reason"]), (1, "unexpected"), "exit status and reason for a missing page")
