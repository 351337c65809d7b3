"""The sweeps against agents that are broken where only a sweep looks: each is red, and says at which byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestwire.drive.conversation import DRIPS, Answer, drip
from guestwire.judge.transcript import transcript
from guestwire.tests.harness import CONFORM, ORACLE, run, temporary

FILTERED = ("--transport", "unix", "--jobs", "1")
FINE = "FRAME-SEGMENT/transcript:drip-ping"
BROKEN = {
    "ends-ok": (  # an upload whose host leaves between two frames is taken as complete
        "        while left:\n            kind, length = receive_header(host, buffer)\n",
        "        while left:\n            try:\n                kind, length = receive_header(host, buffer)\n"
        "            except GiveUp:\n                break\n",
    ),
    "third-byte-ends-it": (
        '            if not piece:\n                self.close(connection, "ended before its request")\n',
        "            if not piece:\n                if len(connection.header) == 3:\n                    os._exit(3)\n"
        '                self.close(connection, "ended before its request")\n',
    ),
    "pieces-overwrite": (  # a payload that comes in two pieces
        "                data = data[os.write(self.file, data) :]\n",
        "                data = data[os.pwrite(self.file, data, 0) :]\n",
    ),
    "umask": (
        "            os.fchmod(self.file, mode)\n",
        "            os.umask(0o77)\n            os.fchmod(self.file, mode)\n",
    ),
    "working-directory": (
        "            parent, leaf = os.path.split(path)\n",
        "            parent, leaf = os.path.split(path)\n            os.chdir(parent)\n",
    ),
    "file-beside": (  # a log of its own where it has no business
        "    file = open_regular(request.path)\n",
        "    file = open_regular(request.path)\n    os.close(os.open(os.environ['TMPDIR'] + '/log', os.O_CREAT | os.O_WRONLY))\n",
    ),
}
RED = {
    "ends-ok": ("PUT-CLEAN/cut:half-close:put-frames", "FAIL", "half-closed after"),
    "third-byte-ends-it": ("SRV-SURVIVE/cut:ping", "CRASH", "the agent lives"),
    "pieces-overwrite": ("FRAME-SEGMENT/transcript:in-two:put", "FAIL", "split after"),
    "umask": ("SRV-SURVIVE/settings:put", "FAIL", "umask"),
    "working-directory": ("SRV-SURVIVE/settings:put", "FAIL", "working directory"),
    "file-beside": ("SRV-SURVIVE/files:fresh", "FAIL", "names in HOME"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_sweep_catches(tmp_path: Path, name: str) -> None:
    """The oracle with one replacement. It fails where it is broken, not everywhere."""
    path, text = tmp_path / "agent", ORACLE.read_text()
    assert text.count(BROKEN[name][0]) == 1
    path.write_text(text.replace(*BROKEN[name]))
    path.chmod(0o755)
    case, outcome, about = RED[name]
    with temporary() as folder:
        done = run(folder, *CONFORM, "run", f"exec:{path}", *FILTERED, "--case", case, "--case", FINE)
    assert done.status == 1, done.stderr
    found, expected, _ = done.cases[f"{case}@unix"]
    assert (found, about in expected) == (outcome, True), done.cases
    assert done.cases[f"{FINE}@unix"][0] == "PASS"


def test_a_drip_is_everything_in_few_pieces() -> None:
    for size in (0, 1, 3, 4, 24, 25, 1000):
        raw = bytes(index % 256 for index in range(size))
        parts = drip(raw)
        assert b"".join(parts) == raw
        assert len(parts) <= DRIPS


def control(text: str) -> tuple[int, bytes]:
    return 1, text.encode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([(2, b"ab"), (3, b"c")], [(3, b"c"), (2, b"a"), (2, b"b")], id="chunks-and-interleaving"),
        pytest.param(
            [control('{"op":"pong","instance":"a","agent_version":"1"}')],
            [control('{"agent_version":"2","op":"pong","instance":"b"}')],
            id="version-and-instance",
        ),
        pytest.param(
            [control('{"ok":false,"op":"error","code":"x","error":"one"}')],
            [control('{"ok":false,"op":"error","code":"x","error":"two"}')],
            id="error-text",
        ),
    ],
)
def test_transcripts_that_are_alike(one: list[tuple[int, bytes]], other: list[tuple[int, bytes]]) -> None:
    assert transcript(Answer(one, "eof")) == transcript(Answer(other, "eof"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([(2, b"ab")], [(2, b"aB")], id="byte"),
        pytest.param([(2, b"ab")], [(3, b"ab")], id="stream"),
        pytest.param([(4, b"a"), (5, b"")], [(5, b""), (4, b"a")], id="order"),
        pytest.param([control('{"ok":true,"exit_code":1}')], [control('{"ok":true,"exit_code":true}')], id="type"),
        pytest.param([control('{"op":"pong","instance":"a"}')], [control('{"op":"pong","instance":1}')], id="instance"),
        pytest.param([control('{"ok":true,"error":"a"}')], [control('{"ok":true,"error":"b"}')], id="no-error"),
        pytest.param([control('{"op":"error","code":"x"}')], [control('{"op":"error","code":"y"}')], id="code"),
    ],
)
def test_transcripts_that_differ(one: list[tuple[int, bytes]], other: list[tuple[int, bytes]]) -> None:
    assert transcript(Answer(one, "eof")) != transcript(Answer(other, "eof"))
    assert transcript(Answer(one, "eof")) != transcript(Answer(one, "reset"))
