"""Writes headrace/_core.pyi, the types of the C++ core, out of the built extension (`make stubs`)."""

from pathlib import Path

import nanobind
from nanobind.stubgen import StubGen

from headrace import _core

STUB = Path(__file__).parent.parent / "headrace" / "_core.pyi"
HEAD = f"""\
# Made by tools/stubs.py out of the built extension; `make stubs` makes it anew.
# nanobind {nanobind.__version__}
"""


def generate() -> str:
    """The text of the stub."""
    stub = StubGen(_core, quiet=True)
    stub.put(_core)
    return HEAD + stub.get()


if __name__ == "__main__":
    STUB.write_text(generate())
