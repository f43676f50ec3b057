"""Softmax regression on handwritten digits: the classical first program of a deep-learning lecture."""

import numpy as np
from sklearn.datasets import load_digits

import headrace as tf

digits = load_digits()
order = np.random.RandomState(0).permutation(len(digits.data))
pixels = (digits.data[order] / 16.0).astype(np.float32)
answers = np.eye(10, dtype=np.float32)[digits.target[order]]
train_xs, test_xs, train_ys, test_ys = pixels[360:], pixels[:360], answers[360:], answers[:360]

# The model: y = softmax(x W + b).
x = tf.placeholder(tf.float32, [None, 64])
W = tf.Variable(tf.zeros([64, 10]))
b = tf.Variable(tf.zeros([10]))
y = tf.nn.softmax(tf.matmul(x, W) + b)

# The loss: cross entropy between y and the right answers y_.
y_ = tf.placeholder(tf.float32, [None, 10])
cross_entropy = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(y), reduction_indices=[1]))
train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)

correct_prediction = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct_prediction, tf.float32))

rng = np.random.RandomState(0)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(1000):
        chosen = rng.randint(len(train_xs), size=100)
        sess.run(train_step, feed_dict={x: train_xs[chosen], y_: train_ys[chosen]})
    held_out = sess.run(accuracy, feed_dict={x: test_xs, y_: test_ys})
    print(f"held-out accuracy {100 * held_out:.1f} %")
