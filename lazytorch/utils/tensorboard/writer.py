"""SummaryWriter: tensorboardX's, given arrays where a program gives tensors."""

from __future__ import annotations

import functools
from typing import Any

import tensorboardX

from lazytorch.tensor import Tensor


def as_arrays(value: Any) -> Any:
    """A value with every tensor in it, in containers too, as a NumPy array (bfloat16 as float32).

    Numbers of 0-d tensors stay arrays, which the library takes for numbers.
    """
    if isinstance(value, Tensor):
        return value.detach()._float_array().copy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(as_arrays, value))
    if isinstance(value, dict):
        return {key: as_arrays(item) for key, item in value.items()}
    return value


class SummaryWriter:
    """Writes event files that TensorBoard shows, in ``log_dir`` (``runs/DATE_HOST`` without one).

    >>> with SummaryWriter() as writer:
    ...     writer.add_scalar("loss", loss, step)

    The methods are the library's: add_scalar, add_scalars, add_histogram, add_image, add_images,
    add_figure, add_text, add_embedding, add_pr_curve, add_hparams, flush, close and more.
    """

    def __init__(
        self,
        log_dir: str | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        self._writer: Any = tensorboardX.SummaryWriter(
            logdir=None if log_dir is None else str(log_dir), comment=comment,
            purge_step=purge_step, max_queue=max_queue, flush_secs=flush_secs,
            filename_suffix=filename_suffix,
        )  # fmt: skip
        self.log_dir: str = self._writer.logdir
        self.purge_step = purge_step

    def get_logdir(self) -> str:
        """The folder that event files are written to."""
        return self.log_dir

    def add_graph(self, *args: Any, **kwargs: Any) -> None:
        """Not supported: the library traces modules of PyTorch."""
        raise NotImplementedError(
            "add_graph needs PyTorch's tracer; lazytorch.graph(tensor) shows what is computed"
        )

    def __getattr__(self, name: str) -> Any:
        if name == "_writer":
            raise AttributeError(name)
        member = getattr(self._writer, name)
        if not name.startswith("add_"):
            return member

        @functools.wraps(member)
        def add(*args: Any, **kwargs: Any) -> Any:
            return member(*as_arrays(args), **as_arrays(kwargs))

        return add

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
