"""Parsers: tensors out of serialized examples, of raw bytes, of lines of a table and of messages."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.shapes import TensorShape
from headrace.framework.sparse_tensor import SparseTensor
from headrace.ops import array
from headrace.ops.sparse import sparse_merge

__all__ = [
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "SparseFeature",
    "VarLenFeature",
    "decode_csv",
    "decode_json_example",
    "decode_raw",
    "parse_example",
    "parse_single_example",
    "parse_single_sequence_example",
    "parse_tensor",
    "serialize_tensor",
]


class FixedLenFeature(
    collections.namedtuple("FixedLenFeature", ["shape", "dtype", "default_value"], defaults=[None])
):
    """A feature with a fixed number of elements, which becomes a dense tensor.

    Args:
      shape: the shape of one example's feature, fully known.
      dtype: float32, int64 or string.
      default_value: what to use where the feature is missing: of the shape, or one value for all. Without it
        the feature is required.
    """

    __slots__ = ()


class FixedLenSequenceFeature(
    collections.namedtuple(
        "FixedLenSequenceFeature",
        ["shape", "dtype", "allow_missing", "default_value"],
        defaults=[False, None],
    )
):
    """A feature of any number of rows, which becomes a dense tensor that is padded to the longest.

    Args:
      shape: the shape of a row, fully known.
      dtype: float32, int64 or string.
      allow_missing: whether there are no rows where the feature is missing. `parse_example` needs True.
      default_value: the element to pad with; zero or empty by default. Not for sequence examples.
    """

    __slots__ = ()


class VarLenFeature(collections.namedtuple("VarLenFeature", ["dtype"])):
    """A feature of any number of elements, which becomes a sparse tensor.

    Args:
      dtype: float32, int64 or string.
    """

    __slots__ = ()


class SparseFeature(
    collections.namedtuple(
        "SparseFeature", ["index_key", "value_key", "dtype", "size", "already_sorted"], defaults=[False]
    )
):
    """A sparse tensor out of two features: one that tells the places of values, and one of the values.

    Args:
      index_key: the name of the feature with the places, int64; or a list of names, one for each dimension.
      value_key: the name of the feature with the values.
      dtype: of the values: float32, int64 or string.
      size: the size of the dimension that the places are in; or a list of sizes.
      already_sorted: whether the places of each example are in order.
    """

    __slots__ = ()


_MAY_BE = {
    "example": (VarLenFeature, SparseFeature, FixedLenFeature, FixedLenSequenceFeature),
    "context": (VarLenFeature, FixedLenFeature),
    "sequence": (VarLenFeature, FixedLenSequenceFeature),
}


class _Columns:
    """Features taken apart: what an operation that parses them is to be told."""

    def __init__(self, features: Mapping[str, Any] | None, kind: str):
        self.features = dict(features or {})
        self.sparse: dict[str, dtypes.DType] = {}
        self.dense: dict[str, dtypes.DType] = {}
        self.shapes: list[TensorShape] = []
        self.defaults: list[Tensor] = []
        self.may_be_missing: list[str] = []
        for key in sorted(self.features):
            feature = self.features[key]
            if not isinstance(feature, _MAY_BE[kind]):
                wanted = ", ".join(one.__name__ for one in _MAY_BE[kind])
                raise ValueError(f"feature '{key}' is {feature!r}, expected one of {wanted}")
            if getattr(feature, "dtype", None) is None:
                raise ValueError(f"feature '{key}' has no dtype; give float32, int64 or string")
            if isinstance(feature, SparseFeature):
                self._add_sparse_feature(key, feature)
            elif isinstance(feature, VarLenFeature):
                self._add_sparse(key, feature.dtype)
            else:
                self._add_dense(key, feature, kind)
        for key in self.sparse.keys() & self.dense.keys():
            raise ValueError(f"feature '{key}' is asked for as sparse and as dense; choose one of them")

    def _add_sparse(self, key: str, dtype: Any) -> None:
        dtype = dtypes.as_dtype(dtype)
        if self.sparse.setdefault(key, dtype) != dtype:
            raise ValueError(f"feature '{key}' is asked for as {self.sparse[key].name} and as {dtype.name}")

    def _add_sparse_feature(self, key: str, feature: SparseFeature) -> None:
        if not feature.index_key or not feature.value_key or not feature.size:
            raise ValueError(f"feature '{key}' needs an index_key, a value_key and a size, got {feature!r}")
        for index_key in _as_list(feature.index_key):
            self._add_sparse(index_key, dtypes.int64)
        self._add_sparse(feature.value_key, feature.dtype)

    def _add_dense(self, key: str, feature: Any, kind: str) -> None:
        dtype = dtypes.as_dtype(feature.dtype)
        shape = TensorShape(feature.shape) if feature.shape is not None else TensorShape(None)
        rows = isinstance(feature, FixedLenSequenceFeature)
        if not shape.is_fully_defined():
            raise ValueError(
                f"feature '{key}' has the shape {shape}, expected a fully known one; "
                "use FixedLenSequenceFeature for an unknown number of rows"
            )
        if rows and feature.allow_missing:
            self.may_be_missing.append(key)
        if rows and kind == "example":
            if not feature.allow_missing:
                raise ValueError(
                    f"feature '{key}' has rows, and allow_missing is False; only True is supported"
                )
            shape = TensorShape([None]).concatenate(shape)
        if rows and kind == "sequence" and feature.default_value is not None:
            raise ValueError(f"feature '{key}' has a default_value, which sequence examples do not support")
        self.dense[key] = dtype
        self.shapes.append(shape)
        if kind != "sequence":
            self.defaults.append(_default(key, dtype, shape, feature.default_value, rows))

    @property
    def sparse_types(self) -> list[dtypes.DType]:
        return list(self.sparse.values())

    @property
    def dense_types(self) -> list[dtypes.DType]:
        return list(self.dense.values())

    def results(self, indices: Any, values: Any, shapes: Any, dense: Any) -> dict[str, Any]:
        """What was asked for, out of the outputs of the operation."""
        found: dict[str, Any] = {
            key: SparseTensor(*parts) for key, *parts in zip(self.sparse, indices, values, shapes)
        }
        found.update(zip(self.dense, dense))
        made = {}
        for key, feature in self.features.items():
            if not isinstance(feature, SparseFeature):
                made[key] = found[key]
                continue
            places = [found[index_key] for index_key in _as_list(feature.index_key)]
            many = not isinstance(feature.index_key, str)
            made[key] = sparse_merge(
                places if many else places[0],
                found[feature.value_key],
                feature.size,
                already_sorted=feature.already_sorted,
            )
        return made


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)


def _default(key: str, dtype: dtypes.DType, shape: TensorShape, value: Any, rows: bool) -> Tensor:
    if value is None:  # none, except to pad with
        empty: Any = b"" if dtype == dtypes.string else 0
        return constant(empty if rows else [], dtype=dtype)
    tensor = convert_to_tensor(value, dtype=dtype, name="default_value")
    if rows:
        return array.reshape(tensor, [])
    if tensor.shape.ndims == 0 and shape.ndims:
        return array.fill(shape.as_list(), tensor)
    if tensor.shape.is_fully_defined() and tensor.shape.num_elements() != shape.num_elements():
        raise ValueError(f"the default of feature '{key}' has the shape {tensor.shape}, the feature {shape}")
    return array.reshape(tensor, shape.as_list())


def _names(names: Any) -> Tensor:
    return convert_to_tensor([] if names is None else names, dtypes.string, name="names")


def parse_example(
    serialized: Any, features: Mapping[str, Any], name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """Parses a batch of serialized `Example` messages.

    Args:
      serialized: a vector of strings.
      features: a dict from names of features to `FixedLenFeature`, `FixedLenSequenceFeature`, `VarLenFeature`
        or `SparseFeature`. Of others, and of what else an example has, nothing is read.
      name: of the scope.
      example_names: names of the examples, for errors: a vector of strings.

    Returns:
      A dict from the names to tensors, whose first dimension is the batch, and sparse tensors.

    Raises:
      ValueError: if `features` is empty or has something else in it.
      errors.InvalidArgumentError: at run time, if a message is damaged, a required feature is missing, or one
        has another dtype or number of elements; it names the example and the feature.
    """
    if not features:
        raise ValueError("features is empty; name what is to be parsed")
    with name_scope(name, "ParseExample", [serialized, example_names]):
        columns = _Columns(features, "example")
        outputs = raw.ParseExample(
            serialized,
            _names(example_names),
            [constant(key) for key in columns.sparse],
            [constant(key) for key in columns.dense],
            columns.defaults,
            sparse_types=columns.sparse_types,
            dense_shapes=columns.shapes,
            name="ParseExample",
        )
    return columns.results(*outputs)


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """Parses one serialized `Example` message; see `parse_example`.

    Args:
      serialized: a scalar string.
      features: as in `parse_example`.
      name: of the scope.
      example_names: the name of the example, for errors: a scalar string.

    Returns:
      A dict from the names to tensors and sparse tensors, without the dimension of a batch.

    Raises:
      ValueError: if `features` is empty or has something else in it.
      errors.InvalidArgumentError: at run time, as `parse_example`.
    """
    if not features:
        raise ValueError("features is empty; name what is to be parsed")
    with name_scope(name, "ParseSingleExample", [serialized, example_names]):
        serialized = convert_to_tensor(serialized, dtypes.string, name="serialized")
        serialized.shape.assert_is_compatible_with([])
        columns = _Columns(features, "example")
        if example_names is None:
            outputs = raw.ParseSingleExample(
                serialized,
                columns.defaults,
                num_sparse=len(columns.sparse),
                sparse_keys=list(columns.sparse),
                dense_keys=list(columns.dense),
                sparse_types=columns.sparse_types,
                dense_shapes=columns.shapes,
                name="ParseSingleExample",
            )
            return columns.results(*outputs)
        # The operation for one example takes no name: this is a batch of one.
        indices, values, shapes, dense = raw.ParseExample(
            array.expand_dims(serialized, 0),
            array.expand_dims(convert_to_tensor(example_names, dtypes.string), 0),
            [constant(key) for key in columns.sparse],
            [constant(key) for key in columns.dense],
            columns.defaults,
            sparse_types=columns.sparse_types,
            dense_shapes=columns.shapes,
            name="ParseExample",
        )
        return columns.results(
            [one[:, 1:] for one in indices],
            values,
            [one[1:] for one in shapes],
            [array.squeeze(one, [0]) for one in dense],
        )


def parse_sequence_example(
    serialized: Any,
    context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None,
    example_names: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Parses a batch of serialized `SequenceExample` messages.

    Args:
      serialized: a vector of strings.
      context_features: features of the whole: a dict from names to `FixedLenFeature` or `VarLenFeature`.
      sequence_features: features of each step: a dict from names to `FixedLenSequenceFeature` or
        `VarLenFeature`.
      example_names: names of the examples, for errors: a vector of strings.
      name: of the scope.

    Returns:
      Three dicts from names: the context, of tensors `[batch, ...]` and sparse tensors; the sequences, of
      tensors `[batch, steps, ...]`, padded with zeros, and sparse tensors of rank 3; and how many steps each
      of the dense sequences has, `[batch]`.

    Raises:
      ValueError: if there are no features, or something else in their place.
      errors.InvalidArgumentError: at run time, as `parse_example`.
    """
    if not context_features and not sequence_features:
        raise ValueError("there are no features; name what is to be parsed")
    with name_scope(name, "ParseSequenceExample", [serialized, example_names]):
        context = _Columns(context_features, "context")
        sequence = _Columns(sequence_features, "sequence")
        outputs = raw.ParseSequenceExample(
            serialized,
            _names(example_names),
            context.defaults,
            feature_list_dense_missing_assumed_empty=sequence.may_be_missing,
            context_sparse_keys=list(context.sparse),
            context_dense_keys=list(context.dense),
            feature_list_sparse_keys=list(sequence.sparse),
            feature_list_dense_keys=list(sequence.dense),
            **_sequence_attrs(context, sequence),
            name="ParseSequenceExample",
        )
    lengths = dict(zip(sequence.dense, outputs[8]))
    return context.results(*outputs[:4]), sequence.results(*outputs[4:8]), lengths


def parse_single_sequence_example(
    serialized: Any,
    context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None,
    example_name: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parses one serialized `SequenceExample` message; see `parse_sequence_example`.

    Args:
      serialized: a scalar string.
      context_features: as in `parse_sequence_example`.
      sequence_features: as in `parse_sequence_example`.
      example_name: the name of the example, for errors: a scalar string.
      name: of the scope.

    Returns:
      Two dicts from names: the context and the sequences, without the dimension of a batch.

    Raises:
      ValueError: if there are no features, or something else in their place.
      errors.InvalidArgumentError: at run time, as `parse_example`.
    """
    if not context_features and not sequence_features:
        raise ValueError("there are no features; name what is to be parsed")
    with name_scope(name, "ParseSingleSequenceExample", [serialized, example_name]):
        context = _Columns(context_features, "context")
        sequence = _Columns(sequence_features, "sequence")
        outputs = raw.ParseSingleSequenceExample(
            serialized,
            constant(np.array(sequence.may_be_missing, object), dtypes.string),
            [constant(key) for key in context.sparse],
            [constant(key) for key in context.dense],
            [constant(key) for key in sequence.sparse],
            [constant(key) for key in sequence.dense],
            context.defaults,
            convert_to_tensor("" if example_name is None else example_name, dtypes.string),
            **_sequence_attrs(context, sequence),
            name="ParseSingleSequenceExample",
        )
    return context.results(*outputs[:4]), sequence.results(*outputs[4:8])


def _sequence_attrs(context: _Columns, sequence: _Columns) -> dict[str, Any]:
    return {
        "context_sparse_types": context.sparse_types,
        "feature_list_dense_types": sequence.dense_types,
        "context_dense_shapes": context.shapes,
        "feature_list_sparse_types": sequence.sparse_types,
        "feature_list_dense_shapes": sequence.shapes,
        "Ncontext_sparse": len(context.sparse),
        "Ncontext_dense": len(context.dense),
        "Nfeature_list_sparse": len(sequence.sparse),
        "Nfeature_list_dense": len(sequence.dense),
    }


def decode_raw(
    input_bytes: Any = None,
    out_type: Any = None,
    little_endian: bool = True,
    name: str | None = None,
    bytes: Any = None,
) -> Tensor:
    """The bytes of strings as numbers.

    Args:
      input_bytes: strings, all of one length.
      out_type: the dtype of the numbers.
      little_endian: whether the lowest byte of a number comes first.
      name: of the operation.
      bytes: the former name of `input_bytes`.

    Returns:
      A tensor of `out_type`, with the shape of `input_bytes` and a last dimension of the numbers in a string.

    Raises:
      ValueError: if there is no `input_bytes` or no `out_type`.
      errors.InvalidArgumentError: at run time, if lengths differ or are no multiple of a number's.
    """
    strings = bytes if input_bytes is None else input_bytes
    if strings is None or out_type is None:
        raise ValueError("decode_raw needs input_bytes and out_type")
    return raw.DecodeRaw(
        convert_to_tensor(strings, dtypes.string),
        out_type=dtypes.as_dtype(out_type),
        little_endian=little_endian,
        name=name,
    )


def decode_csv(
    records: Any,
    record_defaults: Sequence[Any],
    field_delim: str = ",",
    use_quote_delim: bool = True,
    name: str | None = None,
    na_value: str = "",
    select_cols: Sequence[int] | None = None,
) -> list[Tensor]:
    """The fields of lines of a table (RFC 4180), a tensor for each column.

    Args:
      records: strings, one a line.
      record_defaults: for each column a tensor: a scalar or a vector with one element, which is used where
        the field is empty, or an empty vector if it must not be. Its dtype is that of the column: float32,
        float64, int32, int64 or string.
      field_delim: the character between fields.
      use_quote_delim: whether fields may be in double quotes.
      name: of the operation.
      na_value: a field that counts as empty.
      select_cols: numbers of the columns to read, in order; all by default.

    Returns:
      A tensor of the shape of `records` for each column.

    Raises:
      ValueError: if `select_cols` are not in order, or not as many as `record_defaults`.
      errors.InvalidArgumentError: at run time, if a field is missing or no number; it names line and field.
    """
    if select_cols is not None:
        columns = list(select_cols)
        if any(column < 0 for column in columns) or columns != sorted(set(columns)):
            raise ValueError(f"select_cols is {columns}, expected numbers from 0 on in increasing order")
        if len(columns) != len(record_defaults):
            raise ValueError(
                f"there are {len(columns)} select_cols and {len(record_defaults)} record_defaults"
            )
    return raw.DecodeCSV(
        convert_to_tensor(records, dtypes.string),
        [convert_to_tensor(one, name="record_defaults") for one in record_defaults],
        field_delim=field_delim,
        use_quote_delim=use_quote_delim,
        na_value=na_value,
        select_cols=list(select_cols or ()),
        name=name,
    )


def decode_json_example(json_examples: Any, name: str | None = None) -> Tensor:
    """Serialized `Example` messages out of their JSON form.

    Args:
      json_examples: strings, each an `Example` in protobuf's JSON form.
      name: of the operation.

    Returns:
      A string tensor of the same shape.

    Raises:
      errors.InvalidArgumentError: at run time, if a string is something else.
    """
    return raw.DecodeJSONExample(json_examples, name=name)


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Tensor:
    """The tensor in a serialized `TensorProto` message.

    Args:
      serialized: a scalar string.
      out_type: the dtype of the tensor.
      name: of the operation.

    Raises:
      errors.InvalidArgumentError: at run time, if it is no such message, or of another dtype.
    """
    return raw.ParseTensor(serialized, out_type=dtypes.as_dtype(out_type), name=name)


def serialize_tensor(tensor: Any, name: str | None = None) -> Tensor:
    """A tensor as a serialized `TensorProto` message.

    Args:
      tensor: a tensor.
      name: of the operation.

    Returns:
      A scalar string.
    """
    return raw.SerializeTensor(tensor, name=name)
