"""Packets of a virtio-vsock device: a header of 44 bytes, then what a RW packet carries (virtio 1.2, section 5.10)."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct("<QQIIIHHIII")
"""source CID, destination CID, source port, destination port, length of the payload, type, operation, flags,
buf_alloc (what the sender's buffer holds, bytes), fwd_cnt (bytes the sender has disposed of, modulo 2^32)."""
SIZE: Final = HEADER.size

STREAM: Final = 1  # the only type served here
REQUEST: Final = 1
RESPONSE: Final = 2
RST: Final = 3
SHUTDOWN: Final = 4
RW: Final = 5
CREDIT_UPDATE: Final = 6
CREDIT_REQUEST: Final = 7

RECEIVE: Final = 1  # flags of SHUTDOWN: the sender receives no more,
SEND: Final = 2  # sends no more
BOTH: Final = RECEIVE | SEND

HOST_CID: Final = 2
MODULO: Final = 0xFFFF_FFFF  # counters and ports are 32 bits wide

TRANSPORT_RESET: Final = struct.pack("<I", 0)  # the one event of the event queue
