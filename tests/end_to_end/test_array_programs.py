"""Small array programs of the classical tutorials, against NumPy."""

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_mandelbrot():
    y, x = np.mgrid[-1.3:1.3:0.05, -2:1:0.05]
    plane = (x + 1j * y).astype(np.complex64)
    xs = tf.constant(plane)
    zs = tf.Variable(xs)
    ns = tf.Variable(tf.zeros_like(xs, tf.float32))
    zs_ = zs * zs + xs
    not_diverged = tf.abs(zs_) < 4
    step = tf.group(zs.assign(zs_), ns.assign_add(tf.cast(not_diverged, tf.float32)))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(30):
            session.run(step)
        counts = session.run(ns)

    z, expected = plane.copy(), np.zeros(plane.shape, np.float32)
    with np.errstate(all="ignore"):
        for _ in range(30):
            z = z * z + plane
            expected += np.abs(z) < 4
    # Points on the border may fall to either side by rounding.
    assert np.mean(counts != expected) < 0.01
    assert counts.max() == 30 and counts.min() < 5


def laplacian(u):
    kernel = tf.reshape(tf.constant([[0.5, 1.0, 0.5], [1.0, -6.0, 1.0], [0.5, 1.0, 0.5]]), [3, 3, 1, 1])
    image = tf.expand_dims(tf.expand_dims(u, 0), -1)
    return tf.nn.conv2d(image, kernel, [1, 1, 1, 1], padding="SAME")[0, :, :, 0]


def test_rain_on_a_pond():
    n = 40
    rng = np.random.RandomState(0)
    drops = np.zeros([n, n], np.float32)
    for _ in range(20):
        drops[rng.randint(n), rng.randint(n)] = rng.uniform()
    eps = tf.placeholder(tf.float32, shape=())
    damping = tf.placeholder(tf.float32, shape=())
    u, ut = tf.Variable(drops), tf.Variable(np.zeros([n, n], np.float32))
    u_ = u + eps * ut
    ut_ = ut + eps * (laplacian(u) - damping * ut)
    with tf.control_dependencies([u_, ut_]):
        step = tf.group(u.assign(u_), ut.assign(ut_))
    with tf.Session() as session:
        tf.global_variables_initializer().run()
        for _ in range(50):
            step.run({eps: 0.03, damping: 0.04})
        surface = session.run(u)

    def numpy_laplacian(a):
        p = np.pad(a, 1)
        near = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]
        far = p[:-2, :-2] + p[:-2, 2:] + p[2:, :-2] + p[2:, 2:]
        return near + 0.5 * far - 6 * a

    a, v = drops.astype(np.float64), np.zeros([n, n])
    for _ in range(50):
        a, v = a + 0.03 * v, v + 0.03 * (numpy_laplacian(a) - 0.04 * v)
    np.testing.assert_allclose(surface, a, atol=1e-5)


def test_laplace_equation_by_relaxation():
    """A plate whose edge is held at sin(pi x) on one side and 0 on the others."""
    n = 17
    x = np.linspace(0, 1, n)
    start = np.zeros([n, n])
    start[0] = np.sin(np.pi * x)
    u = tf.Variable(start)
    inner = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    change = tf.reduce_max(tf.abs(inner - u[1:-1, 1:-1]))
    step = u[1:-1, 1:-1].assign(inner)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(2000):
            session.run(step)
        left, plate = session.run([change, u])
    exact = np.sin(np.pi * x)[None] * np.sinh(np.pi * (1 - x))[:, None] / np.sinh(np.pi)
    assert left < 1e-12
    np.testing.assert_allclose(plate, exact, atol=5e-3)


def test_game_of_life():
    rng = np.random.RandomState(1)
    start = (rng.uniform(size=(20, 30)) < 0.3).astype(np.int32)
    world = tf.Variable(start)
    around = tf.concat([world[-1:], world, world[:1]], 0)
    around = tf.concat([around[:, -1:], around, around[:, :1]], 1)
    neighbours = sum(
        around[1 + i : 21 + i, 1 + j : 31 + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    )
    alive = tf.logical_or(
        tf.equal(neighbours, 3), tf.logical_and(tf.equal(world, 1), tf.equal(neighbours, 2))
    )
    step = world.assign(tf.cast(alive, tf.int32))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        cells = start
        for _ in range(25):
            got = session.run(step)
            count = sum(np.roll(np.roll(cells, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1)) - cells
            cells = ((count == 3) | ((cells == 1) & (count == 2))).astype(np.int32)
            np.testing.assert_array_equal(got, cells)


def test_k_means():
    rng = np.random.RandomState(4)
    centres = np.float32([[0, 0], [5, 5], [0, 6], [6, -1]])
    points = np.concatenate([c + rng.normal(size=(50, 2)) for c in centres]).astype(np.float32)
    data = tf.constant(points)
    # One point of each heap to start from: then the answer is unique.
    means = tf.Variable(points[::50])
    distances = tf.reduce_sum(tf.square(tf.expand_dims(data, 1) - tf.expand_dims(means, 0)), 2)
    nearest = tf.argmin(distances, 1)
    sums = tf.unsorted_segment_sum(data, nearest, 4)
    counts = tf.unsorted_segment_sum(tf.ones_like(data[:, :1]), nearest, 4)
    step = means.assign(sums / counts)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(10):
            session.run(step)
        found, members = session.run([means, nearest])
    np.testing.assert_allclose(found, centres, atol=0.5)
    np.testing.assert_allclose(found, [points[members == k].mean(0) for k in range(4)], atol=1e-5)


def test_principal_components_by_power_iteration():
    rng = np.random.RandomState(2)
    points = rng.normal(size=(200, 5)) @ np.diag([5.0, 3.0, 1.0, 0.5, 0.2]) @ rng.normal(size=(5, 5))
    x = tf.placeholder(tf.float64, [None, 5])
    centred = x - tf.reduce_mean(x, 0, keepdims=True)
    covariance = tf.matmul(centred, centred, transpose_a=True) / tf.cast(tf.shape(x)[0], tf.float64)
    v = tf.Variable(np.ones([5, 1]))
    product = tf.matmul(covariance, v)
    step = v.assign(product / tf.norm(product))
    variance = tf.squeeze(tf.matmul(v, tf.matmul(covariance, v), transpose_a=True))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(200):
            session.run(step, {x: points})
        found, axis = session.run([variance, v], {x: points})
    values, vectors = np.linalg.eigh(np.cov(points.T, bias=True))
    assert found == pytest.approx(values[-1])
    assert abs(axis[:, 0] @ vectors[:, -1]) == pytest.approx(1.0)
