"""The namespace `losses`."""

from headrace.ops.losses import *  # noqa: F403
