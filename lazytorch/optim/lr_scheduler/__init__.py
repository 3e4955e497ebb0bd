"""Schedules of an optimizer's learning rate, stepped once an epoch or once a batch."""

from lazytorch.optim.lr_scheduler.base import LRScheduler
from lazytorch.optim.lr_scheduler.composite import ChainedScheduler, SequentialLR
from lazytorch.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from lazytorch.optim.lr_scheduler.formulas import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from lazytorch.optim.lr_scheduler.plateau import ReduceLROnPlateau

# The name that schedules of before PyTorch 2.0 are derived from.
_LRScheduler = LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
