"""ci/bake: a released agent in a folder, an initramfs and an ext4 image."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import lz4.block
import lz4.frame
import pytest
import zstandard

from guestwire.vm import bake, cpio, unpack
from guestwire.vm.roots import RootError

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build/smolvm-guest-agent"
MACHINE = platform.machine()
MACHINES = {"x86_64": 62, "aarch64": 183}  # by ELF
FOREIGN = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]
SCRIPT = "#!/bin/sh\n# PID 1 of a guest\n\nmount -t proc proc /proc\nexec sh\n"
STARTS = "/usr/local/bin/smolvm-guest-agent >/var/log/smolvm-agent.log 2>&1 &\n"


def sums(dist: Path) -> None:
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(dist.glob("smolvm*"))]
    (dist / "SHA256SUMS").write_text("".join(lines))


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A release of the agent as it is built, and of what says that it is for another machine."""
    folder = tmp_path / "dist"
    folder.mkdir()
    shutil.copy2(BUILT, folder / bake.NAME.format(MACHINE))
    data = BUILT.read_bytes()
    (folder / bake.NAME.format(FOREIGN)).write_bytes(data[:18] + MACHINES[FOREIGN].to_bytes(2, "little") + data[20:])
    sums(folder)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder as Debian's are: /bin is a link."""
    folder = tmp_path / "root"
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "bin").symlink_to("usr/bin")
    shutil.copy2(BUILT, folder / "usr/bin/busybox")  # any program of this machine
    (folder / "usr/bin/sh").symlink_to("/bin/busybox")
    (folder / "init").write_text(SCRIPT)
    (folder / "init").chmod(0o700)
    return folder


def test_folder(root: Path, dist: Path) -> None:
    assert bake.bake(root, dist, "") == ["init", bake.AGENT]
    assert (root / bake.AGENT).read_bytes() == BUILT.read_bytes()
    assert (root / bake.AGENT).stat().st_mode & 0o7777 == 0o755
    script = (root / "init").read_text()
    assert script.startswith("#!/bin/sh\n# PID 1 of a guest\n# >>> smolvm-guest-agent")
    assert script.endswith("# <<< smolvm-guest-agent\n\nmount -t proc proc /proc\nexec sh\n")
    assert STARTS in script
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    assert bake.bake(root, dist, "") == []
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


def test_another_release_replaces(root: Path, dist: Path) -> None:
    (root / "init").write_text(
        "#!/bin/sh\nfirst\n# >>> smolvm-guest-agent: of old\nold\n# <<< smolvm-guest-agent\nlast\n"
    )
    bake.bake(root, dist, "")
    assert (root / "init").read_text() == f"#!/bin/sh\nfirst\n{bake.FRAGMENT}last\n"


def test_links_do_not_lead_out(root: Path, dist: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "usr/local").symlink_to(f"/../..{outside}")
    bake.bake(root, dist, "")
    assert list(outside.iterdir()) == []
    assert (root / f"{outside}/bin/smolvm-guest-agent".lstrip("/")).is_file()


def test_root_without_init(root: Path, dist: Path) -> None:
    (root / "init").unlink()
    bake.bake(root, dist, "")
    script = (root / "init").read_text()
    assert STARTS in script
    assert script.endswith("done\n")
    subprocess.run(["sh", "-n", str(root / "init")], check=True, timeout=60)
    assert (root / "init").stat().st_mode & 0o777 == 0o755
    assert bake.bake(root, dist, "") == []


def test_root_with_systemd(root: Path, dist: Path) -> None:
    (root / "init").unlink()
    (root / "usr/lib/systemd").mkdir(parents=True)
    shutil.copy2(BUILT, root / "usr/lib/systemd/systemd")
    assert bake.bake(root, dist, "") == [bake.UNIT, bake.WANTED, bake.AGENT]
    assert "ExecStart=/usr/local/bin/smolvm-guest-agent" in (root / bake.UNIT).read_text()
    assert os.readlink(root / bake.WANTED) == f"/{bake.UNIT}"
    assert bake.bake(root, dist, "") == []


def legacy_lz4(data: bytes) -> bytes:
    block = lz4.block.compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + bytes(block)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lz4": lambda data: bytes(lz4.frame.compress(data)),
    "lz4-legacy": legacy_lz4,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("form", FORMS)
def test_initramfs(form: str, root: Path, dist: Path, tmp_path: Path) -> None:
    image = tmp_path / "initrd"
    early = cpio.archive({"kernel/x86/microcode.bin": cpio.file(b"early")})
    image.write_bytes(early + FORMS[form](cpio.archive(cpio.tree(root, ""))))
    start = image.read_bytes()
    assert bake.bake(image, dist, "") == ["init", bake.AGENT]
    first = image.read_bytes()
    assert first.startswith(start)
    assert bake.bake(image, dist, "") == []
    assert image.read_bytes() == first
    found = unpack.entries(first)
    assert found[bake.AGENT] == cpio.file(BUILT.read_bytes(), 0o755)
    assert STARTS in found["init"].data.decode()
    assert found["bin"] == cpio.link("usr/bin")
    assert found["kernel/x86/microcode.bin"].data == b"early"


def test_initramfs_is_baked_again_in_place(root: Path, dist: Path, tmp_path: Path) -> None:
    """What was added before is replaced, not added to."""
    image = tmp_path / "initrd"
    image.write_bytes(gzip.compress(cpio.archive(cpio.tree(root, ""))))
    bake.bake(image, dist, "")
    size = image.stat().st_size
    agent = dist / bake.NAME.format(MACHINE)
    agent.write_bytes(BUILT.read_bytes() + b"\0")
    sums(dist)
    assert bake.bake(image, dist, "") == [bake.AGENT]
    assert image.stat().st_size - size <= 4
    assert unpack.entries(image.read_bytes())[bake.AGENT].data == agent.read_bytes()


def test_initramfs_as_another_program_writes_it(root: Path, dist: Path, tmp_path: Path) -> None:
    """cpio's own, with "./" before the names."""
    image = tmp_path / "initrd"
    os.link(root / "usr/bin/busybox", root / "usr/bin/again")
    listed = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True, timeout=60).stdout
    words = ["cpio", "--quiet", "-o", "-H", "newc"]
    image.write_bytes(subprocess.run(words, cwd=root, input=listed, capture_output=True, check=True, timeout=60).stdout)
    bake.bake(image, dist, "")
    found = unpack.entries(image.read_bytes())
    assert found["usr/bin/again"].data == found["usr/bin/busybox"].data == BUILT.read_bytes()
    assert found[bake.AGENT].data == BUILT.read_bytes()


@pytest.fixture
def ext4(root: Path, tmp_path: Path) -> Path:
    image = tmp_path / "root.ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image), "16M"], check=True, timeout=60)
    return image


def debugfs(image: Path, request: str) -> str:
    return subprocess.run(
        ["debugfs", "-R", request, str(image)], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_ext4(ext4: Path, dist: Path, tmp_path: Path) -> None:
    assert bake.bake(ext4, dist, "") == ["init", bake.AGENT]
    debugfs(ext4, f"dump /{bake.AGENT} {tmp_path}/out")
    assert (tmp_path / "out").read_bytes() == BUILT.read_bytes()
    facts = debugfs(ext4, f"stat /{bake.AGENT}").split()
    assert facts[facts.index("Mode:") + 1] == "0755"
    assert facts[facts.index("User:") + 1] == "0"
    assert STARTS in debugfs(ext4, "cat /init")
    subprocess.run(["e2fsck", "-f", "-n", str(ext4)], capture_output=True, check=True, timeout=60)
    before = ext4.read_bytes()
    assert bake.bake(ext4, dist, "") == []
    assert ext4.read_bytes() == before


def test_ext4_in_folders_with_blanks(ext4: Path, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own, and the one for temporary files, which debugfs reads a script of words about."""
    folder = tmp_path / 'a "b", c'
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    image = ext4.rename(folder / "root ext4")
    assert bake.bake(image, dist, "") == ["init", bake.AGENT]
    assert bake.bake(image, dist, "") == []
    assert list(folder.iterdir()) == [image]


def test_ext4_with_systemd(root: Path, dist: Path, tmp_path: Path) -> None:
    (root / "init").unlink()
    (root / "usr/lib/systemd").mkdir(parents=True)
    shutil.copy2(BUILT, root / "usr/lib/systemd/systemd")
    image = tmp_path / "root.ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image), "16M"], check=True, timeout=60)
    assert bake.bake(image, dist, "") == [bake.UNIT, bake.WANTED, bake.AGENT]
    assert f'Fast link dest: "/{bake.UNIT}"' in debugfs(image, f"stat /{bake.WANTED}")
    assert bake.bake(image, dist, "") == []


def test_ext4_that_is_full(root: Path, dist: Path, tmp_path: Path) -> None:
    image = tmp_path / "root.ext4"
    (root / "large").write_bytes(os.urandom(900_000))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-d", str(root), str(image), "1030k"],
                   check=True, timeout=60)  # fmt: skip
    with pytest.raises(RootError, match=r"root\.ext4"):
        bake.bake(image, dist, "")


# ---- what is refused


def refused(target: Path, dist: Path, match: str, arch: str = "") -> None:
    before = target.read_bytes() if target.is_file() else None
    with pytest.raises(RootError, match=match):
        bake.bake(target, dist, arch)
    assert before is None or target.read_bytes() == before
    assert not (target / bake.AGENT).exists()


def test_changed_binary(root: Path, dist: Path) -> None:
    path = dist / bake.NAME.format(MACHINE)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused(root, dist, "it has been changed")


def test_dynamic_binary(root: Path, dist: Path) -> None:
    shutil.copy2("/bin/true", dist / bake.NAME.format(MACHINE))
    sums(dist)
    refused(root, dist, "dynamically linked")


def test_binary_of_another_machine(root: Path, dist: Path) -> None:
    shutil.copy2(dist / bake.NAME.format(FOREIGN), dist / bake.NAME.format(MACHINE))
    sums(dist)
    refused(root, dist, f"is not {MACHINE}")


def test_no_release(root: Path, tmp_path: Path) -> None:
    refused(root, tmp_path, "make release")


def test_another_machine_asked_for(root: Path, dist: Path) -> None:
    refused(root, dist, f"for {MACHINE}, not for {FOREIGN}", FOREIGN)


def test_root_that_says_nothing(root: Path, dist: Path) -> None:
    (root / "usr/bin/busybox").unlink()
    refused(root, dist, "--arch")
    assert bake.bake(root, dist, MACHINE) == ["init", bake.AGENT]


def test_init_that_is_no_script(root: Path, dist: Path) -> None:
    shutil.copy2(BUILT, root / "init")
    refused(root, dist, "no shell script")


def test_half_a_fragment(root: Path, dist: Path) -> None:
    (root / "init").write_text("#!/bin/sh\n# <<< smolvm-guest-agent\n# >>> smolvm-guest-agent\n")
    refused(root, dist, "not a pair")


NO_ROOTS = {
    "empty": b"",
    "text": b"no archive",
    "zeroes": b"070701" + b"0" * 104,
    "cut-off": gzip.compress(b"no archive", mtime=0)[:-9],
}


@pytest.mark.parametrize("data", NO_ROOTS.values(), ids=NO_ROOTS)
def test_no_root(data: bytes, dist: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(data)
    refused(image, dist, "neither a folder")


def test_command(root: Path, dist: Path, tmp_path: Path) -> None:
    words = [str(ROOT / "ci/bake"), "--dist", str(dist), str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"/init\n/{bake.AGENT}\n", "")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "nothing to change\n")
    words[-1] = str(tmp_path / "none")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
