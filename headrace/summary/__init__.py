"""Summaries and event files, for TensorBoard."""

import headrace.kernels.summary
from headrace.framework import protos
from headrace.ops.summary import *
from headrace.summary import projector as projector
from headrace.summary.writer import FileWriter as FileWriter
from headrace.summary.writer import FileWriterCache as FileWriterCache

__getattr__ = protos.lazily(
    "headrace.summary", "Event", "SessionLog", "Summary", "SummaryDescription", "TaggedRunMetadata"
)
