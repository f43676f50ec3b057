"""Tables: the records fill one and look keys up in it."""

import tempfile
import threading

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

KEYS = np.array([7, 3, 5], np.int64)
VALUES = np.array([0.5, -1.0, 2.0])
ASKED = np.array([[3, 4], [7, 7]], np.int64)
NONE = (np.zeros(0, np.int64), np.zeros(0), np.zeros((2, 0), np.int64))


def table(values, op="MutableHashTableV2", **attrs):
    return getattr(raw, op)(key_dtype=tf.int64, value_dtype=values.dtype, **attrs)


def zero(values):
    return tf.zeros([], values.dtype)


def looked_up(op, fill):
    """Makes a table, fills it, and looks keys up."""

    def build(keys, values, asked):
        handle = table(values, op, name="node" if fill is None else None)
        insert = raw.LookupTableInsertV2 if op.startswith("Mutable") else raw.InitializeTableV2
        filled = (fill or insert)(handle, keys, values, **({"name": "node"} if fill else {}))
        with tf.control_dependencies([filled]):
            return raw.LookupTableFindV2(handle, asked, zero(values))

    return build


def found(keys, values, asked):
    known = dict(zip(keys.tolist(), values))
    return np.array([known.get(key, 0) for key in asked.ravel()], values.dtype).reshape(asked.shape)


def find(keys, values, asked):
    handle = table(values)
    with tf.control_dependencies([raw.LookupTableInsertV2(handle, keys, values)]):
        return raw.LookupTableFindV2(handle, asked, zero(values), name="node")


def of_tensors(keys, rows, asked):
    handle = raw.MutableHashTableOfTensorsV2(
        key_dtype=tf.int64, value_dtype=rows.dtype, value_shape=[2], name="node"
    )
    with tf.control_dependencies([raw.LookupTableInsertV2(handle, keys, rows)]):
        return raw.LookupTableFindV2(handle, asked, tf.zeros([2], rows.dtype))


def remove(keys, values, asked):
    handle = table(values)
    with tf.control_dependencies([raw.LookupTableInsertV2(handle, keys, values)]):
        removed = raw.LookupTableRemoveV2(handle, keys[:1], name="node")
    with tf.control_dependencies([removed]):
        return raw.LookupTableFindV2(handle, asked, zero(values))


def size(keys, values):
    handle = table(values)
    with tf.control_dependencies([raw.LookupTableInsertV2(handle, keys, values)]):
        return raw.LookupTableSizeV2(handle, name="node")


def export(keys, values):
    handle = table(values)
    with tf.control_dependencies([raw.LookupTableInsertV2(handle, keys, values)]):
        all_keys, all_values = raw.LookupTableExportV2(
            handle, Tkeys=tf.int64, Tvalues=values.dtype, name="node"
        )
    return all_keys, all_values


FOLDER = tempfile.TemporaryDirectory(prefix="headrace-tables-")


def filled_from_text(text, asked, key_index=0, value_index=1, **attrs):
    """Writes a file, fills a table with it, and looks keys up."""
    path = f"{FOLDER.name}/words"
    handle = raw.HashTableV2(key_dtype=tf.int64, value_dtype=tf.string)
    with tf.control_dependencies([raw.WriteFile(path, text)]):
        filled = raw.InitializeTableFromTextFileV2(
            handle, path, key_index=key_index, value_index=value_index, **attrs, name="node"
        )
    with tf.control_dependencies([filled]):
        return raw.LookupTableFindV2(handle, asked, "none")


def text_of(*lines):
    return np.array("\n".join(lines), object)


def texts(*values):
    return np.array(values, object)


CASES = [Case((KEYS, VALUES, ASKED)), Case(NONE)]
ANY = {"dtypes": ("float32", "float64", "bfloat16", "int32", "complex64"), "data_dependent": True}
SHORT = Bad((KEYS, VALUES[:2], ASKED), match="values must have shape")

RECORDS = [
    OpRecord("HashTableV2", CASES, found, build=looked_up("HashTableV2", None), **ANY),
    OpRecord("MutableHashTableV2", CASES, found, build=looked_up("MutableHashTableV2", None), **ANY),
    OpRecord(
        "MutableHashTableOfTensorsV2",
        [
            Case((KEYS, np.stack([VALUES, 2 * VALUES], 1), ASKED)),
            Case((NONE[0], np.zeros((0, 2)), NONE[2])),
        ],
        lambda keys, rows, asked: np.stack([found(keys, rows[:, i], asked) for i in (0, 1)], -1),
        build=of_tensors,
        **ANY,
    ),
    OpRecord("LookupTableFindV2", CASES, found, build=find, **ANY),
    OpRecord(
        "LookupTableInsertV2",
        CASES,
        found,
        build=looked_up("MutableHashTableV2", raw.LookupTableInsertV2),
        bad=[SHORT],
        **ANY,
    ),
    OpRecord(
        "LookupTableImportV2",
        CASES,
        found,
        build=looked_up("MutableHashTableV2", raw.LookupTableImportV2),
        bad=[SHORT],
        **ANY,
    ),
    OpRecord(
        "InitializeTableV2",
        CASES,
        found,
        build=looked_up("HashTableV2", raw.InitializeTableV2),
        bad=[SHORT],
        **ANY,
    ),
    OpRecord(
        "InitializeTableFromTextFileV2",
        [
            Case((text_of("7\tseven\tx", "3\tthree"), ASKED), {"expected": "three none seven seven"}),
            Case(
                (text_of("a", "b", "c", "d", ""), ASKED),
                {"key_index": -1, "value_index": -2, "offset": 1, "expected": "c d none none"},
            ),
            Case(
                (text_of("x 3", "y 7", "z 4", ""), ASKED),
                {"key_index": 1, "value_index": 0, "delimiter": " ", "vocab_size": 2}
                | {"expected": "x none y y"},
            ),
        ],
        lambda text, asked, expected, **attrs: texts(*expected.split()).reshape(asked.shape),
        build=lambda text, asked, expected="", **attrs: filled_from_text(text, asked, **attrs),
        bad=[
            Bad((text_of("1\tx", "2"), ASKED), match="line 2 of the file .*1 columns", when="run"),
            Bad((text_of("1.5\tx"), ASKED), match="line 1 .*'1.5' is no int64", when="run"),
            Bad((text_of("1\tx"), ASKED), {"vocab_size": 2}, match="has 1 lines, vocab_size", when="run"),
            Bad((text_of("1\tx"), ASKED), {"delimiter": ""}, match="one byte", when="run"),
            Bad((text_of("1\tx"), ASKED), {"key_index": -2}, match="keys are int64.*whole line", when="run"),
            Bad((text_of("1\tx", "1\ty"), ASKED), match="twice, with different values", when="run"),
        ],
        dtypes=(),
        no_empty="the file is a scalar",
        data_dependent=True,
    ),
    OpRecord(
        "LookupTableRemoveV2",
        CASES,
        lambda keys, values, asked: found(keys[1:], values[1:], asked),
        build=remove,
        **ANY,
    ),
    OpRecord(
        "LookupTableSizeV2",
        [Case((KEYS, VALUES)), Case(NONE[:2])],
        lambda keys, values: np.int64(len(keys)),
        build=size,
        **ANY,
    ),
    OpRecord(
        "LookupTableExportV2",
        [Case((KEYS, VALUES)), Case(NONE[:2])],
        lambda keys, values: (keys, values),
        build=export,
        **ANY,
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def words(name=None):
    return tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2], tf.string, tf.int64, name=name)


def test_a_table_that_is_filled_once():
    table = tf.lookup.StaticHashTable(words(), -1)
    assert (table.key_dtype, table.value_dtype, table.name) == (tf.string, tf.int64, "hash_table")
    value = table.lookup(tf.constant([["b", "c"]]))
    assert value.op.name == "hash_table_Lookup/LookupTableFindV2" and value.shape.as_list() == [1, 2]
    init = tf.tables_initializer()
    assert init.name == "init_all_tables" and table.initializer in init.control_inputs
    change = raw.LookupTableInsertV2(table.resource_handle, ["x"], tf.constant([1], tf.int64))
    other = raw.InitializeTableV2(table.resource_handle, ["x"], tf.constant([1], tf.int64))
    with tf.Session() as session:
        assert session.run(table.size()) == 0
        with pytest.raises(tf.errors.FailedPreconditionError, match="tables_initializer"):
            session.run(value)
        session.run(init)
        assert session.run(value).tolist() == [[2, -1]]
        assert session.run(table.size()) == 2
        session.run(init)
        with pytest.raises(tf.errors.FailedPreconditionError, match="filled already"):
            session.run(other)
        with pytest.raises(tf.errors.UnimplementedError, match="MutableHashTable"):
            session.run(change)
        keys, values = session.run(table.export())
        assert dict(zip(keys, values)) == {b"a": 1, b"b": 2}


def test_tables_of_text(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"the 1.5 10\r\na 2.5 20\nan -3 30")
    lookup = tf.lookup
    words = lookup.StaticHashTable(lookup.TextFileStringTableInitializer(str(path)), "?")
    numbers = lookup.StaticHashTable(lookup.TextFileIdTableInitializer(str(path), vocab_size=2), -1)
    floats = lookup.StaticHashTable(
        lookup.TextFileInitializer(str(path), tf.string, 0, tf.float32, 1, delimiter=" "), 0.0
    )
    counts = lookup.StaticHashTable(
        lookup.TextFileInitializer(str(path), tf.int64, 2, tf.int32, 2, delimiter=" "), 0
    )
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        found = session.run(
            [
                words.lookup(tf.constant([2, 0, 3], tf.int64)),
                numbers.lookup(tf.constant(["a 2.5 20", "an -3 30"])),
                floats.lookup(tf.constant(["an", "a", "none"])),
                counts.lookup(tf.constant([20, 1], tf.int64)),
            ]
        )
    assert [value.tolist() for value in found] == [
        [b"an -3 30", b"the 1.5 10", b"?"],
        *([1, -1], [-3, 2.5, 0], [20, 0]),
    ]
    assert len(tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS)) == 4
    with pytest.raises(ValueError, match="key_index is -2, which is no int64"):
        lookup.TextFileInitializer(str(path), tf.int64, lookup.TextFileIndex.WHOLE_LINE, tf.int64, 0)
    with pytest.raises(ValueError, match="vocab_size is 0"):
        lookup.TextFileIdTableInitializer(str(path), vocab_size=0)
    with pytest.raises(TypeError, match="cannot be filled with string keys and int64 values"):
        lookup.TextFileIdTableInitializer(str(path)).initialize(words)
    missing = lookup.StaticHashTable(lookup.TextFileIdTableInitializer("no/such/file"), -1)
    with tf.Session() as session, pytest.raises(tf.errors.NotFoundError, match="no/such/file"):
        session.run(missing.initializer)


def test_wrong_tables():
    with pytest.raises(TypeError, match="string, not int32"):
        tf.lookup.HashTable(words(), -1).lookup([1])
    with pytest.raises(ValueError, match="must be a scalar"):
        tf.lookup.HashTable(words(), [1, 2])
    twice = tf.lookup.HashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "a"], tf.constant([1, 2], tf.int64)), -1
    )
    floats = raw.MutableHashTableV2(key_dtype=tf.float32, value_dtype=tf.int64)
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match="twice, with different values"):
            session.run(twice.initializer)
        with pytest.raises(tf.errors.UnimplementedError):
            session.run(raw.LookupTableSizeV2(floats))


def test_a_table_that_changes():
    table = tf.lookup.MutableHashTable(tf.string, tf.float32, [0.0, 0.0])
    assert table.name == "MutableHashTable"
    insert = table.insert(["x", "y", "x"], [[1, 2], [3, 4], [5, 6]])
    value = table.lookup(tf.constant(["x", "z"]))
    assert value.shape.as_list() == [2, 2]
    with tf.Session() as session:
        session.run(insert)
        assert session.run(value).tolist() == [[5, 6], [0, 0]]
        session.run(table.remove(["x", "not there"]))
        keys, values = session.run(table.export())
        assert keys.tolist() == [b"y"] and values.tolist() == [[3, 4]]
        assert session.run(table.size()) == 1


def test_tables_are_shared_by_name():
    tables = [tf.lookup.MutableHashTable(tf.int64, tf.string, "", shared_name="t") for _ in range(2)]
    other = tf.lookup.MutableHashTable(tf.int64, tf.int64, 0, shared_name="t")
    with tf.Session("tables") as session:
        session.run(tables[0].insert(tf.constant([1], tf.int64), ["one"]))
    with tf.Session("tables") as session:
        assert session.run(tables[1].lookup(tf.constant(1, tf.int64))) == b"one"
        with pytest.raises(TypeError, match="is used with int64 keys and int64 values"):
            session.run(other.size())
    tf.Session.reset("tables")
    with tf.Session("tables") as session:
        assert session.run(tables[1].size()) == 0


def test_threads_change_and_read_one_table():
    table = tf.lookup.MutableHashTable(tf.int64, tf.int64, [-1, -1])
    key = tf.placeholder(tf.int64, [None])
    put, get = table.insert(key, tf.stack([key, key], axis=1)), table.lookup(key)
    torn = []
    with tf.Session() as session:

        def work(number):
            for i in range(50):
                keys = np.arange(10) * 50 + i + 1000 * (number % 2)
                session.run(put, {key: keys})
                value = session.run(get, {key: keys})
                if (value != keys[:, None]).any():
                    torn.append(value)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not torn
        assert session.run(table.size()) == 1000
