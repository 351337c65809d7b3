"""`conform init`: the two files with which an agent's own repository has itself judged."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from guestwire import __version__
from guestwire.agents import descriptor
from guestwire.drive.connectable import UsageError
from guestwire.judge.verdict import Exit

HELP = "write a descriptor and a CI job for an agent"
DESCRIPTOR = "agent.toml"
WORKFLOW = ".github/workflows/conformance.yml"

STARTED = """\
# How it is started. {{listen}} becomes unix:PATH or fd:N (clause SRV-LISTEN), {{here}} the folder of this file. A program with
# a slash in it is looked for from that folder, any other on PATH. An agent that runs already has instead, with quotes,
# `connect = tcp:HOST:PORT`, or unix:PATH, vsock:CID:PORT, hybrid:PATH:PORT.
command = {command}

# How to get the program; said where it is missing.
build = "make"

# Only over these transports; without the line over all four.
# transports = ["unix", "fd-listen", "fd-conn", "unix-ns"]
"""

RUNNING = """\
# Where it is reached: it runs already. An agent that conform is to start has instead, with quotes,
# `command = ./agent --listen {{listen}}`.
connect = {connect}
"""

HEAD = """\
# What guestwire knows about this agent. `conform run agent.toml` judges it; `conform list --help` names the folders in which
# this file is found, so that `conform run NAME` does.
name = {name}

"""

REST = """
# Added to its environment.
# [environment]
# LOG_LEVEL = "debug"

# What it lacks. Cases of that are NOT-APPLICABLE, and a MUST among it keeps the verdict partial. `conform clauses` lists ids.
# [lacks]
# operations = ["get_file"] # run, put_file, get_file
# clauses = ["PING-INSTANCE"]
# checks = ["RUN-SHELL/login"]

# Seconds after which it gives a conversation up, where they are not the contract's.
# [timers]
# request_timeout = 10
# io_timeout = 60
# linger_timeout = 5

# [links]
# home = "https://example.org/agent"
# source = "https://example.org/agent.git"
# documentation = "https://example.org/agent/manual"
# issues = "https://example.org/agent/issues"
"""

JOB = """\
# Fails unless the verdict is green: 1 red, 2 wrong usage, 3 partial, 4 a bug of the harness.
name: conformance
on: [push, pull_request]
jobs:
  conformance:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - run: make # what builds the agent
      # the wheel that `make wheel` builds in a checkout of guestwire
      - run: python3 -m venv .conform && .conform/bin/pip install ./guestwire-{version}-py3-none-any.whl
      # as root: some cases mount file systems and become other users
      - run: sudo .conform/bin/conform run agent.toml
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: conformance
          path: guestwire-report
"""


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = f"Write {DESCRIPTOR} and {WORKFLOW}, to be edited. Nothing is overwritten."
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="where (default: the current folder)")
    parser.add_argument("--name", help="the agent's name (default: the folder's)")
    reached = parser.add_mutually_exclusive_group()
    reached.add_argument("--command", dest="template", metavar="TEMPLATE", help='as in "./agent --listen {listen}"')
    reached.add_argument("--connect", metavar="AGENT", help="of an agent that runs already, as in tcp:HOST:PORT")
    parser.add_argument("--no-ci", action="store_true", help=f"write {DESCRIPTOR} only")


def _name(folder: Path) -> str:
    """The folder's name, as far as a descriptor takes it."""
    found = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("._-")
    return found or "my-agent"


def render(name: str, template: str, connect: str | None) -> str:
    """A descriptor with every key explained. JSON's strings are TOML's too."""
    reached = RUNNING.format(connect=json.dumps(connect)) if connect else STARTED.format(command=json.dumps(template))
    return HEAD.format(name=json.dumps(name)) + reached + REST


def main(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    name = _name(folder) if options.name is None else options.name
    template = f"./{name} --listen {{listen}}" if options.template is None else options.template
    files = {folder / DESCRIPTOR: render(name, template, options.connect)}
    descriptor.parse(files[folder / DESCRIPTOR], folder / DESCRIPTOR)
    if not options.no_ci:
        files[folder / WORKFLOW] = JOB.format(version=__version__)
    for path in files:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} is there already: nothing was written")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            print(f"wrote {path}")
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    print(f"next: edit them, then `conform run {folder / DESCRIPTOR}`", file=sys.stderr)
    return Exit.GREEN
