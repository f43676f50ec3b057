"""Files, records and parsers: public names."""

import headrace.gfile as gfile
import headrace.kernels.parse
from headrace.framework.records import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)
from headrace.ops.parse import *
from headrace.ops.parse import parse_sequence_example
from headrace.ops.queue import PaddingFIFOQueue, PriorityQueue, QueueBase, RandomShuffleQueue
from headrace.train.meta_graph import write_graph
