"""Building blocks of networks: `Module`, parameters, layers, losses, initial values."""

from lazytorch.nn import init as init
from lazytorch.nn import modules as modules
from lazytorch.nn import parameter as parameter
from lazytorch.nn._engine import functional as functional
from lazytorch.nn.modules import *  # noqa: F403
from lazytorch.nn.modules import Module as Module
from lazytorch.nn.parameter import Buffer as Buffer
from lazytorch.nn.parameter import Parameter as Parameter

# After the layers, whose package has a module of this name too.
from lazytorch.nn import utils as utils  # isort: skip
