"""In the outer guest of the nested level: `conform run`, whose report is sent out of the guest.

    python -m guestwire.vm.within REPORT LOG WORDS...

REPORT takes a tar archive, when all is over: the folder of the run's report, and beside it nested.json. LOG takes what
`conform run` prints. WORDS are those of `conform run`. The inner guest is booted and looked after by it, like any other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

DEVICES = {"/dev/kvm": "kvm_amd", "/dev/vhost-vsock": "vhost_vsock"}


def main(words: list[str]) -> int:
    report, log, *rest = words
    with tempfile.TemporaryDirectory(prefix="guestwire-") as name:
        folder = Path(name)
        told = _judged(folder, Path(log), rest) | {"clock": time.monotonic()}
        (folder / "nested.json").write_text(json.dumps(told))
        with open(report, "wb", buffering=0) as port, tarfile.open(fileobj=port, mode="w|") as archive:
            archive.add(folder, arcname=".", filter=_plain)
    return 0


def _judged(folder: Path, log: Path, words: list[str]) -> dict[str, object]:
    """What came of it, however long it takes (whoever has started this guest ends it): `status`, of `conform
    run`, or `error`."""
    missing = [f"{device} ({module})" for device, module in DEVICES.items() if not Path(device).exists()]
    if missing:
        return {"error": f"the outer guest has no {', '.join(missing)}"}
    command = [sys.executable, "-m", "guestwire.cli", "run", *words, f"--report-dir={folder}/report"]
    with log.open("wb", buffering=0) as output:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, cwd=folder)
    return {"status": ended.returncode}


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders only: a machine's folder holds sockets, too."""
    return member if member.isfile() or member.isdir() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
