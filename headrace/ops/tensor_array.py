"""Arrays of tensors for loops: each iteration reads or writes an element."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant_value
from headrace.framework.convert import convert_to_tensor, register_tensor_conversion_function
from headrace.framework.graph import Operation, Tensor, name_scope
from headrace.framework.shapes import TensorShape, as_shape, unknown_shape

__all__ = ["TensorArray"]


class TensorArray:
    """An array of tensors that is written element by element.

    An array is a value: `write` and its like return another one, to be used from then on.

        squares = tf.TensorArray(tf.float32, size=10)
        _, squares = tf.while_loop(
            lambda i, a: i < 10, lambda i, a: (i + 1, a.write(i, tf.cast(i * i, tf.float32))), [0, squares])
        squares.stack()

    Args:
      dtype: of the elements.
      size: how many there are, a number or an int32 scalar.
      dynamic_size: whether writing past the end makes the array longer.
      clear_after_read: accepted; an element may be read any number of times.
      tensor_array_name: accepted; arrays have no names of their own.
      handle: accepted; `flow` is all there is to an array.
      flow: the tensor behind another array, instead of a size.
      infer_shape: whether all elements have one shape, that of the first one written.
      element_shape: the shape of every element, if it is known.
      colocate_with_first_write_call: accepted; the array is where its elements are.
      name: of the operation.

    Raises:
      ValueError: if there is neither a size nor a flow, or both.
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Tensor | None = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ):
        del clear_after_read, tensor_array_name, colocate_with_first_write_call
        flow = handle if flow is None else flow
        if flow is not None and size is not None:
            raise ValueError("give a size or a flow of another TensorArray, not both")
        if flow is None and size is None:
            raise ValueError("a TensorArray needs a size; size=0 with dynamic_size=True for one that grows")
        self._dtype = dtypes.as_dtype(dtype)
        self._dynamic_size = bool(dynamic_size)
        self._infer_shape = infer_shape
        # One cell for all arrays that come from each other: what a loop's body finds out is known after it.
        self._element_shape = [unknown_shape() if element_shape is None else as_shape(element_shape)]
        self._length: int | None = None
        if flow is not None:
            self._flow = flow
            return
        with name_scope(name, "TensorArray", [size]) as scope:
            size = convert_to_tensor(size, dtype=dtypes.int32, name="size")
            if not self._dynamic_size and (value := constant_value(size)) is not None:
                self._length = int(value)
            self._flow = raw.TensorListReserve(
                self._shape_argument(), size, element_dtype=self._dtype, name=scope
            )

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of the elements."""
        return self._dtype

    @property
    def flow(self) -> Tensor:
        """The tensor behind the array: a list."""
        return self._flow

    @property
    def handle(self) -> Tensor:
        """The same as `flow`."""
        return self._flow

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the elements' shape."""
        return self._element_shape[0]

    @property
    def dynamic_size(self) -> bool:
        """Whether writing past the end makes the array longer."""
        return self._dynamic_size

    @property
    def graph(self) -> Any:
        """The graph of the flow."""
        return self._flow.graph

    @property
    def op(self) -> Operation:
        """What makes the flow."""
        return self._flow.op

    def build_from(self, flow: Tensor) -> TensorArray:
        """An array like this one with another flow, such as what a loop has made of it."""
        array = TensorArray(self._dtype, flow=flow, infer_shape=self._infer_shape)
        array._element_shape = self._element_shape
        array._dynamic_size = self._dynamic_size
        array._length = self._length
        return array

    def _shape_argument(self, shape: TensorShape | None = None) -> Any:
        """The elements' shape as the operations on lists take it: -1 for what is not known."""
        shape = self.element_shape if shape is None else shape
        if shape.ndims is None:
            return np.int32(-1)
        return np.array([-1 if size is None else size for size in shape.as_list()], np.int32)

    def _holds(self, shape: TensorShape) -> None:
        """Notes the shape of elements, and checks that it is that of the others."""
        if not self._infer_shape:
            if not self.element_shape.is_compatible_with(shape):
                raise ValueError(f"an element of shape {shape} does not go into one of {self.element_shape}")
            return
        if not self.element_shape.is_compatible_with(shape):
            raise ValueError(
                f"an element of shape {shape} is put into a TensorArray of elements of {self.element_shape}; "
                "make it with infer_shape=False for elements of different shapes"
            )
        self._element_shape[0] = self.element_shape.merge_with(shape)

    def _tensor(self, value: Any) -> Tensor:
        tensor = convert_to_tensor(value, preferred_dtype=self._dtype, name="value")
        if tensor.dtype != self._dtype:
            raise TypeError(
                f"{tensor.name} is {tensor.dtype.name}, the TensorArray is of {self._dtype.name}; cast it"
            )
        return tensor

    # ---- elements

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """The element at `index`."""
        with name_scope(name, "TensorArrayRead", [self._flow, index]):
            return raw.TensorListGetItem(
                self._flow, index, self._shape_argument(), element_dtype=self._dtype, name="TensorListGetItem"
            )

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """An array with `value` at `index`.

        Raises:
          TypeError: if the value has another dtype.
          ValueError: if it has another shape than other elements.
        """
        with name_scope(name, "TensorArrayWrite", [self._flow, index, value]):
            tensor = self._tensor(value)
            self._holds(tensor.shape)
            flow = raw.TensorListSetItem(
                self._flow,
                index,
                tensor,
                resize_if_index_out_of_bounds=self._dynamic_size,
                name="TensorListSetItem",
            )
        return self.build_from(flow)

    # ---- all or many

    def stack(self, name: str | None = None) -> Tensor:
        """All elements, of one shape, as the rows of a tensor."""
        with name_scope(name, "TensorArrayStack", [self._flow]):
            return raw.TensorListStack(
                self._flow,
                self._shape_argument(),
                element_dtype=self._dtype,
                num_elements=-1 if self._length is None else self._length,
                name="TensorListStack",
            )

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements at `indices`, a vector, as the rows of a tensor."""
        with name_scope(name, "TensorArrayGather", [self._flow, indices]):
            return raw.TensorListGather(
                self._flow,
                indices,
                self._shape_argument(),
                element_dtype=self._dtype,
                name="TensorListGather",
            )

    def concat(self, name: str | None = None) -> Tensor:
        """All elements joined along their first dimension, in which they may differ."""
        with name_scope(name, "TensorArrayConcat", [self._flow]):
            shape = self.element_shape
            if shape.ndims is not None:
                shape = TensorShape([None, *shape.as_list()[1:]])
            joined, _ = raw.TensorListConcatV2(
                self._flow,
                self._shape_argument(shape),
                np.zeros(0, np.int64),
                element_dtype=self._dtype,
                name="TensorListConcatV2",
            )
        if None not in (
            self._length,
            *(self.element_shape.as_list() if self.element_shape.ndims else [None]),
        ):
            first, *others = self.element_shape.as_list()
            if self._infer_shape:
                joined.set_shape([self._length * first, *others])  # type: ignore[operator]
        return joined

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """An array of the rows of `value`."""
        with name_scope(name, "TensorArrayUnstack", [self._flow, value]):
            tensor = self._tensor(value)
            shape = tensor.shape
            if shape.ndims is not None:
                if shape.ndims == 0:
                    raise ValueError(f"{tensor.name} is a scalar, which has no rows")
                self._holds(TensorShape(shape.as_list()[1:]))
                rows = shape.as_list()[0]
                if rows is not None and self._length not in (None, rows):
                    return self.scatter(np.arange(rows, dtype=np.int32), tensor)
            flow = raw.TensorListFromTensor(tensor, self._shape_argument(), name="TensorListFromTensor")
        array = self.build_from(flow)
        array._length = shape.as_list()[0] if shape.ndims is not None and not self._dynamic_size else None
        return array

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """An array with the rows of `value` at `indices`."""
        with name_scope(name, "TensorArrayScatter", [self._flow, value, indices]):
            tensor = self._tensor(value)
            indices = convert_to_tensor(indices, dtype=dtypes.int32, name="indices")
            if tensor.shape.ndims:
                self._holds(TensorShape(tensor.shape.as_list()[1:]))
            flow = self._flow
            if self._dynamic_size:
                length = raw.Maximum(
                    raw.TensorListLength(flow), raw.AddV2(raw.Max(raw.ConcatV2([indices, [-1]], 0), [0]), 1)
                )
                flow = raw.TensorListResize(flow, length)
            flow = raw.TensorListScatterIntoExistingList(flow, tensor, indices, name="TensorListScatter")
        return self.build_from(flow)

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """An array of consecutive pieces of `value`, of these lengths in the first dimension."""
        with name_scope(name, "TensorArraySplit", [self._flow, value, lengths]):
            tensor = self._tensor(value)
            lengths = raw.Cast(convert_to_tensor(lengths), DstT=dtypes.int64)
            if tensor.shape.ndims:
                sizes = constant_value(lengths)
                equal = sizes is not None and len(set(sizes.tolist())) == 1
                self._holds(TensorShape([int(sizes[0]) if equal else None, *tensor.shape.as_list()[1:]]))  # type: ignore[index]
            flow = raw.TensorListSplit(tensor, self._shape_argument(), lengths, name="TensorListSplit")
        array = self.build_from(flow)
        array._length = lengths.shape.as_list()[0] if lengths.shape.ndims and not self._dynamic_size else None
        return array

    def size(self, name: str | None = None) -> Tensor:
        """How many elements there are, an int32 scalar."""
        if self._length is not None:
            return convert_to_tensor(self._length, dtypes.int32, name=name or "TensorArraySize")
        return raw.TensorListLength(self._flow, name=name or "TensorArraySize")

    def identity(self) -> TensorArray:
        """The same array, after the control dependencies around."""
        return self.build_from(raw.Identity(self._flow))

    def grad(self, source: str, flow: Any = None, name: str | None = None) -> TensorArray:
        """Not needed: `tf.gradients` goes through arrays.

        Raises:
          NotImplementedError: always.
        """
        del source, flow, name
        raise NotImplementedError(
            "there is no array of gradients beside a TensorArray; tf.gradients goes through reads and writes"
        )

    def close(self, name: str | None = None) -> Operation:
        """An operation that does nothing: an array ends with its last reader."""
        return raw.NoOp(name=name or "TensorArrayClose")

    def __repr__(self) -> str:
        return f"<TensorArray of {self._dtype.name} {self.element_shape}, flow {self._flow.name}>"


def _flow_of(array: TensorArray, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    del name, as_ref
    return array.flow if dtype in (None, dtypes.variant) else NotImplemented


register_tensor_conversion_function(TensorArray, _flow_of)
