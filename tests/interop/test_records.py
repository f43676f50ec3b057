"""Every case of every operation's record, exported and run by TensorFlow: values, dtypes, static shapes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.framework import raw
from headrace.framework.dtypes import as_dtype
from tests.interop.conftest import Peer, to_array, to_bytes
from tests.ops import harness
from tests.ops.harness import Call, Case, OpRecord

# Where TensorFlow's own answer is no measure: by operation, of outputs besides the first...
_FIRST_ONLY = {
    "FusedBatchNorm": "unspecified in inference, and without elements",
    "FusedBatchNormV2": "as above",
    "FusedBatchNormV3": "as above",
}
# ... and by the beginning of a case's name.
_WRONG = {
    "Round-0-int32": "zero, in some versions",
    "Round-1-int32": "zero, in some versions",
    "ParameterizedTruncatedNormal": "other random numbers",
    "Erf-special-float64": "NaN for large arguments",
    "ArgMax-nan": "the place depends on the vector length",
    "ArgMin-nan": "the place depends on the vector length",
    "Igamma-3": "zero at the pole",
    "TensorListElementShape": "only what was declared, not what the elements tell",
    "TensorListReserve": "static shapes look behind the handle",
    "Conv3D-dilated": "static shapes take dilations in another order",
    # <dy, conv(x)> = <backprop(dy), x> holds here and not there.
    "DepthwiseConv2dNativeBackpropInput-dilated": "ignores the dilations that the forward operation obeys",
    "DepthwiseConv2dNativeBackpropFilter-dilated": "as above",
    "DepthwiseConv2dNativeBackpropFilter-no_batch": "memory as it was found: another value in each run",
    "SparseSegmentMeanGrad-1": "memory as it was found, in some runs",
    "SparseSegmentSqrtNGrad-1": "as above",
    "TensorArrayCloseV3": "does not tell the size of what is closed",
    "LookupTableExportV2": "the order of a hash table is its own",
    "PriorityQueueV2": "refuses to find again the queue that it has made",
    "PyFunc": "the function is in our process",
    "ReadFile": "files of constant names are read before the step, which writes them here",
    "WriteFile": "as above",
    "DecodeJSONExample-0": "numbers one by one, not packed",
    "ParseSequenceExample-1": "refuses an empty batch",
}
# Where static shapes look behind the handle.
_BEHIND_HANDLES = ("TensorArrayGradV3", "TensorArrayGradWithShape")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Some records write files."""
    monkeypatch.chdir(tmp_path)


def _no_measure(id: str) -> bool:
    return any(id.startswith(case) for case in _WRONG)


# Families whose outputs have shapes of their own.
_SHAPED = ("array", "slicing", "space", "matmul", "conv", "pool", "reduce")


def _records_of(family: str) -> list[OpRecord]:
    return list(getattr(importlib.import_module(f"tests.ops.test_{family}"), "RECORDS", ()))


def _records() -> list[OpRecord]:
    files = sorted((Path(__file__).parent.parent / "ops").glob("test_*.py"))
    return [record for file in files for record in _records_of(file.stem.removeprefix("test_"))]


def _cases() -> list[Any]:
    cases = []
    for record in _records():
        for i, case in enumerate(record.cases):
            for dtype in record.dtypes or [None]:
                id = "-".join(filter(None, (record.op, case.name or str(i), dtype)))
                if (case.dtypes is None or dtype in case.dtypes) and not _no_measure(id):
                    cases.append(pytest.param(record, case, dtype, id=id))
    return cases


def _ask(peer: Peer, call: Call, run: bool) -> dict[str, Any]:
    return peer.ask(
        graph_def=call.graph.as_graph_def().SerializeToString(),
        feeds={tensor.name: to_bytes(array) for tensor, array in call.feeds.items()},
        fetches=[t.name for t in [*call.outputs, *call.reads] if _has_value(t)],
        targets=[call.node.name],
        before=[op.name for op in call.before],
        run=run,
    )


def _has_value(tensor: Any) -> bool:
    return tensor.dtype.name not in ("resource", "variant")


@pytest.mark.parametrize("record,case,dtype", _cases())
def test_values_are_tensorflows(peer: Peer, record: OpRecord, case: Case, dtype: str | None) -> None:
    call = Call(record, case.inputs, case.attrs, dtype)
    reply = _ask(peer, call, run=True)
    ours = [value for value, t in zip(call.run(), [*call.outputs, *call.reads]) if _has_value(t)]
    random = record.check is not None and not case.attrs.get("seed")
    compared = 1 if record.op in _FIRST_ONLY else len(ours)
    for i, (mine, data) in enumerate(zip(ours, reply["values"], strict=True)):
        theirs = to_array(data)
        mine = np.asarray(mine, object if isinstance(mine, bytes) else None)
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        if i < compared and not random:
            harness.compare(mine, theirs, 2 * harness._tolerance(record, mine), f"output {i}")


_SHAPED_OPS = {record.op for family in _SHAPED for record in _records_of(family)}
# One dtype of each case: static shapes do not depend on it.
_ONE_EACH = [
    pytest.param(*c.values, id=c.id)
    for c in {(c.values[0].op, id(c.values[1])): c for c in _cases()}.values()
    if c.values[0].op not in _BEHIND_HANDLES
]


def _compare_shapes(peer: Peer, call: Call) -> None:
    """We know at least as much as TensorFlow does, and nothing that contradicts it."""
    shapes = _ask(peer, call, run=False)["shapes"]
    tensors = [t for t in [*call.outputs, *call.reads] if _has_value(t)]
    for tensor, theirs in zip(tensors, shapes, strict=True):
        ours = tensor.shape
        assert ours.is_compatible_with(theirs), f"{tensor.name} is {ours} here, {theirs} there"
        if theirs is not None:
            assert ours.rank is not None and all(
                mine is not None or size is None for mine, size in zip(ours.as_list(), theirs)
            ), f"{tensor.name} is {ours} here, {theirs} there"


@pytest.mark.parametrize("record,case,dtype", _ONE_EACH)
@pytest.mark.parametrize("known", [harness._placeholder, harness._unknown_first_dim, harness._unknown_rank])
def test_static_shapes_are_tensorflows(
    peer: Peer, record: OpRecord, case: Case, dtype: str | None, known: Any
) -> None:
    _compare_shapes(peer, Call(record, case.inputs, case.attrs, dtype, known))


class _OneUnknown:
    """Makes placeholders of which one does not know one of its dimensions."""

    def __init__(self, input: int, axis: int):
        self.input, self.axis = input, axis
        self.shapes: list[tuple[int, ...]] = []  # of what was made

    def __call__(self, array: np.ndarray) -> Any:
        shape: list[int | None] = list(array.shape)
        if len(self.shapes) == self.input:
            shape[self.axis] = None
        self.shapes.append(array.shape)
        return raw.Placeholder(dtype=as_dtype(array.dtype), shape=shape)


@pytest.mark.parametrize(
    "record,case,dtype",
    [c for c in _ONE_EACH if c.values[0].op in _SHAPED_OPS],
)
def test_static_shapes_with_each_dimension_unknown_in_turn(
    peer: Peer, record: OpRecord, case: Case, dtype: str | None
) -> None:
    counting = _OneUnknown(-1, 0)
    Call(record, case.inputs, case.attrs, dtype, counting)
    for i, shape in enumerate(counting.shapes):
        for axis in range(len(shape)):
            _compare_shapes(peer, Call(record, case.inputs, case.attrs, dtype, _OneUnknown(i, axis)))
