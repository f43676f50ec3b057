import re

import numpy as np
import pytest

import headrace as tf
from headrace.ops.string import as_string, regex_full_match, regex_replace, string_format, string_join
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


def matched(strings, pattern):
    found = [re.fullmatch(str(np.asarray(pattern)), text) is not None for text in strings.ravel()]
    return np.array(found, bool).reshape(strings.shape)


def replaced(strings, pattern, rewrite, replace_global=True):
    count = 0 if replace_global else 1
    flat = [
        re.sub(str(np.asarray(pattern)), str(np.asarray(rewrite)), text, count=count)
        for text in strings.ravel()
    ]
    return np.array(flat, object).reshape(strings.shape)


def scalar(value):
    return texts(value).reshape(())


RECORDS = [
    OpRecord(
        "RegexFullMatch",
        cases=[Case((texts("ab", "b", "a\nb"), scalar("a.*b"))), Case((texts(), scalar("a")))],
        reference=matched,
        dtypes=(),
        bad=[
            Bad((texts("a"), scalar("(")), match="no regular expression", when="run"),
            Bad((texts("a"), texts("a")), match="rank"),
        ],
    ),
    OpRecord(
        "StaticRegexFullMatch",
        cases=[
            Case((texts("ab", "b", "a\nb"),), {"pattern": "a.*b"}),
            Case((texts(),), {"pattern": "a"}),
        ],
        reference=matched,
        dtypes=(),
        bad=[Bad((texts("a"),), {"pattern": "["}, match="no regular expression", when="run")],
    ),
    OpRecord(
        "RegexReplace",
        cases=[
            Case((texts("aab", "b"), scalar("(a)"), scalar(r"\1-"))),
            Case((texts("aab", "b"), scalar("a"), scalar("")), {"replace_global": False}),
            Case((texts(), scalar("a"), scalar("b"))),
        ],
        reference=replaced,
        dtypes=(),
        bad=[
            Bad((texts("a"), scalar("a"), scalar(r"\1")), match="cannot replace", when="run"),
            Bad((texts("a"), scalar("a"), scalar("\\x")), match="backslash", when="run"),
        ],
    ),
    OpRecord(
        "StaticRegexReplace",
        cases=[
            Case((texts("aab", "b"),), {"pattern": "(a)", "rewrite": r"\1-"}),
            Case((texts("aab", "b"),), {"pattern": "a", "rewrite": "", "replace_global": False}),
            Case((texts(),), {"pattern": "a", "rewrite": "b"}),
        ],
        reference=replaced,
        dtypes=(),
        bad=[Bad((texts("a"),), {"pattern": "*", "rewrite": ""}, match="no regular expression", when="run")],
    ),
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


def test_patterns_may_be_tensors_or_not():
    strings = tf.constant(["ab", "c"])
    with tf.Session() as sess:
        for pattern in ("a.", tf.constant("a.")):
            assert list(sess.run(regex_full_match(strings, pattern))) == [True, False]
            assert list(sess.run(regex_replace(strings, pattern, "x"))) == [b"x", b"c"]


@pytest.mark.parametrize(
    ("text", "pattern", "rewrite", "want"),
    [
        (b"abc", "b*", "-", b"-a-c-"),  # nothing is not matched right after a match
        (b"", "", "-", b"-"),
        (b"a$c", "c", r"\0\\", rb"a$c\ "[:-1]),
        (b"ab", "(x)|b", r"[\1]", b"a[]"),
        ("aéb".encode(), "[^a-z]", "-", b"a-b"),  # one character of two bytes
        (b"a\nb", ".", "x", b"x\nx"),
    ],
)
def test_replacements_are_those_of_re2(text, pattern, rewrite, want):
    with tf.Session() as session:
        assert session.run(tf.strings.regex_replace([text], pattern, rewrite)).tolist() == [want]


def test_a_hostile_pattern_takes_no_time():
    """Where matchers that go back need 2 ** 40 steps."""
    with tf.Session() as session:
        matched = tf.strings.regex_full_match([b"a" * 40 + b"!"], "(a|aa|a?)*b")
        assert session.run(matched).tolist() == [False]
