"""Every operation has a kernel, a word about its gradient, and a record in its family's tests."""

import importlib
import pathlib

import headrace  # noqa: F401, registers everything
from headrace import _core
from headrace.gradients import registry

HERE = pathlib.Path(__file__).parent


def op_names() -> list[str]:
    return [name for name in _core.op_names() if "argument" not in _core.op_def(name).traits]


def test_every_op_has_a_kernel():
    missing = sorted(set(op_names()) - set(_core.ops_with_kernels()))
    assert not missing, f"no kernel computes {missing}; write one in core/kernels/ or headrace/kernels/"


def test_every_kernel_has_an_op():
    unknown = sorted(set(_core.ops_with_kernels()) - set(_core.op_names()))
    assert not unknown, f"kernels of operations that do not exist: {unknown}"


def test_every_op_has_a_gradient():
    missing = [
        name
        for name in op_names()
        if not registry.has_row(name) and "no_gradient" not in _core.op_def(name).traits
    ]
    assert not missing, (
        f"nothing says how {missing} are differentiated; write rows in headrace/gradients/<family>.py"
    )


def test_every_gradient_has_an_op():
    unknown = [
        name
        for name in registry.registered()
        if getattr(registry.lookup(name), "__module__", "").startswith("headrace.gradients")
        and not _core.has_op(name)
    ]
    assert not unknown, f"gradients of operations that do not exist: {unknown}"


def test_every_op_has_a_record():
    recorded = set()
    for path in HERE.glob("test_*.py"):
        module = importlib.import_module(f"tests.ops.{path.stem}")
        recorded |= {record.op for record in getattr(module, "RECORDS", [])}
    # Names with "_" at the front are the plans' own; tests of plans and devices cover them.
    missing = [name for name in op_names() if not name.startswith("_") and name not in recorded]
    assert not missing, f"no record tests {missing}; add one in tests/ops/test_<family>.py"


def test_every_op_is_documented():
    missing = [name for name in _core.op_names() if not _core.op_def(name).doc.strip()]
    assert not missing, f"no doc says what {missing} compute"
