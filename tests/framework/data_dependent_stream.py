"""A program whose shapes depend on data, fed with batches of random sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as tf

WORDS = 12
COMMON = 8  # batches that come again and again
PARSED = 2  # sentences of each that are parsed


class Stream:
    """One batch of "sentences" in each step: numbers of words, padded with -1 after the end of each.

    Args:
      common: whether a few batches come again and again, in any order, rather than ever new ones.
    """

    def __init__(self, common: bool, seed: int = 0):
        self._random = np.random.default_rng(seed)
        self._common = [self._batch() for _ in range(COMMON)] if common else None
        with tf.Graph().as_default() as graph:
            self.words = tf.placeholder(tf.int32, [None, None])
            self.k = tf.placeholder(tf.int32, [])
            self.text = tf.placeholder(tf.string, [None])
            self.fetches = self._build()
            self._session = tf.Session(graph=graph)
            self._session.run(tf.global_variables_initializer())
            self._queue = self._session.make_callable(self._enqueue, feed_list=[self._entry])
            feeds = [self.words, self.k, self.text]
            self._run = self._session.make_callable(self.fetches, feed_list=feeds)
            # The core's signature behind it: made once, then found.
            fetched = [number for t in self.fetches.values() for number in (t._id, t._index)]
            fed = [number for t in feeds for number in (t._id, t._index)]
            self._core = self._session._core.callable(fed, fetched, [])

    def _build(self) -> dict[str, Any]:
        words = self.words
        batch, length = tf.unstack(tf.shape(words))
        present = words >= 0
        where = tf.where(present)
        chosen = tf.boolean_mask(words, present)
        unique, index = tf.unique(chosen)
        table = tf.get_variable("table", [WORDS, 4], initializer=tf.ones_initializer())
        vectors = tf.gather(table, chosen)
        parts = tf.dynamic_partition(vectors, tf.cast(tf.equal(chosen % 2, 0), tf.int32), 2)
        # The first sentences as serialized examples, and all numbers as bytes.
        parsed = tf.parse_example(self.text[1:], {"words": tf.VarLenFeature(tf.int64)})["words"]
        decoded = tf.decode_raw(self.text[0], tf.int32)
        queue = tf.FIFOQueue(10, [tf.float32])
        self._entry = tf.placeholder(tf.float32, [None])
        self._enqueue = queue.enqueue([self._entry])
        return {
            "where": where,
            "unique": unique,
            "counts": tf.bincount(index) if hasattr(tf, "bincount") else tf.size(unique),
            "odd": tf.reduce_sum(parts[0], 0),
            "even": tf.reduce_sum(parts[1], 0),
            "best": tf.nn.top_k(tf.cast(chosen, tf.float32), self.k)[0],
            "positions": tf.reduce_sum(tf.range(length)),
            "flat": tf.reduce_sum(tf.reshape(words, tf.stack([batch * length]))),
            "parsed": tf.sparse.to_dense(parsed, default_value=-1),
            "decoded": tf.reduce_sum(decoded),
            "sizes": tf.concat([vectors, tf.gather(vectors, tf.range(self.k))], 0),
            "dequeued": tf.reduce_sum(queue.dequeue()),
        }

    def _batch(self) -> tuple[np.ndarray, int, np.ndarray, list[bytes]]:
        """Words, how many of the best are asked for, what goes into the queue, and strings to parse."""
        random = self._random
        batch, length = random.integers(1, 17), random.integers(1, 33)
        words = random.integers(0, WORDS, [batch, length]).astype(np.int32)
        words[np.arange(length) >= random.integers(1, length + 1, [batch, 1])] = -1
        k = random.integers(0, min(3, np.sum(words >= 0)) + 1)
        text = [words[words >= 0].tobytes()]
        for row in words[:PARSED]:
            example = tf.train.Example()
            example.features.feature["words"].int64_list.value.extend(row[row >= 0].tolist())
            text.append(example.SerializeToString())
        return words, int(k), np.ones(random.integers(1, 5), np.float32), text

    def step(self) -> tuple[np.ndarray, int, np.ndarray, dict[str, Any]]:
        """Runs one step; returns what it was fed and what came of it."""
        words, k, entry, text = (
            self._batch() if self._common is None else self._common[self._random.integers(0, COMMON)]
        )
        self._queue(entry)
        return words, k, entry, self._run(words, k, text)

    def planned(self) -> int:
        """How many specialisations were ever made for the step."""
        return int(self._core.num_planned)

    def kept(self) -> int:
        """How many there are."""
        return int(self._core.num_plans)
