"""The command `conform`."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from guestwire import __version__
from guestwire.drive.connectable import UsageError
from guestwire.judge.verdict import Exit

COMMANDS = (  # each a module of guestwire.commands
    "run",
    "report",
    "merge",
    "clauses",
    "explain",
    "init",
    "list",
    "verify",
    "mutants",
    "stateful",
)


class _Parser(argparse.ArgumentParser):
    """One line for a wrong command line, exit 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(Exit.USAGE)


def _arguments() -> _Parser:
    parser = _Parser("conform", description="Judge guest agents by the guest control protocol, clause by clause.")
    parser.add_argument("--version", action="version", version=f"conform {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name in COMMANDS:
        module = importlib.import_module(f"guestwire.commands.{name}")
        command = commands.add_parser(name, help=module.HELP)
        module.add(command)
        command.set_defaults(main=module.main)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = _arguments().parse_args(arguments)
    try:
        status: int = options.main(options)
    except UsageError as error:
        print(f"conform: {error}", file=sys.stderr)
        return Exit.USAGE
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


if __name__ == "__main__":
    sys.exit(main())
