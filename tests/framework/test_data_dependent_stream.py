"""Streams of steps with ever new shapes: what is planned and kept stays bounded, and values right."""

import pathlib

import numpy as np

from tests.framework.data_dependent_stream import PARSED, Stream

CACHE = 64  # specialisations kept for one signature


def resident_mb():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def check(words, k, entry, values):
    chosen = words[words >= 0]
    np.testing.assert_array_equal(values["where"], np.argwhere(words >= 0))
    _, first = np.unique(chosen, return_index=True)
    np.testing.assert_array_equal(values["unique"], chosen[np.sort(first)])
    np.testing.assert_array_equal(values["odd"], np.full(4, np.sum(chosen % 2 == 1)))
    np.testing.assert_array_equal(values["even"], np.full(4, np.sum(chosen % 2 == 0)))
    np.testing.assert_array_equal(values["best"], -np.sort(-chosen.astype(np.float32))[:k])
    assert values["positions"] == np.sum(np.arange(words.shape[1]))
    assert values["flat"] == words.sum()
    assert values["sizes"].shape == (len(chosen) + k, 4)
    assert values["dequeued"] == len(entry)
    assert values["decoded"] == chosen.sum()
    longest = max(np.sum(row >= 0) for row in words[:PARSED])
    np.testing.assert_array_equal(values["parsed"], words[:PARSED, :longest])


def test_common_shapes_are_planned_once():
    stream = Stream(common=True)
    for _ in range(500):
        check(*stream.step())
    planned = stream.planned()
    for _ in range(2_000):
        stream.step()
    assert stream.planned() == planned == stream.kept()


def test_new_shapes_take_the_place_of_old_ones():
    stream = Stream(common=False)
    for step in range(10_000):
        made = stream.step()
        if step % 100 == 0:
            check(*made)
            assert stream.kept() <= CACHE
        if step == 1_000:
            before = resident_mb()
    assert CACHE // 2 < stream.kept() <= CACHE
    assert resident_mb() < before + 30
