"""Random operations: TensorFlow's streams, recorded from version 1.15, and the distributions."""

import numpy as np
import pytest
import scipy.stats as scipy_stats

import headrace as tf
from headrace.framework import errors
from headrace.ops.random import parameterized_truncated_normal
from tests.ops.harness import Bad, Case, OpRecord, run_records

SEEDS = {"seed": 7, "seed2": 11}
FLOATS = ("float32", "float64", "float16", "bfloat16")
# By dtype: the numbers of two runs of a session, as TensorFlow 1.15 draws them with these seeds.
UNIFORM = {
    "float32": (
        [
            0.023186326026916504,
            0.0994875431060791,
            0.5691264867782593,
            0.5842281579971313,
            0.46582305431365967,
            0.27705931663513184,
        ],
        [
            0.850058913230896,
            0.6668697595596313,
            0.06361770629882813,
            0.352939248085022,
            0.12856221199035645,
            0.585092306137085,
        ],
    ),
    "float64": (
        [
            0.18549088593476926,
            0.5530126627240854,
            0.7265846678559842,
            0.43415081757017093,
            0.10933936825231738,
            0.7612037774836464,
        ],
        [
            0.8004714821779537,
            0.5089417665320248,
            0.028497782694347773,
            0.6579943835137216,
            0.939398829173999,
            0.5256518045160907,
        ],
    ),
    "float16": (
        [0.9423828125, 0.001953125, 0.2841796875, 0.9970703125, 0.0224609375, 0.669921875],
        [0.6826171875, 0.9970703125, 0.15625, 0.2783203125, 0.181640625, 0.076171875],
    ),
    "bfloat16": (
        [0.5390625, 0.015625, 0.2734375, 0.9765625, 0.1796875, 0.359375],
        [0.4609375, 0.9765625, 0.25, 0.2265625, 0.453125, 0.609375],
    ),
}
NORMAL = {
    "float32": (
        [
            1.6056036949157715,
            2.22495436668396,
            -0.5360344648361206,
            -0.9164999127388,
            1.2182596921920776,
            -0.20914606750011444,
        ],
        [
            -0.493997186422348,
            -0.28436949849128723,
            1.8731876611709595,
            -1.4145299196243286,
            -1.032078504562378,
            -1.7428419589996338,
        ],
    ),
    "float64": (
        [
            -0.6001800723429587,
            -1.7347284922719202,
            0.32132962754436545,
            -0.731811308829559,
            -2.0987371614047228,
            0.14798599277712526,
        ],
        [
            -0.037463449088486006,
            -0.6661120283902342,
            -2.23410197862042,
            -1.45761666393782,
            -0.056744463640703305,
            -0.34901342285993775,
        ],
    ),
}
TRUNCATED = {
    "float32": (
        [
            1.6056036949157715,
            -0.5360344648361206,
            -0.9164999127388,
            1.2182596921920776,
            1.0531543493270874,
            0.17572587728500366,
        ],
        [
            -0.493997186422348,
            -0.28436949849128723,
            1.8731876611709595,
            -1.4145299196243286,
            0.5485568642616272,
            0.4833945631980896,
        ],
    ),
    "float64": (
        [
            -0.6001800723429587,
            -1.7347284922719202,
            0.27635541899213933,
            0.03917768022577686,
            1.0900332791310567,
            0.32201596581808645,
        ],
        [
            -0.037463449088486006,
            -0.6661120283902342,
            -0.3420597170258844,
            -0.6757076774937227,
            1.3231639641452135,
            1.559086007347097,
        ],
    ),
}
STATELESS = {
    "StatelessRandomUniform": [
        0.24328744411468506,
        0.9835063219070435,
        0.22041726112365723,
        0.467920184135437,
        0.7738579511642456,
    ],
    "StatelessRandomNormal": [
        -0.17393383383750916,
        1.6723546981811523,
        0.3481701612472534,
        -1.7038906812667847,
        -0.6153246164321899,
    ],
    "StatelessTruncatedNormal": [
        -0.17393383383750916,
        1.6723546981811523,
        0.3481701612472534,
        -1.7038906812667847,
        0.6385190486907959,
    ],
}
EMPTY_SHAPE = "the shape asked for is empty in one case"
LOGITS = np.array([[0.0, 1, 2, 3], [3, 0, 1, 1], [1, 1, 1, 1]])


def recorded(table):
    """A reference: the recorded numbers of the dtype, for the case's shape."""

    def check(outputs, inputs, attrs):
        output = outputs[0].astype(np.float64)
        assert output.shape == tuple(inputs[0])
        values = table.get(outputs[0].dtype.name)
        if values and output.size == 6:
            np.testing.assert_allclose(output.ravel(), values[0], rtol=3e-6, atol=1e-7)

    return check


def stateless(op):
    def check(outputs, inputs, attrs):
        if outputs[0].dtype == np.float32 and outputs[0].size == 5:
            np.testing.assert_allclose(outputs[0].ravel(), STATELESS[op], rtol=3e-6)

    shapes = ([5], [0, 2], [])
    return OpRecord(
        op,
        cases=[Case(inputs=(np.array(shape, np.int32), np.array([3, 4]))) for shape in shapes],
        check=check,
        dtypes=FLOATS,
        type_attr="dtype",
        constants=(0,),
        bad=[Bad(inputs=(np.array([5], np.int32), np.array([3])), match="two integers")],
    )


def filled(op, table):
    return OpRecord(
        op,
        cases=[Case(inputs=(np.array(shape, np.int32),), attrs=SEEDS) for shape in ([6], [3, 2], [0, 2], [])],
        check=recorded(table),
        dtypes=FLOATS,
        type_attr="dtype",
        constants=(0,),
        bad=[Bad(inputs=(np.array([-2], np.int32),), match="-2")],
    )


def integers(outputs, inputs, attrs):
    low, high = inputs[-2:]
    assert ((outputs[0] >= low) & (outputs[0] < high)).all()
    expected = {"int32": [903, 579, 802, 412, 717, 782], "int64": [812, 694, 424, 736, 587, 211]}
    if outputs[0].shape == (6,):
        assert outputs[0].tolist() == expected[outputs[0].dtype.name]


def stateless_integers(outputs, inputs, attrs):
    expected = {"int32": [38, 737, 67, 874, 337], "int64": [270, 331, 661, 519, 747]}
    if outputs[0].shape == (5,):
        assert outputs[0].tolist() == expected[outputs[0].dtype.name]


def shuffled(outputs, inputs, attrs):
    order = [3, 9, 5, 6, 1, 7, 0, 4, 8, 2]
    value = inputs[0]
    if value.ndim and len(value) == 10:
        assert (outputs[0] == value[order]).all()
    else:
        assert sorted(outputs[0].ravel().tolist()) == sorted(value.ravel().tolist())


def drawn(expected):
    def check(outputs, inputs, attrs):
        assert outputs[0].dtype == (np.int32 if attrs.get("output_dtype") == tf.int32 else np.int64)
        if outputs[0].size:
            assert outputs[0].tolist() == expected

    return check


def sampled(expected, tolerance):
    def check(outputs, inputs, attrs):
        if outputs[0].size:
            actual = outputs[0].astype(np.float64)
            near = {"float16": 2e-3}.get(outputs[0].dtype.name, tolerance)
            np.testing.assert_allclose(actual, expected, rtol=near)

    return check


GAMMA = [
    [0.061787459470181445, 1.6406489874670305, 1.3266413239869657],
    [0.2728356457321164, 1.343275282504163, 5.36718538011687],
    [0.017987980862767733, 0.21876772371560974, 3.3697176126458857],
]
POISSON = [[0, 6, 39], [0, 5, 50], [0, 3, 48], [1, 1, 58]]


ALPHAS = np.array([0.05, 0.5, 1.0, 3.0, 40.0, 900.0])
QUANTILES = np.array([[0.01], [0.3], [0.9], [0.9999]])


def gamma_slope(alpha, sample):
    """By finite differences of the quantile function."""
    if not sample.size or not alpha.size:
        return np.zeros(np.broadcast_shapes(alpha.shape, sample.shape))
    alpha = alpha.astype(np.float64)
    quantile = scipy_stats.gamma.cdf(sample.astype(np.float64), alpha)
    step = 1e-5 * alpha
    return (scipy_stats.gamma.ppf(quantile, alpha + step) - scipy_stats.gamma.ppf(quantile, alpha - step)) / (
        2 * step
    )


def truncated(outputs, inputs, attrs):
    low, high = inputs[3:]
    values = outputs[0].astype(np.float64)
    assert (values >= np.float64(low.min()) - 1e-2).all()
    assert (values <= np.float64(high.max()) + 1e-2).all()


RECORDS = [
    filled("RandomUniform", UNIFORM),
    filled("RandomStandardNormal", NORMAL),
    filled("TruncatedNormal", TRUNCATED),
    stateless("StatelessRandomUniform"),
    stateless("StatelessRandomNormal"),
    stateless("StatelessTruncatedNormal"),
    OpRecord(
        "RandomUniformInt",
        cases=[
            Case(inputs=(np.array(shape, np.int32), np.array(-5), np.array(1000)), attrs=SEEDS)
            for shape in ([6], [2, 2], [0])
        ],
        check=integers,
        dtypes=("int32", "int64"),
        type_attr="Tout",
        constants=(0,),
        no_empty=EMPTY_SHAPE,
        bad=[
            Bad(
                inputs=(np.array([2], np.int32), np.array(3), np.array(3)),
                match="minval must be less",
                when="run",
            )
        ],
    ),
    OpRecord(
        "StatelessRandomUniformInt",
        cases=[
            Case(inputs=(np.array(shape, np.int32), np.array([3, 4]), np.array(-5), np.array(1000)))
            for shape in ([5], [0])
        ],
        check=stateless_integers,
        dtypes=("int32", "int64"),
        type_attr="dtype",
        constants=(0,),
        no_empty=EMPTY_SHAPE,
    ),
    OpRecord(
        "RandomShuffle",
        cases=[
            Case(inputs=(value,), attrs=SEEDS)
            for value in (np.arange(10), np.arange(20).reshape(10, 2), np.zeros([0, 3]), np.array(3))
        ],
        check=shuffled,
        dtypes=("float32", "int64", "uint8"),
    ),
    OpRecord(
        "Multinomial",
        cases=[
            Case(inputs=(LOGITS, np.array(5, np.int32)), attrs=SEEDS),
            Case(inputs=(LOGITS, np.array(5, np.int32)), attrs={**SEEDS, "output_dtype": tf.int32}),
            Case(inputs=(LOGITS, np.array(0, np.int32)), attrs=SEEDS),
            Case(inputs=(LOGITS[:0], np.array(5, np.int32)), attrs=SEEDS),
        ],
        check=drawn([[2, 3, 3, 3, 1], [1, 0, 0, 0, 0], [0, 0, 2, 2, 2]]),
        dtypes=("float32", "float64", "float16", "int32"),
        constants=(1,),
        bad=[
            Bad(inputs=(LOGITS[0], np.array(5, np.int32)), match="rank"),
            Bad(inputs=(LOGITS, np.array(-1, np.int32)), match="num_samples"),
            Bad(inputs=(LOGITS[:, :0], np.array(2, np.int32)), match="class", when="run"),
        ],
    ),
    OpRecord(
        "StatelessMultinomial",
        cases=[
            Case(inputs=(LOGITS[:2], np.array(5, np.int32), np.array([3, 4]))),
            Case(inputs=(LOGITS[:0], np.array(5, np.int32), np.array([3, 4]))),
        ],
        check=drawn([[3, 3, 2, 3, 3], [0, 0, 0, 0, 0]]),
        dtypes=("float32", "float64"),
        constants=(1,),
    ),
    OpRecord(
        "RandomGamma",
        cases=[
            Case(inputs=(np.array([3], np.int32), np.array([0.5, 1.0, 2.5])), attrs=SEEDS),
            Case(inputs=(np.array([0], np.int32), np.array([0.5])), attrs=SEEDS),
            Case(inputs=(np.array([2], np.int32), np.zeros([0])), attrs=SEEDS),
        ],
        check=sampled(GAMMA, 1e-6),
        dtypes=("float32", "float64", "float16"),
        constants=(0,),
    ),
    OpRecord(
        "RandomGammaGrad",
        cases=[
            Case(inputs=(ALPHAS, scipy_stats.gamma.ppf(QUANTILES, ALPHAS))),
            Case(inputs=(np.zeros([0, 3]), np.ones([2, 1, 3]))),
        ],
        reference=gamma_slope,
        dtypes=("float32", "float64"),
        tolerance={"float64": 1e-5, "float32": 1e-4},
    ),
    OpRecord(
        "RandomPoisson",
        cases=[Case(inputs=(np.array([4], np.int32), np.array([0.5, 4, 50])), attrs=SEEDS)],
        check=sampled(POISSON, 0),
        dtypes=("float32", "float64", "float16"),
        type_attr="dtype",
        constants=(0,),
        no_empty="RandomPoissonV2 is the same",
    ),
    OpRecord(
        "RandomPoissonV2",
        cases=[
            Case(inputs=(np.array([4], np.int32), np.array([0.5, 4, 50])), attrs={**SEEDS, "dtype": dtype})
            for dtype in (tf.int64, tf.float32, tf.int32)
        ]
        + [Case(inputs=(np.array([0], np.int32), np.array([0.5])), attrs=SEEDS)],
        check=sampled(POISSON, 0),
        dtypes=("float32", "float64"),
        type_attr="R",
        constants=(0,),
        no_empty=EMPTY_SHAPE,
    ),
    OpRecord(
        "ParameterizedTruncatedNormal",
        cases=[
            Case(inputs=(np.array([2, 50], np.int32), *map(np.array, parameters)), attrs=SEEDS)
            for parameters in (([0.0, 1], [1.0, 2], [-1.0, 0], [1.0, 5]), (0.0, 1.0, 3.0, 4.0))
        ]
        + [Case(inputs=(np.array([0, 2], np.int32), *map(np.array, (0.0, 1.0, -1.0, 1.0))), attrs=SEEDS)],
        check=truncated,
        dtypes=FLOATS,
        type_attr="dtype",
        constants=(0,),
        no_empty=EMPTY_SHAPE,
        bad=[
            Bad(
                inputs=(np.array([1, 2], np.int32), *map(np.array, (0.0, 1.0, 1.0, -1.0))),
                match="bounds",
                when="run",
            )
        ],
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    "draw,table",
    [(tf.random_uniform, UNIFORM), (tf.random_normal, NORMAL), (tf.truncated_normal, TRUNCATED)],
)
def test_runs_of_a_session_continue_the_stream(graph, draw, table, dtype):
    if dtype not in table:
        pytest.skip("not recorded")
    tf.set_random_seed(7)
    values = draw([6], dtype=dtype, seed=11)
    for _ in range(2):  # a new session starts over
        with tf.Session() as session:
            for expected in table[dtype]:
                np.testing.assert_allclose(session.run(values), expected, rtol=3e-6, atol=1e-7)


def test_numbers_do_not_depend_on_the_number_of_threads(graph):
    values = [
        draw([100_003], seed=1) for draw in (tf.random_uniform, tf.random_normal, tf.truncated_normal)
    ] + [tf.random_gamma([10_001], [0.3, 2.0], seed=1), tf.multinomial(LOGITS, 10_001, seed=1)]
    results = []
    for threads in (1, 4):
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads)) as session:
            results.append(session.run(values))
    for one, four in zip(*results):
        assert (one == four).all()


def test_no_seed_means_other_numbers_every_time(graph):
    a, b = tf.random_uniform([8]), tf.random_uniform([8])
    with tf.Session() as one, tf.Session() as two:
        drawn = [one.run(a), one.run(a), one.run(b), two.run(a)]
    assert len({tuple(values) for values in drawn}) == 4


def test_graph_seed_alone_makes_operations_differ(graph):
    tf.set_random_seed(3)
    a, b = tf.random_uniform([8]), tf.random_uniform([8])
    with tf.Session() as session:
        first = session.run([a, b])
    with tf.Session() as session:
        again = session.run([a, b])
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all()
    assert (first[0] != first[1]).any()


def test_distributions(graph):
    n = 200_000
    tensors = {
        scipy_stats.uniform(2, 3): tf.random_uniform([n], 2, 5, seed=1),
        scipy_stats.norm(1, 2): tf.random_normal([n], 1.0, 2.0, seed=2),
        scipy_stats.truncnorm(-2, 2, 1, 0.5): tf.truncated_normal([n], 1.0, 0.5, seed=3),
        scipy_stats.gamma(0.7, scale=0.5): tf.random_gamma([n], 0.7, 2.0, seed=4),
        scipy_stats.gamma(3.0): tf.random_gamma([n], 3.0, seed=5),
    }
    with tf.Session() as session:
        for distribution, values in zip(tensors, session.run(list(tensors.values()))):
            assert scipy_stats.kstest(values, distribution.cdf).pvalue > 1e-3
        for rate in (0.3, 4.0, 30.0):
            values = session.run(tf.random_poisson(rate, [n], seed=6))
            assert abs(values.mean() - rate) < 5 * np.sqrt(rate / n)
            assert abs(values.var() / rate - 1) < 0.05


@pytest.mark.parametrize("low,high", [(-1.0, 1.0), (-np.inf, 2.0), (4.0, np.inf), (-0.3, 0.2), (-6.0, -5.0)])
def test_parameterized_truncated_normal_distribution(graph, low, high):
    values = parameterized_truncated_normal([1, 50_000], 0.0, 1.0, low, high, tf.float64, seed=9)
    with tf.Session() as session:
        assert scipy_stats.kstest(session.run(values)[0], scipy_stats.truncnorm(low, high).cdf).pvalue > 1e-3


def test_invalid_rates_and_shapes_give_nan(graph):
    with tf.Session() as session:
        assert np.isnan(session.run(tf.random_poisson([-1.0, np.nan], [2]))).all()
        gamma = tf.random_gamma([2], [-1.0, 0.5], seed=1)
        assert np.isnan(session.run(gamma)[:, 0]).all()


def test_random_crop(graph):
    image = tf.constant(np.arange(48).reshape(4, 4, 3))
    crop = tf.random_crop(image, [2, 3, 3], seed=1)
    assert crop.shape == (2, 3, 3)
    with tf.Session() as session:
        for _ in range(5):
            cut = session.run(crop)
            row, column = divmod(int(cut[0, 0, 0]) // 3, 4)
            assert (cut == np.arange(48).reshape(4, 4, 3)[row : row + 2, column : column + 3]).all()
        too_large = tf.random_crop(image, tf.placeholder_with_default([5, 3, 3], [3]))
        with pytest.raises(errors.InvalidArgumentError, match="needs value"):
            session.run(too_large)


def test_shapes_known_only_at_run_time(graph):
    tf.set_random_seed(7)
    shape = tf.placeholder(tf.int32, [2])
    values = tf.random_uniform(shape, seed=11)
    assert values.shape.as_list() == [None, None]
    with tf.Session() as session:
        assert session.run(values, {shape: [2, 3]}).shape == (2, 3)
        np.testing.assert_allclose(session.run(values, {shape: [1, 6]})[0], UNIFORM["float32"][1], rtol=3e-6)


def test_integers_need_an_upper_bound(graph):
    with pytest.raises(ValueError, match="maxval"):
        tf.random_uniform([2], dtype=tf.int32)
    with pytest.raises(ValueError, match="int8"):
        tf.random_uniform([2], dtype=tf.int8)


def test_node_names(graph):
    tf.random_normal([2])
    names = [op.name for op in graph.get_operations()]
    assert names == [
        "random_normal/shape",
        "random_normal/mean",
        "random_normal/stddev",
        "random_normal/RandomStandardNormal",
        "random_normal/mul",
        "random_normal",
    ]


def test_stateless_functions_take_tensors_as_seeds(graph):
    seed = tf.placeholder(tf.int64, [2])
    with tf.Session() as session:
        for draw, op in (
            (tf.random.stateless_uniform, "StatelessRandomUniform"),
            (tf.random.stateless_normal, "StatelessRandomNormal"),
            (tf.random.stateless_truncated_normal, "StatelessTruncatedNormal"),
        ):
            values = session.run(draw([5], seed), {seed: [3, 4]})
            np.testing.assert_allclose(values, STATELESS[op], rtol=3e-6)


def test_shuffle_of_strings(graph):
    names = tf.random_shuffle(tf.constant(list("abcdefghij")), seed=1)
    with tf.Session() as session:
        once, twice = session.run(names), session.run(names)
    assert sorted(once) == sorted(twice) == [letter.encode() for letter in "abcdefghij"]
    assert list(once) != list(twice)


def test_gradient_of_gamma_samples(graph):
    """The mean of the samples is alpha, so the mean of their slopes is 1."""
    alpha = tf.constant([0.4, 2.0, 50.0, 5000.0], tf.float64)
    samples = tf.random_gamma([20_000], alpha, dtype=tf.float64, seed=1)
    slopes = tf.gradients(samples, alpha)[0] / 20_000
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(slopes), np.ones(4), rtol=0.03)
    with pytest.raises(NotImplementedError, match="only once"):
        tf.gradients(slopes, alpha)
