"""What a schedule has to know of the device that it is made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DeviceDescription:
    """A device as its driver describes it; a test may describe one that is not there.

    ``kind`` decides between the schedules: on a ``cpu`` a work-item is a thread that walks through
    a share of the work; on a ``gpu`` a work-group shares local memory, and neighbouring items read
    neighbouring elements.
    """

    kind: Literal["cpu", "gpu"]
    compute_units: int = 1
    local_memory_bytes: int = 32 << 10
    max_work_group_size: int = 256
    vector_width: int = 1  # of floats, as the driver prefers it
    has_fp64: bool = True
    has_fp16: bool = False

    @property
    def items(self) -> int:
        """Work-items of a group, where nothing speaks for another number."""
        return min(256, self.max_work_group_size)

    @property
    def threads(self) -> int:
        """Shares of the work where a schedule for work-groups is missing."""
        return self.compute_units
