"""Optimizers, and in lr_scheduler the schedules of their learning rates."""

from lazytorch.optim import lr_scheduler
from lazytorch.optim.adadelta import Adadelta
from lazytorch.optim.adagrad import Adagrad
from lazytorch.optim.adam import Adam, AdamW
from lazytorch.optim.adamax import Adamax
from lazytorch.optim.optimizer import Optimizer
from lazytorch.optim.radam import RAdam
from lazytorch.optim.rmsprop import RMSprop
from lazytorch.optim.sgd import SGD

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Optimizer", "RAdam", "RMSprop",
    "lr_scheduler",
]  # fmt: skip
