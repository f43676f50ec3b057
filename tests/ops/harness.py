"""One record for each operation drives all its tests.

A record says on which inputs to call the operation and what NumPy makes of them. From that come tests of

- values, against the reference, in each dtype;
- dtypes and static shapes of the outputs: full for full inputs, and never wrong, whatever of the inputs'
  shapes and values is unknown when the node is made;
- bad inputs: the error's class, and that it names operation, node and the user's line, when the node is made
  and when only the step can know;
- gradients against finite differences, in float64, to second order;
- that the operation takes empty tensors, that one call makes one node, and that other devices take it.

A family's tests are a list of records and `run_records(globals(), RECORDS)`.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from headrace import _core
from headrace.framework import errors, raw
from headrace.framework.constant import array_constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import as_dtype
from headrace.framework.graph import Graph, Tensor
from headrace.framework.session import Session
from headrace.testing import verify_grad

# How near to the reference a value has to be, absolutely and relatively. Integers have to be equal.
TOLERANCE = {
    "float64": 1e-10,
    "float32": 1e-5,
    "float16": 2e-3,
    "bfloat16": 1e-2,
    "complex64": 1e-5,
    "complex128": 1e-10,
}

# Of the type that plans and places, and computes nothing.
NULL_DEVICE = "/device:NULL:0"


class Var:
    """Stands for an input that is a variable: the operation gets a handle to one that holds `value`."""

    def __init__(self, value: Any):
        self.value = value


@dataclasses.dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
      inputs: one entry for each input of the definition, in its order: an array or what NumPy makes one of, a
        list or tuple of arrays for an input that is a list (write scalars' lists as `np.array([...])`
        otherwise), a `Var` for a variable. Inputs of the record's main type are cast to the dtype under test,
        others are taken as they are (Python ints as int32, floats as float32).
      attrs: attributes that differ from their defaults.
      dtypes: run the case for these of the record's dtypes only.
      gradient: whether finite differences make sense here (no kink, no pole, no tie near).
      name: shown in the test's name.
    """

    inputs: tuple[Any, ...] = ()
    attrs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dtypes: tuple[str, ...] | None = None
    gradient: bool = True
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Bad:
    """A call that must fail.

    Attributes:
      inputs: as in a `Case`; an array's dtype is taken as it is unless it is of the record's main type.
      attrs: attributes.
      error: the class of the exception.
      match: a regular expression that its message contains.
      when: "build" if making the node from constants must fail already, "run" if only a step can tell.
      cast: False keeps the dtypes of the inputs as given: for wrong dtypes.
    """

    inputs: tuple[Any, ...] = ()
    attrs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: type[BaseException] = errors.InvalidArgumentError
    match: str = ""
    when: str = "build"
    cast: bool = True


@dataclasses.dataclass(frozen=True)
class OpRecord:
    """What is to be tested of an operation.

    Attributes:
      op: its name.
      cases: calls that succeed; at least one with an empty tensor, unless `no_empty` says why not.
      reference: called with the inputs as NumPy arrays (16-bit floats widened to float64 after rounding) and
        the case's attributes; returns the outputs: an array or a list, and after them the new values of the
        `Var` inputs if it changes them. None if `check` is given.
      check: instead of a reference, called with (outputs, inputs, attrs), all NumPy: asserts what is true of
        the outputs (random operations).
      dtypes: of the main type attribute; () for an operation that has none.
      type_attr: the main type attribute; "" for "T", or the first there is.
      differentiable: positions of inputs whose gradients are compared with finite differences.
      second_order: False, with a reason beside it, if the gradient has none itself.
      bad: calls that must fail.
      tolerance: by dtype, instead of TOLERANCE.
      gradient_tolerance: of the comparison with finite differences.
      data_dependent: the output shapes depend on data, so that static shapes stay incomplete.
      constants: positions of inputs that have to be constants when the node is made.
      no_empty: why there is no case with an empty tensor.
      widen: False gives 16-bit floats to the reference as they are.
      graph: called in the test's graph before the node is made; returns inputs to use for those that are None
        in the case (handles of queues, tables, ...).
      build: called with the inputs as tensors and the case's attributes instead of the raw wrapper, where
        arrays cannot be inputs or outputs of the operation (lists of tensors, functions). It makes a node
        "node" of the operation, what leads to it and from it, and returns the tensors that the reference is
        about. The inputs are then its own, not those of the definition; floats are cast to the dtype under
        test.
    """

    op: str
    cases: Sequence[Case]
    reference: Callable[..., Any] | None = None
    dtypes: Sequence[str] = ("float32", "float64", "float16", "bfloat16")
    differentiable: Sequence[int] = ()
    bad: Sequence[Bad] = ()
    tolerance: Mapping[str, float] = dataclasses.field(default_factory=dict)
    gradient_tolerance: float = 1e-5
    second_order: bool = True
    type_attr: str = ""
    data_dependent: bool = False
    constants: Sequence[int] = ()
    no_empty: str = ""
    widen: bool = True
    check: Callable[[list[Any], list[Any], Mapping[str, Any]], None] | None = None
    graph: Callable[[], Sequence[Any]] | None = None
    build: Callable[..., Any] | None = None


def np_dtype(name: str) -> np.dtype:
    """The NumPy dtype of a dtype's name, bfloat16 included."""
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def _main_type_attr(record: OpRecord) -> str:
    if record.type_attr:
        return record.type_attr
    types = [a.name for a in _core.op_def(record.op).attrs if a.type == "type"]
    return "T" if "T" in types else (types[0] if types else "")


def _array(value: Any, dtype: np.dtype | None) -> np.ndarray:
    if dtype is not None:
        if np.iscomplexobj(value) and dtype.kind != "c":
            raise TypeError(f"a case with complex inputs cannot run in {dtype}: give it dtypes=")
        return np.asarray(value).astype(dtype)
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    array = np.asarray(value)
    if array.dtype.kind in "SU":
        return array.astype(object)
    return array.astype({"i": np.int32, "f": np.float32}.get(array.dtype.kind, array.dtype))


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fV"


def _cast(record: OpRecord, inputs: Sequence[Any], dtype: str | None) -> list[Any]:
    """The inputs as arrays (lists of arrays for list inputs, a Var for variables, None as it is)."""
    if record.build:
        to = np_dtype(dtype) if dtype else None
        return [_array(value, to if _is_float(value) else None) for value in inputs]
    args = _core.op_def(record.op).inputs
    if len(inputs) != len(args):
        raise ValueError(f"{record.op} has {len(args)} inputs, the case gives {len(inputs)}")
    main = _main_type_attr(record)
    cast: list[Any] = []
    for arg, value in zip(args, inputs):
        is_main = arg.type_attr == main != "" and not arg.is_type_list
        to = np_dtype(dtype) if dtype and is_main else None
        if to is None and not arg.type_attr and arg.dtype and as_dtype(arg.dtype).name in np.sctypeDict:
            to = np.dtype(as_dtype(arg.dtype).name)
        if value is None:
            cast.append(None)
        elif isinstance(value, Var):
            cast.append(Var(_array(value.value, np_dtype(dtype) if dtype else None)))
        elif arg.is_list:
            cast.append([_array(v, to) for v in value])
        else:
            cast.append(_array(value, to))
    return cast


def _flat(values: Iterable[Any]) -> list[Any]:
    return [v for value in values for v in (value if isinstance(value, list | tuple) else [value])]


def _like(structure: Sequence[Any], flat: Iterable[Any]) -> list[Any]:
    rest = iter(flat)
    return [[next(rest) for _ in s] if isinstance(s, list) else next(rest) for s in structure]


# What is known of an input when the node is made.
def _constant(array: np.ndarray) -> Tensor:
    return array_constant(array)


def _placeholder(array: np.ndarray) -> Tensor:
    return raw.Placeholder(dtype=as_dtype(array.dtype), shape=array.shape)


def _unknown_dims(array: np.ndarray) -> Tensor:
    return raw.Placeholder(dtype=as_dtype(array.dtype), shape=[None] * array.ndim)


def _unknown_first_dim(array: np.ndarray) -> Tensor:
    shape = [None, *array.shape[1:]] if array.ndim else []
    return raw.Placeholder(dtype=as_dtype(array.dtype), shape=shape)


def _unknown_rank(array: np.ndarray) -> Tensor:
    return raw.Placeholder(dtype=as_dtype(array.dtype), shape=None)


class Call:
    """A node built from a case in a graph of its own, and its run."""

    def __init__(
        self,
        record: OpRecord,
        inputs: Sequence[Any],
        attrs: Mapping[str, Any],
        dtype: str | None,
        known: Callable[[np.ndarray], Tensor] = _placeholder,
        known_others: Callable[[np.ndarray], Tensor] = _constant,
        cast: bool = True,
        device: str = "",
    ):
        """`known` makes the inputs of the main type, `known_others` those that are not `constants`."""
        self.record, self.dtype = record, dtype
        self.graph = Graph()
        self.inputs = _cast(record, inputs, dtype if cast else None)
        self.attrs = dict(attrs)
        self.feeds: dict[Tensor, np.ndarray] = {}
        self.before: list[Any] = []
        self.variables: list[Tensor] = []
        main = "" if record.build else _main_type_attr(record)
        definition = _core.op_def(record.op)
        if main and dtype and not any(arg.type_attr == main for arg in definition.inputs):
            self.attrs.setdefault(main, as_dtype(dtype))
        # All on one device: what uses a resource has to be where that is.
        with self.graph.as_default(), self.graph.device(device):
            made = iter(record.graph()) if record.graph else iter(())
            if record.build:
                self.variables = []
                made_of = [
                    self._input(value, known if _is_float(value) else known_others) for value in self.inputs
                ]
                result = record.build(*made_of, **self.attrs)
                self.outputs = list(result) if isinstance(result, list | tuple) else [result]
                self.node = self.graph.get_operation_by_name("node")
                self.nodes_made = 1
                self.reads: list[Tensor] = []
                return
            tensors: list[Any] = []
            for position, (arg, value) in enumerate(zip(definition.inputs, self.inputs)):
                make = known if arg.type_attr == main != "" else known_others
                if position in record.constants:
                    make = _constant
                if value is None:
                    tensors.append(next(made))
                elif isinstance(value, Var):
                    tensors.append(self._variable(value.value))
                elif isinstance(value, list):
                    tensors.append([self._input(v, make) for v in value])
                else:
                    tensors.append(self._input(value, make))
            self.tensors = tensors
            nodes = len(self.graph.get_operations())
            self.result = getattr(raw, record.op)(*tensors, name="node", **self.attrs)
            self.nodes_made = len(self.graph.get_operations()) - nodes
            self.node = self.graph.get_operation_by_name("node")
            self.outputs: list[Tensor] = list(self.node.outputs)
            with self.graph.control_dependencies([self.node]):
                self.reads = [
                    raw.ReadVariableOp(handle, dtype=as_dtype(value.value.dtype))
                    for handle, value in zip(self.variables, self._vars())
                ]

    def _vars(self) -> list[Var]:
        return [v for v in self.inputs if isinstance(v, Var)]

    def _input(self, array: np.ndarray, make: Callable[[np.ndarray], Tensor]) -> Tensor:
        tensor = make(array)
        if make is not _constant:
            self.feeds[tensor] = array
        return tensor

    def _variable(self, value: np.ndarray) -> Tensor:
        handle = raw.VarHandleOp(
            dtype=as_dtype(value.dtype), shape=value.shape, shared_name=f"v{len(self.variables)}"
        )
        self.before.append(raw.AssignVariableOp(handle, _constant(value)))
        self.variables.append(handle)
        return handle

    def run(self) -> list[Any]:
        """The values of the outputs, and then of the variables."""
        with Session(graph=self.graph) as session:
            for assign in self.before:
                session.run(assign)
            fetched = session.run([self.node, self.outputs, self.reads], self.feeds)
        return [*fetched[1], *fetched[2]]

    def expected(self) -> list[Any]:
        """What the reference makes of the same inputs."""
        assert self.record.reference is not None

        def widened(value: Any) -> Any:
            if isinstance(value, list):
                return [widened(v) for v in value]
            if isinstance(value, Var):
                value = value.value
            if self.record.widen and value is not None and value.dtype in (np.float16, ml_dtypes.bfloat16):
                return value.astype(np.float64)
            return value

        result = self.record.reference(*map(widened, self.inputs), **self.attrs)
        if result is None:
            result = []
        results = list(result) if isinstance(result, list | tuple) else [result]
        if len(results) == len(self.outputs):  # the variables stay as they were
            results += [widened(v) for v in self._vars()]
        return results


def check_values(call: Call, tolerance: float | None = None) -> None:
    """Runs the call and compares values, dtypes and shapes with the reference and with what was inferred."""
    actual = call.run()
    for tensor, value in zip(call.outputs, actual):
        static = tensor.shape
        if tensor.dtype.name in ("resource", "variant"):
            continue
        assert np.asarray(value).dtype == tensor.dtype.as_numpy_dtype or tensor.dtype.name == "string", (
            f"{tensor.name} is declared {tensor.dtype.name} and came out as {np.asarray(value).dtype}"
        )
        assert static.is_compatible_with(np.shape(value)), (
            f"{tensor.name} is inferred to be {static} and came out as {np.shape(value)}"
        )
    record = call.record
    if record.check is not None:
        record.check(actual, call.inputs, call.attrs)
        return
    if record.reference is None:
        return
    expected = call.expected()
    assert len(actual) == len(expected), (
        f"{record.op} has {len(actual)} outputs, its reference {len(expected)}"
    )
    for i, (got, want) in enumerate(zip(actual, expected)):
        compare(got, want, tolerance if tolerance is not None else _tolerance(record, got), f"output {i}")


def _tolerance(record: OpRecord, value: Any) -> float:
    name = np.asarray(value).dtype.name
    return record.tolerance.get(name, TOLERANCE.get(name, 0.0))


_KINDS = {"i": "integer", "u": "integer", "f": "float", "V": "float", "c": "complex", "b": "bool"}


def compare(got: Any, want: Any, tolerance: float, what: str = "value") -> None:
    """Asserts that an output has the shape, the kind of dtype and the elements of its reference."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what} has shape {got.shape}, the reference {want.shape}"
    if got.dtype.kind in "OSU":
        as_bytes = [v.encode() if isinstance(v, str) else v for v in want.ravel().tolist()]
        assert got.ravel().tolist() == as_bytes, f"{what} is {got}, the reference {want}"
        return
    kinds = _KINDS[got.dtype.kind], _KINDS[want.dtype.kind]
    assert kinds[0] == kinds[1], f"{what} is {got.dtype}, the reference {want.dtype}"
    if kinds[0] in ("float", "complex"):
        wide = np.complex128 if kinds[0] == "complex" else np.float64
        rounded = want.astype(got.dtype) if kinds[0] == "float" else want  # overflow to inf as the dtype does
        np.testing.assert_allclose(
            got.astype(wide), rounded.astype(wide), rtol=tolerance, atol=tolerance, err_msg=what
        )
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


def check_other_device(call: Call) -> None:
    """The node is placed on the device that was asked for, and the step runs."""
    config = types.SimpleNamespace(
        device_count={"NULL": 1}, disabled_passes=[name for name, _ in _core.passes()]
    )
    with Session(graph=call.graph, config=config) as session:
        for assign in call.before:
            session.run(assign)
        session.run(call.node, call.feeds)
        feeds = [part for tensor in call.feeds for part in (tensor._id, tensor._index)]
        plan = session._core.callable(feeds, [], [call.node._id]).describe(list(call.feeds.values()))
    segments = [text for text in plan.split("segment on ") if text.startswith(NULL_DEVICE)]
    found = any(f"{call.record.op} 'node'" in text for text in segments)
    assert found, f"the node is not on {NULL_DEVICE}:\n{plan}"


def check_static_shapes(record: OpRecord, case: Case, dtype: str | None) -> None:
    """Static shapes are full where the inputs' are, and never wrong where they are not."""

    def call(known: Any, known_others: Any) -> Call:
        return Call(record, case.inputs, case.attrs, dtype, known, known_others)

    full = call(_placeholder, _constant)
    if not record.data_dependent:
        for tensor in full.outputs:
            assert tensor.shape.is_fully_defined() or tensor.dtype.name in ("resource", "variant"), (
                f"{tensor.name} is inferred to be {tensor.shape} though all inputs are known"
            )
    check_values(call(_constant, _constant))
    seen = {full}
    for known, known_others in [
        (_unknown_first_dim, _constant),
        (_unknown_dims, _constant),
        (_unknown_rank, _constant),
        (_placeholder, _placeholder),
        (_unknown_rank, _unknown_rank),
    ]:
        partial = call(known, known_others)
        seen.add(partial)
        check_values(partial)


def check_bad(record: OpRecord, bad: Bad, dtype: str | None) -> None:
    """The call fails as it should: from constants, and from placeholders of which nothing is known."""

    def attempt(known: Any) -> tuple[BaseException, bool]:
        built = False
        try:
            call = Call(record, bad.inputs, bad.attrs, dtype, known, known, cast=bad.cast)
            built = True
            call.run()
        except BaseException as error:
            return error, built
        pytest.fail(f"{record.op} accepted bad inputs")

    for known in (_constant, _unknown_rank):
        error, built = attempt(known)
        if not isinstance(error, bad.error):
            raise AssertionError(
                f"{record.op} raised {type(error).__name__}, expected {bad.error.__name__}: {error}"
            ) from error
        if known is _constant:
            assert built == (bad.when == "run"), (
                f"{record.op} failed at {'run' if built else 'build'}, expected at {bad.when}: {error}"
            )
        check_message(error, record.op, bad.match)


def check_message(error: BaseException, op: str, match: str) -> None:
    """An error's message names operation, node and the user's line, and says what the record expects."""
    text = str(error)
    assert re.search(match, text), f"the message does not match {match!r}: {text}"
    assert op in text and "node" in text, f"the message does not name operation and node: {text}"
    assert re.search(r"\w+\.py:\d+", text), f"the message does not name the user's line: {text}"


def check_gradient(record: OpRecord, case: Case) -> None:
    """The gradients of the differentiable inputs agree with finite differences."""
    inputs = _cast(record, case.inputs, "float64")
    positions = list(record.differentiable)
    chosen = [inputs[p] for p in positions]

    def call(*tensors: Tensor) -> list[Tensor]:
        arguments = list(inputs)
        for p, tensor in zip(positions, _like(chosen, tensors)):
            arguments[p] = tensor
        attrs = dict(case.attrs)
        if record.build:
            made = record.build(*map(convert_to_tensor, arguments), **attrs)
            return [o for o in _flat([made]) if o.dtype.is_floating]
        getattr(raw, record.op)(*arguments, name="node", **attrs)
        outputs = tensors[0].graph.get_operation_by_name("node").outputs
        return [o for o in outputs if o.dtype.is_floating or o.dtype.is_complex]

    verify_grad(
        call,
        _flat(chosen),
        order=2 if record.second_order else 1,
        rtol=record.gradient_tolerance,
        atol=record.gradient_tolerance,
    )


def _dtypes(record: OpRecord) -> list[str | None]:
    return list(record.dtypes) or [None]


def _name(position: int, case: Case) -> str:
    return case.name or str(position)


def has_empty_case(record: OpRecord) -> bool:
    """Whether one of the cases passes an empty tensor, or none could."""
    arrays = [
        np.asarray(v.value if isinstance(v, Var) else v, dtype=object if v is None else None)
        for case in record.cases
        for v in _flat(case.inputs)
    ]
    return not arrays or any(a.size == 0 for a in arrays)


def run_records(module: dict[str, Any], records: Sequence[OpRecord]) -> None:
    """Adds the tests of the records to a test module: `run_records(globals(), RECORDS)`."""
    values, shapes, bads, gradients = [], [], [], []
    for record in records:
        for i, case in enumerate(record.cases):
            wanted = [d for d in _dtypes(record) if case.dtypes is None or d in case.dtypes]
            values += [
                pytest.param(record, case, d, id="-".join(filter(None, (record.op, _name(i, case), d))))
                for d in wanted
            ]
            shapes += [pytest.param(record, case, d, id=f"{record.op}-{_name(i, case)}") for d in wanted[:1]]
            if record.differentiable and case.gradient:
                gradients.append(pytest.param(record, case, id=f"{record.op}-{_name(i, case)}"))
        bads += [
            pytest.param(record, bad, _dtypes(record)[0], id=f"{record.op}-{i}")
            for i, bad in enumerate(record.bad)
        ]
    every = [pytest.param(record, id=record.op) for record in records]

    @pytest.mark.parametrize("record,case,dtype", values)
    def test_values(record: OpRecord, case: Case, dtype: str | None) -> None:
        call = Call(record, case.inputs, case.attrs, dtype)
        assert call.nodes_made == 1, f"one call made {call.nodes_made} nodes"
        check_values(call)

    @pytest.mark.parametrize("record,case,dtype", shapes)
    def test_static_shapes(record: OpRecord, case: Case, dtype: str | None) -> None:
        check_static_shapes(record, case, dtype)

    @pytest.mark.parametrize("record,bad,dtype", bads)
    def test_bad_inputs(record: OpRecord, bad: Bad, dtype: str | None) -> None:
        check_bad(record, bad, dtype)

    @pytest.mark.parametrize("record,case", gradients)
    def test_gradients(record: OpRecord, case: Case) -> None:
        check_gradient(record, case)

    @pytest.mark.parametrize("record", [param for param in every if param.values[0].cases])
    def test_other_device(record: OpRecord) -> None:
        case = record.cases[0]
        check_other_device(Call(record, case.inputs, case.attrs, _dtypes(record)[0], device=NULL_DEVICE))

    @pytest.mark.parametrize("record", every)
    def test_takes_empty(record: OpRecord) -> None:
        assert record.no_empty or has_empty_case(record), (
            f"no case of {record.op} passes an empty tensor; add one, or say why not in no_empty="
        )

    module |= {
        name: test
        for name, test in (
            ("test_values", test_values),
            ("test_static_shapes", test_static_shapes),
            ("test_bad_inputs", test_bad_inputs),
            ("test_gradients", test_gradients),
            ("test_other_device", test_other_device),
            ("test_takes_empty", test_takes_empty),
        )
        if name not in module
    }
