"""A finding as a file of cases (cases/README.md), which `conform fuzz AGENT --replay FILE` plays on any agent."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from guestwire import protocol
from guestwire.blackbox import gate
from guestwire.blackbox.campaign import Found
from guestwire.blackbox.duel import Finding
from guestwire.blackbox.inputs import HOME, Frame, Input
from guestwire.blackbox.side import NOWHERE
from guestwire.blackbox.told import FREE, Told
from guestwire.cases.parts import LIMITS
from guestwire.cases.private import TOP

CHECKS = {  # what a wrong answer breaks, by the right one
    "pong": "PING",
    "exit": "RUN-EXIT/status",
    "timeout": "RUN-TIMEOUT/answer",
    "ok": "PUT-OK/content",
    "file": "GET-OK/content",
    "error malformed": "CONV-FIRST/malformed",
    "error unsupported_version": "CONV-VERSION/refused",
    "error unknown_op": "CONV-OP/unknown",
}
TWIN = "CONV-ONE/single:ping"
APART = "found by fuzzing, and made small: what is left of it is no neighbour of a good request"


def check_of(found: Found) -> str:
    """The check that a finding breaks."""
    finding, right = found.finding, found.finding.told
    if finding.check or right is None:
        return finding.check or "SRV-SURVIVE/alive"
    if right.shape == "closed":
        header = [frame.announced or 0 for frame in found.drawn.frames]
        return "FRAME-CAP/closed" if max(header, default=0) > LIMITS["cap"] else "FRAME-TRUNC/request"
    both_refuse = right.shape.startswith("error") and finding.actual.startswith('{"code"')
    known = CHECKS.get(right.shape, "")
    if known and not both_refuse:
        return known
    return f"ERR-CODE/{right.shape.partition(' ')[2] or 'malformed'}"


# ---- TOML


def toml(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def parts(data: bytes) -> Any:
    """Bytes as a text, or a list of parts where they are none, or long."""
    if len(data) > 200 and len(set(data)) == 1 and data[0] < 0x80:
        return [{"text": chr(data[0]), "times": len(data)}]
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before, after = data[: error.start], data[error.end :]
        rest = parts(after)
        told = [
            before.decode(),
            {"hex": data[error.start : error.end].hex()},
            *(rest if isinstance(rest, list) else [rest]),
        ]
        return [part for part in told if part]


def _frame(frame: Frame, home: bytes) -> Any:
    payload = frame.payload.replace(HOME, home)
    if frame.kind == protocol.FRAME_JSON and frame.announced is None:
        return {"json": parts(payload)}
    found: dict[str, Any] = {"type": frame.kind, "payload": parts(payload)}
    return found if frame.announced is None else found | {"length": frame.announced}


def _sends(drawn: Input, home: bytes) -> list[Any]:
    if drawn.cuts:
        return [{"send": {"raw": parts(piece)}} for piece in drawn.pieces(home)]
    frames = [_frame(frame, home) for frame in drawn.frames]
    frames += [{"raw": parts(drawn.tail.replace(HOME, home))}] if drawn.tail else []
    return [{"send": frame} for frame in frames]


def expectation(told: Told) -> dict[str, Any]:
    """What has to come, as a case says it."""
    answer = told.answer
    if told.shape == "closed" or not answer.controls:
        return {"closed": True}
    control = answer.controls[0]
    if control.get("op") == "error":
        return {"error": control.get("code", "malformed")}
    names = FREE.get(str(control.get("op")), tuple(control))
    found: dict[str, Any] = {"members": {name: control[name] for name in names if name in control}}
    if told.shape == "file":
        return found | {"data": parts(answer.data)}
    streams = {"stdout": answer.stdout, "stderr": answer.stderr}
    return found | {name: parts(data) for name, data in streams.items() if data}


# ---- the case


def _folder(home: str) -> str:
    """Where the case has its private folder: a path as long as the one that it was found with, whatever is drawn for TOP."""
    return f"{TOP}/{'d' * max(len(home) - len(TOP) - len('//home'), 1)}/home"


def _run(command: str) -> list[Any]:
    request = json.dumps({"op": "run", "shell": "raw", "cmd": command})
    return [{"send": request}, {"expect": {"members": {"ok": True, "op": "exit", "exit_code": 0}}}]


def _prepare(folder: str) -> list[Any]:
    """TOP must not be there, not as a link either, and nobody else gets into it: what follows is below it."""
    words = [f"umask 022; mkdir -m 700 {TOP} && mkdir -p {folder}/folder && cd {folder}"]
    for name, content in gate.FILES.items():
        words.append(f"head -c {len(content)} /dev/zero >{name}" if not content.strip(b"\0") else
                     f"printf '{json.dumps(content.decode())[1:-1]}' >{name}")  # fmt: skip
    return _run(" && ".join([*words, *(f"ln -s {target} {name}" for name, target in gate.LINKS.items())]))


def _look(finding: Finding, folder: str) -> dict[str, list[Any]]:
    """A download of each file that has to be there in the end."""
    found: dict[str, list[Any]] = {}
    for name, (kind, mode, content) in sorted(finding.files.items()):
        if kind == "file":
            request = json.dumps({"op": "get_file", "path": f"{folder}/../{name}"})
            expect = {"members": {"ok": True, "mode": mode}, "data": parts(content)}
            found[f"look-{len(found) + 1}"] = [{"send": request}, {"expect": expect}]
    return found


def case(found: Found, home: str, half_close: bool = True) -> tuple[str, str]:
    """The case's id, and the text of a file that holds it alone. `home`: the private folder it was found with."""
    drawn, finding = found.drawn, found.finding
    files = (drawn.at_home or bool(finding.files)) and home != NOWHERE.decode()
    folder = _folder(home) if files else home
    body: list[Any] = _sends(drawn, folder.encode()) + ([{"shutdown": True}] if half_close else [])
    expect = expectation(finding.told) if finding.told else {"closed": True, "ended": "any"}
    body.append({"expect": expect})
    talks = {"found": body}
    if files:
        talks = {"prepare": _prepare(folder), **talks, **_look(finding, folder), "remove": _run(f"rm -rf {TOP}")}
    refused = "error" in expect or "closed" in expect
    digest = hashlib.sha256(repr((drawn.frames, drawn.tail, drawn.cuts, finding.signature)).encode()).hexdigest()[:8]
    identity = f"{check_of(found)}:fuzz-{digest}"
    lines = [
        f"# Found by `conform fuzz`: {finding.kind}. What the agent did: {' '.join(finding.actual.split())[:300]}".rstrip()
    ]
    lines += [f"[{json.dumps(identity)}]", f"about = {toml(f'Found by fuzzing, from {drawn.origin}: {finding.kind}.')}"]
    lines += [f"twin = {toml(TWIN)}", f"apart = {toml(APART)}"] if refused else []
    lines += ['needs = ["server"]'] if len(talks) > 1 else []
    lines += ["deadline = 10"] if finding.kind == "hang" else []
    for name, steps in talks.items():
        lines += [f"conversations.{name} = [", *(f"  {toml(step)}," for step in steps), "]"]
    return identity, "\n".join(lines) + "\n"


def shown(drawn: Input) -> list[str]:
    """The frames, for a person, a line each."""
    lines = [f"type {frame.kind}, {len(frame.payload)} bytes" +
             (f" of {frame.announced}" if frame.announced is not None else "") + f": {_short(frame.payload)}"
             for frame in drawn.frames]  # fmt: skip
    return lines + ([f"and then {drawn.tail!r}"] if drawn.tail else [])


def _short(payload: bytes) -> str:
    text = payload.decode(errors="backslashreplace")
    return text if len(text) <= 200 else f"{text[:120]} ... {text[-60:]}"
