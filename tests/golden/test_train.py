"""Training programs give here what they gave in TensorFlow 1.15."""

import json
import pathlib

import numpy as np
import pytest

import headrace as tf
from tests.golden.train_programs import METRICS, OPTIMIZERS, PROGRAMS, SCHEDULES

RECORDED = json.loads((pathlib.Path(__file__).parent / "train.json").read_text())


def compare(got, want, where):
    if isinstance(want, dict):
        assert sorted(map(str, got)) == sorted(want), where
        for key, value in got.items():
            compare(value, want[str(key)], f"{where}/{key}")
    elif isinstance(want, str):
        assert got == want, where
    elif isinstance(want, list) and want and isinstance(want[0], (str, dict)):
        assert len(got) == len(want), where
        for i, value in enumerate(got):
            compare(value, want[i], f"{where}[{i}]")
    elif isinstance(got, list):
        for i, value in enumerate(got):
            compare(value, want[i], f"{where}[{i}]")
    else:
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6, err_msg=where)


@pytest.fixture(scope="module")
def results():
    return {}


def result_of(results, program):
    if program not in results:
        results[program] = PROGRAMS[program](tf)
    return results[program]


CASES = [
    *(("optimizers", name) for name in OPTIMIZERS),
    *(("schedules", name) for name in SCHEDULES),
    *(("metrics", name) for name in METRICS),
    *(("clipping", name) for name in RECORDED["clipping"]),
    *(("losses", name) for name in RECORDED["losses"]),
    *(("averages", name) for name in RECORDED["averages"]),
]


@pytest.mark.parametrize("program,name", CASES, ids=lambda x: x)
def test_same_as_recorded(results, program, name):
    compare(result_of(results, program)[name], RECORDED[program][name], f"{program}/{name}")
