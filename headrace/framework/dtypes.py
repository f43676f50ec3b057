"""Element types of tensors."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from headrace import _core


class DType:
    """The type of a tensor's elements, such as `tf.float32`.

    There is one object per type; compare them with `==`, which also takes anything that `as_dtype` does.
    """

    __slots__ = ("_name", "_np", "_number", "_type")

    def __init__(self, number: int, name: str, numpy_dtype: np.dtype[Any] | None):
        self._number = number
        self._name = name
        self._np = numpy_dtype
        self._type = numpy_dtype.type if numpy_dtype is not None else None

    @property
    def name(self) -> str:
        """The name, such as `"float32"`."""
        return self._name

    @property
    def as_datatype_enum(self) -> int:
        """The number that stands for this type in a GraphDef."""
        return self._number

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy's scalar type: `np.float32`; `np.object_` for strings.

        Raises:
          TypeError: if NumPy has no such type (resource, variant).
        """
        if self._type is None:
            raise TypeError(f"NumPy has no counterpart of dtype {self._name}")
        return self._type

    @property
    def base_dtype(self) -> DType:
        """The type itself; there are no reference types."""
        return self

    @property
    def real_dtype(self) -> DType:
        """The type of the real and imaginary parts of a complex type, else the type itself."""
        return {complex64: float32, complex128: float64}.get(self, self)

    @property
    def size(self) -> int:
        """Bytes of one element in an array; 1 for resources and variants."""
        return self._np.itemsize if self._np is not None else 1

    @property
    def is_floating(self) -> bool:
        """Whether it is float16, bfloat16, float32 or float64."""
        return self in _FLOATING

    @property
    def is_complex(self) -> bool:
        """Whether it is complex64 or complex128."""
        return self in _COMPLEX

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer type, signed or not; bool is none."""
        return self in _SIGNED or self in _UNSIGNED

    @property
    def is_unsigned(self) -> bool:
        """Whether it is an unsigned integer type."""
        return self in _UNSIGNED

    @property
    def is_bool(self) -> bool:
        """Whether it is bool."""
        return self is bool_

    @property
    def is_quantized(self) -> bool:
        """False: there are no quantized types."""
        return False

    @property
    def is_numpy_compatible(self) -> bool:
        """Whether NumPy has such a type."""
        return self._np is not None

    @property
    def min(self) -> Any:
        """The smallest value. TypeError for types without an order."""
        return self._limit("min")

    @property
    def max(self) -> Any:
        """The largest value. TypeError for types without an order."""
        return self._limit("max")

    @property
    def limits(self) -> tuple[Any, Any]:
        """`(min, max)`; the range of intensities of an image of this type: `(0, 1)` for floats."""
        return (0, 1) if self.is_floating or self.is_bool else (self.min, self.max)

    def _limit(self, which: str) -> Any:
        if self.is_floating:
            return getattr(ml_dtypes.finfo(self._type), which)
        if self.is_integer:
            return getattr(np.iinfo(self.as_numpy_dtype), which)
        if self.is_bool:
            return which == "max"
        raise TypeError(f"dtype {self._name} has no {which}imum")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a value of type `other` may stand where this type is expected."""
        return self is as_dtype(other)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None or isinstance(other, DType):
            return False
        try:
            return self is as_dtype(other)
        except TypeError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._number

    def __int__(self) -> int:
        return self._number

    def __str__(self) -> str:
        return f"<dtype: '{self._name}'>"

    def __repr__(self) -> str:
        return f"tf.{self._name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self._name,)


_BY_NUMBER = {row[0]: DType(row[0], row[1], row[3]) for row in _core.dtypes()}
_BY_NAME = {dtype.name: dtype for dtype in _BY_NUMBER.values()}

float16 = _BY_NAME["float16"]
bfloat16 = _BY_NAME["bfloat16"]
float32 = _BY_NAME["float32"]
float64 = _BY_NAME["float64"]
int8 = _BY_NAME["int8"]
int16 = _BY_NAME["int16"]
int32 = _BY_NAME["int32"]
int64 = _BY_NAME["int64"]
uint8 = _BY_NAME["uint8"]
uint16 = _BY_NAME["uint16"]
uint32 = _BY_NAME["uint32"]
uint64 = _BY_NAME["uint64"]
bool_ = _BY_NAME["bool"]
complex64 = _BY_NAME["complex64"]
complex128 = _BY_NAME["complex128"]
string = _BY_NAME["string"]
resource = _BY_NAME["resource"]
variant = _BY_NAME["variant"]
half = float16
double = float64

_FLOATING = frozenset({float16, bfloat16, float32, float64})
_COMPLEX = frozenset({complex64, complex128})
_SIGNED = frozenset({int8, int16, int32, int64})
_UNSIGNED = frozenset({uint8, uint16, uint32, uint64})

_ALIASES = {"half": float16, "float": float32, "double": float64, "bool_": bool_, "str": string}
_PYTHON = {int: int32, float: float32, bool: bool_, object: string, str: string, bytes: string}
_BY_NUMPY = {dtype._np: dtype for dtype in _BY_NUMBER.values() if dtype._np is not None}
QUANTIZED_DTYPES: frozenset[DType] = frozenset()


def as_dtype(type_value: Any) -> DType:
    """The `DType` of a type given in any usual way.

    Args:
      type_value: a `DType`, a name ("float32", "float", "double", "half"), a number of the GraphDef format, a
        NumPy dtype or scalar type, or a Python type.

    Raises:
      TypeError: if it names no type.
    """
    if isinstance(type_value, DType):
        return type_value
    found: DType | None = None
    if isinstance(type_value, np.dtype):
        found = _BY_NUMPY.get(type_value)
        if found is None and type_value.kind in "OSU":
            found = string
        if found is None:
            found = _BY_NUMPY.get(type_value.newbyteorder("="))
    elif isinstance(type_value, str):
        found = _BY_NAME.get(type_value) or _ALIASES.get(type_value)
    elif isinstance(type_value, int) and not isinstance(type_value, bool):
        found = _BY_NUMBER.get(type_value)
    elif isinstance(type_value, type) and type_value in _PYTHON:
        found = _PYTHON[type_value]
    elif type_value is not None:
        dtype = type_value if isinstance(type_value, type) else getattr(type_value, "dtype", type_value)
        if isinstance(dtype, DType):
            return dtype
        try:
            return as_dtype(np.dtype(dtype))
        except TypeError:
            found = None
    if found is None:
        names = ", ".join(sorted(_BY_NAME))
        raise TypeError(f"{type_value!r} is no dtype; expected a name or NumPy type of one of: {names}")
    return found
