"""Probability distributions: samples, logarithms of densities, entropies, divergences.

>>> from lazytorch.distributions import Normal, kl_divergence
>>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
tensor(0.5000)
"""

from lazytorch.distributions import _cross_divergences, constraints, transforms  # noqa: F401
from lazytorch.distributions.bernoulli import Bernoulli
from lazytorch.distributions.beta import Beta
from lazytorch.distributions.binomial import Binomial
from lazytorch.distributions.categorical import Categorical
from lazytorch.distributions.cauchy import Cauchy
from lazytorch.distributions.chi2 import Chi2
from lazytorch.distributions.constraint_registry import biject_to, transform_to
from lazytorch.distributions.continuous_bernoulli import ContinuousBernoulli
from lazytorch.distributions.dirichlet import Dirichlet
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.exp_family import ExponentialFamily
from lazytorch.distributions.exponential import Exponential
from lazytorch.distributions.fishersnedecor import FisherSnedecor
from lazytorch.distributions.gamma import Gamma
from lazytorch.distributions.generalized_pareto import GeneralizedPareto
from lazytorch.distributions.geometric import Geometric
from lazytorch.distributions.gumbel import Gumbel
from lazytorch.distributions.half_cauchy import HalfCauchy
from lazytorch.distributions.half_normal import HalfNormal
from lazytorch.distributions.independent import Independent
from lazytorch.distributions.inverse_gamma import InverseGamma
from lazytorch.distributions.kl import kl_divergence, register_kl
from lazytorch.distributions.kumaraswamy import Kumaraswamy
from lazytorch.distributions.laplace import Laplace
from lazytorch.distributions.lkj_cholesky import LKJCholesky
from lazytorch.distributions.log_normal import LogNormal
from lazytorch.distributions.logistic_normal import LogisticNormal
from lazytorch.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from lazytorch.distributions.mixture_same_family import MixtureSameFamily
from lazytorch.distributions.multinomial import Multinomial
from lazytorch.distributions.multivariate_normal import MultivariateNormal
from lazytorch.distributions.negative_binomial import NegativeBinomial
from lazytorch.distributions.normal import Normal
from lazytorch.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from lazytorch.distributions.pareto import Pareto
from lazytorch.distributions.poisson import Poisson
from lazytorch.distributions.relaxed_bernoulli import RelaxedBernoulli
from lazytorch.distributions.relaxed_categorical import RelaxedOneHotCategorical
from lazytorch.distributions.studentT import StudentT
from lazytorch.distributions.transformed_distribution import TransformedDistribution
from lazytorch.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StackTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from lazytorch.distributions.uniform import Uniform
from lazytorch.distributions.von_mises import VonMises
from lazytorch.distributions.weibull import Weibull
from lazytorch.distributions.wishart import Wishart

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Binomial",
    "CatTransform",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ComposeTransform",
    "ContinuousBernoulli",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "ExponentialFamily",
    "FisherSnedecor",
    "Gamma",
    "GeneralizedPareto",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "IndependentTransform",
    "InverseGamma",
    "Kumaraswamy",
    "LKJCholesky",
    "Laplace",
    "LogNormal",
    "LogisticNormal",
    "LowRankMultivariateNormal",
    "LowerCholeskyTransform",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Pareto",
    "Poisson",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StackTransform",
    "StickBreakingTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "VonMises",
    "Weibull",
    "Wishart",
    "biject_to",
    "identity_transform",
    "kl_divergence",
    "register_kl",
    "transform_to",
]
