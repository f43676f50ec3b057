"""Cells of recurrent networks, `tf.nn.rnn_cell`: public names."""

from headrace.ops.rnn_cell import *
