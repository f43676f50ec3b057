import base64
import dataclasses
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


# What TensorFlow makes of these, modulo 2 ** 63 - 1: short, long, and at the lengths where the ways part.
HASHED = [
    b"",
    b"a",
    b"abc",
    b"abcd",
    b"abcdefg",
    b"abcdefgh",
    b"x" * 15,
    b"x" * 16,
    b"hello world",
    b"q" * 17,
]
HASHED += [
    b"r" * 32,
    b"s" * 33,
    b"t" * 64,
    b"u" * 65,
    bytes(range(256)),
    b"v" * 128,
    b"w" * 1000,
    b"\xff\x80",
]
HASHES = {
    "StringToHashBucket": [
        105434511174508092,
        2996632905371535868,
        5658311696057142710,
        5015987189207562374,
        2960345911509200449,
        3429851175771700306,
        7916076849941531781,
        5872517971286675818,
        936430787915428848,
        720944449675295302,
        7527514722732533885,
        5987357306335303954,
        5338946885992283987,
        8023044976755654899,
        738269575436937580,
        2558498886995239465,
        4395243457082174398,
        3730076827022162736,
    ],
    "StringToHashBucketFast": [
        1936946117179621456,
        3694432073954588132,
        2640714258260161385,
        1897425971756105985,
        4341691227789030229,
        9145071594317031690,
        1773838639343418510,
        3320895591121647644,
        6381520714923946011,
        6190380905764097738,
        6591827416684076338,
        1151886116726274195,
        8991856445962577458,
        2057610113469281983,
        5291657088564336415,
        5143846375665593576,
        2136240263560119370,
        3852106384813660006,
    ],
    "StringToHashBucketStrong": [
        887865449656487407,
        2150915142212405421,
        5353928926805445210,
        2859666304309786264,
        6773306272282851189,
        2474413746348421977,
        4395908302613740739,
        5273284420438987859,
        3157629594444378879,
        867616041524902623,
        1119186613974167734,
        6620656525325467662,
        8650973719648989499,
        8539687032501083728,
        6357642118457957531,
        6275055260273880283,
        8362944582711776558,
        7275769746127454027,
    ],
}


# The same of b"abc" and b"a", modulo 1000.
SMALL_HASHES = {
    "StringToHashBucket": [710, 868],
    "StringToHashBucketFast": [385, 939],
    "StringToHashBucketStrong": [17, 228],
}


def hashes(op):
    def reference(strings, num_buckets, key=None):
        known = {1000: SMALL_HASHES[op], 2**63 - 1: HASHES[op], 3: []}
        return np.array(known[num_buckets], np.int64)

    cases = [
        Case((texts(*HASHED),), {"num_buckets": 2**63 - 1}),
        Case((texts(b"abc", b"a"),), {"num_buckets": 1000}),
        Case((texts(),), {"num_buckets": 3}),
    ]
    bad = [Bad((texts("a"),), {"num_buckets": 0}, match="num_buckets")]
    if op == "StringToHashBucketStrong":
        cases = [dataclasses.replace(case, attrs={**case.attrs, "key": [123, 456]}) for case in cases]
        bad = [Bad((texts("a"),), {"num_buckets": 3, "key": [1]}, match="key has 1 numbers", when="run")]
    return OpRecord(op, cases=cases, reference=reference, dtypes=(), bad=bad)


def as_sparse(rows):
    indices = [[i, j] for i, row in enumerate(rows) for j in range(len(row))]
    return [
        np.array(indices, np.int64).reshape(-1, 2),
        texts(*(part for row in rows for part in row)),
        np.array([len(rows), max(map(len, rows), default=0)], np.int64),
    ]


def cut(strings, delimiter, skip_empty=True):
    letters = str(np.asarray(delimiter))
    rows = [re.split(f"[{re.escape(letters)}]", text) if letters and text else list(text) for text in strings]
    return as_sparse([[part for part in row if part or not skip_empty] for row in rows])


def split(strings, sep, maxsplit=-1):
    return as_sparse([text.split(str(np.asarray(sep)) or None, maxsplit) for text in strings])


def part(text, pos, length, unit="BYTE"):
    whole = text.encode() if unit == "BYTE" else text
    pos = pos if pos >= 0 else len(whole) + pos
    made = whole[pos : pos + length if length >= 0 else None]
    return made if unit == "BYTE" else made.encode()


def parts(strings, pos, length, unit="BYTE"):
    return np.vectorize(lambda *each: part(*each, unit), otypes=[object])(strings, pos, length)


def each(function):
    return lambda strings, **attrs: np.vectorize(lambda text: function(text, **attrs), otypes=[object])(
        strings
    )


def reduce_joined(strings, axes, keep_dims=False, separator=""):
    rest = [axis for axis in range(strings.ndim) if axis not in [a % strings.ndim for a in axes]]
    moved = strings.transpose(rest + [a % strings.ndim for a in axes[::-1]])
    flat = moved.reshape([strings.shape[axis] for axis in rest] + [-1])
    made = np.empty(flat.shape[:-1], object)
    for index in np.ndindex(*made.shape):
        made[index] = separator.join(flat[index])
    return np.expand_dims(made, [a % strings.ndim for a in axes]) if keep_dims else made


def segments_joined(strings, ids, count, separator=""):
    rows = strings.reshape(ids.size, np.prod(strings.shape[ids.ndim :], dtype=int))
    made = [separator.join(rows[ids.ravel() == id, k]) for id in range(count) for k in range(rows.shape[1])]
    return texts(*made).reshape(int(count), *strings.shape[ids.ndim :])


def transcoded(text, input_encoding, output_encoding, errors="replace", **_):
    return text.decode(input_encoding, errors).encode(output_encoding)


RECORDS = [
    OpRecord(
        "StringSplit",
        cases=[
            Case((texts("a b  c", "", "d"), scalar(" "))),
            Case((texts("a b  c", "", "d"), scalar(" ")), {"skip_empty": False}),
            Case((texts("a-b,c", "-"), scalar("-,")), {"skip_empty": False}),
            Case((texts("abc", ""), scalar(""))),
            Case((texts(), scalar(" "))),
        ],
        reference=cut,
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad((scalar("a b"), scalar(" ")), match="rank"),
            Bad((texts("a b"), texts(" ", "b")), match="rank"),
        ],
    ),
    OpRecord(
        "StringSplitV2",
        cases=[
            Case((texts(" a  b c ", "  "), scalar(""))),
            Case((texts(" a  b c", "  "), scalar("")), {"maxsplit": 2}),
            Case((texts("a,,b,c", ",", ""), scalar(","))),
            Case((texts("a,,b,c", ",", ""), scalar(",")), {"maxsplit": 1}),
            Case((texts("a<>b<>", "<>"), scalar("<>"))),
            Case((texts("a,b"), scalar(",")), {"maxsplit": 0}),
            Case((texts(), scalar(","))),
        ],
        reference=split,
        dtypes=(),
        data_dependent=True,
        bad=[Bad((texts("a b"), texts(" ")), match="rank")],
    ),
    OpRecord(
        "StringLength",
        cases=[
            Case((texts("aé", "", "日本"),)),
            Case((texts("aé", "", "日本"),), {"unit": "UTF8_CHAR"}),
            Case((texts(),)),
        ],
        reference=lambda strings, unit="BYTE": np.array(
            [len(text.encode() if unit == "BYTE" else text) for text in strings], np.int32
        ),
        dtypes=(),
        bad=[Bad((texts("a"),), {"unit": "BIT"}, match="unit")],
    ),
    OpRecord(
        "StringStrip",
        cases=[Case((texts(" a b \n\t\v\f\r", "\u00a0x", " ", "\0a\0"),)), Case((texts(),))],
        reference=each(lambda text: text.encode().strip(b" \n\t\v\f\r")),
        dtypes=(),
    ),
    OpRecord(
        "StringLower",
        cases=[
            Case((texts("ABCÉ[@Z"),)),
            Case((texts("ABCÉΣ"),), {"encoding": "utf-8"}),
            Case((texts(b"A\xff"),), {"encoding": "utf-8"}),
            Case((texts(),)),
        ],
        reference=each(
            lambda text, encoding="": {b"A\xff": "a\ufffd", "ABCÉΣ": "abcéς"}.get(text, "abcÉ[@z")
        ),
        dtypes=(),
        bad=[Bad((texts("a"),), {"encoding": "latin-1"}, match="encoding is 'latin-1'", when="run")],
    ),
    OpRecord(
        "StringUpper",
        cases=[
            Case((texts("abcéß{`z"),)),
            Case((texts("abcéß"),), {"encoding": "utf-8"}),
            Case((texts(),)),
        ],
        reference=each(lambda text, encoding="": "ABCÉSS" if encoding else "ABCéß{`Z"),
        dtypes=(),
        bad=[Bad((texts("a"),), {"encoding": "x"}, match="encoding is 'x'", when="run")],
    ),
    OpRecord(
        "Substr",
        cases=[
            Case((texts("aéb", "defg"), np.array(1), np.array(2))),
            Case((texts("aéb", "defg"), np.array([-2, 0]), np.array([1, 100])), {"unit": "UTF8_CHAR"}),
            Case((texts("aéb", "defg"), np.array([4, -4]), np.array([-1, 0]))),
            Case((scalar("abcd"), np.array([[0], [1]]), np.array([[1], [2]]))),
            Case((texts("abc", "def"), np.array([[0], [1]]), np.array([[1], [2]]))),
            Case((texts(), np.array(0), np.array(1))),
        ],
        reference=parts,
        dtypes=("int32", "int64"),
        bad=[
            Bad((texts("ab"), np.array(3), np.array(1)), match="pos is 3, but 'ab' has 2 bytes", when="run"),
            Bad((texts("ab"), np.array(-3), np.array(1)), match="pos is -3", when="run"),
            Bad((texts("ab"), np.array([0]), np.array(1)), match="as many lengths as positions"),
            Bad((texts("ab", "c"), np.zeros(3), np.zeros(3)), match="broadcast"),
        ],
    ),
    OpRecord(
        "StringToNumber",
        cases=[
            Case((texts("1", " -2\n", "0017"),)),
            Case((texts("1.5", "1e3", ".5", "inf", "1.", "+2"),), dtypes=("float32", "float64")),
            Case((texts("9223372036854775807"),), dtypes=("int64",)),
            Case((texts(),)),
        ],
        reference=lambda strings, out_type: np.array(
            [int(text) if out_type == tf.int64 else float(text) for text in strings],
            tf.as_dtype(out_type).as_numpy_dtype,
        ),
        dtypes=("float32", "float64", "int32", "int64"),
        bad=[
            Bad((texts("1", "x1"),), match="'x1' is no float32", when="run"),
            Bad((texts(""),), match="'' is no", when="run"),
            Bad((texts("1.5"),), {"out_type": tf.int32}, match="'1.5' is no int32", when="run"),
            Bad((texts("2147483648"),), {"out_type": tf.int32}, match="too large for int32", when="run"),
            Bad((texts("+-1"),), {"out_type": tf.int32}, match="is no int32", when="run"),
        ],
    ),
    hashes("StringToHashBucket"),
    hashes("StringToHashBucketFast"),
    hashes("StringToHashBucketStrong"),
    OpRecord(
        "EncodeBase64",
        cases=[
            Case((texts(b"\xff\xfe\xfd", b"a", b"ab", b"", bytes(range(256))),)),
            Case((texts(b"\xff\xfe\xfd", b"a", b"ab", b""),), {"pad": True}),
            Case((texts(),)),
        ],
        reference=each(lambda text, pad=False: base64.urlsafe_b64encode(text).rstrip(b"" if pad else b"=")),
        dtypes=(),
    ),
    OpRecord(
        "DecodeBase64",
        cases=[Case((texts("__79", "YQ", "YQ==", "YWI=", "YWI", "", "YR"),)), Case((texts(),))],
        reference=each(lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))),
        dtypes=(),
        bad=[
            Bad((texts("//79"),), match="'//79' is not in base 64: letter 0", when="run"),
            Bad((texts("YQ="),), match="letter 2", when="run"),
            Bad((texts("Y"),), match="one is left over", when="run"),
        ],
    ),
    OpRecord(
        "ReduceJoin",
        cases=[
            *(
                Case((texts(*"abcdef").reshape(2, 3), np.array(axes)), {"separator": "-"})
                for axes in ([0], [1], [-1], [0, 1], [1, 0])
            ),
            Case((texts(*"abcdef").reshape(2, 3), np.array([1])), {"keep_dims": True}),
            Case((texts(*"abcdefgh").reshape(2, 2, 2), np.array([2, 0]))),
            Case((texts().reshape(0, 2), np.array([0]))),
        ],
        reference=reduce_joined,
        dtypes=(),
        bad=[
            Bad((texts("a"), np.array([1])), match="axis 1"),
            Bad((texts("a"), np.array([0, 0])), match="axis 0 is given twice", when="run"),
        ],
    ),
    OpRecord(
        "UnsortedSegmentJoin",
        cases=[
            Case((texts(*"abc"), np.array([1, 0, 1]), np.array(3, np.int32)), {"separator": ":"}),
            Case((texts(*"abcd").reshape(2, 2), np.array([1, 1]), np.array(2, np.int32))),
            Case((texts(*"abcd").reshape(2, 2), np.array([[1, 0], [1, 0]]), np.array(2, np.int32))),
            Case((texts(), np.array([]), np.array(2, np.int32))),
        ],
        reference=segments_joined,
        dtypes=("int32", "int64"),
        type_attr="Tindices",
        bad=[
            Bad(
                (texts("a"), np.array([2]), np.array(2, np.int32)),
                match="segment_ids has 2, but there are 2 segments",
                when="run",
            ),
            Bad((texts("a"), np.array([-1]), np.array(2, np.int32)), match="has -1", when="run"),
        ],
    ),
    OpRecord(
        "UnicodeTranscode",
        cases=[
            Case(
                (texts("a\u00e9\x01".encode(), b"\xff"),),
                {"input_encoding": "UTF-8", "output_encoding": "UTF-16-BE"},
            ),
            Case(
                (texts(b"a\xffb"),),
                {"input_encoding": "UTF-8", "output_encoding": "UTF-8", "errors": "ignore"},
            ),
            Case((texts(b"a\xe9"),), {"input_encoding": "latin1", "output_encoding": "UTF-32-BE"}),
            Case((texts(),), {"input_encoding": "latin1", "output_encoding": "UTF-8"}),
        ],
        reference=each(transcoded),
        dtypes=(),
        bad=[
            Bad(
                (texts("a"),),
                {"input_encoding": "nope", "output_encoding": "UTF-8"},
                match="input_encoding is 'nope'",
                when="run",
            ),
            Bad(
                (texts(b"a\xff"),),
                {"input_encoding": "UTF-8", "output_encoding": "UTF-8", "errors": "strict"},
                match="is not in utf-8",
                when="run",
            ),
            Bad(
                (texts("a"),),
                {"input_encoding": "UTF-8", "output_encoding": "UTF-8", "replacement_char": 0xD800},
                match="replacement_char is 55296",
                when="run",
            ),
        ],
    ),
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


def dense(sparse):
    return tf.sparse.to_dense(sparse, default_value="-")


def test_splitting():
    with tf.Graph().as_default(), tf.Session() as session:
        parts = tf.string_split(["a b  c", "", "d"])
        assert parts.shape.as_list() == [None, None] and parts.values.op.type == "StringSplit"
        assert session.run(dense(parts)).tolist() == [[b"a", b"b", b"c"], [b"-"] * 3, [b"d", b"-", b"-"]]
        assert session.run(tf.string_split(["a,b"], ",").values).tolist() == [b"a", b"b"]
        assert session.run(tf.string_split(["a,b"], delimiter=",").values).tolist() == [b"a", b"b"]
        assert session.run(tf.strings.split([" a  b"]).values).tolist() == [b"a", b"b"]
        assert session.run(tf.strings.split(source=["a::b"], sep="::").values).tolist() == [b"a", b"b"]
        for wrong in (
            lambda: tf.string_split(["a"], sep=",", delimiter=","),
            lambda: tf.string_split(["a"], result_type="RaggedTensor"),
            lambda: tf.strings.split(),
        ):
            with pytest.raises(ValueError):
                wrong()


def test_no_cut_at_all():
    """Not even blanks go then."""
    with tf.Session() as session:
        parts = session.run(tf.strings.split([" a b ", "  "], maxsplit=0))
        assert parts.values.tolist() == [b" a b ", b"  "]


def test_joining():
    letters = np.array([list("abc"), list("def")], object)
    with tf.Graph().as_default(), tf.Session() as session:
        known, unknown = tf.constant(letters), tf.placeholder(tf.string)
        for strings in (known, unknown):
            feeds = {unknown: letters}
            assert session.run(tf.reduce_join(strings, separator="-"), feeds) == b"a-b-c-d-e-f"
            assert session.run(tf.reduce_join(strings, 0), feeds).tolist() == [b"ad", b"be", b"cf"]
            assert session.run(tf.reduce_join(strings, axis=1, keepdims=True), feeds).shape == (2, 1)
            joined = tf.reduce_join(strings, reduction_indices=[1], keep_dims=True)
            assert session.run(joined, feeds).tolist() == [[b"abc"], [b"def"]]
        segments = tf.strings.unsorted_segment_join(known[0], [1, 0, 1], 2, separator=":")
        assert session.run(segments).tolist() == [b"b", b"a:c"]


def test_public_names():
    with tf.Graph().as_default(), tf.Session() as session:
        assert session.run(tf.substr("abc", 1, 1)) == session.run(tf.strings.substr("abc", -2, 1)) == b"b"
        assert session.run(tf.string_to_number("3", tf.int64)) == 3
        assert session.run(tf.strings.to_number(input="3")) == 3
        assert session.run(tf.strings.length(["é"], unit="UTF8_CHAR")).tolist() == [1]
        strip = tf.strings.strip
        assert session.run(strip(" a ")) == session.run(tf.string_strip("a ")) == b"a"
        assert session.run(tf.strings.upper(tf.strings.lower("Ab"))) == b"AB"
        assert session.run(tf.decode_base64(tf.encode_base64("ab?"))) == b"ab?"
        hashed = [
            tf.string_to_hash_bucket("a", 1000),
            tf.string_to_hash_bucket_fast("a", 1000),
            tf.strings.to_hash_bucket_strong("a", 1000, [123, 456]),
        ]
        assert session.run(hashed) == [hashes[1] for hashes in SMALL_HASHES.values()]
        for function in (tf.string_to_number, tf.string_to_hash_bucket):
            with pytest.raises(ValueError, match="one of them"):
                function("1", input="1")


def test_control_characters_are_replaced():
    with tf.Session() as session:
        text = b"a\xff\xfe\x01b"
        for errors, want in [("replace", b"a???b"), ("ignore", b"ab")]:
            made = tf.strings.unicode_transcode(
                [text], "UTF-8", "UTF-8", errors, replacement_char=63, replace_control_characters=True
            )
            assert session.run(made).tolist() == [want]
