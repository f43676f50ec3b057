"""Tables: keys and their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import DType, as_dtype, int64, string
from headrace.framework.graph import (
    GraphKeys,
    Operation,
    Tensor,
    add_to_collection,
    get_collection,
    name_scope,
)
from headrace.ops.control_flow import group
from headrace.ops.saveable import SaveableObject, SaveSpec

__all__ = ["initialize_all_tables", "tables_initializer"]


def tables_initializer(name: str = "init_all_tables") -> Operation:
    """An operation that fills all tables of the graph."""
    return group(*get_collection(GraphKeys.TABLE_INITIALIZERS), name=name)


def initialize_all_tables(name: str = "init_all_tables") -> Operation:
    """The old name of `tables_initializer`."""
    return tables_initializer(name)


class LookupInterface:
    """What tables share.

    Args:
      key_dtype: strings, integers or bools.
      value_dtype: any dtype.
      default_value: the value of keys that are not in the table.
    """

    def __init__(self, key_dtype: Any, value_dtype: Any, default_value: Any):
        self._key_dtype, self._value_dtype = as_dtype(key_dtype), as_dtype(value_dtype)
        self._default_value = convert_to_tensor(default_value, dtype=self._value_dtype)
        self._handle: Tensor

    @property
    def key_dtype(self) -> DType:
        """The dtype of keys."""
        return self._key_dtype

    @property
    def value_dtype(self) -> DType:
        """The dtype of values."""
        return self._value_dtype

    @property
    def default_value(self) -> Tensor:
        """The value of keys that are not in the table."""
        return self._default_value

    @property
    def resource_handle(self) -> Tensor:
        """The handle."""
        return self._handle

    @property
    def name(self) -> str:
        """The name of the operation that makes the table."""
        return self._handle.op.name

    def _keys(self, keys: Any) -> Tensor:
        keys = convert_to_tensor(keys, name="keys")
        if keys.dtype != self._key_dtype:
            raise TypeError(f"the keys of {self.name} are {self._key_dtype.name}, not {keys.dtype.name}")
        return keys

    def lookup(self, keys: Any, name: str | None = None) -> Tensor:
        """The value of each key, the default value for those that are not in the table.

        Args:
          keys: of any shape.
          name: of the scope.

        Returns:
          A tensor of shape `keys.shape + default_value.shape`.

        Raises:
          TypeError: if the keys are of another dtype.
        """
        with name_scope(name, f"{self._short_name()}_Lookup", [keys]):
            return raw.LookupTableFindV2(self._handle, self._keys(keys), self._default_value)

    def size(self, name: str | None = None) -> Tensor:
        """How many keys are in the table: an int64 scalar."""
        with name_scope(name, f"{self._short_name()}_Size"):
            return raw.LookupTableSizeV2(self._handle)

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """All keys and their values, in no particular order."""
        with name_scope(name, f"{self._short_name()}_Export"):
            keys, values = raw.LookupTableExportV2(
                self._handle, Tkeys=self._key_dtype, Tvalues=self._value_dtype
            )
        return keys, values

    def _short_name(self) -> str:
        return self.name.split("/")[-1]


class KeyValueTensorInitializer:
    """What fills a table: keys and their values.

    Args:
      keys: a vector.
      values: a vector as long.
      key_dtype: of the keys, where they are no tensor.
      value_dtype: of the values.
      name: of the scope.
    """

    def __init__(
        self,
        keys: Any,
        values: Any,
        key_dtype: Any = None,
        value_dtype: Any = None,
        name: str | None = None,
    ):
        with name_scope(name, "key_value_init", [keys, values]) as scope:
            self._keys = convert_to_tensor(keys, dtype=key_dtype, name="keys")
            self._values = convert_to_tensor(values, dtype=value_dtype, name="values")
            self._scope = scope

    @property
    def key_dtype(self) -> DType:
        """The dtype of the keys."""
        return self._keys.dtype

    @property
    def value_dtype(self) -> DType:
        """The dtype of the values."""
        return self._values.dtype

    def initialize(self, table: LookupInterface) -> Operation:
        """An operation that fills the table; it is added to the collection `TABLE_INITIALIZERS`.

        Raises:
          TypeError: if the table is of other dtypes.
        """
        _check_dtypes(self, table)
        with name_scope(self._scope):
            filled = raw.LookupTableImportV2(table.resource_handle, self._keys, self._values)
        add_to_collection(GraphKeys.TABLE_INITIALIZERS, filled)
        return filled


def _check_dtypes(initializer: Any, table: LookupInterface) -> None:
    if (table.key_dtype, table.value_dtype) != (initializer.key_dtype, initializer.value_dtype):
        raise TypeError(
            f"a table of {table.key_dtype.name} keys and {table.value_dtype.name} values cannot be filled "
            f"with {initializer.key_dtype.name} keys and {initializer.value_dtype.name} values"
        )


class TextFileIndex:
    """Where in a line of a file a key or a value stands, if it is no column."""

    WHOLE_LINE = -2
    LINE_NUMBER = -1


class TextFileInitializer:
    """What fills a table: the lines of a file of text.

    Args:
      filename: the file, which is also an asset of a saved model.
      key_dtype: string or int64.
      key_index: the column of the keys, counted from 0, or of `TextFileIndex`: the whole line, which is a
        string, or its number, which is an int64.
      value_dtype: string, int32, int64, float32 or float64.
      value_index: the same of the values.
      vocab_size: how many lines to take, all by default.
      delimiter: what columns are separated by.
      name: of the scope.
      value_index_offset: the number of the first line.

    Raises:
      ValueError: if an index and a dtype do not fit, or `vocab_size` is not positive.
    """

    def __init__(
        self,
        filename: Any,
        key_dtype: Any,
        key_index: int,
        value_dtype: Any,
        value_index: int,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = None,
        value_index_offset: int = 0,
    ):
        if not isinstance(filename, Tensor) and not filename:
            raise ValueError(f"filename is {filename!r}; give the path of a file")
        self.key_dtype = as_dtype(key_dtype)
        self.value_dtype = as_dtype(value_dtype)
        for what, index, dtype in (
            ("key", key_index, self.key_dtype),
            ("value", value_index, self.value_dtype),
        ):
            needed = {TextFileIndex.WHOLE_LINE: string, TextFileIndex.LINE_NUMBER: int64}.get(index, dtype)
            if index < TextFileIndex.WHOLE_LINE or needed != dtype:
                raise ValueError(f"{what}_index is {index}, which is no {dtype.name}; see TextFileIndex")
        if vocab_size is not None and vocab_size <= 0:
            raise ValueError(f"vocab_size is {vocab_size}; it must be positive, or None for all lines")
        self._filename = filename
        self._name = name
        self._attrs = {
            "key_index": key_index,
            "value_index": value_index,
            "vocab_size": -1 if vocab_size is None else vocab_size,
            "delimiter": delimiter,
            "offset": value_index_offset,
        }

    def initialize(self, table: LookupInterface) -> Operation:
        """An operation that fills the table; it is added to the collection `TABLE_INITIALIZERS`.

        Raises:
          TypeError: if the table is of other dtypes.
        """
        _check_dtypes(self, table)
        with name_scope(self._name, "text_file_init", [table.resource_handle]):
            filename = convert_to_tensor(self._filename, dtype=string, name="asset_filepath")
            filled = raw.InitializeTableFromTextFileV2(table.resource_handle, filename, **self._attrs)
        add_to_collection(GraphKeys.TABLE_INITIALIZERS, filled)
        if filename.op.type == "Const":  # saved models take it with them
            add_to_collection(GraphKeys.ASSET_FILEPATHS, filename)
        return filled


class TextFileStringTableInitializer(TextFileInitializer):
    """A `TextFileInitializer` from numbers to strings; by default from those of lines to lines."""

    def __init__(
        self,
        filename: Any,
        key_column_index: int = TextFileIndex.LINE_NUMBER,
        value_column_index: int = TextFileIndex.WHOLE_LINE,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = "text_file_string_table_init",
    ):
        super().__init__(
            *(filename, int64, key_column_index, string, value_column_index),
            vocab_size=vocab_size,
            delimiter=delimiter,
            name=name,
        )


class TextFileIdTableInitializer(TextFileInitializer):
    """A `TextFileInitializer` to numbers; by default from lines to their numbers."""

    def __init__(
        self,
        filename: Any,
        key_column_index: int = TextFileIndex.WHOLE_LINE,
        value_column_index: int = TextFileIndex.LINE_NUMBER,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = "text_file_id_table_init",
        key_dtype: Any = string,
    ):
        super().__init__(
            *(filename, key_dtype, key_column_index, int64, value_column_index),
            vocab_size=vocab_size,
            delimiter=delimiter,
            name=name,
        )


class StaticHashTable(LookupInterface):
    """A table that is filled once, by its `initializer` or `tf.tables_initializer()`.

    Args:
      initializer: a `KeyValueTensorInitializer` or a `TextFileInitializer`.
      default_value: the value of keys that are not in the table.
      name: of the operation.
    """

    def __init__(
        self,
        initializer: KeyValueTensorInitializer | TextFileInitializer,
        default_value: Any,
        name: str | None = None,
    ):
        self._make(initializer, default_value, None, name)

    def _make(
        self,
        initializer: KeyValueTensorInitializer | TextFileInitializer,
        default_value: Any,
        shared_name: str | None,
        name: str | None,
    ) -> None:
        LookupInterface.__init__(self, initializer.key_dtype, initializer.value_dtype, default_value)
        if self._default_value.shape.ndims not in (None, 0):
            raise ValueError(f"default_value has shape {self._default_value.shape}; it must be a scalar")
        self._handle = raw.HashTableV2(
            key_dtype=self._key_dtype,
            value_dtype=self._value_dtype,
            shared_name=shared_name or "",
            name=name or "hash_table",
        )
        self._initializer = initializer.initialize(self)

    @property
    def initializer(self) -> Operation:
        """The operation that fills the table."""
        return self._initializer


class HashTable(StaticHashTable):
    """A `StaticHashTable` that can be shared.

    Args:
      initializer: a `KeyValueTensorInitializer` or a `TextFileInitializer`.
      default_value: the value of keys that are not in the table.
      shared_name: tables of one name are one, in all sessions that share state.
      name: of the operation.
    """

    def __init__(
        self,
        initializer: KeyValueTensorInitializer | TextFileInitializer,
        default_value: Any,
        shared_name: str | None = None,
        name: str | None = None,
    ):
        self._make(initializer, default_value, shared_name, name)

    @property
    def init(self) -> Operation:
        """The old name of `initializer`."""
        return self._initializer


class MutableHashTable(LookupInterface):
    """A table that steps can change.

    Args:
      key_dtype: strings, integers or bools.
      value_dtype: any dtype.
      default_value: the value of keys that are not in the table; all values have its shape.
      name: of the operation.
      checkpoint: whether savers save it, as "NAME-keys" and "NAME-values".
      shared_name: tables of one name are one, in all sessions that share state.
    """

    def __init__(
        self,
        key_dtype: Any,
        value_dtype: Any,
        default_value: Any,
        name: str = "MutableHashTable",
        checkpoint: bool = True,
        shared_name: str | None = None,
    ):
        super().__init__(key_dtype, value_dtype, default_value)
        made = {
            "key_dtype": self._key_dtype,
            "value_dtype": self._value_dtype,
            "shared_name": shared_name or "",
            "name": name,
        }
        if self._default_value.shape.ndims == 0:
            self._handle = raw.MutableHashTableV2(**made)
        else:
            self._handle = raw.MutableHashTableOfTensorsV2(value_shape=self._default_value.shape, **made)
        if checkpoint:
            add_to_collection(GraphKeys.SAVEABLE_OBJECTS, _SaveableTable(self, name))

    def lookup(self, keys: Any, name: str | None = None) -> Tensor:
        """See `LookupInterface.lookup`."""
        return super().lookup(keys, name or f"{self._short_name()}_lookup_table_find")

    def insert(self, keys: Any, values: Any, name: str | None = None) -> Operation:
        """Gives keys values, new ones to those that are in the table.

        Args:
          keys: of any shape.
          values: of shape `keys.shape + default_value.shape`.
          name: of the scope.

        Raises:
          TypeError: if keys or values are of other dtypes.
        """
        with name_scope(name, f"{self._short_name()}_lookup_table_insert", [keys, values]):
            keys = self._keys(keys)
            values = convert_to_tensor(values, dtype=self._value_dtype, name="values")
            return raw.LookupTableInsertV2(self._handle, keys, values)

    def remove(self, keys: Any, name: str | None = None) -> Operation:
        """Removes keys; those that are not in the table are passed over.

        Raises:
          TypeError: if the keys are of another dtype.
        """
        with name_scope(name, f"{self._short_name()}_lookup_table_remove", [keys]):
            return raw.LookupTableRemoveV2(self._handle, self._keys(keys))

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """See `LookupInterface.export`."""
        return super().export(name or f"{self._short_name()}_lookup_table_export_values")


class _SaveableTable(SaveableObject):
    """A table for savers: its keys and its values, of one moment."""

    def __init__(self, table: MutableHashTable, name: str):
        keys, values = table.export()
        specs = [SaveSpec(keys, "", f"{name}-keys"), SaveSpec(values, "", f"{name}-values")]
        super().__init__(table, specs, name)

    def restore(self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None) -> Operation:
        with name_scope(f"{self.name}_table_restore"):
            return raw.LookupTableImportV2(self.op.resource_handle, *restored_tensors)
