"""OpenCL through pyopencl: devices, their memory, and plans that are run without waiting."""

from codegen.runtime.opencl.device import Device
from codegen.runtime.opencl.discovery import find_device, is_usable
from codegen.runtime.opencl.plan import OpenClPlan

__all__ = ["Device", "OpenClPlan", "find_device", "is_usable"]
