"""The command `conform`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

from guestwire import __version__
from guestwire.drive.connectable import UsageError
from guestwire.judge.verdict import Exit
from guestwire.report import bug, safe

LONGEST = 2_000  # characters of an error's line
COMMANDS = (  # each a module of guestwire.commands
    "run",
    "report",
    "replay",
    "merge",
    "clauses",
    "explain",
    "export",
    "init",
    "list",
    "verify",
    "mutants",
    "stateful",
    "fuzz",
    "vm",
)


class _Parser(argparse.ArgumentParser):
    """One line for a wrong command line, exit 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(Exit.USAGE)


def _arguments(words: Sequence[str]) -> _Parser:
    """Of the subcommand that is asked for; of all, where none is. To load one costs a quarter of what loading all does."""
    parser = _Parser("conform", description="Judge guest agents by the guest control protocol, clause by clause.")
    parser.add_argument("--version", action="version", version=f"conform {__version__}")
    every = () if list(words) == ["--version"] else COMMANDS
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name in [name for name in COMMANDS if name in words[:1]] or every:
        module = importlib.import_module(f"guestwire.commands.{name}")
        command = commands.add_parser(name, help=module.HELP)
        module.add(command)
        command.set_defaults(main=module.main)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. What no subcommand accounts for is a bug of the harness: one line, and no verdict."""
    words = sys.argv[1:] if arguments is None else arguments
    _fill_standard_descriptors()
    if sys.stdout is None:
        print("conform: standard output is closed: let it go to a file, to /dev/null say", file=sys.stderr)
        return Exit.USAGE
    _replace_what_cannot_be_printed()
    try:
        with _ended_in_order() as came:
            options = _arguments(words).parse_args(words)
            status: int = options.main(options)
        if came and status != Exit.INTERRUPTED:  # it was swallowed: in a callback of the garbage collector, say
            raise KeyboardInterrupt
        sys.stdout.flush()
    except UsageError as error:
        print(f"conform: {safe.cut(safe.line('; '.join(str(error).splitlines())), LONGEST)}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        print("interrupted: nothing was judged", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        _discard_output()
        return 128 + signal.SIGPIPE
    except Exception as error:
        if isinstance(error, OSError):  # of the output itself, it may be: a full disk
            _discard_output()
        if os.environ.get(bug.TRACEBACK):
            traceback.print_exception(error)
        print(f"conform: the harness failed, nothing was judged: {bug.line(error)}", file=sys.stderr)
        return Exit.HARNESS_BUG
    return status


@contextlib.contextmanager
def _ended_in_order() -> Iterator[list[int]]:
    """SIGTERM and SIGHUP are taken like Ctrl-C, unless they are ignored. Value: the signals that came."""
    came: list[int] = []

    def interrupt(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    taken = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    if threading.current_thread() is not threading.main_thread():
        taken = {}
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _fill_standard_descriptors() -> None:
    """What is opened next must not take the place of one that was closed: an agent would be started with it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one


def _replace_what_cannot_be_printed() -> None:
    """A name that the terminal's encoding lacks must not end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """What is still buffered would fail again when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
