"""The layers, a family a file."""

# ruff: noqa: F403  every file lists its public names in __all__
from lazytorch.nn.modules import (
    activation,
    adaptive,
    attention,
    batchnorm,
    container,
    conv,
    distance,
    dropout,
    flatten,
    instancenorm,
    lazy,
    linear,
    linear_cross_entropy,
    loss,
    normalization,
    padding,
    pixelshuffle,
    pooling,
    rnn,
    sparse,
    transformer,
    upsampling,
)
from lazytorch.nn.modules.activation import *
from lazytorch.nn.modules.adaptive import *
from lazytorch.nn.modules.attention import *
from lazytorch.nn.modules.batchnorm import *
from lazytorch.nn.modules.container import *
from lazytorch.nn.modules.conv import *
from lazytorch.nn.modules.distance import *
from lazytorch.nn.modules.dropout import *
from lazytorch.nn.modules.flatten import *
from lazytorch.nn.modules.instancenorm import *
from lazytorch.nn.modules.lazy import *
from lazytorch.nn.modules.linear import *
from lazytorch.nn.modules.linear_cross_entropy import *
from lazytorch.nn.modules.loss import *
from lazytorch.nn.modules.module import Module
from lazytorch.nn.modules.normalization import *
from lazytorch.nn.modules.padding import *
from lazytorch.nn.modules.pixelshuffle import *
from lazytorch.nn.modules.pooling import *
from lazytorch.nn.modules.rnn import *
from lazytorch.nn.modules.sparse import *
from lazytorch.nn.modules.transformer import *
from lazytorch.nn.modules.upsampling import *

__all__ = ["Module"]
__all__ += activation.__all__
__all__ += adaptive.__all__
__all__ += attention.__all__
__all__ += batchnorm.__all__
__all__ += container.__all__
__all__ += conv.__all__
__all__ += distance.__all__
__all__ += dropout.__all__
__all__ += flatten.__all__
__all__ += instancenorm.__all__
__all__ += lazy.__all__
__all__ += linear.__all__
__all__ += linear_cross_entropy.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += pixelshuffle.__all__
__all__ += pooling.__all__
__all__ += rnn.__all__
__all__ += sparse.__all__
__all__ += transformer.__all__
__all__ += upsampling.__all__
