"""Training: optimizers, learning rates, moving averages, the global step and checkpoints."""

from headrace.framework import protos
from headrace.train.checkpoint_reader import *
from headrace.train.checkpoint_state import *
from headrace.train.coordinator import *
from headrace.train.global_step import *
from headrace.train.hooks import *
from headrace.train.input import *
from headrace.train.learning_rate import *
from headrace.train.meta_graph import *
from headrace.train.monitored_session import *
from headrace.train.moving_averages import ExponentialMovingAverage as ExponentialMovingAverage
from headrace.train.optimizers import *
from headrace.train.queue_runner import *
from headrace.train.safetensors import *
from headrace.train.saver import *
from headrace.train.session_manager import *
from headrace.train.session_run_hook import *
from headrace.train.summary_io import summary_iterator as summary_iterator
from headrace.train.supervisor import *
from headrace.train.sync_replicas import *
from headrace.train.warm_start import *

# Messages: records of training data, and what a saver is.
__getattr__ = protos.lazily(
    "headrace.train",
    *("BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features", "FloatList"),
    *("Int64List", "SaverDef", "SequenceExample"),
)
