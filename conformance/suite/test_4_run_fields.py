"""Section 4: the fields of run, the shell and the environment (RUN-CMD, RUN-SHELL, RUN-ENV, `timeout`, RUN-SPAWN)."""

from __future__ import annotations

import pytest

from guestwire.drive.host import Host, exit_code
from guestwire.drive.server import ENVIRONMENT
from guestwire.judge.case import case
from guestwire.judge.outcome import expect_equal
from guestwire.suite.run_support import raw_run

ARGUMENT_CAP = 131_072  # bytes of one argument with its NUL: 32 pages of 4 KiB, the kernel's MAX_ARG_STRLEN
TELL_ARGUMENTS = '#!/bin/sh\nfor word in "$0" "$@"; do printf \'%s\\n\' "$word"; done\n'


def table(**rows: str) -> pytest.MarkDecorator:
    """One case for each row: its id, and the members of the request in JSON text."""
    return pytest.mark.parametrize(
        "members", [pytest.param(text, id=name.replace("_", "-")) for name, text in rows.items()]
    )


def refuse(host: Host, chunking: str, cmd: str | None, members: str, contains: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(raw_run(cmd, members), chunking)
    host.error(conversation.answer(), "invalid_argument", contains)


# ---- RUN-CMD


@case("RUN-CMD/missing", wide=True, twin="CONV-ONE/single:run")
def test_cmd_missing(host: Host, chunking: str) -> None:
    refuse(host, chunking, None, '"shell":"raw"', "cmd")


@case("RUN-CMD/null", wide=True, twin="CONV-ONE/single:run")
def test_cmd_null(host: Host, chunking: str) -> None:
    refuse(host, chunking, None, '"cmd":null', "cmd")


@case("RUN-CMD/empty", wide=True, twin="CONV-ONE/single:run")
def test_cmd_empty(host: Host, chunking: str) -> None:
    refuse(host, chunking, "", '"shell":"raw"', "cmd")


@case("RUN-CMD/type", wide=True, twin="CONV-ONE/single:run")
@table(number='"cmd":1', true='"cmd":true', array='"cmd":["true"]', object='"cmd":{}')
def test_cmd_type(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, None, members, "cmd")


@case("RUN-CMD/empty", variant="blank-is-a-command")
def test_cmd_of_one_blank(host: Host) -> None:
    """Only an empty cmd is none."""
    expect_equal(exit_code(host.run(" ")), 0, "exit code of a command of one blank")


# ---- RUN-SHELL


@case("RUN-SHELL/raw")
@pytest.mark.parametrize("shell", ["/nonexistent/shell", ""], ids=["row", "unset"])
def test_raw(host: Host, shell: str) -> None:
    """raw: `/bin/sh -c CMD`, the command untouched."""
    cmd = "cat /proc/$$/cmdline; : ' \t\\ \" % ä€\U0001f600'\n: $HOME `true`"
    said = host.output(cmd, env={"SHELL": shell})
    expect_equal(said.split(b"\0")[1:], [b"-c", cmd.encode(), b""], "the shell's arguments")
    expect_equal(said.split(b"\0")[0].rpartition(b"/")[2], b"sh", "the shell's name")
    same = host.output("[ /proc/$$/exe -ef /bin/sh ] && echo same")
    expect_equal(same, b"same\n", "the shell's executable and /bin/sh")


@case("RUN-SHELL/login", needs="start witness")
@table(absent="", null='"shell":null', login='"shell":"login"')
def test_login(host: Host, members: str) -> None:
    """login: `$SHELL -lc CMD`; it is the default."""
    shell = f"{host.scratch}/shell"
    host.witness.write(shell, TELL_ARGUMENTS.encode(), 0o755)
    conversation = host.start(env={"SHELL": shell}).connect()
    conversation.send_raw(raw_run("the cmd", members))
    answer = conversation.answer()
    expect_equal(answer.stdout, f"{shell}\n-lc\nthe cmd\n".encode(), "the shell's arguments")
    expect_equal(exit_code(answer), 0, "exit code")


@case("RUN-SHELL/raw", variant="beside-a-shell", needs="start witness")
def test_raw_ignores_the_variable(host: Host) -> None:
    agent = host.start(env={"SHELL": "/nonexistent/shell"})
    expect_equal(agent.output("echo $SHELL"), b"/nonexistent/shell\n", "output of /bin/sh")


@case("RUN-SHELL/fallback", needs="start")
@pytest.mark.parametrize("env", [{}, {"SHELL": ""}], ids=["unset", "empty"])
def test_login_falls_back_to_sh(host: Host, env: dict[str, str]) -> None:
    cmd = "cat /proc/$$/cmdline; [ /proc/$$/exe -ef /bin/sh ] && echo same"
    said = host.start(env=env).output(cmd, shell="login")
    expect_equal(
        said.split(b"\0")[1:], [b"-lc", cmd.encode(), b"same\n"], "the arguments of /bin/sh, and that it is that"
    )


@case("RUN-SHELL/own", needs="start witness")
@pytest.mark.parametrize("own", [True, False], ids=["set", "unset"])
def test_shell_is_never_taken_from_env(host: Host, own: bool) -> None:
    """SHELL is the agent's own; the command's environment has the request's."""
    shell = f"{host.scratch}/shell"
    host.witness.write(shell, b'#!/bin/sh\necho "own $SHELL"\n', 0o755)
    agent = host.start(env={"SHELL": shell} if own else {})
    said = agent.output('echo "sh $SHELL"', shell="login", env={"SHELL": "/nonexistent/shell"})
    expect_equal(said, b"%s /nonexistent/shell\n" % (b"own" if own else b"sh"), "the shell that ran, and its SHELL")


@case("RUN-SHELL/no-path", "ERR-CODE/spawn_failed", needs="start witness", twin="RUN-SHELL/raw:row")
@pytest.mark.parametrize("shell", ["sh", "gw-shell"])
def test_no_path_search(host: Host, shell: str) -> None:
    """`executed as given, without a PATH search`: a name without a slash is a file of the working directory, or nothing."""
    host.witness.mkdir(f"{host.scratch}/empty")
    host.witness.write(f"{host.scratch}/gw-shell", TELL_ARGUMENTS.encode(), 0o755)
    env = {"SHELL": shell, "PATH": f"{host.scratch}:{ENVIRONMENT['PATH']!s}"}
    agent = host.start(env=env, cwd=f"{host.scratch}/empty")
    host.error(agent.run("echo found", shell="login"), "spawn_failed")


@case("RUN-SHELL/no-path", variant="relative", needs="start witness")
@pytest.mark.parametrize("shell", ["sh", "./sh"], ids=["name", "path"])
def test_relative_shell(host: Host, shell: str) -> None:
    """The positive twin: the same name, and the file is there."""
    host.witness.write(f"{host.scratch}/sh", b"#!/bin/sh\necho here\n", 0o755)
    agent = host.start(env={"SHELL": shell}, cwd=host.scratch)
    expect_equal(agent.output("echo elsewhere", shell="login"), b"here\n", "output of the working directory's shell")


@case("RUN-SHELL/other", wide=True, twin="RUN-SHELL/raw:row")
@table(
    name='"shell":"bash"', path='"shell":"/bin/sh"', case='"shell":"Raw"', empty='"shell":""', longer='"shell":"login "'
)
def test_other_shell(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", members, "")


@case("RUN-SHELL/other", variant="type", wide=True, twin="RUN-SHELL/raw:row")
@table(number='"shell":1', false='"shell":false', array='"shell":["raw"]', object='"shell":{}')
def test_shell_type(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", members, "shell")


# ---- RUN-ENV


def environment(
    host: Host, env: str = "", agent_env: dict[str | bytes, str | bytes] | None = None
) -> dict[bytes, bytes]:
    """The environment that a fresh agent's shell is started with; each name must be there once."""
    agent = host.start(env=agent_env) if agent_env is not None else host
    conversation = agent.connect()
    conversation.send_raw(raw_run("cat /proc/$$/environ; :", f'"shell":"raw"{env and ","}{env}'))
    answer = conversation.answer()
    expect_equal(exit_code(answer), 0, "exit code")
    entries = [entry.partition(b"=") for entry in answer.stdout.split(b"\0")[:-1]]
    names = [name for name, _, _ in entries]
    expect_equal(len(names), len(set(names)), f"every variable once in {names}")
    return {name: value for name, _, value in entries}


def own(**more: str) -> dict[bytes, bytes]:
    """The environment every agent is started with, and more."""
    strings = ENVIRONMENT | more
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in strings.items()}


@case("RUN-ENV/inherited", needs="start")
@table(absent="", null='"env":null', empty='"env":{}')
def test_environment_is_inherited(host: Host, members: str) -> None:
    """The agent's environment, all of it and nothing else, bytes that are not UTF-8 too."""
    given: dict[str | bytes, str | bytes] = {"GW_TEXT": "a=b\n", "GW_EMPTY": "", b"GW_\xff": b"\xfe\x80"}
    expected = own(GW_TEXT="a=b\n", GW_EMPTY="") | {b"GW_\xff": b"\xfe\x80"}
    expect_equal(environment(host, members, given), expected, "environment")


@case("RUN-ENV/wins", needs="start")
def test_request_wins(host: Host) -> None:
    given: dict[str | bytes, str | bytes] = {"GW_ONE": "agent", "GW_TWO": "agent"}
    env = '"env":{"GW_ONE":"request","gw_two":"","New \\u00e4\\ud83d\\ude00":"a=b\\n\\u20ac","HOME":"/tmp"}'
    expected = own(GW_ONE="request", GW_TWO="agent", gw_two="", HOME="/tmp", **{"New ä\U0001f600": "a=b\n€"})
    expect_equal(environment(host, env, given), expected, "environment")


@case("RUN-ENV/wins", variant="thousands", deadline=60)
def test_thousands_of_variables(host: Host) -> None:
    names = [f"GW_{number}" for number in range(4000)]
    lines = host.output("exec env", env=dict.fromkeys(names, "x")).split(b"\n")
    missing = {f"{name}=x".encode() for name in names} - set(lines)
    expect_equal(sorted(missing)[:3], [], "variables that did not arrive")


@case("RUN-ENV/integers", wide=True)
def test_integers_are_written_in_decimal(host: Host, chunking: str) -> None:
    values = ("0", "-0", "7", "-12", "9007199254740991", "-9007199254740991")
    env = ",".join(f'"GW_{index}":{value}' for index, value in enumerate(values))
    conversation = host.connect()
    show = " ".join(f"$GW_{index}" for index in range(len(values)))
    conversation.send_chunked(raw_run(f"echo {show}", f'"shell":"raw","env":{{{env}}}'), chunking)
    answer = conversation.answer()
    expect_equal(answer.stdout, b"0 0 7 -12 9007199254740991 -9007199254740991\n", "the variables")


@case("RUN-ENV/bad-value", wide=True, twin="RUN-ENV/wins")
@table(
    fraction="1.5", whole_fraction="1.0", exponent="1e0", true="true", false="false", null="null", array="[]", object="{}",
    beyond="9007199254740992", below="-9007199254740992",
)  # fmt: skip
def test_bad_value(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", f'"shell":"raw","env":{{"GW_A":"x","GW_B":{members}}}', "")


@case("RUN-ENV/bad-name", wide=True, twin="RUN-ENV/wins")
@table(empty='""', equals='"="', inside='"GW_A=B"', last='"GW_A="', first='"=GW_A"')
def test_bad_name(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", f'"shell":"raw","env":{{"GW_A":"x",{members}:"y"}}', "")


@case("RUN-ENV/type", wide=True, twin="RUN-ENV/wins")
@table(string='"env":"A=b"', empty='"env":""', number='"env":0', false='"env":false', array='"env":["A=b"]')
def test_env_type(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", f'"shell":"raw",{members}', "env")


# ---- timeout as a field; what a deadline does stands in test_4_run_timeout.py


@case("RUN-TIMEOUT/bad", wide=True, twin="RUN-TIMEOUT/none")
@table(
    negative="-1", fraction="-0.5", tiny="-5e-324", infinite="1e400", minus_infinite="-1e400", rounded="1.797693134862315808e308",
    digits="9" * 400,
)  # fmt: skip
def test_bad_timeout(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", f'"shell":"raw","timeout":{members}', "")


@case("RUN-TIMEOUT/type", wide=True, twin="RUN-TIMEOUT/none")
@table(string='"1"', true="true", false="false", array="[1]", object="{}")
def test_timeout_type(host: Host, chunking: str, members: str) -> None:
    refuse(host, chunking, "true", f'"shell":"raw","timeout":{members}', "timeout")


@case("RUN-SHELL/other", "RUN-ENV/type", "RUN-ENV/bad-value", "RUN-ENV/bad-name", "RUN-TIMEOUT/type", "RUN-TIMEOUT/bad",
      variant="nothing-started", needs="witness", twin="RUN-SHELL/raw:row")  # fmt: skip
def test_nothing_is_started(host: Host) -> None:
    """A wrong field is found `before anything is started or touched`."""
    wrong = ['"shell":"sh"', '"env":[]', '"env":{"A":1.5}', '"env":{"=":""}', '"timeout":"1"', '"timeout":-1']
    for index, members in enumerate(wrong):
        conversation = host.connect()
        conversation.send_raw(raw_run(f"touch {host.scratch}/{index}", members))
        host.error(conversation.answer(), "invalid_argument")
    expect_equal(exit_code(host.run(f"touch {host.scratch}/right", shell="login", env={}, timeout=5)), 0, "exit code")
    expect_equal(host.witness.names(host.scratch), ["right"], "files that commands made")


# ---- RUN-SPAWN


@case("RUN-SPAWN/missing", "ERR-CODE/spawn_failed", needs="start witness", twin="RUN-SHELL/own:set")
@pytest.mark.parametrize("shell", ["/nonexistent/shell", "/etc/passwd/shell", "{scratch}/no-interpreter"],
                         ids=["nothing", "no-directory", "no-interpreter"])  # fmt: skip
def test_missing_shell(host: Host, shell: str) -> None:
    """`spawn_failed`, with no stream frame before it; the agent serves on."""
    host.witness.write(f"{host.scratch}/no-interpreter", b"#!/nonexistent/interpreter\n", 0o755)
    agent = host.start(env={"SHELL": shell.format(scratch=host.scratch)})
    host.error(agent.run("echo found", shell="login"), "spawn_failed")
    expect_equal(exit_code(agent.run("exit 3")), 3, "exit code of the next run")


@case("RUN-SPAWN/denied", "ERR-CODE/spawn_failed", needs="start witness", twin="RUN-SHELL/own:set")
@pytest.mark.parametrize("shell", ["{scratch}/mode-0644", "{scratch}", "{scratch}/no-format"],
                         ids=["mode", "directory", "format"])  # fmt: skip
def test_shell_that_cannot_be_executed(host: Host, shell: str) -> None:
    """A file without a format of its own is no script of /bin/sh: executed as given."""
    host.witness.write(f"{host.scratch}/mode-0644", b"#!/bin/sh\necho run\n", 0o644)
    host.witness.write(f"{host.scratch}/no-format", b"echo run\n", 0o755)
    agent = host.start(env={"SHELL": shell.format(scratch=host.scratch)})
    host.error(agent.run("echo found", shell="login"), "spawn_failed")
    expect_equal(exit_code(agent.run("exit 3")), 3, "exit code of the next run")


@case("RUN-SPAWN/too-long", "ERR-CODE/spawn_failed", twin="CONV-ONE/single:run")
@pytest.mark.parametrize(
    "length", [ARGUMENT_CAP, ARGUMENT_CAP + 1, 1_000_000], ids=["128-kib", "128-kib-and-1", "1-mb"]
)
def test_argument_too_long(host: Host, length: int) -> None:
    host.error(host.run("exit 7 #".ljust(length, "x")), "spawn_failed")
    expect_equal(exit_code(host.run("exit 3")), 3, "exit code of the next run")


@case("RUN-SPAWN/too-long", "ERR-CODE/spawn_failed", variant="environment", twin="CONV-ONE/single:run")
def test_environment_too_long(host: Host) -> None:
    """`GW=` and the NUL count."""
    host.error(host.run("exit 7", env={"GW": "x" * (ARGUMENT_CAP - 3)}), "spawn_failed")
    expect_equal(exit_code(host.run("exit ${#GW}", env={"GW": "x" * 200})), 200, "exit code of the next run")


@case("RUN-SPAWN/too-long", variant="just-below")
def test_longest_argument(host: Host) -> None:
    """The positive twins."""
    expect_equal(exit_code(host.run("exit 7 #".ljust(ARGUMENT_CAP - 1, "x"))), 7, "exit code")
    expect_equal(
        host.output("echo ${#GW}", env={"GW": "x" * (ARGUMENT_CAP - 4)}), b"%d\n" % (ARGUMENT_CAP - 4), "its length"
    )
