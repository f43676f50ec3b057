"""Training: optimizers, learning rates, moving averages and the global step."""

from headrace.train.global_step import *  # noqa: F403
from headrace.train.learning_rate import *  # noqa: F403
from headrace.train.moving_averages import ExponentialMovingAverage as ExponentialMovingAverage
from headrace.train.optimizers import *  # noqa: F403
