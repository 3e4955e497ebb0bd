"""Building blocks of networks: `Module`, parameters, layers, losses, initial values."""

from lazytorch.nn import functional as functional
from lazytorch.nn import init as init
from lazytorch.nn import modules as modules
from lazytorch.nn import parameter as parameter
from lazytorch.nn import utils as utils
from lazytorch.nn.modules import *  # noqa: F403
from lazytorch.nn.parameter import Buffer as Buffer
from lazytorch.nn.parameter import Parameter as Parameter
