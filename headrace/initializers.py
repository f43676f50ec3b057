"""Initializers of variables: public names."""

from headrace.ops.init import Constant as constant
from headrace.ops.init import GlorotNormal as glorot_normal
from headrace.ops.init import GlorotUniform as glorot_uniform
from headrace.ops.init import Identity as identity
from headrace.ops.init import Initializer as Initializer
from headrace.ops.init import Ones as ones
from headrace.ops.init import Orthogonal as orthogonal
from headrace.ops.init import RandomNormal as random_normal
from headrace.ops.init import RandomUniform as random_uniform
from headrace.ops.init import TruncatedNormal as truncated_normal
from headrace.ops.init import UniformUnitScaling as uniform_unit_scaling
from headrace.ops.init import VarianceScaling as variance_scaling
from headrace.ops.init import Zeros as zeros
from headrace.ops.init import he_normal as he_normal
from headrace.ops.init import he_uniform as he_uniform
from headrace.ops.init import lecun_normal as lecun_normal
from headrace.ops.init import lecun_uniform as lecun_uniform
from headrace.ops.variables import global_variables_initializer as global_variables
from headrace.ops.variables import local_variables_initializer as local_variables
from headrace.ops.variables import variables_initializer as variables

__all__ = [
    "Initializer",
    "constant",
    "global_variables",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "local_variables",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "uniform_unit_scaling",
    "variables",
    "variance_scaling",
    "zeros",
]
