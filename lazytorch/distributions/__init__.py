"""Probability distributions: samples, logarithms of densities, entropies, divergences.

>>> from torch.distributions import Normal, kl_divergence
>>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
tensor(0.5000)
"""

from lazytorch.distributions import transforms
from lazytorch.distributions.bernoulli import Bernoulli
from lazytorch.distributions.categorical import Categorical
from lazytorch.distributions.constraint_registry import biject_to, transform_to
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.distributions.independent import Independent
from lazytorch.distributions.mixture_same_family import MixtureSameFamily
from lazytorch.distributions.normal import Normal
from lazytorch.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.uniform import Uniform
