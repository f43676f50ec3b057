"""Gradients of blocks and patches: what moved there moves back."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.gradients.registry import RegisterGradient
from headrace.ops.array import shape, size


def _attrs(op: Any, *names: str) -> dict[str, Any]:
    return {name: op.get_attr(name) for name in names}


@RegisterGradient("SpaceToDepth")
def _space_to_depth(op: Any, grad: Any) -> Any:
    return raw.DepthToSpace(grad, **_attrs(op, "block_size", "data_format"))


@RegisterGradient("DepthToSpace")
def _depth_to_space(op: Any, grad: Any) -> Any:
    return raw.SpaceToDepth(grad, **_attrs(op, "block_size", "data_format"))


@RegisterGradient("SpaceToBatch")
def _space_to_batch(op: Any, grad: Any) -> Any:
    return [raw.BatchToSpace(grad, op.inputs[1], **_attrs(op, "block_size")), None]


@RegisterGradient("BatchToSpace")
def _batch_to_space(op: Any, grad: Any) -> Any:
    return [raw.SpaceToBatch(grad, op.inputs[1], **_attrs(op, "block_size")), None]


@RegisterGradient("SpaceToBatchND")
def _space_to_batch_nd(op: Any, grad: Any) -> Any:
    return [raw.BatchToSpaceND(grad, op.inputs[1], op.inputs[2]), None, None]


@RegisterGradient("BatchToSpaceND")
def _batch_to_space_nd(op: Any, grad: Any) -> Any:
    return [raw.SpaceToBatchND(grad, op.inputs[1], op.inputs[2]), None, None]


@RegisterGradient("ExtractImagePatches")
def _extract_image_patches(op: Any, grad: Any) -> Any:
    # The patches of the pixels' numbers say where each element of a patch came from; 0 is padding.
    images = op.inputs[0]
    count = size(images, out_type="int64")
    numbers = raw.Reshape(raw.Range(1, raw.AddV2(count, 1), 1), shape(images))
    came_from = raw.ExtractImagePatches(numbers, **_attrs(op, "ksizes", "strides", "rates", "padding"))
    places = raw.Sub(raw.Reshape(came_from, [-1]), 1)
    summed = raw.UnsortedSegmentSum(raw.Reshape(grad, [-1]), places, count)
    return raw.Reshape(summed, shape(images))
