"""The guest's memory, as the front end shared it: every address that the guest names is looked up here and nowhere else."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from typing import NamedTuple


class QueueError(Exception):
    """The guest's ring, or an address in it, is not what the virtio standard allows. The device is out of order until reset."""


class Region(NamedTuple):
    """A stretch of guest memory; addresses and sizes in bytes."""

    guest: int  # guest-physical address
    size: int
    user: int  # address in the front end's own memory: rings are placed by these
    offset: int  # in the file


def mapped(descriptor: int, region: Region) -> memoryview:
    """`region` of the file behind `descriptor`, which may be closed afterwards. Raises OSError, ValueError (file too short)."""
    slack = region.offset % mmap.ALLOCATIONGRANULARITY
    whole = mmap.mmap(descriptor, region.size + slack, offset=region.offset - slack)
    return memoryview(whole)[slack:]


class Memory:
    """All regions. Views stay valid for as long as somebody holds them, also after a newer table has come."""

    def __init__(self, regions: Iterable[tuple[Region, memoryview]] = ()) -> None:
        regions = list(regions)
        self._guest = [(region.guest, region.guest + region.size, view) for region, view in regions]
        self._user = [(region.user, region.user + region.size, view) for region, view in regions]

    def view(self, address: int, length: int) -> memoryview:
        """`length` bytes at a guest-physical address. Raises QueueError unless they lie in one region."""
        for start, end, whole in self._guest:
            if start <= address and length <= end - address:
                offset = address - start
                return whole[offset : offset + length]
        raise QueueError(f"no guest memory of {length} bytes at {address:#x}")

    def guest_address(self, user: int, length: int) -> int:
        """The guest-physical address for one of the front end's. Raises QueueError."""
        for (start, end, _), (guest, _, _) in zip(self._user, self._guest, strict=True):
            if start <= user and length <= end - user:
                return guest + user - start
        raise QueueError(f"no guest memory of {length} bytes behind the front end's {user:#x}")
