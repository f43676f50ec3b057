import numpy as np
import pytest

import headrace as tf
from headrace.ops.string import as_string, string_format, string_join
from tests.ops.harness import Bad, Case, OpRecord, run_records


def texts(*values):
    return np.array(values, object)


def joined(inputs, separator=""):
    inputs = np.broadcast_arrays(*inputs)
    joined = [separator.join(row) for row in zip(*(i.ravel() for i in inputs))]
    return np.array(joined, object).reshape(inputs[0].shape)


def as_strings(x, precision=6, scientific=False, width=-1, fill=""):
    flags = "%" + fill + (str(width) if width >= 0 else "")
    code = flags + ("d" if x.dtype.kind in "iu" else f".{precision}" + ("e" if scientific else "f"))
    flat = [str(v).lower() if x.dtype.kind == "b" else code % v for v in x.ravel().tolist()]
    return np.array(flat, object).reshape(x.shape)


RECORDS = [
    OpRecord(
        "StringFormat",
        cases=[
            Case(
                ([np.array([[1, 2], [3, 4]]), np.array(2.5)],),
                {"template": "a={} b={}.", "placeholder": "{}"},
            ),
            Case(([],), {"template": "nothing"}),
            Case(([np.zeros((0, 2))],)),
        ],
        reference=lambda inputs, template="%s", placeholder="%s": texts(
            {"nothing": "nothing", "%s": "[]"}.get(template, "a=[[1 2]\n [3 4]] b=2.5.")
        ).reshape(()),
        dtypes=(),
        bad=[
            Bad(
                ([np.array(1)],), {"template": "%s %s"}, match="2 placeholders '%s' for 1 tensors", when="run"
            )
        ],
    ),
    OpRecord(
        "StringJoin",
        cases=[
            Case(([texts("a", "b"), texts("c", "")],), {"separator": "-"}),
            Case(([texts("a", "b"), texts("x").reshape(())],)),
            Case(([texts(), texts("x").reshape(())],)),
        ],
        reference=joined,
        dtypes=(),
        bad=[Bad(([texts("a", "b"), texts("a", "b", "c")],), match=r"\(3,\).*\(2,\)")],
    ),
    OpRecord(
        "AsString",
        cases=[
            Case((np.array([[3.14159, -2.5]]),), {"precision": 2}, dtypes=("float32", "float64")),
            Case((np.array([3.14159, 1e10]),), {"scientific": True}, dtypes=("float32", "float64")),
            Case((np.array([3, 77]),), {"width": 6, "fill": "0"}, dtypes=("int32", "int64", "int8")),
            Case((np.array([True, False]),), dtypes=("bool",)),
            Case((np.zeros((0, 2)),)),
        ],
        reference=as_strings,
        dtypes=("float32", "float64", "int32", "int64", "int8", "bool"),
        bad=[Bad((np.array([1.0]),), {"fill": "ab"}, match="fill is 'ab'", when="run")],
    ),
]

run_records(globals(), RECORDS)


def test_public_functions():
    with tf.Graph().as_default(), tf.Session() as session:
        assert session.run(string_join(["a", "b"], separator="+")) == b"a+b"
        assert session.run(as_string([1.5], shortest=True)).tolist() == [b"1.5"]
        assert session.run(string_format("<{}|{}>", [tf.constant([1, 2]), "s"])) == b"<[1 2]|s>"
        with pytest.raises(ValueError, match="1 placeholders"):
            string_format("{}", [1, 2])
