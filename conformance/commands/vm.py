"""`conform vm run|shell`: the guest that the VM levels judge, for a person to play with."""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guestwire.commands.numbers import positive
from guestwire.drive.connectable import UsageError
from guestwire.drive.platform import ON_LINUX
from guestwire.judge.outcome import Violation
from guestwire.judge.verdict import Exit

HELP = "boot a real guest with an agent in it, and say what reaches it"
DEADLINE = 180.0  # seconds for a boot; two to five are usual
ARCHITECTURES = ("x86_64", "aarch64")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("run", "shell"), help="run: until Ctrl-C; shell: with a shell in it, here")
    parser.add_argument("--agent", type=Path, help="a static program (default: what `make agent` builds)")
    parser.add_argument("--arch", choices=ARCHITECTURES, default=platform.machine(), help="of the guest")
    parser.add_argument(
        "--kernel", type=Path, help="instead of Debian's; with vsock and virtio built in, if of another release"
    )
    parser.add_argument(
        "--initrd-add", type=Path, action="append", default=[], metavar="DIR", help="to stand at / in it too"
    )
    parser.add_argument("--memory", type=positive, default=256, metavar="MIB", help="of the guest (default 256)")
    parser.add_argument("--cpus", type=positive, default=1, metavar="N")


def main(options: argparse.Namespace) -> int:
    if not ON_LINUX:
        raise UsageError(f"conform vm needs Linux, and this is {sys.platform}")
    if options.arch not in ARCHITECTURES:
        raise UsageError(f"no guest of architecture {options.arch}: --arch {' or '.join(ARCHITECTURES)}")
    from guestwire.vm import idle, machine
    from guestwire.vm.packages import ImageError

    with tempfile.TemporaryDirectory(prefix="guestwire-vm-") as folder, _terminal_as_it_was():
        try:
            guest = machine.boot(_spec(options), Path(folder), DEADLINE)
        except (ImageError, machine.MachineError) as error:
            print(f"conform vm: {error}", file=sys.stderr)
            return Exit.RED
        try:
            facts = guest.facts
            how = f"{facts.accelerator} ({facts.why})" if facts.why else facts.accelerator
            print(f"{facts.kernel} on {how}, {facts.memory_mib} MiB: answers after {facts.seconds:.1f} s")
            with contextlib.suppress(OSError, ValueError):  # an agent that is not ours may not tell
                print(f"agent  {idle.ask(guest)}")
            print(f"reach  {guest.connectable}")
            print(f"logs   {folder}", flush=True)
            return _attend(guest, watch=options.what == "run")
        finally:
            guest.stop()


def _spec(options: argparse.Namespace) -> Any:
    """The guest that is asked for. Raises UsageError."""
    from guestwire.vm import qemu

    own = "" if options.arch == platform.machine() else f"{options.arch}/"
    agent = options.agent or Path(f"build/{own}smolvm-guest-agent")
    make = f": make agent{f' ARCH={options.arch}' if own else ''}" if options.agent is None else ""
    for path in filter(None, (agent, options.kernel)):
        if not path.is_file():
            raise UsageError(f"{path}: no such file{make if path == agent else ''}")
    overlay: dict[str, bytes | Path] = {}
    for folder in options.initrd_add:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
        overlay |= {f"/{path.name}": path for path in folder.iterdir()}
    return qemu.Spec(
        qemu.VHOST_USER, [str(agent)], options.arch, options.memory, options.cpus, overlay=overlay, kernel=options.kernel,
        shell=options.what == "shell",
    )  # fmt: skip


def _attend(guest: Any, watch: bool) -> int:
    """Until the guest powers off, or Ctrl-C; with `watch` until something is wrong, too."""
    try:
        while not guest.wait(0.5):
            if watch:
                guest.check()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Violation as error:
        print(f"conform vm: {error.expected}; but: {error.actual}", file=sys.stderr)
        return Exit.RED
    return Exit.GREEN


@contextlib.contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """QEMU makes it raw, and may be killed."""
    try:
        kept = termios.tcgetattr(0)
    except termios.error:
        yield
        return
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, kept)
