"""Parsers: examples, raw bytes, tables and messages."""

import json

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, protos
from tests.ops.harness import Bad, Case, OpRecord, run_records


def text(*values):
    return np.array(values, object)


def feature(values):
    """A Feature of bytes, floats or ints."""
    if all(isinstance(v, bytes) for v in values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if all(isinstance(v, float) for v in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def features(**columns):
    return tf.train.Features(feature={key: feature(values) for key, values in columns.items()})


def example(**columns):
    return tf.train.Example(features=features(**columns)).SerializeToString()


def sequence(context, **lists):
    return tf.train.SequenceExample(
        context=features(**context),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                key: tf.train.FeatureList(feature=[feature(values) for values in steps])
                for key, steps in lists.items()
            }
        ),
    ).SerializeToString()


FIRST = example(a=[1, -2, 300], b=[1.5, 2.5], c=[b"x"], r=[7, 8])
SECOND = example(b=[3.5, 4.5], c=[b"yy"])
SEQUENCES = [
    sequence({"k": [5], "s": [1.0, 2.0]}, w=[[1.0, 2.0], [3.0, 4.0]], t=[[b"a"], [b"b", b"c"]]),
    sequence({"k": [6]}, w=[[5.0, 6.0]], t=[]),
]
EMPTY = text()
NONE = np.zeros(0, np.float32)


# The indices, values and shape of "a", and dense "b" and "c", of these examples.
A_OF_BOTH = [np.array([[0, 0], [0, 1], [0, 2]]), np.array([1, -2, 300]), np.array([2, 3])]
BC_OF_BOTH = [np.array([[1.5, 2.5], [3.5, 4.5]]), text(b"x", b"yy")]
OF_NONE = [np.zeros((0, 2), int), np.zeros(0, int), np.array([0, 0]), np.zeros((0, 2)), text()]


def parsed(serialized, *others, **attrs):
    return [*A_OF_BOTH, *BC_OF_BOTH] if len(serialized) else OF_NONE


def parsed_v2(serialized, *others, **attrs):
    if serialized.ndim == 0:
        first = [
            np.array([[0], [1], [2]]),
            A_OF_BOTH[1],
            np.array([3]),
            BC_OF_BOTH[0][0],
            text(b"x").reshape(()),
        ]
        return [*first, np.array([7, 8]), np.zeros(0, np.int32)]
    splits = np.array([0, 2, 2] if len(serialized) else [0], np.int32)
    values = np.array([7, 8] if len(serialized) else [], int)
    return [*parsed(serialized), values, splits]


def parsed_sequences(serialized, *others, **attrs):
    if not len(serialized):
        nothing = [np.zeros((0, 2), int), np.zeros(0), np.array([0, 0]), np.zeros(0, int)]
        lists = [np.zeros((0, 3), int), text(), np.array([0, 0, 0]), np.zeros((0, 0, 2)), np.zeros(0, int)]
        return nothing + lists
    return [
        np.array([[0, 0], [0, 1]]),
        np.array([1.0, 2.0]),
        np.array([2, 2]),
        np.array([5, 6]),
        np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1]]),
        text(b"a", b"b", b"c"),
        np.array([2, 2, 2]),
        np.array([[[1.0, 2], [3, 4]], [[5, 6], [0, 0]]]),
        np.array([2, 1]),
    ]


def numbers(string, out_type, little_endian):
    dtype = np.dtype(out_type.as_numpy_dtype)
    return np.frombuffer(string, dtype.newbyteorder("<" if little_endian else ">")).astype(dtype)


SPARSE_AND_DENSE = {"sparse_types": [tf.int64], "dense_shapes": [[2], []]}
SEQUENCE_ATTRS = {
    "context_sparse_types": [tf.float32],
    "Ncontext_sparse": 1,
    "Ncontext_dense": 1,
    "context_dense_shapes": [[]],
    "Nfeature_list_sparse": 1,
    "feature_list_sparse_types": [tf.string],
    "Nfeature_list_dense": 1,
    "feature_list_dense_types": [tf.float32],
    "feature_list_dense_shapes": [[2]],
}
SEQUENCE_KEYS = {
    "context_sparse_keys": ["s"],
    "context_dense_keys": ["k"],
    "feature_list_sparse_keys": ["t"],
    "feature_list_dense_keys": ["w"],
    "feature_list_dense_missing_assumed_empty": [],
}
DEFAULTS = [NONE, EMPTY]
NO_INTS = np.zeros(0, np.int64)
KEYS = ([text("a").reshape(())], [text("b").reshape(()), text("c").reshape(())])

RECORDS = [
    OpRecord(
        "ParseExample",
        cases=[
            Case((text(FIRST, SECOND), EMPTY, *KEYS, DEFAULTS), SPARSE_AND_DENSE),
            Case((text(FIRST, SECOND), text("1", "2"), *KEYS, DEFAULTS), SPARSE_AND_DENSE),
            Case((EMPTY, EMPTY, *KEYS, DEFAULTS), SPARSE_AND_DENSE),
        ],
        reference=parsed,
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad(
                (text(FIRST), text("it"), [], KEYS[1], DEFAULTS),
                {"sparse_types": [], "dense_shapes": [[3], []]},
                match=r"example 0 \('it'\): feature 'b' has 2 elements, expected 3",
                when="run",
            ),
            Bad(
                (text(FIRST), EMPTY, [], KEYS[1], DEFAULTS),
                {"sparse_types": [], "dense_shapes": [[2]]},
                match="1 dense_shapes and 2 dense_defaults",
            ),
        ],
    ),
    OpRecord(
        "ParseExampleV2",
        cases=[
            Case(
                (serialized, EMPTY, text("a"), text("b", "c"), text("r"), DEFAULTS),
                {
                    **SPARSE_AND_DENSE,
                    "num_sparse": 1,
                    "ragged_value_types": [tf.int64],
                    "ragged_split_types": [tf.int32],
                },
            )
            for serialized in (text(FIRST, SECOND), text(FIRST).reshape(()), EMPTY)
        ],
        reference=parsed_v2,
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad(
                (text(FIRST), EMPTY, text("a", "b"), EMPTY, EMPTY, []),
                {
                    "num_sparse": 1,
                    "sparse_types": [tf.int64],
                    "ragged_value_types": [],
                    "ragged_split_types": [],
                    "dense_shapes": [],
                },
                match="2 keys for 1 features",
                when="run",
            )
        ],
    ),
    OpRecord(
        "ParseSingleExample",
        cases=[
            Case(
                (text(FIRST).reshape(()), DEFAULTS),
                {**SPARSE_AND_DENSE, "num_sparse": 1, "sparse_keys": ["a"], "dense_keys": ["b", "c"]},
            )
        ],
        reference=lambda *inputs, **attrs: parsed_v2(inputs[0])[:5],
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad(
                (text(b"\xff").reshape(()), []),
                {
                    "num_sparse": 0,
                    "sparse_keys": [],
                    "dense_keys": [],
                    "sparse_types": [],
                    "dense_shapes": [],
                },
                match="example 0: malformed message",
                when="run",
            )
        ],
    ),
    OpRecord(
        "ParseSequenceExample",
        cases=[
            Case((serialized, EMPTY, [NO_INTS]), {**SEQUENCE_ATTRS, **SEQUENCE_KEYS})
            for serialized in (text(*SEQUENCES), EMPTY)
        ],
        reference=parsed_sequences,
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad(
                (text(SEQUENCES[0], b""), text("one", "two"), [np.array([1])]),
                {**SEQUENCE_ATTRS, **SEQUENCE_KEYS},
                match=r"example 1 \('two'\): feature list 'w' is missing",
                when="run",
            )
        ],
    ),
    OpRecord(
        "ParseSingleSequenceExample",
        cases=[
            Case(
                (
                    text(SEQUENCES[0]).reshape(()),
                    EMPTY,
                    *([text(key).reshape(())] for key in "sktw"),
                    [NO_INTS],
                    text("name").reshape(()),
                ),
                SEQUENCE_ATTRS,
            )
        ],
        reference=lambda *inputs, **attrs: [
            np.array([[0], [1]]),
            np.array([1.0, 2.0]),
            np.array([2]),
            np.array(5),
            np.array([[0, 0], [1, 0], [1, 1]]),
            text(b"a", b"b", b"c"),
            np.array([2, 2]),
            np.array([[1.0, 2], [3, 4]]),
        ],
        dtypes=(),
        data_dependent=True,
    ),
    OpRecord(
        "DecodeRaw",
        cases=[
            Case((text(b"\1\0\0\0\2\0\0\0", b"\3\0\0\0\4\0\0\0"),), {"out_type": tf.int32}),
            Case((text(b"\1\0\0\1"),), {"out_type": tf.int16, "little_endian": False}),
            Case((text(b"\1\0\1"),), {"out_type": tf.bool}),
            Case((text(b"\0\0\0\0\0\0\x80\x3f"),), {"out_type": tf.complex64}),
            Case((EMPTY,), {"out_type": tf.uint8}),
        ],
        reference=lambda strings, out_type, little_endian=True: np.array(
            [
                (np.frombuffer(s, np.uint8) != 0)
                if out_type == tf.bool
                else numbers(s, out_type, little_endian)
                for s in strings
            ],
            out_type.as_numpy_dtype,
        ).reshape(len(strings), -1 if len(strings) else 0),
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad(
                (text(b"ab", b"a"),),
                {"out_type": tf.uint8},
                match="string 0 has 2 bytes and string 1 has 1",
                when="run",
            ),
            Bad(
                (text(b"abc"),), {"out_type": tf.int16}, match="3 bytes, expected a multiple of 2", when="run"
            ),
        ],
    ),
    OpRecord(
        "DecodePaddedRaw",
        cases=[
            Case((text(b"\1\0\2", b"\3\0\4\0\5\0"), np.int32(4)), {"out_type": tf.int16}),
            Case((text(b"\1\0\2"), np.int32(4)), {"out_type": tf.int16, "little_endian": False}),
            Case((EMPTY, np.int32(4)), {"out_type": tf.float32}),
        ],
        reference=lambda strings, length, out_type, little_endian=True: np.array(
            [numbers(s[:length].ljust(length, b"\0"), out_type, little_endian) for s in strings],
            out_type.as_numpy_dtype,
        ).reshape(len(strings), length // out_type.size),
        dtypes=(),
        bad=[
            Bad((text(b"ab"), np.int32(3)), {"out_type": tf.int16}, match="fixed_length is 3", when="build")
        ],
    ),
    OpRecord(
        "DecodeCSV",
        cases=[
            Case(
                (
                    text('1,2.5,"a ""b"", c"', "-3,,x"),
                    [np.zeros(0, np.int32), np.float32(0.5), text("d")],
                ),
            ),
            Case(
                (text("1,2.5,NA", "-3,x,y"), [np.int32(0), text("d")]),
                {"select_cols": [0, 2], "na_value": "NA"},
            ),
            Case(
                (text('1;"', '-3;"'), [np.int32(0), text("d")]),
                {"field_delim": ";", "use_quote_delim": False},
            ),
            Case((EMPTY, [np.int32(0)])),
        ],
        reference=lambda lines, defaults, **attrs: [
            np.array([1, -3][: len(lines)], np.int32),
            *(
                [text("d", "y")]
                if "select_cols" in attrs
                else [text('"', '"')]
                if "field_delim" in attrs
                else [np.array([2.5, 0.5], np.float32), text('a "b", c', "x")]
                if len(lines)
                else []
            ),
        ],
        dtypes=(),
        bad=[
            Bad((text("1", "x"), [np.int32(0)]), match="line 1, field 0: 'x' is no int32", when="run"),
            Bad((text("1,2"), [np.int32(0)]), match="line 0, field 1: there are more fields", when="run"),
            Bad((text("1"), [np.int32(0), np.int32(0)]), match="the line ends", when="run"),
            Bad(
                (text(",1"), [np.zeros(0, np.int32), np.int32(0)]),
                match="field 0: it has no value",
                when="run",
            ),
            Bad((text('"1'), [np.int32(0)]), match="a quote at its front and none at its end", when="run"),
            Bad((text('"1"2'), [np.int32(0)]), match="goes on behind its last quote", when="run"),
            Bad((text('1"'), [np.int32(0)]), match="put such fields in quotes", when="run"),
            Bad((text("99999999999"), [np.int32(0)]), match="too large for int32", when="run"),
            Bad((text("1"), [np.zeros(2, np.int32)]), match=r"record_defaults\[0\] has the shape \(2,\)"),
        ],
    ),
    OpRecord(
        "DecodeJSONExample",
        cases=[
            Case((text('{"features":{"feature":{"a":{"int64List":{"value":["3","4"]}}}}}'),)),
            Case((EMPTY,)),
        ],
        reference=lambda strings: text(*([example(a=[3, 4])] * len(strings))),
        dtypes=(),
        bad=[Bad((text("{"),), match="string 0 is no Example in JSON", when="run")],
    ),
    OpRecord(
        "SerializeTensor",
        cases=[Case((np.array([[1.5, 2.5]]),)), Case((np.zeros((0, 2)),)), Case((np.array(3),))],
        check=lambda outputs, inputs, attrs: np.testing.assert_array_equal(
            tf.make_ndarray(protos.TensorProto.FromString(outputs[0])), inputs[0]
        ),
        dtypes=("float32", "int64", "bool"),
    ),
    OpRecord(
        "ParseTensor",
        cases=[
            Case(
                (text(tf.make_tensor_proto(value).SerializeToString()).reshape(()),), {"out_type": tf.float32}
            )
            for value in (np.array([[1.5, 2.5]], np.float32), np.zeros((0, 2), np.float32))
        ],
        reference=lambda message, out_type: tf.make_ndarray(protos.TensorProto.FromString(message.item())),
        dtypes=(),
        data_dependent=True,
        no_empty="its input is a scalar",
        bad=[
            Bad(
                (text(tf.make_tensor_proto(1).SerializeToString()).reshape(()),),
                {"out_type": tf.float32},
                match="holds a int32 tensor, out_type is float32",
                when="run",
            )
        ],
    ),
]

run_records(globals(), RECORDS)


def run(fetches, feeds=None):
    with tf.Session() as session:
        return session.run(fetches, feeds)


FEATURES = {
    "a": tf.VarLenFeature(tf.int64),
    "b": tf.FixedLenFeature([2], tf.float32),
    "c": tf.FixedLenFeature([], tf.string, default_value="none"),
    "rows": tf.FixedLenSequenceFeature([2], tf.int64, allow_missing=True, default_value=-1),
    "places": tf.SparseFeature("i", "v", tf.float32, 10),
    "grid": tf.SparseFeature(["i", "j"], "v", tf.float32, [10, 5]),
}
EXAMPLES = [
    example(a=[1, 2], b=[1.0, 2.0], c=[b"x"], rows=[1, 2, 3, 4], i=[3, 1], j=[0, 2], v=[0.5, 0.25]),
    example(b=[3.0, 4.0], rows=[5, 6], i=[2], j=[1], v=[9.0]),
]


def test_every_kind_of_feature():
    with tf.Graph().as_default():
        serialized = tf.placeholder(tf.string, [None])
        parsed = tf.parse_example(serialized, FEATURES)
        assert list(parsed) == list(FEATURES)
        assert parsed["b"].shape.as_list() == [None, 2]
        assert parsed["rows"].shape.as_list() == [None, None, 2]
        assert parsed["places"].shape.as_list() == [None, 10]
        assert parsed["grid"].shape.as_list() == [None, 10, 5]
        values = run(parsed, {serialized: EXAMPLES})
    assert values["a"].indices.tolist() == [[0, 0], [0, 1]]
    assert values["a"].dense_shape.tolist() == [2, 2]
    assert values["c"].tolist() == [b"x", b"none"]
    assert values["rows"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [-1, -1]]]
    assert values["places"].indices.tolist() == [[0, 1], [0, 3], [1, 2]]
    assert values["places"].values.tolist() == [0.25, 0.5, 9.0]
    assert values["grid"].indices.tolist() == [[0, 1, 2], [0, 3, 0], [1, 2, 1]]


@pytest.mark.parametrize("name", [None, "an example"])
def test_one_example(name):
    with tf.Graph().as_default():
        parsed = tf.parse_single_example(EXAMPLES[0], FEATURES, example_names=name)
        values = run(parsed)
    assert values["a"].indices.tolist() == [[0], [1]] and values["a"].dense_shape.tolist() == [2]
    assert values["b"].tolist() == [1, 2]
    assert values["rows"].tolist() == [[1, 2], [3, 4]]
    assert values["places"].indices.tolist() == [[1], [3]]
    assert values["grid"].dense_shape.tolist() == [10, 5]


def test_sequences():
    context = {"s": tf.VarLenFeature(tf.float32), "k": tf.FixedLenFeature([], tf.int64)}
    steps = {"w": tf.FixedLenSequenceFeature([2], tf.float32), "t": tf.VarLenFeature(tf.string)}
    with tf.Graph().as_default():
        of_all, lists, lengths = run(tf.io.parse_sequence_example(SEQUENCES, context, steps))
    assert of_all["k"].tolist() == [5, 6] and of_all["s"].values.tolist() == [1, 2]
    assert lists["w"].shape == (2, 2, 2) and lengths["w"].tolist() == [2, 1]
    assert lists["t"].dense_shape.tolist() == [2, 2, 2]
    with tf.Graph().as_default():
        of_all, lists = run(tf.io.parse_single_sequence_example(SEQUENCES[0], context, steps))
    assert of_all["k"] == 5 and lists["w"].tolist() == [[1, 2], [3, 4]]
    assert lists["t"].indices.tolist() == [[0, 0], [1, 0], [1, 1]]


def test_lists_that_may_be_missing():
    may = {"w": tf.FixedLenSequenceFeature([2], tf.float32, allow_missing=True)}
    with tf.Graph().as_default():
        _, lists, lengths = run(tf.io.parse_sequence_example([b"", SEQUENCES[1]], {}, may))
    assert lists["w"].tolist() == [[[0, 0]], [[5, 6]]] and lengths["w"].tolist() == [0, 1]


def test_unpacked_and_split_lists_and_later_features_count():
    """What other writers may do: numbers one by one, lists and maps in pieces, a key twice."""

    def field(number, body):
        assert len(body) < 128
        return bytes([number << 3 | 2, len(body)]) + body

    def entry(key, feature):
        return field(1, field(1, field(1, key) + field(2, feature)))  # Example.features.feature

    unpacked = field(3, b"\x08\x01\x08\x02")  # int64_list of two values
    in_pieces = field(3, b"\x08\x03") + field(3, field(1, b"\x04\x05"))
    other_kind_first = field(1, field(1, b"x")) + field(3, b"\x08\x06")
    message = entry(b"a", unpacked) + entry(b"b", in_pieces) + entry(b"c", other_kind_first)
    message += entry(b"a", field(3, b"\x08\x07"))
    assert tf.train.Example.FromString(message).features.feature["b"].int64_list.value == [3, 4, 5]
    keys = {key: tf.VarLenFeature(tf.int64) for key in "abc"}
    with tf.Graph().as_default():
        values = run(tf.parse_single_example(message, keys))
    assert values["a"].values.tolist() == [7]
    assert values["b"].values.tolist() == [3, 4, 5]
    assert values["c"].values.tolist() == [6]


def test_large_batches_are_parsed_in_parallel_and_in_order():
    examples = [example(n=[i], s=[str(i).encode()] * (i % 3), f=[float(i)] * 100) for i in range(2000)]
    with tf.Graph().as_default():
        values = run(
            tf.parse_example(
                examples,
                {
                    "n": tf.FixedLenFeature([], tf.int64),
                    "s": tf.VarLenFeature(tf.string),
                    "f": tf.FixedLenFeature([4, 25], tf.float32),
                },
            )
        )
    assert values["n"].tolist() == list(range(2000))
    assert (values["f"] == np.arange(2000.0).reshape(-1, 1, 1)).all()
    want = [str(i).encode() for i in range(2000) for _ in range(i % 3)]
    assert values["s"].values.tolist() == want


@pytest.mark.parametrize(
    "wrong,match",
    [
        (
            {"b": tf.FixedLenFeature([3], tf.float32)},
            r"example 0 \('n0'\): feature 'b' has 2 elements, expected 3",
        ),
        ({"b": tf.FixedLenFeature([2], tf.int64)}, "feature 'b': it is of float32, expected int64"),
        ({"z": tf.FixedLenFeature([], tf.int64)}, "feature 'z' is missing; give it a default_value"),
        (
            {"rows": tf.FixedLenSequenceFeature([3], tf.int64, allow_missing=True)},
            "feature 'rows' has 4 elements, expected a multiple of 3",
        ),
    ],
)
def test_errors_name_example_and_feature(wrong, match):
    with tf.Graph().as_default(), pytest.raises(errors.InvalidArgumentError, match=match):
        run(tf.parse_example(EXAMPLES, wrong, example_names=["n0", "n1"]))


@pytest.mark.parametrize(
    "wrong,match",
    [
        ({}, "features is empty"),
        ({"a": tf.int64}, "expected one of VarLenFeature"),
        ({"a": tf.FixedLenFeature([None], tf.int64)}, "fully known"),
        ({"a": tf.FixedLenSequenceFeature([], tf.int64)}, "only True is supported"),
        ({"a": tf.FixedLenFeature([2], tf.int64, default_value=[1])}, "the default of feature 'a'"),
        ({"a": tf.SparseFeature("", "v", tf.int64, 3)}, "needs an index_key"),
        (
            {"i": tf.FixedLenFeature([], tf.int64), "a": tf.SparseFeature("i", "v", tf.int64, 3)},
            "as sparse and as dense",
        ),
        (
            {"v": tf.VarLenFeature(tf.float32), "a": tf.SparseFeature("i", "v", tf.int64, 3)},
            "as int64 and as float32",
        ),
    ],
)
def test_what_is_no_feature(wrong, match):
    with pytest.raises(ValueError, match=match):
        tf.parse_example(EXAMPLES, wrong)


def test_other_dtypes_are_refused():
    with tf.Graph().as_default(), pytest.raises((TypeError, ValueError), match="float64"):
        tf.parse_example(EXAMPLES, {"b": tf.FixedLenFeature([2], tf.float64)})


def test_public_functions():
    with tf.Graph().as_default(), tf.Session() as session:
        assert session.run(tf.decode_raw([b"\1\0"], tf.int16)).tolist() == [[1]]
        assert session.run(tf.decode_raw(bytes=[b"\1\0"], out_type=tf.int16)).tolist() == [[1]]
        numbers, words = session.run(tf.decode_csv(["1,a"], [[0], [""]]))
        assert numbers.tolist() == [1] and words.tolist() == [b"a"]
        assert session.run(tf.parse_tensor(tf.serialize_tensor(["a", "b"]), tf.string)).tolist() == [
            b"a",
            b"b",
        ]
        made = json.dumps({"features": {"feature": {"a": {"int64List": {"value": [1]}}}}})
        assert session.run(tf.decode_json_example(made)) == example(a=[1])
        with pytest.raises(ValueError, match="increasing"):
            tf.decode_csv(["1,a"], [[0]], select_cols=[1, 1])
