"""What savers save besides variables: `SaveableObject`, of which tables and programs have their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework.dtypes import DType, as_dtype
from headrace.framework.graph import Operation, Tensor


class SaveSpec:
    """One tensor of what is saved.

    Args:
      tensor: the tensor, or a function that makes it.
      slice_spec: which part of a larger tensor it is, as in `Variable`'s slice information; "" for all of it.
      name: its name in checkpoints.
      dtype: of the tensor; needed if `tensor` is a function.
      device: of the tensor; needed if `tensor` is a function.
      shape: of the tensor in checkpoints, where that is known.

    Raises:
      ValueError: if `tensor` is a function, and `dtype` is missing.
    """

    def __init__(
        self,
        tensor: Any,
        slice_spec: str,
        name: str,
        dtype: Any = None,
        device: str | None = None,
        shape: list[int | None] | None = None,
    ):
        if callable(tensor) and dtype is None:
            raise ValueError(f"a function makes the tensor '{name}', so give its dtype")
        self._tensor = tensor
        self.slice_spec = slice_spec
        self.name = name
        self.shape = shape
        self.dtype: DType = as_dtype(tensor.dtype if dtype is None else dtype)
        self.device: str = (device if callable(tensor) else tensor.device) or ""

    @property
    def tensor(self) -> Tensor:
        """The tensor."""
        made: Tensor = self._tensor() if callable(self._tensor) else self._tensor
        return made


class SaveableObject:
    """What a saver saves as one or more tensors: derive from it, and define `restore`.

    A saver takes those that it is given, and those of the collection `GraphKeys.SAVEABLE_OBJECTS`.

    Args:
      op: what is saved.
      specs: its tensors: a list of `SaveSpec`.
      name: its name among all that is saved.
    """

    def __init__(self, op: Any, specs: Sequence[SaveSpec], name: str):
        self.op = op
        self.specs = specs
        self.name = name

    @property
    def device(self) -> str:
        """The device of its tensors."""
        return self.specs[0].device

    def restore(
        self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None
    ) -> Operation | Tensor:
        """Makes what restores it.

        Args:
          restored_tensors: the tensors as the checkpoint has them, one for each of `specs`.
          restored_shapes: the shapes that they are to get, or None if they keep theirs.

        Returns:
          The operation.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define restore()")


class BaseSaverBuilder:
    """The place where programs look for `SaveableObject` and `SaveSpec`."""

    SaveSpec = SaveSpec
    SaveableObject = SaveableObject
