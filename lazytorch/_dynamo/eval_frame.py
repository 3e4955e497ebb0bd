"""``torch._dynamo.eval_frame``: the type of a compiled module, and whether it can be had."""

from lazytorch.compiled import OptimizedModule as OptimizedModule


def is_dynamo_supported() -> bool:
    """True: ``torch.compile`` works on every system."""
    return True
