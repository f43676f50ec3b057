"""Descriptions of tensors, under the names that programs know."""

from headrace.saved_model.signature import (
    build_tensor_info,
    get_tensor_from_tensor_info,
)

__all__ = [
    "build_tensor_info",
    "get_tensor_from_tensor_info",
]
