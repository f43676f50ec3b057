"""Random numbers: the functions of `tf.random_*` under shorter names, and the stateless ones."""

from headrace.framework.random_seed import get_seed as get_seed
from headrace.framework.random_seed import set_random_seed as set_random_seed
from headrace.ops.candidate_sampling import all_candidate_sampler as all_candidate_sampler
from headrace.ops.candidate_sampling import fixed_unigram_candidate_sampler as fixed_unigram_candidate_sampler
from headrace.ops.candidate_sampling import (
    learned_unigram_candidate_sampler as learned_unigram_candidate_sampler,
)
from headrace.ops.candidate_sampling import log_uniform_candidate_sampler as log_uniform_candidate_sampler
from headrace.ops.candidate_sampling import uniform_candidate_sampler as uniform_candidate_sampler
from headrace.ops.random import categorical as categorical
from headrace.ops.random import multinomial as multinomial
from headrace.ops.random import random_gamma as gamma
from headrace.ops.random import random_normal as normal
from headrace.ops.random import random_poisson as poisson
from headrace.ops.random import random_shuffle as shuffle
from headrace.ops.random import random_uniform as uniform
from headrace.ops.random import stateless_categorical as stateless_categorical
from headrace.ops.random import stateless_multinomial as stateless_multinomial
from headrace.ops.random import stateless_random_normal as stateless_normal
from headrace.ops.random import stateless_random_uniform as stateless_uniform
from headrace.ops.random import stateless_truncated_normal as stateless_truncated_normal
from headrace.ops.random import truncated_normal as truncated_normal

__all__ = [
    "all_candidate_sampler",
    "categorical",
    "fixed_unigram_candidate_sampler",
    "gamma",
    "get_seed",
    "learned_unigram_candidate_sampler",
    "log_uniform_candidate_sampler",
    "multinomial",
    "normal",
    "poisson",
    "set_random_seed",
    "shuffle",
    "stateless_categorical",
    "stateless_multinomial",
    "stateless_normal",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
    "uniform_candidate_sampler",
]
