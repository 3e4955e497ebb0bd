"""The device that the tests run on: LAZYTORCH_TEST_DEVICE, or each test's own choice.

LAZYTORCH_TEST_DEVICE=opencl python -m pytest tests/lazytorch --share 1/10
"""

from __future__ import annotations

import os

from codegen.runtime.memory import memory_allocated as host_memory_allocated
from codegen.runtime.opencl.discovery import found_devices

GIVEN = os.environ.get("LAZYTORCH_TEST_DEVICE", "")
# Thousands of small plans: the interpreter runs each at once. "cpu" checks the generated C.
FUNCTIONS = GIVEN or "interpreter"
# Where generated code is what is tested.
COMPILED = GIVEN or "cpu"


def memory_allocated() -> int:
    """Bytes of the tensors that are alive, on the host and on OpenCL's devices."""
    return host_memory_allocated() + sum([device.pool.live for device in found_devices()])
