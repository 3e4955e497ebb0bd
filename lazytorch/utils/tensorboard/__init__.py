"""SummaryWriter for TensorBoard, through the tensorboardX library."""

try:
    import tensorboardX as _library  # noqa: F401
except ImportError as error:
    raise ImportError(
        "lazytorch writes for TensorBoard by the library tensorboardX: pip install tensorboardX"
    ) from error

from lazytorch.utils.tensorboard.writer import SummaryWriter

__all__ = ["SummaryWriter"]
