"""Checks of values and shapes: public names."""

from headrace.ops import checks
from headrace.ops.checks import *
from headrace.ops.control_flow import Assert

__all__ = ["Assert", *checks.__all__]
