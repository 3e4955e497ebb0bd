"""Optimizers, and in lr_scheduler the schedules of their learning rates."""

from lazytorch.optim import lr_scheduler, swa_utils
from lazytorch.optim._adafactor import Adafactor
from lazytorch.optim._muon import Muon
from lazytorch.optim.adadelta import Adadelta
from lazytorch.optim.adagrad import Adagrad
from lazytorch.optim.adam import Adam, AdamW
from lazytorch.optim.adamax import Adamax
from lazytorch.optim.asgd import ASGD
from lazytorch.optim.lbfgs import LBFGS
from lazytorch.optim.nadam import NAdam
from lazytorch.optim.optimizer import Optimizer
from lazytorch.optim.radam import RAdam
from lazytorch.optim.rmsprop import RMSprop
from lazytorch.optim.rprop import Rprop
from lazytorch.optim.sgd import SGD
from lazytorch.optim.sparse_adam import SparseAdam

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon",
    "NAdam", "Optimizer", "RAdam", "RMSprop", "Rprop", "SparseAdam", "lr_scheduler",
    "swa_utils",
]  # fmt: skip
