"""Training: optimizers, learning rates, moving averages and the global step."""

from headrace.framework import protos
from headrace.train.coordinator import *
from headrace.train.global_step import *
from headrace.train.input import *
from headrace.train.learning_rate import *
from headrace.train.moving_averages import ExponentialMovingAverage as ExponentialMovingAverage
from headrace.train.optimizers import *
from headrace.train.queue_runner import *
from headrace.train.summary_io import summary_iterator as summary_iterator

# Messages: records of training data.
__getattr__ = protos.lazily(
    "headrace.train",
    *("BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features", "FloatList"),
    *("Int64List", "SequenceExample"),
)
