"""Put a released agent into a guest's root: a folder, an initramfs or an ext4 image. No root is needed.

    ci/bake [--dist DIR] [--arch x86_64|aarch64] TARGET

The agent comes to /usr/local/bin/smolvm-guest-agent, mode 0755, once its checksum is the one in DIR/SHA256SUMS and
ci/check-binary finds a static binary for the target's machine. /init gets a fragment that starts it first of all; a root
without /init gets one, or with systemd the unit. To bake again changes nothing. Exit status 1 and one line for what cannot be.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from guestwire.vm.root_ext import HEAD, Ext, is_ext
from guestwire.vm.root_initramfs import Initramfs
from guestwire.vm.roots import File, Folder, Root, RootError
from guestwire.vm.unpack import UnpackError

ROOT = Path(__file__).resolve().parents[2]
AGENT = "usr/local/bin/smolvm-guest-agent"
NAME = "smolvm-guest-agent-{}-linux"
BEGIN, END = "# >>> smolvm-guest-agent", "# <<< smolvm-guest-agent"
FRAGMENT = f"""{BEGIN}: written by ci/bake
mkdir -p /var/log
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /{AGENT} >/var/log/smolvm-agent.log 2>&1 &
{END}
"""
# For a root that has none: what the agent needs, the agent, and whatever was to be process 1.
INIT = f"""#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
modprobe vmw_vsock_virtio_transport
{FRAGMENT}[ ! -x /sbin/init ] || exec /sbin/init "$@"
while :; do
    wait
    sleep 3600
done
"""
SYSTEMD = ("usr/lib/systemd/systemd", "lib/systemd/systemd")
UNIT = "etc/systemd/system/smolvm-guest-agent.service"
WANTED = "etc/systemd/system/sysinit.target.wants/smolvm-guest-agent.service"
_MACHINES = {62: "x86_64", 183: "aarch64"}
_PROGRAMS = ("sbin/init", "bin/sh", "bin/busybox", "usr/bin/env", "usr/bin/python3")


def opened(path: Path) -> Root:
    """The root that lies there. Raises RootError, OSError."""
    if path.is_dir():
        return Folder(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
    if is_ext(head):
        return Ext(path, head)
    try:
        return Initramfs(path)
    except UnpackError as error:
        raise RootError(f"{path}: neither a folder, nor an ext4 image, nor an initramfs: {error}") from None


def architecture(root: Root) -> str:
    """What the root's programs are for, "" where there are none. Raises RootError for a machine that no agent is built for."""
    for name in _PROGRAMS:
        head = (root.read(name) or b"")[:20]
        if head.startswith(b"\x7fELF"):
            number = int.from_bytes(head[18:20], "little")
            if number not in _MACHINES:
                raise RootError(f"/{name} is for ELF machine {number}: no agent is built for that")
            return _MACHINES[number]
    return ""


def agent(dist: Path, arch: str) -> bytes:
    """The released binary. Raises RootError unless it is what SHA256SUMS and ci/check-binary say it has to be."""
    path = dist / NAME.format(arch)
    try:
        data, sums = path.read_bytes(), (dist / "SHA256SUMS").read_text()
    except OSError as error:
        raise RootError(f"{error.filename}: {error.strerror}; make release") from None
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in sums.splitlines())}
    if path.name not in wanted:
        raise RootError(f"{dist}/SHA256SUMS has no {path.name}")
    found = hashlib.sha256(data).hexdigest()
    if found != wanted[path.name]:
        raise RootError(f"{path}: SHA-256 {found}, and SHA256SUMS says {wanted[path.name]}: it has been changed")
    words = [sys.executable, str(ROOT / "ci/check-binary"), str(path), arch]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RootError("; ".join(done.stderr.splitlines()))
    return data


def started(script: str) -> str:
    """The /init with the fragment: in its place, or before the first command. Raises RootError for what is no shell script."""
    lines = script.splitlines(keepends=True)
    marks = [[number for number, line in enumerate(lines) if line.startswith(mark)] for mark in (BEGIN, END)]
    if marks != [[], []]:
        if [len(found) for found in marks] != [1, 1] or marks[0] > marks[1]:
            raise RootError(f"/init: its lines {BEGIN!r} and {END!r} are not a pair")
        return "".join(lines[: marks[0][0]]) + FRAGMENT + "".join(lines[marks[1][0] + 1 :])
    if not lines or not lines[0].startswith("#!") or "sh" not in lines[0]:
        raise RootError("/init is no shell script: start the agent from it by hand, or leave it out of the root")
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:first]) + FRAGMENT + "".join(lines[first:])


def files(root: Root, binary: bytes) -> dict[str, File]:
    """What has to stand in the root."""
    found = {AGENT: File(binary, 0o755)}
    script = root.read("init")
    if script is not None:
        return found | {"init": File(os.fsencode(started(os.fsdecode(script))), 0o755)}
    if any(root.read(name) is not None for name in SYSTEMD):
        unit = (ROOT / "agent/install/smolvm-guest-agent.service").read_text().replace("@BINDIR@", "/usr/local/bin")
        return found | {UNIT: File(unit.encode(), 0o644), WANTED: File(f"/{UNIT}".encode(), 0o777, link=True)}
    return found | {"init": File(INIT.encode(), 0o755)}


def bake(target: Path, dist: Path, arch: str) -> list[str]:
    """What was changed, as paths in the guest. Raises RootError."""
    root = opened(target)
    there = architecture(root)
    if not (arch or there):
        raise RootError(f"{target}: no program in it that says what machine it is for: --arch x86_64 or --arch aarch64")
    if arch and there and arch != there:
        raise RootError(f"{target}: its programs are for {there}, not for {arch}")
    wanted = files(root, agent(dist, arch or there))
    changed = {name: file for name, file in wanted.items() if root.file(name) != file}
    if changed:
        root.write(changed)
    wrong = [name for name, file in wanted.items() if root.file(name) != file]
    if wrong:
        raise RootError(f"{target}: /{wrong[0]} is not there as it was written")
    return sorted(changed)


def main() -> int:
    parser = argparse.ArgumentParser("ci/bake", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", metavar="DIR", help="a release (default: dist)")
    parser.add_argument(
        "--arch", choices=sorted(_MACHINES.values()), default="", help="default: what the target's programs are for"
    )
    parser.add_argument("target", type=Path, metavar="TARGET", help="a root folder, an initramfs or an ext4 image")
    options = parser.parse_args()
    try:
        changed = bake(options.target, options.dist, options.arch)
    except (RootError, OSError) as error:
        print(f"bake: {error}", file=sys.stderr)
        return 1
    print("".join(f"/{name}\n" for name in changed) or "nothing to change\n", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
