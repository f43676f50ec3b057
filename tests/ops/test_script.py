"""Calls of Python functions; tests/framework/test_py_func.py has more."""

import numpy as np

from headrace.framework import errors
from headrace.framework.graph import Graph
from headrace.framework.py_func import _Held, _register
from tests.ops.harness import Bad, Case, OpRecord, run_records

X = np.array([[1.0, -2.0, 3.5], [0.5, 4.0, 1.0]], np.float32)


def statistics(x, n):
    return [np.float32(x.sum() * n), x.T]


HELD = _Held(statistics, is_list=True)
FAILING = _Held(lambda: 1 / 0, is_list=True)
with Graph().as_default():
    ATTRS = {"token": _register(HELD), "Tout": ["float32", "float32"]}
    BROKEN = {"token": _register(FAILING), "Tout": ["float32"]}

RECORDS = [
    OpRecord(
        op,
        cases=[Case(([X, np.array(3)],), ATTRS), Case(([X[:0], np.array(3)],), ATTRS)],
        reference=lambda inputs, token, Tout: statistics(*inputs),
        dtypes=(),
        data_dependent=True,
        bad=[
            Bad(
                ([],),
                {**ATTRS, "token": "gone"},
                error=errors.OpError,
                match="not of this process",
                when="run",
            ),
            Bad(([],), BROKEN, error=errors.OpError, match="division by zero", when="run"),
        ],
    )
    for op in ("PyFunc", "PyFuncStateless")
]

run_records(globals(), RECORDS)
