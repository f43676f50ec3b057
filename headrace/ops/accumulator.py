"""Accumulators: gradients of several workers, added up for one update."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import DType, as_dtype, int64
from headrace.framework.graph import Operation, Tensor
from headrace.framework.indexed_slices import IndexedSlices
from headrace.framework.shapes import TensorShape, as_shape

__all__ = ["ConditionalAccumulator", "ConditionalAccumulatorBase", "SparseConditionalAccumulator"]


class ConditionalAccumulatorBase:
    """What accumulators share: a step, and a count of the gradients that came in it.

    A gradient is dropped if it was computed in a step before the accumulator's own. Taking the sum goes on to
    the next step.

    Args:
      dtype: of the gradients.
      shape: what is known of their shape.
      accumulator_ref: the handle.
    """

    def __init__(self, dtype: Any, shape: Any, accumulator_ref: Tensor):
        self._dtype = as_dtype(dtype)
        self._shape = TensorShape(None) if shape is None else as_shape(shape)
        self._accumulator_ref = accumulator_ref
        self._name = accumulator_ref.op.name.rpartition("/")[2]

    @property
    def accumulator_ref(self) -> Tensor:
        """The handle."""
        return self._accumulator_ref

    @property
    def name(self) -> str:
        """The name of the operation that makes the accumulator, without its scopes."""
        return self._name

    @property
    def dtype(self) -> DType:
        """The dtype of the gradients."""
        return self._dtype

    def num_accumulated(self, name: str | None = None) -> Tensor:
        """How many gradients have come since the last were taken: an int32 scalar."""
        return raw.AccumulatorNumAccumulated(
            self._accumulator_ref, name=name or f"{self._name}_NumAccumulated"
        )

    def set_global_step(self, new_global_step: Any, name: str | None = None) -> Operation:
        """Sets the step: gradients of earlier ones are dropped from now on.

        Args:
          new_global_step: an integer scalar.
          name: of the operation.
        """
        step = convert_to_tensor(new_global_step, dtype=int64)
        return raw.AccumulatorSetGlobalStep(
            self._accumulator_ref, step, name=name or f"{self._name}_SetGlobalStep"
        )


class ConditionalAccumulator(ConditionalAccumulatorBase):
    """Adds up dense gradients.

    Args:
      dtype: of the gradients: a number.
      shape: what is known of their shape; None lets the first decide.
      shared_name: accumulators of one name are one, in all sessions that share state.
      name: of the operation.
      reduction_type: "MEAN" or "SUM".

    Raises:
      ValueError: if `reduction_type` is another.
    """

    def __init__(
        self,
        dtype: Any,
        shape: Any = None,
        shared_name: str | None = None,
        name: str = "conditional_accumulator",
        reduction_type: str = "MEAN",
    ):
        handle = raw.ConditionalAccumulator(
            dtype=dtype,
            shape=TensorShape(shape),
            shared_name=shared_name or "",
            reduction_type=reduction_type,
            name=name,
        )
        super().__init__(dtype, shape, handle)

    def apply_grad(self, grad: Any, local_step: Any = 0, name: str | None = None) -> Operation:
        """Adds a gradient, unless it is late.

        Args:
          grad: a tensor of the accumulator's dtype and shape.
          local_step: the step that it was computed in.
          name: of the operation.

        Raises:
          ValueError: if the shape is another.
        """
        grad = convert_to_tensor(grad, dtype=self._dtype)
        grad.shape.assert_is_compatible_with(self._shape)
        step = convert_to_tensor(local_step, dtype=int64)
        return raw.AccumulatorApplyGradient(self._accumulator_ref, step, grad, name=name)

    def take_grad(self, num_required: Any, name: str | None = None) -> Tensor:
        """The mean, or the sum, of the gradients, once there are enough; and on to the next step.

        Args:
          num_required: how many gradients to wait for, more than 0.
          name: of the operation.

        Raises:
          errors.InvalidArgumentError: when it runs, if `num_required` is less than 1.
        """
        taken = raw.AccumulatorTakeGradient(self._accumulator_ref, num_required, dtype=self._dtype, name=name)
        taken.set_shape(self._shape)
        return taken


class SparseConditionalAccumulator(ConditionalAccumulatorBase):
    """Adds up gradients of some rows each. The mean of a row is over the gradients that have it.

    Args:
      dtype: of the gradients: a number.
      shape: what is known of the shape of the whole, all rows.
      shared_name: accumulators of one name are one, in all sessions that share state.
      name: of the operation.
      reduction_type: "MEAN" or "SUM".

    Raises:
      ValueError: if `reduction_type` is another.
    """

    def __init__(
        self,
        dtype: Any,
        shape: Any = None,
        shared_name: str | None = None,
        name: str = "sparse_conditional_accumulator",
        reduction_type: str = "MEAN",
    ):
        handle = raw.SparseConditionalAccumulator(
            dtype=dtype,
            shape=TensorShape(shape),
            shared_name=shared_name or "",
            reduction_type=reduction_type,
            name=name,
        )
        super().__init__(dtype, shape, handle)

    def apply_indexed_slices_grad(
        self, grad: IndexedSlices, local_step: Any = 0, name: str | None = None
    ) -> Operation:
        """Adds a gradient of some rows, unless it is late.

        Args:
          grad: the rows.
          local_step: the step that they were computed in.
          name: of the operation.
        """
        return self.apply_grad(grad.indices, grad.values, grad.dense_shape, local_step, name)

    def apply_grad(
        self,
        grad_indices: Any,
        grad_values: Any,
        grad_shape: Any = None,
        local_step: Any = 0,
        name: str | None = None,
    ) -> Operation:
        """Adds a gradient of some rows, unless it is late.

        Args:
          grad_indices: which rows: a vector of integers.
          grad_values: a row of each index, along the first dimension.
          grad_shape: the shape of the whole, or None.
          local_step: the step that they were computed in.
          name: of the operation.
        """
        return raw.SparseAccumulatorApplyGradient(
            self._accumulator_ref,
            convert_to_tensor(local_step, dtype=int64),
            _int64(grad_indices),
            convert_to_tensor(grad_values, dtype=self._dtype),
            _int64([] if grad_shape is None else grad_shape),
            has_known_shape=grad_shape is not None,
            name=name,
        )

    def take_grad(self, num_required: Any, name: str | None = None) -> Any:
        """The rows that any gradient had, once there are enough gradients; and on to the next step.

        Args:
          num_required: how many gradients to wait for, more than 0.
          name: of the operation.

        Returns:
          A tuple `(indices, values, shape)`: ascending indices, the mean or sum of each of these rows, and
          the shape of the whole, with -1 for a number of rows that is not known.
        """
        return raw.SparseAccumulatorTakeGradient(
            self._accumulator_ref, num_required, dtype=self._dtype, name=name
        )

    def take_indexed_slices_grad(self, num_required: Any, name: str | None = None) -> IndexedSlices:
        """`take_grad` as `IndexedSlices`."""
        indices, values, shape = self.take_grad(num_required, name)
        return IndexedSlices(values=values, indices=indices, dense_shape=shape)


def _int64(value: Any) -> Tensor:
    """`value` as an int64 tensor: indices of rows are often int32."""
    if not isinstance(value, Tensor):
        return convert_to_tensor(value, dtype=int64)
    return value if value.dtype == int64 else raw.Cast(value, DstT=int64)
