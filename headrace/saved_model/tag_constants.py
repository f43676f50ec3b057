"""Usual tags of graphs."""

from headrace.saved_model.builder import (
    EVAL,
    GPU,
    SERVING,
    TPU,
    TRAINING,
)

__all__ = [
    "EVAL",
    "GPU",
    "SERVING",
    "TPU",
    "TRAINING",
]
