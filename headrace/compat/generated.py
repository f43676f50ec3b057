"""Operations by the names that generated modules give them: `math_ops` calls `gen_math_ops.mat_mul`."""

from __future__ import annotations

import functools
from typing import Any

from headrace import _core
from headrace.framework import raw


@functools.cache
def _operations() -> dict[str, str]:
    return {name.lower(): name for name in _core.op_names()}


def __getattr__(name: str) -> Any:
    operation = _operations().get(name.replace("_", "").lower())
    if operation is None or name.startswith("_"):
        raise AttributeError(f"there is no operation {name!r}")
    return getattr(raw, operation)
