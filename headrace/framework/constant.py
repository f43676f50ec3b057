"""Constants, and the arrays that Python values stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import dtypes
from headrace.framework.graph import Tensor, constant_array, get_default_graph
from headrace.framework.shapes import Dimension, TensorShape, as_shape

_STRINGS = (str, bytes)
# Which elements nested lists may have where a dtype is asked for.
_ALLOWED: dict[dtypes.DType, tuple[type, ...]] = {
    dtypes.string: _STRINGS,
    dtypes.bool_: (bool, np.bool_),
}
_ELEMENTS = (bool, int, float, complex, str, bytes, np.generic, type(None))
for _type in dtypes._BY_NUMBER.values():
    if _type.is_integer:
        _ALLOWED[_type] = (int, np.integer, Dimension)
    elif _type.is_floating:
        _ALLOWED[_type] = (int, float, np.integer, np.floating, Dimension)
    elif _type.is_complex:
        _ALLOWED[_type] = (int, float, complex, np.integer, np.floating, np.complexfloating)


def _first_misfit(values: Any, allowed: tuple[type, ...]) -> Any:
    """The first element of nested lists that is of no allowed type, in a list of its own; else None."""
    if isinstance(values, (list, tuple)):
        for value in values:
            found = _first_misfit(value, allowed)
            if found is not None:
                return found
        return None
    # Of what else there is, NumPy will say whether it is an array.
    return None if isinstance(values, allowed) or not isinstance(values, _ELEMENTS) else [values]


def _has_tensor(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return any(_has_tensor(value) for value in values)
    return isinstance(values, Tensor)


def make_array(values: Any, dtype: dtypes.DType | None = None) -> np.ndarray[Any, Any]:
    """The array that a Python value stands for.

    Python's integers become int32 (int64 if they do not fit) and its floats float32, unless a dtype is given;
    arrays and NumPy's scalars keep their type.

    Raises:
      TypeError: if a value does not fit the dtype: a float where an integer is expected, a string...
      ValueError: if there is no value, or lists are of unequal lengths.
    """
    if isinstance(values, (np.ndarray, np.generic)):
        array = np.asarray(values)
        if dtype is None or array.dtype == dtype._np:
            return array
        if dtype is dtypes.string and array.dtype.kind not in "OSU":
            raise TypeError(f"expected strings, got an array of {array.dtype}")
        return array.astype(dtype.as_numpy_dtype)
    if values is None:
        raise ValueError("None is no value for a tensor")
    if _has_tensor(values):
        raise TypeError(
            f"{values!r} holds tensors, which have no values yet; use tf.stack or convert_to_tensor"
        )
    wanted = dtypes.string if dtype is None and isinstance(_first_leaf(values), _STRINGS) else dtype
    if wanted is not None:
        misfit = _first_misfit(values, _ALLOWED.get(wanted, ()))
        if misfit is not None:
            kind = type(misfit[0]).__name__
            raise TypeError(f"expected {wanted.name}, got {misfit[0]!r} of type '{kind}' instead")
    try:
        array = np.array(_plain(values), dtype=None if wanted is None else wanted.as_numpy_dtype)
    except OverflowError as error:
        raise TypeError(f"{values!r} does not fit {dtype.name if dtype else 'an integer type'}") from error
    except ValueError as error:
        raise ValueError(f"{values!r} is no array: lists at one depth must be of one length") from error
    if array.dtype == object and not all(isinstance(item, _STRINGS) for item in array.flat):
        if any(isinstance(item, (list, tuple)) for item in array.flat):
            raise ValueError(f"{values!r} is no array: lists at one depth must be of one length")
        raise TypeError(f"cannot make a tensor of {values!r} of type {type(values).__name__}")
    if dtype is None and array.dtype == np.float64:
        return array.astype(np.float32)
    if dtype is None and array.dtype == np.int64:
        narrow = array.astype(np.int32)
        return narrow if np.array_equal(narrow, array) else array
    return array


def _first_leaf(values: Any) -> Any:
    while isinstance(values, (list, tuple)) and values:
        values = values[0]
    return values


def _plain(values: Any) -> Any:
    """`values` with shapes and dimensions as what NumPy understands."""
    if isinstance(values, TensorShape):
        return values.as_list()
    if isinstance(values, Dimension):
        return values.value
    if isinstance(values, (list, tuple)) and any(
        isinstance(item, (list, tuple, TensorShape, Dimension)) for item in values
    ):
        return [_plain(item) for item in values]
    return values


def constant(
    value: Any, dtype: Any = None, shape: Any = None, name: str = "Const", verify_shape: bool = False
) -> Tensor:
    """A tensor whose value is part of the graph.

    Args:
      value: a number, a string, an array, or nested lists of them.
      dtype: its dtype; by default that of `value`, with int32 and float32 for Python's numbers.
      shape: its shape; by default that of `value`. If it has more elements, the last one is repeated
        (zero if there is none).
      name: its name.
      verify_shape: whether `value` must have exactly that shape.

    Raises:
      TypeError: if `value` does not fit the dtype, or, with `verify_shape`, the shape.
      ValueError: if `value` has too many elements for the shape.
    """
    dtype = None if dtype is None else dtypes.as_dtype(dtype)
    array = _of_size_zero(shape, dtype)
    if array is None or isinstance(value, (np.ndarray, np.generic)):
        array = make_array(value, dtype)
    if shape is not None:
        array = _shaped(array, shape, verify_shape)
    return array_constant(array, name)


def _of_size_zero(shape: Any, dtype: dtypes.DType | None) -> np.ndarray[Any, Any] | None:
    """An empty array if that is what the shape asks for: then the value does not matter."""
    sizes = None if shape is None else as_shape(shape)
    if sizes is None or sizes.num_elements() != 0:
        return None
    return np.empty(sizes.as_list(), np.float32 if dtype is None else dtype.as_numpy_dtype)


def _shaped(array: np.ndarray[Any, Any], shape: Any, verify_shape: bool) -> np.ndarray[Any, Any]:
    wanted = as_shape(shape)
    if not wanted.is_fully_defined():
        raise TypeError(f"a constant cannot have the partly known shape {wanted}")
    sizes = tuple(wanted.as_list())
    if array.shape == sizes:
        return array
    if verify_shape:
        raise TypeError(f"expected a value of shape {sizes}, got one of shape {array.shape}")
    count = wanted.num_elements()
    assert count is not None
    if array.size > count:
        raise ValueError(f"shape {sizes} has {count} elements, the value has {array.size}, which is too many")
    if array.size < count:
        flat = array.ravel()
        last = flat[-1:] if array.size else np.zeros(1, array.dtype)
        array = np.concatenate([flat, np.repeat(last, count - array.size)])
    return array.reshape(sizes)


def array_constant(array: np.ndarray[Any, Any], name: str = "Const") -> Tensor:
    """A constant that holds a copy of the array."""
    graph = get_default_graph()
    dtype = dtypes.as_dtype(array.dtype)
    attrs = {"value": _core.Tensor.of(array), "dtype": dtype.as_datatype_enum}
    graph._check_not_finalized()
    return graph._add("Const", (), attrs, graph._op_name(name)).outputs[0]


def constant_value(tensor: Any, partial: bool = False) -> np.ndarray[Any, Any] | None:
    """The value of a tensor if it is known while the graph is built, else None.

    Args:
      tensor: the tensor.
      partial: whether elements that are not known may be None, in an array of objects.
    """
    if isinstance(tensor, np.ndarray):
        return tensor
    value = constant_array(tensor)
    if value is not None:
        return value
    graph, op = tensor.graph, tensor.op
    ints = graph._core.ints(tensor._id, tensor._index)
    if ints is None or tensor.shape.rank is None:
        return None
    if None in ints:
        return np.array(ints, dtype=object).reshape(tensor.shape.as_list()) if partial else None
    del op
    return np.array(ints, dtype=tensor.dtype.as_numpy_dtype).reshape(tensor.shape.as_list())


def constant_value_as_shape(tensor: Tensor) -> TensorShape:
    """What is known of the shape that an integer vector holds; -1 and unknown elements are unknown sizes.

    Raises:
      ValueError: if an element is less than -1.
    """
    shape = tensor.shape.with_rank(1)
    value = constant_value(tensor, partial=True)
    if value is None:
        return (
            TensorShape(None)
            if shape._dims is None or shape._dims[0] is None
            else TensorShape([None] * shape._dims[0])
        )
    if any(item is not None and item < -1 for item in value):
        raise ValueError(f"{tensor.name} holds {list(value)}, which is no shape")
    return TensorShape([None if item is None or item == -1 else int(item) for item in value])
