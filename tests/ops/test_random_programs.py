"""See random_programs.py, which can also run without an end."""

import pytest

from tests.ops.random_programs import check

CHUNK = 24


@pytest.mark.parametrize("chunk", range(25))
def test_random_programs(chunk):
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        check(seed)
