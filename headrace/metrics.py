"""The namespace `metrics`."""

from headrace.ops.metrics import *
