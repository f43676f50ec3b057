"""Neural networks: public names."""

from headrace import rnn_cell
from headrace.ops.candidate_sampling import *
from headrace.ops.conv import *
from headrace.ops.embedding import *
from headrace.ops.math import sigmoid, tanh
from headrace.ops.nn import *
from headrace.ops.norm import *
from headrace.ops.pool import *
from headrace.ops.rnn import *
from headrace.ops.space import depth_to_space, space_to_batch, space_to_depth
