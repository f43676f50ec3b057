"""Tables: keys and their values."""

from headrace.ops.table import HashTable as HashTable
from headrace.ops.table import KeyValueTensorInitializer as KeyValueTensorInitializer
from headrace.ops.table import LookupInterface as LookupInterface
from headrace.ops.table import MutableHashTable as MutableHashTable
from headrace.ops.table import StaticHashTable as StaticHashTable
from headrace.ops.table import TextFileIdTableInitializer as TextFileIdTableInitializer
from headrace.ops.table import TextFileIndex as TextFileIndex
from headrace.ops.table import TextFileInitializer as TextFileInitializer
from headrace.ops.table import TextFileStringTableInitializer as TextFileStringTableInitializer
