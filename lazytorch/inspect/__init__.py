"""The door to look inside: the kernels and graphs behind tensors, as objects and as files."""

from lazytorch.inspect.information import KernelArgument, KernelInfo, kernels
from lazytorch.inspect.network import graph, to_dot
from lazytorch.inspect.recording import Recorder, dump, dump_all, kernel_folder, record_kernels
from lazytorch.source import record_lines

__all__ = [
    "KernelArgument", "KernelInfo", "Recorder", "dump", "dump_all", "graph", "kernel_folder",
    "kernels", "record_kernels", "record_lines", "to_dot",
]  # fmt: skip
