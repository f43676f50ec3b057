"""Initializers: TensorFlow 1.15's numbers for the same seeds, and properties of the distributions."""

import numpy as np
import pytest

import headrace as tf

# get_variable("w", [2, 3], initializer=...(seed=5)) in a graph of seed 3.
RECORDED = {
    "random_uniform": [
        [0.3976691961288452, 0.8425681591033936, 0.004518985748291016],
        [0.6022001504898071, 0.8027653694152832, 0.7908014059066772],
    ],
    "random_normal": [
        [-1.1347393989562988, 0.7460805773735046, -1.9681302309036255],
        [-2.631615400314331, -0.6411983966827393, 0.16807787120342255],
    ],
    "truncated_normal": [
        [-1.1347393989562988, 0.7460805773735046, -1.9681302309036255],
        [-0.6411983966827393, 0.1618407666683197, 0.35927459597587585],
    ],
    "uniform_unit_scaling": [
        [-0.2506582736968994, 0.839117169380188, -1.2136757373809814],
        [0.25033819675445557, 0.741620659828186, 0.7123150825500488],
    ],
    "variance_scaling": [
        [-0.9121856689453125, 0.5997536182403564, -1.5821255445480347],
        [-0.5154417157173157, 0.1300993263721466, 0.28881093859672546],
    ],
    "orthogonal": [
        [-0.48070502281188965, -0.8337509632110596, -0.2716282606124878],
        [0.7740832567214966, -0.5490093231201172, 0.31525206565856934],
    ],
    "glorot_uniform": [
        [-0.22419553995132446, 0.7505292892456055, -1.0855445861816406],
        [0.2239093780517578, 0.6633256673812866, 0.6371139287948608],
    ],
    "glorot_normal": [
        [-0.8158836960792542, 0.5364359021186829, -1.4150961637496948],
        [-0.46102508902549744, 0.11636437475681305, 0.2583203613758087],
    ],
    "he_normal": [
        [-1.2900253534317017, 0.8481796383857727, -2.2374634742736816],
        [-0.7289446592330933, 0.18398822844028473, 0.40844035148620605],
    ],
    "he_uniform": [
        [-0.35448431968688965, 1.1866909265518188, -1.7163965702056885],
        [0.35403168201446533, 1.0488098859786987, 1.0073655843734741],
    ],
    "lecun_normal": [
        [-0.9121856689453125, 0.5997536182403564, -1.5821255445480347],
        [-0.5154417157173157, 0.1300993263721466, 0.28881093859672546],
    ],
    "lecun_uniform": [
        [-0.2506582736968994, 0.839117169380188, -1.2136757373809814],
        [0.25033819675445557, 0.741620659828186, 0.7123150825500488],
    ],
}


def value_of(make, seed=3):
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        variable = make()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return session.run(variable)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_numbers(name):
    initializer = getattr(tf.initializers, name)(seed=5)
    value = value_of(lambda: tf.get_variable("w", [2, 3], initializer=initializer))
    np.testing.assert_allclose(value, RECORDED[name], rtol=5e-6, atol=5e-7)


def test_graph_seed_alone_gives_recorded_numbers():
    """An operation's seed is then the number of operations before it, which must be TensorFlow's."""
    default = value_of(lambda: tf.get_variable("w", [2, 3]))
    expected = [
        [-0.6064683198928833, 0.36815571784973145, 0.4594782590866089],
        [0.43392908573150635, 0.4890478849411011, -0.6969603300094604],
    ]
    np.testing.assert_allclose(default, expected, rtol=3e-6)
    normal = value_of(lambda: tf.Variable(tf.random_normal([3])))
    np.testing.assert_allclose(
        normal, [-1.5072866678237915, -0.8529847264289856, -0.7844012379646301], rtol=3e-6
    )

    def second():
        tf.Variable(tf.zeros([3]))
        return tf.Variable(tf.truncated_normal([3], stddev=0.1))

    np.testing.assert_allclose(
        value_of(second), [-0.04506755620241165, -0.06528814882040024, 0.03364032134413719], rtol=3e-6
    )


def test_convolution_weights_count_the_window():
    value = value_of(lambda: tf.get_variable("w", [2, 2, 3, 2], initializer=tf.glorot_normal_initializer()))
    assert value.shape == (2, 2, 3, 2)
    np.testing.assert_allclose(
        value[0, 0],
        [
            [-0.541873574256897, -0.3066502809524536],
            [-0.2819943428039551, -0.09543973207473755],
            [-0.465772420167923, 0.11341290920972824],
        ],
        rtol=3e-6,
    )


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_orthogonal(shape, dtype):
    initializer = tf.orthogonal_initializer(gain=2.0, seed=1)
    value = value_of(lambda: tf.get_variable("w", shape, dtype, initializer=initializer))
    matrix = value.reshape(-1, shape[-1]) / 2
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-6)


def test_constants():
    for initializer, dtype, expected in [
        (tf.zeros_initializer(), tf.int32, [[0, 0], [0, 0]]),
        (tf.ones_initializer(), tf.float64, [[1, 1], [1, 1]]),
        (tf.ones_initializer, tf.float32, [[1, 1], [1, 1]]),
        (tf.constant_initializer(3), tf.float32, [[3, 3], [3, 3]]),
        (tf.constant_initializer([1, 2, 3]), tf.int64, [[1, 2], [3, 3]]),
        (tf.constant_initializer([[1, 2], [3, 4]], verify_shape=True), tf.float32, [[1, 2], [3, 4]]),
        (tf.initializers.identity(2.0), tf.float32, [[2, 0], [0, 2]]),
    ]:
        value = value_of(lambda i=initializer, d=dtype: tf.get_variable("w", [2, 2], d, initializer=i))
        assert value.tolist() == expected
        assert value.dtype == dtype.as_numpy_dtype
    assert value_of(lambda: tf.get_variable("w", [2], tf.bool)).tolist() == [False, False]


def test_bad_arguments():
    with pytest.raises(TypeError):
        tf.get_variable("w", [2], initializer=tf.constant_initializer([1.0, 2, 3], verify_shape=True))
    with pytest.raises(TypeError, match="pass a number"):
        tf.constant_initializer(object())
    with pytest.raises(ValueError, match="scale"):
        tf.variance_scaling_initializer(scale=0)
    with pytest.raises(ValueError, match="mode"):
        tf.variance_scaling_initializer(mode="fan")
    with pytest.raises(ValueError, match="distribution"):
        tf.variance_scaling_initializer(distribution="cauchy")
    with pytest.raises(ValueError, match="floats"):
        tf.random_normal_initializer(dtype=tf.int32)
    with pytest.raises(ValueError, match="two dimensions"):
        tf.initializers.identity()([3])
    with pytest.raises(ValueError, match="two dimensions"):
        tf.orthogonal_initializer()([3])


@pytest.mark.parametrize("mode,number", [("fan_in", 300), ("fan_out", 200), ("fan_avg", 250)])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform", "normal"])
def test_variance_scaling(mode, number, distribution):
    initializer = tf.variance_scaling_initializer(3.0, mode, distribution, seed=1)
    value = value_of(lambda: tf.get_variable("w", [300, 200], initializer=initializer))
    assert abs(value.var() / (3.0 / number) - 1) < 0.02
    assert abs(value.mean()) < 3 * np.sqrt(3.0 / number / value.size)


def test_configurations():
    for make in (
        lambda: tf.random_uniform_initializer(-1, 1, seed=2, dtype=tf.float64),
        lambda: tf.truncated_normal_initializer(stddev=0.5),
        lambda: tf.constant_initializer(4),
        lambda: tf.variance_scaling_initializer(2.0, "fan_out"),
        lambda: tf.glorot_uniform_initializer(seed=3),
        lambda: tf.orthogonal_initializer(1.5),
    ):
        initializer = make()
        config = initializer.get_config()
        assert type(initializer).from_config(config).get_config() == config
