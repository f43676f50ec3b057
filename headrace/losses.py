"""The namespace `losses`."""

from headrace.ops.losses import *
