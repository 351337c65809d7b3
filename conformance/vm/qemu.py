"""QEMU's command line for a guest."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from guestwire.judge.contract import NATIVE, NESTED, VHOST_USER
from guestwire.vm.packages import ImageError

__all__ = ["CID", "NATIVE", "NESTED", "NONE", "PORT", "PROGRAMS", "VHOST_USER", "Spec", "arch_of", "command", "program"]
NONE = ""  # the level without a vsock device
CID = 3
PORT = 1024  # the agent's
PROGRAMS = {"x86_64": ("qemu-system-x86_64", "qemu-system-x86"), "aarch64": ("qemu-system-aarch64", "qemu-system-arm")}
_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}
# No disk controller nor bus that nobody uses: the guest would look for what is behind them.
_MACHINES = {"x86_64": "q35,sata=off,smbus=off,i8042=off", "aarch64": "virt,gic-version=3"}
_LEAST = (
    "microvm,rtc=on"  # with virtio devices on no bus: a guest in an emulated one would look for a bus for many seconds
)
# What makes an emulated guest wait: self-tests, guards against a processor's faults, measuring what is known. Levels up to
# warnings on the console: kernel reports are of one of them.
_KERNEL = (
    *("loglevel=5", "nokaslr", "mitigations=off", "random.trust_cpu=on", "cryptomgr.notests"),
    "initcall_blacklist=load_system_certificate_list,init_kprobe_trace,crypto_kdf108_init",
)
KERNEL_OF = {
    "x86_64": ("console=ttyS0", "no_timer_check", "noreplace-smp", *_KERNEL),
    "aarch64": ("console=ttyAMA0", *_KERNEL),
}


@dataclass(frozen=True)
class Spec:
    """A guest to boot. `agent`: a program on the host and its arguments; `overlay`: see image.overlay()."""

    level: str
    agent: Sequence[str]
    arch: str = ""  # as uname has it; "": what the agent is built for
    memory_mib: int = 256
    cpus: int = 1
    witnesses: int = 2
    overlay: Mapping[str, bytes | Path] = field(default_factory=dict)
    kernel: Path | None = None  # None: Debian's
    shell: bool = False  # on the terminal of whoever boots it
    cid: int = CID


def arch_of(program: str) -> str:
    """What a program is built for, by its ELF header; this machine's for a script. Raises ImageError."""
    try:
        with open(program, "rb") as file:
            head = file.read(20)
    except OSError as error:
        raise ImageError(f"{program}: {error.strerror}") from None
    if not head.startswith(b"\x7fELF"):
        return platform.machine()
    machine = int.from_bytes(head[18:20], "little")
    if machine not in _ELF_MACHINES:
        raise ImageError(
            f"{program}: for a machine (ELF {machine}) that no guest is of: {', '.join(_ELF_MACHINES.values())}"
        )
    return _ELF_MACHINES[machine]


def program(arch: str) -> str:
    """QEMU's path. Raises ImageError with the command that gets it."""
    name, package = PROGRAMS[arch]
    found = shutil.which(name)
    if found is None:
        raise ImageError(f"{name} is missing: apt-get install -y --no-install-recommends {package}")
    return found


def command(spec: Spec, kernel: Path, initrd: Path, folder: Path, accelerator: str) -> list[str]:
    """All words, the program first. What belongs to the guest stands in `folder`. Raises ImageError."""
    memory = f"{spec.memory_mib}M"
    place = str(folder).replace(",", ",,")  # QEMU's own way to have one in a value
    machine, bus = (_LEAST, "device") if spec.level == NESTED else (_MACHINES[spec.arch], "pci")
    return [
        *(program(spec.arch), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-accel", accelerator, "-M", f"{machine},memory-backend=memory", "-smp", str(spec.cpus)),
        *_processor(spec.arch, accelerator),
        *("-m", memory, "-object", f"memory-backend-memfd,id=memory,size={memory},share=on"),
        *(
            "-kernel",
            str(kernel),
            "-initrd",
            str(initrd),
            "-append",
            " ".join(KERNEL_OF[spec.arch]),
        ),
        *("-chardev", f"file,id=console,path={place}/console.log", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=monitor,path={place}/qmp.sock,server=on,wait=off"),
        *("-mon", "chardev=monitor,mode=control"),
        *_vsock(spec, place, bus),
        *_serial_ports(spec, place, bus),
    ]


def _processor(arch: str, accelerator: str) -> tuple[str, ...]:
    if accelerator == "kvm":
        return ("-cpu", "host")
    return ("-cpu", "cortex-a57") if arch == "aarch64" else ()  # x86: the default; `max` boots in twice the time


def _vsock(spec: Spec, place: str, bus: str) -> tuple[str, ...]:
    if spec.level == NONE:
        return ()
    if spec.level in (NATIVE, NESTED):
        return ("-device", f"vhost-vsock-{bus},guest-cid={spec.cid}")
    return ("-chardev", f"socket,id=vsock,path={place}/vhost.sock", "-device", "vhost-user-vsock-pci,chardev=vsock")


def _serial_ports(spec: Spec, place: str, bus: str) -> list[str]:
    words = ["-device", f"virtio-serial-{bus}"]
    if spec.shell:
        words += ["-chardev", "stdio,id=shell,signal=off", "-device", "virtconsole,chardev=shell"]
    for number in range(spec.witnesses):
        words += ["-chardev", f"socket,id=witness{number},path={place}/witness-{number}.sock,server=on,wait=off"]
        words += ["-device", f"virtserialport,chardev=witness{number},name=guestwire.witness.{number}"]
    return words
