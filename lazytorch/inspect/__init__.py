"""The door to look inside: the kernels and graphs behind tensors, as objects and as files."""

from lazytorch.inspect import failures as failures
from lazytorch.inspect.checking import CheckError, check
from lazytorch.inspect.explanation import Explanation, KernelEstimate, explain
from lazytorch.inspect.export import export
from lazytorch.inspect.information import KernelArgument, KernelInfo, kernels
from lazytorch.inspect.network import graph, to_dot
from lazytorch.inspect.recording import Recorder, dump, dump_all, kernel_folder, record_kernels
from lazytorch.inspect.roofline import Roofline, machine
from lazytorch.source import record_lines

__all__ = [
    "CheckError", "Explanation", "KernelArgument", "KernelEstimate", "KernelInfo", "Recorder",
    "Roofline", "check", "dump", "dump_all", "explain", "export", "graph", "kernel_folder",
    "kernels", "machine", "record_kernels", "record_lines", "to_dot",
]  # fmt: skip
