"""The layers, a family a file."""

# ruff: noqa: F403  every file lists its public names in __all__
from lazytorch.nn.modules.activation import *
from lazytorch.nn.modules.batchnorm import *
from lazytorch.nn.modules.container import *
from lazytorch.nn.modules.conv import *
from lazytorch.nn.modules.distance import *
from lazytorch.nn.modules.dropout import *
from lazytorch.nn.modules.flatten import *
from lazytorch.nn.modules.instancenorm import *
from lazytorch.nn.modules.linear import *
from lazytorch.nn.modules.loss import *
from lazytorch.nn.modules.module import Module as Module
from lazytorch.nn.modules.normalization import *
from lazytorch.nn.modules.padding import *
from lazytorch.nn.modules.pixelshuffle import *
from lazytorch.nn.modules.pooling import *
from lazytorch.nn.modules.sparse import *
from lazytorch.nn.modules.upsampling import *
