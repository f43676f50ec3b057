"""Candidate sampling: the samples of TensorFlow 1.15, their distributions, and the losses."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

TRUE = np.array([[1, 3], [2, 0]])
NONE = np.zeros([0, 2], np.int64)
SEEDS = {"seed": 7, "seed2": 11}
WEIGHTS = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def attrs(num_sampled, unique, range_max, **others):
    return (
        {"num_true": 2, "num_sampled": num_sampled, "unique": unique, "range_max": range_max} | SEEDS | others
    )


def sample(expected, true_counts, drawn_counts):
    """The classes that TensorFlow 1.15 draws with these seeds, and its expected counts."""

    def check(outputs, inputs, attrs):
        drawn, of_true, of_drawn = outputs
        assert drawn.tolist() == expected
        assert of_true.shape == inputs[0].shape
        if of_true.size:
            np.testing.assert_allclose(of_true, true_counts, rtol=1e-6)
        np.testing.assert_allclose(of_drawn, drawn_counts, rtol=1e-6)

    return check


def sampler(op, attrs, check, bad=()):
    return OpRecord(
        op,
        cases=[Case((np.array(TRUE, np.int64),), attrs), Case((NONE,), attrs)],
        check=check,
        dtypes=(),
        bad=[
            Bad((np.array(TRUE, np.int64),), attrs | {"num_true": 3}, match="must have num_true columns"),
            Bad((np.array([1, 2], np.int64),), attrs, match="rank 2"),
            *bad,
        ],
    )


def outside(attrs):
    return Bad((np.array([[1, 6]]),), attrs, match=r"has a 6; classes must be in \[0, 6\)", when="run")


def too_many(attrs):
    return Bad((TRUE,), attrs | {"num_sampled": 7}, match="not so many different classes")


def hits(true_classes, drawn, num_true, **seeds):
    where = {id: place for place, id in enumerate(drawn.tolist())}
    found = [(row, where[id]) for row, ids in enumerate(true_classes.tolist()) for id in ids if id in where]
    rows, places = np.array(found, np.int64).reshape(-1, 2).T
    return [rows.astype(np.int32), places, np.full(len(found), np.finfo(np.float32).min, np.float32)]


UNIQUE = attrs(4, True, 6)
FIXED = attrs(4, True, 6, unigrams=WEIGHTS)
LEARNED = sample([5, 2, 3, 4], 1 - (5 / 6) ** 6, 1 - (5 / 6) ** 6)

RECORDS = [
    sampler(
        "UniformCandidateSampler",
        UNIQUE,
        sample([1, 3, 0, 4], 0.59812242, 0.59812242),
        [outside(UNIQUE), too_many(UNIQUE)],
    ),
    sampler(
        "LogUniformCandidateSampler",
        UNIQUE,
        sample(
            [0, 1, 3, 2],
            [[0.95204824, 0.79471958], [0.87503761, 0.99673641]],
            [0.99673641, 0.95204824, 0.79471958, 0.87503761],
        ),
        [outside(UNIQUE), too_many(UNIQUE)],
    ),
    sampler("LearnedUnigramCandidateSampler", UNIQUE, LEARNED, [outside(UNIQUE), too_many(UNIQUE)]),
    sampler("ThreadUnsafeUnigramCandidateSampler", UNIQUE, LEARNED, [outside(UNIQUE), too_many(UNIQUE)]),
    sampler(
        "FixedUnigramCandidateSampler",
        FIXED,
        sample(
            [2, 3, 4, 5],
            [[0.38095239, 0.76190478], [0.5714286, 0.19047619]],
            [0.5714286, 0.76190478, 0.95238096, 1.14285719],
        ),
        [
            too_many(FIXED),
            Bad((TRUE,), FIXED | {"range_max": 7}, match="there are 6 weights, range_max is 7", when="run"),
            Bad((TRUE,), UNIQUE, match="exactly one of them must be given", when="run"),
            Bad((TRUE,), FIXED | {"unigrams": [1.0, 0, 0, 2, 3, 0]}, match="only 3 classes", when="run"),
            Bad((TRUE,), FIXED | {"unigrams": [1.0, -1, 1, 1, 1, 1]}, match="not be negative", when="run"),
            Bad((TRUE,), FIXED | {"unigrams": [0.0] * 6}, match="at least one", when="run"),
            Bad((TRUE,), FIXED | {"num_shards": 2, "shard": 2}, match="less than num_shards", when="run"),
            Bad(
                (TRUE,),
                UNIQUE | {"vocab_file": "/no/such/file"},
                error=errors.NotFoundError,
                match="cannot open",
                when="run",
            ),
        ],
    ),
    sampler(
        "AllCandidateSampler",
        {"num_true": 2, "num_sampled": 6, "unique": True},
        sample([0, 1, 2, 3, 4, 5], 1, 1),
        [Bad((TRUE,), {"num_true": 2, "num_sampled": 6, "unique": False}, match="expected true")],
    ),
    OpRecord(
        "ComputeAccidentalHits",
        cases=[
            Case((np.array(TRUE, np.int64), np.array([0, 5, 3, 2, 2], np.int64)), {"num_true": 2}),
            Case((np.array(TRUE, np.int64), np.array([7, 8], np.int64)), {"num_true": 2}),
            Case((NONE, np.array([1], np.int64)), {"num_true": 2}),
        ],
        reference=hits,
        dtypes=(),
        data_dependent=True,
        bad=[Bad((TRUE, np.array([1])), {"num_true": 3}, match="must have num_true columns")],
    ),
]

run_records(globals(), RECORDS)


def runs(make, count):
    with tf.Graph().as_default(), tf.Session() as session:
        fetched = make(tf.constant(TRUE, tf.int64))
        return [session.run(fetched) for _ in range(count)]


def test_a_session_goes_on_in_its_stream_and_learns_from_true_classes():
    (first, *_), (second, of_true, of_drawn) = runs(
        lambda true: raw.LearnedUnigramCandidateSampler(true, **attrs(4, False, 6)), 2
    )
    assert (first.tolist(), second.tolist()) == ([5, 2, 3, 3], [4, 5, 2, 1])
    np.testing.assert_allclose(of_true, np.full([2, 2], 0.8), rtol=1e-6)  # seen twice out of ten
    np.testing.assert_allclose(of_drawn, [0.4, 0.4, 0.8, 0.8], rtol=1e-6)


def test_what_was_learned_is_shared_by_plans_of_other_shapes():
    with tf.Graph().as_default(), tf.Session() as session:
        true = tf.placeholder(tf.int64, [None, 1])
        _, expected, _ = tf.nn.learned_unigram_candidate_sampler(true, 1, 1, False, 4)
        session.run(expected, {true: [[2], [2]]})
        assert session.run(expected, {true: [[2]]}) == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        (lambda true, n, k: tf.nn.uniform_candidate_sampler(true, 2, n, False, k, seed=1), np.ones(5)),
        (
            lambda true, n, k: tf.random.log_uniform_candidate_sampler(true, 2, n, False, k, seed=1),
            np.log(np.arange(2, 7) / np.arange(1, 6)),
        ),
        (
            lambda true, n, k: tf.nn.fixed_unigram_candidate_sampler(
                true, 2, n, False, k, unigrams=[9, 4, 1], distortion=0.5, num_reserved_ids=2, seed=1
            ),
            np.array([0, 0, 3, 2, 1]),
        ),
    ],
    ids=["uniform", "log uniform", "fixed"],
)
def test_classes_are_drawn_as_often_as_they_say(make, weights):
    count = 40_000
    ((drawn, of_true, _),) = runs(lambda true: make(true, count, 5), 1)
    share = weights / weights.sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / count, share, atol=0.01)
    np.testing.assert_allclose(of_true / count, share[TRUE], rtol=1e-5)


def test_unique_classes_are_expected_about_as_often_as_they_come():
    steps = 2000
    counts, told = np.zeros(50), np.zeros(TRUE.shape)
    for drawn, of_true, _ in runs(
        lambda true: tf.nn.log_uniform_candidate_sampler(true, 2, 12, True, 50, seed=5), steps
    ):
        assert len(set(drawn.tolist())) == 12
        counts[drawn] += 1
        told += of_true
    # Not quite, since it is told from how many tries there were.
    np.testing.assert_allclose(told / steps, (counts / steps)[TRUE], atol=0.05)


def test_weights_come_from_a_file_and_are_divided_among_shards(tmp_path):
    file = tmp_path / "vocabulary.csv"
    file.write_text("".join(f"word {i},{weight}\n" for i, weight in enumerate(WEIGHTS)))
    whole, shard = (
        runs(
            lambda true, options=options: tf.nn.fixed_unigram_candidate_sampler(
                true, 2, 6, False, vocab_file=str(file), seed=1, **options
            ),
            1,
        )[0]
        for options in ({"range_max": 6}, {"range_max": 3, "num_shards": 2, "shard": 1})
    )
    np.testing.assert_allclose(whole[1], 6 * np.array(WEIGHTS)[TRUE] / 21, rtol=1e-6)
    np.testing.assert_allclose(shard[1], [[2, 0], [3, 1]], rtol=1e-6)  # of weights 2, 4, 6
    assert set(shard[0].tolist()) <= {0, 1, 2}


def test_a_file_with_a_line_without_a_weight_is_refused(tmp_path):
    file = tmp_path / "vocabulary.csv"
    file.write_text("a,1\nb\n")
    with pytest.raises(errors.InvalidArgumentError, match=r"line 2 .* is 'b'"):
        runs(lambda true: tf.nn.fixed_unigram_candidate_sampler(true, 2, 1, True, 2, vocab_file=str(file)), 1)


# ---- losses


def classifier():
    """Weights, biases, inputs, and a sample of classes with how often they are expected."""
    numbers = np.random.RandomState(0)
    weights, biases, inputs = (numbers.randn(*shape).astype(np.float32) for shape in ((20, 5), (20,), (2, 5)))
    drawn = np.array([0, 5, 3, 2, 9, 12]), [[0.5, 0.2], [0.1, 0.3]], [0.3, 0.1, 0.2, 0.6, 0.7, 0.1]
    return weights, biases, inputs, tuple(np.float32(v) if i else v for i, v in enumerate(drawn))


# By whether accidental hits are removed: the two losses of TensorFlow 1.15.
LOSSES = {
    True: ([5.99147654, 2.67627454], [14.30144691, 14.9509449]),
    False: ([6.01542664, 3.21573639], [16.43642616, 22.50791931]),
}


@pytest.mark.parametrize("remove", [True, False])
def test_losses(remove):
    weights, biases, inputs, sampled = classifier()
    with tf.Graph().as_default(), tf.Session() as session:
        for loss, expected in zip((tf.nn.sampled_softmax_loss, tf.nn.nce_loss), LOSSES[remove]):
            value = loss(
                tf.constant(weights),
                tf.constant(biases),
                tf.constant(TRUE),
                tf.constant(inputs),
                6,
                20,
                num_true=2,
                sampled_values=tuple(map(tf.constant, sampled)),
                remove_accidental_hits=remove,
            )
            np.testing.assert_allclose(session.run(value), expected, rtol=1e-5)


def test_accidental_hits_are_those_that_the_operation_finds():
    drawn = classifier()[-1][0]
    with tf.Graph().as_default(), tf.Session() as session:
        rows, places, _ = tf.nn.compute_accidental_hits(TRUE, drawn, 2)
        found = session.run([rows, places])
    np.testing.assert_array_equal(found, [[0, 1, 1], [2, 3, 0]])


def test_the_loss_over_all_classes_is_the_whole_softmax():
    weights, biases, inputs, _ = classifier()
    labels = np.array([[3], [17]])
    with tf.Graph().as_default(), tf.Session() as session:
        everything = tf.nn.all_candidate_sampler(labels, 1, 20, True)
        sampled = tf.nn.sampled_softmax_loss(
            tf.constant(weights), tf.constant(biases), labels, inputs, 20, 20, sampled_values=everything
        )
        logits = tf.matmul(inputs, weights, transpose_b=True) + biases
        whole = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels[:, 0], logits=logits)
        np.testing.assert_allclose(*session.run([sampled, whole]), rtol=1e-5)


def test_only_rows_of_the_sample_are_updated_and_parts_of_a_table_are_one_table():
    weights, biases, inputs, _ = classifier()
    labels = np.array([[3], [17]])
    updated = []
    for parts in (1, 3):
        with tf.Graph().as_default(), tf.Session() as session:
            # Row i is in part i % parts.
            tables = [
                [tf.Variable(table[part::parts], use_resource=True) for part in range(parts)]
                for table in (weights, biases)
            ]
            loss = tf.nn.sampled_softmax_loss(*tables, labels, tf.constant(inputs), 4, 20, seed=3)
            gradients = tf.gradients(loss, tables[0])
            assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
            train = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_mean(loss))
            session.run(tf.global_variables_initializer())
            session.run(train)
            rows = np.empty_like(weights)
            for part, values in enumerate(session.run(tables[0])):
                rows[part::parts] = values
            updated.append(rows)
    changed = np.flatnonzero((updated[0] != weights).any(1))
    assert {3, 17} <= set(changed.tolist())
    assert len(changed) <= 6
    np.testing.assert_allclose(updated[0], updated[1], rtol=1e-6)


def test_gradients_of_the_losses():
    weights, biases, inputs, sampled = classifier()
    for loss in (tf.nn.sampled_softmax_loss, tf.nn.nce_loss):
        with tf.Graph().as_default(), tf.Session():
            variables = [tf.constant(value.astype(np.float64)) for value in (weights, biases, inputs)]
            drawn, *expected = (tf.constant(value) for value in sampled)
            total = tf.reduce_sum(
                loss(
                    *variables[:2],
                    tf.constant(TRUE),
                    variables[2],
                    6,
                    20,
                    num_true=2,
                    sampled_values=(drawn, *expected),
                )
            )
            for variable, value in zip(variables, (weights, biases, inputs)):
                error = tf.test.compute_gradient_error(variable, value.shape, total, [], delta=1e-5)
                assert error < 1e-6
