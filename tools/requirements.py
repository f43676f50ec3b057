"""Prints what pyproject.toml says is needed, for pip: `build`, the run-time needs, and any extras named."""

import pathlib
import re
import sys

text = (pathlib.Path(__file__).parent.parent / "pyproject.toml").read_text()


def listed(key: str) -> list[str]:
    """The strings of the array that `key` is set to. (tomllib comes with Python 3.11 only.)"""
    found = re.search(rf"^{key} = \[(.*?)\]$", text, re.DOTALL | re.MULTILINE)
    if not found:
        sys.exit(f"requirements.py: pyproject.toml has no list {key!r}")
    return re.findall(r'"([^"]+)"', found[1])


needs = listed("dependencies")
for name in sys.argv[1:]:
    needs += [*listed("requires"), "cmake>=3.22", "ninja>=1.10"] if name == "build" else listed(name)
print(" ".join(dict.fromkeys(needs)))
