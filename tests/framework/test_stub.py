import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_the_stub_of_the_core_is_up_to_date():
    pytest.importorskip("nanobind")
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "tools" / "stubs.py")
    stubs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stubs)
    text = stubs.STUB.read_text()
    if not text.startswith(stubs.HEAD):
        pytest.skip("another version of nanobind writes another text")
    assert text == stubs.generate(), "run `make stubs`"
