"""How the connections of one hybrid listener behave: by default, as they should."""

from __future__ import annotations

import dataclasses

from guestwire.vm.packet import HOST_CID
from guestwire.vm.vsock import BUFFER


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the guest is told and sent. Raises ValueError for what cannot be."""

    host_cid: int = HOST_CID  # the source that the guest sees
    host_port: int | None = None  # likewise; one connection at a time then
    fragment: int = 0  # most bytes in a packet; 0: as many as fit
    reset_after: int | None = None  # bytes sent to the guest, at least 1; then a RST
    buffer: int = BUFFER  # credit for the guest, bytes

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            optional = field.name in ("host_port", "reset_after") and value is None
            if not optional and (type(value) is not int or not 0 <= value <= 0xFFFF_FFFF):
                raise ValueError(f"{field.name}: {value!r} is not a number of 32 bits")
        if self.reset_after == 0:
            raise ValueError("reset_after: 0 is too early")
