"""What a step executes, inside of loops and branches, too."""

from __future__ import annotations

import collections
from typing import Any

import headrace as tf


def executed(session: tf.Session, fetches: Any, feeds: Any = None) -> tuple[Any, collections.Counter[str]]:
    """(the values, how often each operation ran)."""
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    values = session.run(fetches, feeds, options, metadata)
    labels = [
        node.timeline_label.split(" = ")[-1].split("(")[0]
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
    ]
    return values, collections.Counter(labels)


def with_and_without(
    name: str, fetches: Any, feeds: Any = None, others: tuple[str, ...] = ()
) -> list[tuple[Any, collections.Counter[str]]]:
    """The same with a pass and without it, `others` disabled both times."""
    results = []
    for disabled in (others, (name, *others)):
        with tf.Session(config=tf.ConfigProto(disabled_passes=list(disabled))) as session:
            session.run(tf.global_variables_initializer())
            results.append(executed(session, fetches, feeds))
    return results
