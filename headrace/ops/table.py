"""Tables: keys and their values."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import DType, as_dtype
from headrace.framework.graph import (
    GraphKeys,
    Operation,
    Tensor,
    add_to_collection,
    get_collection,
    name_scope,
)
from headrace.ops.control_flow import group

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
        if (table.key_dtype, table.value_dtype) != (self.key_dtype, self.value_dtype):
            raise TypeError(
                f"a table of {table.key_dtype.name} keys and {table.value_dtype.name} values "
                f"cannot be filled with {self.key_dtype.name} keys and {self.value_dtype.name} values"
            )
        with name_scope(self._scope):
            filled = raw.LookupTableImportV2(table.resource_handle, self._keys, self._values)
        add_to_collection(GraphKeys.TABLE_INITIALIZERS, filled)
        return filled


class StaticHashTable(LookupInterface):
    """A table that is filled once, by its `initializer` or `tf.tables_initializer()`.

    Args:
      initializer: a `KeyValueTensorInitializer`.
      default_value: the value of keys that are not in the table.
      name: of the operation.
    """

    def __init__(self, initializer: KeyValueTensorInitializer, default_value: Any, name: str | None = None):
        self._make(initializer, default_value, None, name)

    def _make(
        self,
        initializer: KeyValueTensorInitializer,
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
      initializer: a `KeyValueTensorInitializer`.
      default_value: the value of keys that are not in the table.
      shared_name: tables of one name are one, in all sessions that share state.
      name: of the operation.
    """

    def __init__(
        self,
        initializer: KeyValueTensorInitializer,
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
      checkpoint: accepted.
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
