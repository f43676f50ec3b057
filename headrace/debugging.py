"""Checks of values and shapes: public names."""

from headrace.ops import checks
from headrace.ops.array import check_numerics
from headrace.ops.checks import *
from headrace.ops.control_flow import Assert
from headrace.ops.math import is_finite, is_inf, is_nan

__all__ = ["Assert", "check_numerics", "is_finite", "is_inf", "is_nan", *checks.__all__]
