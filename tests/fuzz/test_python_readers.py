"""A short run of the fuzz targets that are written in Python."""

import logging
import random

import pytest

from tests.fuzz import python_readers


@pytest.mark.parametrize("target", python_readers.TARGETS)
def test_damaged_files(target, tmp_path):
    logging.disable()
    try:
        found = python_readers.fuzz(target, tmp_path, random.Random(1))
        errors = [next(found) for _ in range(60)]
    finally:
        logging.disable(logging.NOTSET)
    # Damage is told mostly; it may also be in what nobody looks at.
    assert sum(error is not None for error in errors) >= 20
