"""Static shapes: what is known of a tensor's dimensions before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Union

from headrace.framework import protos

DimensionLike = Union["Dimension", int, None]


class Dimension:
    """One dimension of a shape: a size, or None where it is unknown.

    Arithmetic with an unknown dimension gives an unknown one. Comparisons with an unknown dimension give
    None.
    """

    __slots__ = ("_value",)

    def __init__(self, value: DimensionLike | Any):
        if value is None or isinstance(value, int):
            size = value
        elif isinstance(value, Dimension):
            size = value._value
        elif hasattr(value, "__index__"):
            size = value.__index__()
        else:
            raise TypeError(f"a dimension is an int or None, got {value!r} of type {type(value).__name__}")
        if size is not None and size < 0:
            raise ValueError(f"a dimension cannot be negative, got {size}; use None for an unknown size")
        self._value: int | None = None if size is None else int(size)

    @property
    def value(self) -> int | None:
        """The size, or None."""
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        """Whether the two sizes are equal or one is unknown."""
        other = as_dimension(other)
        return self._value == other._value or self._value is None or other._value is None

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError if the two sizes differ."""
        if not self.is_compatible_with(other):
            raise ValueError(f"dimensions {self} and {other} differ")

    def merge_with(self, other: Any) -> Dimension:
        """The one of the two that is known. ValueError if they differ."""
        other = as_dimension(other)
        self.assert_is_compatible_with(other)
        return other if self._value is None else self

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def __int__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __index__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __hash__(self) -> int:
        if self._value is None:
            raise TypeError("an unknown Dimension cannot be a key")
        return hash(self._value)

    def _with(self, other: Any, compute: Any) -> Any:
        try:
            other = as_dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other._value is None:
            return Dimension(None)
        return Dimension(compute(self._value, other._value))

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a // b)

    __div__ = __floordiv__

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b // a)

    def __truediv__(self, other: Any) -> Any:
        raise TypeError("a dimension is an integer; divide with //, which gives one")

    __rtruediv__ = __truediv__

    def __mod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a % b)

    def __rmod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b % a)

    def _compare(self, other: Any, compute: Any) -> Any:
        try:
            other = as_dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other._value is None:
            return None
        return compute(self._value, other._value)

    def __eq__(self, other: object) -> Any:
        return self._compare(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> Any:
        return self._compare(other, lambda a, b: a != b)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a >= b)

    def __reduce__(self) -> tuple[Any, ...]:
        return Dimension, (self._value,)


def as_dimension(value: Any) -> Dimension:
    """`value` as a Dimension."""
    return value if isinstance(value, Dimension) else Dimension(value)


def dimension_value(dimension: Any) -> int | None:
    """The size of a Dimension, or `dimension` itself if it is an int or None."""
    return dimension.value if isinstance(dimension, Dimension) else dimension


def dimension_at_index(shape: TensorShape, index: int) -> Dimension:
    """Dimension `index` of a shape, unknown where the rank is."""
    return Dimension(None) if shape.rank is None else shape.dims[index]  # type: ignore[index]


def _size_of(value: Any) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    return Dimension(value).value


class TensorShape:
    """A shape of which the rank and each dimension may be unknown.

    `TensorShape(None)` has unknown rank, `TensorShape([None, 3])` two dimensions, the second of size 3, and
    `TensorShape([])` is a scalar's. An int stands for a shape of one dimension.
    """

    __slots__ = ("_dims",)

    def __init__(self, dims: Any):
        self._dims: tuple[int | None, ...] | None
        if dims is None:
            self._dims = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        elif hasattr(dims, "unknown_rank") and hasattr(dims, "dim"):  # a TensorShapeProto
            sizes = (None if d.size == -1 else d.size for d in dims.dim)
            self._dims = None if dims.unknown_rank else tuple(_size_of(size) for size in sizes)
        elif isinstance(dims, str):
            raise TypeError(f"a shape is a sequence of int and None, got {dims!r}")
        else:
            try:
                iterator = iter(dims)
            except TypeError:
                self._dims = (_size_of(dims),)
            else:
                self._dims = tuple([_size_of(dim) for dim in iterator])

    @classmethod
    def _of(cls, dims: tuple[int | None, ...] | None) -> TensorShape:
        shape = cls.__new__(cls)
        shape._dims = dims
        return shape

    @property
    def dims(self) -> list[Dimension] | None:
        """The dimensions, or None if the rank is unknown."""
        return None if self._dims is None else [Dimension(dim) for dim in self._dims]

    @property
    def ndims(self) -> int | None:
        """The number of dimensions, or None if it is unknown."""
        return None if self._dims is None else len(self._dims)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, or None if it is unknown."""
        return None if self._dims is None else len(self._dims)

    def as_list(self) -> list[int | None]:
        """The sizes, None where unknown. ValueError if the rank is unknown."""
        if self._dims is None:
            raise ValueError("as_list() needs a known rank, and that of this shape is unknown")
        return list(self._dims)

    def as_proto(self) -> Any:
        """The shape as a `TensorShapeProto`."""
        if self._dims is None:
            return protos.TensorShapeProto(unknown_rank=True)
        message = protos.TensorShapeProto()
        for dim in self._dims:
            message.dim.add(size=-1 if dim is None else dim)
        return message

    def num_elements(self) -> int | None:
        """The product of the sizes, or None if one is unknown."""
        if not self.is_fully_defined():
            return None
        product = 1
        for dim in self._dims or ():
            product *= dim  # type: ignore[operator]
        return product

    def is_fully_defined(self) -> bool:
        """Whether rank and all sizes are known."""
        return self._dims is not None and None not in self._dims

    def assert_is_fully_defined(self) -> None:
        """Raises ValueError if something is unknown."""
        if not self.is_fully_defined():
            raise ValueError(f"shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether some full shape satisfies both."""
        theirs = as_shape(other)._dims
        if self._dims is None or theirs is None:
            return True
        return len(self._dims) == len(theirs) and all(
            a == b or a is None or b is None for a, b in zip(self._dims, theirs)
        )

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError if no full shape satisfies both."""
        if not self.is_compatible_with(other):
            raise ValueError(f"shapes {self} and {as_shape(other)} are incompatible")

    def is_subtype_of(self, other: TensorShape) -> bool:
        """Whether all that satisfies this shape satisfies the other."""
        if other._dims is None:
            return True
        return (
            self._dims is not None
            and len(self._dims) == len(other._dims)
            and all(b is None or a == b for a, b in zip(self._dims, other._dims))
        )

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The most specific shape that both satisfy: sizes that differ become unknown."""
        theirs = as_shape(other)._dims
        if self._dims is None or theirs is None or len(self._dims) != len(theirs):
            return unknown_shape()
        return TensorShape._of(tuple(a if a == b else None for a, b in zip(self._dims, theirs)))

    def merge_with(self, other: Any) -> TensorShape:
        """What is known from either of the two. ValueError if they contradict each other."""
        other = as_shape(other)
        if self._dims is None:
            return other
        if other._dims is None:
            return self
        self.assert_is_compatible_with(other)
        return TensorShape._of(tuple(b if a is None else a for a, b in zip(self._dims, other._dims)))

    def concatenate(self, other: Any) -> TensorShape:
        """The dimensions of this shape, then those of the other."""
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return unknown_shape()
        return TensorShape._of(self._dims + other._dims)

    def with_rank(self, rank: int) -> TensorShape:
        """The shape, with its rank if that was unknown. ValueError if it has another."""
        if self._dims is None:
            return unknown_shape(rank)
        if len(self._dims) != rank:
            raise ValueError(f"shape {self} must have rank {rank}")
        return self

    def assert_has_rank(self, rank: Any) -> None:
        """Raises ValueError if the rank is known and another."""
        if self.rank not in (None, rank):
            raise ValueError(f"shape {self} must have rank {rank}")

    def assert_same_rank(self, other: Any) -> None:
        """Raises ValueError if the ranks are known and differ."""
        other = as_shape(other)
        if self.rank is not None and other.rank is not None and self.rank != other.rank:
            raise ValueError(f"shapes {self} and {other} must have the same rank")

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """The shape itself. ValueError if its rank is known and smaller."""
        if self._dims is not None and len(self._dims) < rank:
            raise ValueError(f"shape {self} must have rank {rank} or more")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """The shape itself. ValueError if its rank is known and larger."""
        if self._dims is not None and len(self._dims) > rank:
            raise ValueError(f"shape {self} must have rank {rank} or less")
        return self

    def __len__(self) -> int:
        if self._dims is None:
            raise ValueError("a shape of unknown rank has no length")
        return len(self._dims)

    def __bool__(self) -> bool:
        return self._dims is not None

    def __iter__(self) -> Iterator[Dimension]:
        if self._dims is None:
            raise ValueError("a shape of unknown rank cannot be iterated over")
        return (Dimension(dim) for dim in self._dims)

    def __getitem__(self, key: Any) -> Any:
        if self._dims is not None:
            if isinstance(key, slice):
                return TensorShape._of(self._dims[key])
            return Dimension(self._dims[key])
        if not isinstance(key, slice):
            return Dimension(None)
        # Of an unknown rank a slice has a known length only if both ends count from the same end.
        start, stop = key.start or 0, key.stop
        if key.step is not None:
            raise ValueError("a shape of unknown rank cannot be sliced with a step")
        if stop is None or start < 0 or stop < 0:
            return unknown_shape()
        return unknown_shape(max(0, stop - start))

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return as_shape(other).concatenate(self)

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == as_shape(other)._dims
        except (TypeError, ValueError):
            return NotImplemented

    def __ne__(self, other: object) -> bool:
        try:
            theirs = as_shape(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._dims is None or theirs._dims is None:
            raise ValueError("whether unknown ranks differ is not known")
        return self._dims != theirs._dims

    def __hash__(self) -> int:
        return hash(self._dims)

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        sizes = ["?" if dim is None else str(dim) for dim in self._dims]
        return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"

    def __repr__(self) -> str:
        return f"TensorShape({self.dims!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._dims,)


def as_shape(shape: Any) -> TensorShape:
    """`shape` as a TensorShape."""
    return shape if isinstance(shape, TensorShape) else TensorShape(shape)


def unknown_shape(rank: int | None = None) -> TensorShape:
    """A shape of which nothing is known but, if given, the rank."""
    return TensorShape._of(None if rank is None else (None,) * rank)


def scalar() -> TensorShape:
    """The shape of a scalar."""
    return TensorShape._of(())


def vector(length: int | None) -> TensorShape:
    """The shape of a vector."""
    return TensorShape([length])


def matrix(rows: int | None, cols: int | None) -> TensorShape:
    """The shape of a matrix."""
    return TensorShape([rows, cols])


def broadcast_static_shape(shape_x: TensorShape, shape_y: TensorShape) -> TensorShape:
    """The shape of NumPy's broadcasting of two shapes, as far as it is known.

    Raises:
      ValueError: if they do not broadcast.
    """
    if shape_x._dims is None or shape_y._dims is None:
        return unknown_shape()
    return TensorShape._of(tuple(_broadcast(shape_x, shape_y)))


def _broadcast(x: TensorShape, y: TensorShape) -> Iterable[int | None]:
    a, b = x._dims or (), y._dims or ()
    rank = max(len(a), len(b))
    for m, n in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b):
        if m == n or n == 1:
            yield m
        elif m == 1:
            yield n
        elif m is None or n is None:
            yield m if n is None else n
        else:
            raise ValueError(f"shapes {x} and {y} do not broadcast: dimensions {m} and {n} differ")
