"""torch.layout and torch.memory_format: names that PyTorch's signatures take."""

from __future__ import annotations


class _Named:
    """A constant that prints as ``torch.NAME``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class Layout(_Named):
    """How a tensor's elements are kept: strided, or one of the sparse forms."""


class MemoryFormat(_Named):
    """An order of axes in memory."""


strided = Layout("strided")
sparse_coo = Layout("sparse_coo")
sparse_csr = Layout("sparse_csr")
sparse_csc = Layout("sparse_csc")
contiguous_format = MemoryFormat("contiguous_format")
preserve_format = MemoryFormat("preserve_format")
channels_last = MemoryFormat("channels_last")
channels_last_3d = MemoryFormat("channels_last_3d")
