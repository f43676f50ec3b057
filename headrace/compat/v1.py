"""All public names of TensorFlow 1.15 that there are: `import headrace.compat.v1 as tf`."""

import types
from typing import Any

import headrace

# Of the interface, not of Headrace: programs compare them.
VERSION = __version__ = "1.15.0"
GIT_VERSION = COMPILER_VERSION = "unknown"
version = types.SimpleNamespace(VERSION=VERSION, GIT_VERSION=GIT_VERSION, COMPILER_VERSION=COMPILER_VERSION)

__all__ = [name for name in dir(headrace) if not name.startswith("_")]
__all__ += ["COMPILER_VERSION", "GIT_VERSION", "VERSION", "version"]


def __getattr__(name: str) -> Any:
    return getattr(headrace, name)


def __dir__() -> list[str]:
    return __all__
