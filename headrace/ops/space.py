"""Blocks of pixels moved between space, depth and batch; patches of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant, constant_value
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.ops.array import stack, zeros

__all__ = [
    "batch_to_space",
    "batch_to_space_nd",
    "depth_to_space",
    "extract_image_patches",
    "required_space_to_batch_paddings",
    "space_to_batch",
    "space_to_batch_nd",
    "space_to_depth",
]


def space_to_depth(input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC") -> Tensor:
    """Each block of pixels becomes one pixel with the channels of all.

    Args:
      input: a tensor of rank 4.
      block_size: the height and width of a block, 2 or more; height and width must be multiples of it.
      name: the name of the operation.
      data_format: the order of dimensions, "NHWC" or "NCHW".

    Returns:
      A tensor of rank 4.
    """
    return raw.SpaceToDepth(input, block_size=block_size, data_format=data_format, name=name)


def depth_to_space(input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC") -> Tensor:
    """Each pixel becomes a block of pixels that share its channels.

    Args:
      input: a tensor of rank 4, with a multiple of block_size² channels.
      block_size: the height and width of a block, 2 or more.
      name: the name of the operation.
      data_format: the order of dimensions, "NHWC" or "NCHW".

    Returns:
      A tensor of rank 4.
    """
    return raw.DepthToSpace(input, block_size=block_size, data_format=data_format, name=name)


def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Tensor:
    """The elements at each place of a block become an array of their own in the batch.

    Args:
      input: a tensor of shape `[batch, spatial..., rest...]`.
      block_shape: the size of the block in each spatial dimension, an integer vector.
      paddings: zeros before and after each spatial dimension, a matrix with a row for each.
      name: the name of the operation.

    Returns:
      A tensor of shape `[batch * product(block_shape), (padded spatial / block_shape)..., rest...]`.
    """
    return raw.SpaceToBatchND(input, block_shape, paddings, name=name)


def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Tensor:
    """The inverse of `space_to_batch_nd`.

    Args:
      input: a tensor of shape `[batch, spatial..., rest...]`.
      block_shape: the size of the block in each spatial dimension, an integer vector.
      crops: what to cut off before and after each spatial dimension, a matrix with a row for each.
      name: the name of the operation.

    Returns:
      A tensor of shape `[batch / product(block_shape), (spatial * block_shape, cropped)..., rest...]`.
    """
    return raw.BatchToSpaceND(input, block_shape, crops, name=name)


def space_to_batch(
    input: Any,
    paddings: Any,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Tensor:
    """`space_to_batch_nd` for square blocks of pictures.

    Args:
      input: a tensor of shape `[batch, height, width, depth]`.
      paddings: zeros before and after height and width, a 2 x 2 matrix.
      block_size: the height and width of a block.
      name: the name of the operation.
      block_shape: the size of the block, if `block_size` is None.

    Returns:
      A tensor of rank 4.
    """
    if block_size is not None:
        block_shape = np.array([block_size, block_size], np.int64)
    made = space_to_batch_nd(input, block_shape, paddings, name=name)
    made.set_shape(made.shape.with_rank(4))
    return made


def batch_to_space(
    input: Any, crops: Any, block_size: int | None = None, name: str | None = None, block_shape: Any = None
) -> Tensor:
    """The inverse of `space_to_batch`.

    Args:
      input: a tensor of shape `[batch, height, width, depth]`.
      crops: what to cut off before and after height and width, a 2 x 2 matrix.
      block_size: the height and width of a block.
      name: the name of the operation.
      block_shape: the size of the block, if `block_size` is None.

    Returns:
      A tensor of rank 4.
    """
    if block_size is not None:
        block_shape = np.array([block_size, block_size], np.int64)
    made = batch_to_space_nd(input, block_shape, crops, name=name)
    made.set_shape(made.shape.with_rank(4))
    return made


def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The paddings that make a shape divisible into blocks, and the crops that undo the difference.

    Args:
      input_shape: the spatial dimensions, an integer vector.
      block_shape: the size of the block in each of them.
      base_paddings: at least these paddings, a matrix of (before, after); zeros if None.
      name: the name of the operations.

    Returns:
      `(paddings, crops)`, two matrices with a row for each dimension.
    """
    with name_scope(name, "required_space_to_batch_paddings", [input_shape, block_shape]):
        input_shape = convert_to_tensor(input_shape, dtypes.int32, name="input_shape")
        block_shape = convert_to_tensor(block_shape, dtypes.int32, name="block_shape")
        block_shape.shape.assert_is_fully_defined()
        block_shape.shape.assert_has_rank(1)
        count = block_shape.shape.as_list()[0]
        if base_paddings is None:
            base_paddings = zeros([count, 2], dtypes.int32)
        else:
            base_paddings = convert_to_tensor(base_paddings, dtypes.int32, name="base_paddings")
        known = [constant_value(each) for each in (input_shape, block_shape, base_paddings)]
        if all(value is not None for value in known):
            sizes, block, base = known
            assert sizes is not None and block is not None and base is not None
            more = -(sizes + base.sum(1)) % block
            after = base[:, 1] + more
            paddings = np.stack([base[:, 0], after], 1).astype(np.int32)
            crops = np.stack([np.zeros_like(more), more], 1).astype(np.int32)
            return constant(paddings, name="paddings"), constant(crops, name="crops")
        before, after = base_paddings[:, 0], base_paddings[:, 1]
        whole = raw.AddV2(raw.AddV2(input_shape, before), after)
        extra = raw.FloorMod(raw.Sub(block_shape, raw.FloorMod(whole, block_shape)), block_shape)
        return (
            stack([before, raw.AddV2(after, extra)], axis=1, name="paddings"),
            stack([raw.ZerosLike(extra), extra], axis=1, name="crops"),
        )


def extract_image_patches(
    images: Any,
    ksizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: str | None = None,
    name: str | None = None,
    sizes: Any = None,
) -> Tensor:
    """The patch around each place of pictures, as channels.

    Args:
      images: a tensor of shape `[batch, height, width, depth]`.
      ksizes: the size of a patch, `[1, height, width, 1]`.
      strides: how far the patches are apart, `[1, height, width, 1]`.
      rates: how far the pixels of a patch are apart, `[1, height, width, 1]`.
      padding: "SAME" or "VALID".
      name: the name of the operation.
      sizes: another name of `ksizes`.

    Returns:
      A tensor of shape `[batch, rows, columns, patch height * patch width * depth]`.
    """
    return raw.ExtractImagePatches(
        images,
        ksizes=list(sizes if ksizes is None else ksizes),
        strides=list(strides),
        rates=list(rates),
        padding=padding,
        name=name,
    )
