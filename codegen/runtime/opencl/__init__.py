"""OpenCL through pyopencl: devices, their memory, and plans that are run without waiting."""

from codegen.runtime.opencl.device import Device
from codegen.runtime.opencl.discovery import find_device, is_usable
from codegen.runtime.opencl.plan import OpenClPlan
from codegen.runtime.opencl.programs import GroupsTooLargeError

__all__ = ["Device", "GroupsTooLargeError", "OpenClPlan", "find_device", "is_usable"]
