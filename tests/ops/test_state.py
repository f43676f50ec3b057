"""Operations on variables: values, snapshots, updates by many threads at once."""

import threading

import numpy as np
import pytest

from headrace.framework import dtypes, errors, raw
from headrace.framework.constant import constant
from headrace.framework.graph import Graph, control_dependencies
from headrace.framework.placeholder import placeholder
from headrace.framework.session import Session
from tests.ops.harness import Bad, Case, OpRecord, Var, run_records

RNG = np.random.RandomState(3)
FLOATS = ("float32", "float64", "float16", "bfloat16")
NUMBERS = (*FLOATS, "int32", "int64", "uint8", "complex64")
MATRIX = RNG.uniform(1, 4, (4, 3)).round(2)
WHOLE = np.arange(2, 14).reshape(4, 3)


def by_rows(change):
    """The reference of a scatter: change(row, update) for one index after the other."""

    def reference(value, indices, updates, **attrs):
        value = value.copy()
        updates = np.broadcast_to(updates, indices.shape + value.shape[1:])
        for at, index in np.ndenumerate(indices):
            value[index] = change(value[index], updates[at])
        return (value,)

    return reference


def by_slices(change):
    def reference(value, indices, updates, **attrs):
        value = value.copy()
        for at in np.ndindex(indices.shape[:-1]):
            index = tuple(indices[at])
            value[index] = change(value[index], updates[at])
        return (value,)

    return reference


def scatter(op, change, dtypes=NUMBERS):
    rows = np.array([2, 0, 2])
    cases = [
        Case(inputs=(Var(WHOLE), rows, WHOLE[:3] + 1)),
        Case(inputs=(Var(WHOLE), rows.astype(np.int64).reshape(1, 3), WHOLE[None, :3] % 3 + 1)),
        Case(inputs=(Var(WHOLE), rows, 2)),
        Case(inputs=(Var(WHOLE), np.zeros([0], np.int32), np.zeros([0, 3]))),
    ]
    bad = [
        Bad(inputs=(Var(MATRIX), np.array([4]), MATRIX[:1]), match="indices.*4", when="run"),
        Bad(inputs=(Var(MATRIX), np.array([-1]), MATRIX[:1]), match="-1", when="run"),
        Bad(inputs=(Var(MATRIX), np.array([1]), MATRIX[:1, :2]), match="updates"),
    ]
    # Sums of 16-bit floats round after each row.
    tolerance = {"bfloat16": 3e-2, "float16": 4e-3}
    return OpRecord(op, cases, by_rows(change), dtypes=dtypes, bad=bad, tolerance=tolerance)


def scatter_nd(op, change):
    cases = [
        Case(inputs=(Var(WHOLE), np.array([[2, 1], [0, 0], [2, 1]]), np.array([1, 2, 3]))),
        Case(inputs=(Var(WHOLE), np.array([[2], [0]]), WHOLE[:2])),
        Case(inputs=(Var(WHOLE), np.zeros([0, 2], np.int64), np.zeros([0]))),
    ]
    bad = [
        Bad(inputs=(Var(MATRIX), np.array([[1, 3]]), np.array([1.0])), match="3", when="run"),
        Bad(inputs=(Var(MATRIX), np.array([[1, 1, 1]]), np.array([1.0])), match="indices"),
    ]
    return OpRecord(op, cases, by_slices(change), dtypes=NUMBERS, bad=bad, tolerance={"bfloat16": 3e-2})


def sliced(value, begin, end, strides, update, **attrs):
    value = value.copy()
    value[1:4:2, :2] = update
    return (value,)


def unused_handle():
    return [raw.VarHandleOp(dtype=dtypes.float32, shape=[2], shared_name="unused")]


def integer_handle():
    return [raw.VarHandleOp(dtype=dtypes.int32, shape=[], shared_name="counter")]


RECORDS = [
    OpRecord(
        "VarHandleOp",
        cases=[Case(attrs={"shape": [2, 3], "shared_name": "w"})],
        dtypes=("float32", "int64"),
        no_empty="a handle is a scalar",
    ),
    OpRecord(
        "ReadVariableOp",
        cases=[Case(inputs=(Var(MATRIX),)), Case(inputs=(Var(np.zeros([0, 3])),)), Case(inputs=(Var(2.5),))],
        reference=lambda value, dtype: value,
        dtypes=FLOATS,
    ),
    OpRecord(
        "AssignVariableOp",
        cases=[
            Case(inputs=(Var(MATRIX), MATRIX + 1)),
            Case(inputs=(Var(np.zeros([0])), np.zeros([0]))),
        ],
        reference=lambda value, new: (new,),
        bad=[Bad(inputs=(Var(MATRIX), MATRIX[:2]), match="reshape the value")],
    ),
    OpRecord(
        "AssignAddVariableOp",
        cases=[Case(inputs=(Var(WHOLE), WHOLE % 5)), Case(inputs=(Var(np.zeros([0])), np.zeros([0])))],
        reference=lambda value, delta: (value + delta,),
        dtypes=NUMBERS,
        bad=[Bad(inputs=(Var(MATRIX), MATRIX[:2]), match="shape")],
    ),
    OpRecord(
        "AssignSubVariableOp",
        cases=[Case(inputs=(Var(WHOLE), WHOLE % 5)), Case(inputs=(Var(np.zeros([0])), np.zeros([0])))],
        reference=lambda value, delta: (value - delta,),
        dtypes=NUMBERS,
    ),
    OpRecord(
        "VarIsInitializedOp",
        cases=[Case(inputs=(Var(MATRIX),))],
        reference=lambda value: np.array(True),
        dtypes=(),
        no_empty="its output is a scalar",
    ),
    OpRecord(
        "DisableCopyOnRead",
        cases=[Case(inputs=(Var(MATRIX),)), Case(inputs=(Var(np.zeros([0])),))],
        reference=lambda value: (value,),
        dtypes=NUMBERS,
    ),
    OpRecord(
        "VariableShape",
        cases=[
            Case(inputs=(Var(MATRIX),)),
            Case(inputs=(Var(MATRIX),), attrs={"out_type": dtypes.int64}),
            Case(inputs=(Var(np.zeros([0, 2])),)),
        ],
        reference=lambda value, out_type=dtypes.int32: np.array(value.shape, out_type.as_numpy_dtype),
        dtypes=(),
    ),
    OpRecord(
        "DestroyResourceOp",
        cases=[Case(inputs=(None,))],
        reference=lambda handle: [],
        graph=unused_handle,
        dtypes=(),
        no_empty="it has no tensors",
    ),
    OpRecord(
        "ResourceGather",
        cases=[
            Case(inputs=(Var(MATRIX), np.array([2, 0, 2]))),
            Case(inputs=(Var(MATRIX), np.array([[1], [3]], np.int64))),
            Case(inputs=(Var(MATRIX), np.array([[2, 0], [1, 1], [0, 0], [2, 1]])), attrs={"batch_dims": 1}),
            Case(inputs=(Var(MATRIX), np.zeros([0], np.int32))),
        ],
        reference=lambda value, indices, batch_dims=0, **_: (
            np.take_along_axis(value, indices, 1) if batch_dims else value[indices]
        ),
        dtypes=FLOATS,
        type_attr="dtype",
        bad=[
            Bad(inputs=(Var(MATRIX), np.array([4])), match=r"indices\[0\] is 4", when="run"),
            Bad(inputs=(Var(2.0), np.array([0])), match="rank"),
        ],
    ),
    OpRecord(
        "ResourceGatherNd",
        cases=[
            Case(inputs=(Var(MATRIX), np.array([[2, 1], [0, 0]]))),
            Case(inputs=(Var(MATRIX), np.array([[2], [3], [2]], np.int64))),
            Case(inputs=(Var(MATRIX), np.zeros([0, 1], np.int32))),
        ],
        reference=lambda value, indices, **_: value[tuple(np.moveaxis(indices, -1, 0))],
        dtypes=FLOATS,
        type_attr="dtype",
        bad=[
            Bad(inputs=(Var(MATRIX), np.array([[1, 3]])), match="axis 1", when="run"),
            Bad(inputs=(Var(MATRIX), np.array([[1, 1, 1]])), match="indices"),
        ],
    ),
    scatter("ResourceScatterUpdate", lambda row, update: update, dtypes=(*NUMBERS, "bool")),
    scatter("ResourceScatterAdd", lambda row, update: row + update),
    scatter("ResourceScatterSub", lambda row, update: row - update),
    scatter("ResourceScatterMul", lambda row, update: row * update),
    scatter(
        "ResourceScatterDiv",
        lambda row, update: row // update if row.dtype.kind in "iu" else row / update,
    ),
    scatter("ResourceScatterMin", np.minimum, dtypes=NUMBERS[:-1]),
    scatter("ResourceScatterMax", np.maximum, dtypes=NUMBERS[:-1]),
    scatter_nd("ResourceScatterNdUpdate", lambda row, update: update),
    scatter_nd("ResourceScatterNdAdd", lambda row, update: row + update),
    scatter_nd("ResourceScatterNdSub", lambda row, update: row - update),
    OpRecord(
        "ResourceStridedSliceAssign",
        cases=[
            Case(
                inputs=(Var(MATRIX), np.array([1, 0]), np.array([4, 2]), np.array([2, 1]), update),
            )
            for update in (MATRIX[:2, :2] + 1, 7.0)
        ],
        reference=sliced,
        bad=[
            Bad(
                inputs=(Var(MATRIX), np.array([1]), np.array([3]), np.array([1]), MATRIX[:3]),
                match="value has shape",
                when="run",
            )
        ],
        no_empty="the case's slice is fixed",
    ),
    OpRecord(
        "ResourceCountUpTo",
        cases=[Case(inputs=(Var(3),), attrs={"limit": 4})],
        reference=lambda value, limit, **_: (value, value + 1),
        dtypes=("int32", "int64"),
        bad=[
            Bad(inputs=(Var(4),), attrs={"limit": 4}, error=errors.OutOfRangeError, match="limit", when="run")
        ],
        no_empty="only scalars count",
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture
def graph():
    with Graph().as_default() as graph:
        yield graph


def variable(value, name="w", shape=None):
    """A handle and the operation that initialises it."""
    value = np.asarray(value)
    handle = raw.VarHandleOp(
        dtype=dtypes.as_dtype(value.dtype), shape=value.shape if shape is None else shape, shared_name=name
    )
    return handle, raw.AssignVariableOp(handle, constant(value))


def test_uninitialized_read_says_what_to_do(graph):
    handle, _ = variable(np.zeros(2, np.float32), "weights")
    read = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    with (
        Session() as session,
        pytest.raises(errors.FailedPreconditionError, match=r"'weights'.*run its initializer"),
    ):
        session.run(read)


def test_destroyed_variable_has_no_value(graph):
    handle, init = variable(np.zeros(2, np.float32))
    destroy = raw.DestroyResourceOp(handle)
    known = raw.VarIsInitializedOp(handle)
    with Session() as session:
        assert not session.run(known)
        session.run(init)
        assert session.run(known)
        session.run(destroy)
        assert not session.run(known)
        with pytest.raises(errors.NotFoundError):
            session.run(raw.DestroyResourceOp(handle, ignore_lookup_error=False))


def test_state_belongs_to_the_session(graph):
    handle, init = variable(np.zeros(2, np.float32))
    read = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    add = raw.AssignAddVariableOp(handle, constant([1.0, 2.0]))
    with Session() as first, Session() as second:
        first.run(init)
        second.run(init)
        first.run(add)
        assert first.run(read).tolist() == [1, 2]
        assert second.run(read).tolist() == [0, 0]


def test_a_read_is_a_snapshot(graph):
    handle, init = variable(np.zeros(3, np.float32))
    before = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    with control_dependencies([before.op]):
        add = raw.AssignAddVariableOp(handle, constant([1.0, 1.0, 1.0]))
    with control_dependencies([add]):
        after = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    with Session() as session:
        session.run(init)
        old, new = session.run([before, after])
        assert old.tolist() == [0, 0, 0]
        assert new.tolist() == [1, 1, 1]
        session.run(add)
        assert old.tolist() == [0, 0, 0], "what was fetched never changes"
        assert new.tolist() == [1, 1, 1]


def test_writing_to_fetched_or_fed_arrays_leaves_the_variable_alone(graph):
    handle, init = variable(np.zeros(1000, np.float32))
    read = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    fed = placeholder(dtypes.float32, [1000])
    assign = raw.AssignVariableOp(handle, fed)
    with Session() as session:
        session.run(init)
        array = np.ones(1000, np.float32)
        session.run(assign, {fed: array})
        array[:] = 5
        fetched = session.run(read)
        assert fetched[0] == 1
        if fetched.flags.writeable:
            fetched[:] = 7
        assert session.run(read)[0] == 1


def test_shape_of_a_variable_may_change_if_it_was_not_fixed(graph):
    handle, init = variable(np.zeros([2, 3], np.float32), shape=dtypes_unknown_shape())
    read = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    assert read.shape.ndims is None
    double = raw.AddV2(read, read)
    size = raw.Size(read)
    fed = placeholder(dtypes.float32, None)
    assign = raw.AssignVariableOp(handle, fed)
    with Session() as session:
        session.run(init)
        assert session.run(double).shape == (2, 3)
        session.run(assign, {fed: np.ones([4])})
        assert session.run(double).tolist() == [2, 2, 2, 2]
        assert session.run(size) == 4


def dtypes_unknown_shape():
    from headrace.framework.shapes import TensorShape

    return TensorShape(None)


def test_wrong_dtype_is_an_error(graph):
    handle, _ = variable(np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="float32"):
        raw.ReadVariableOp(handle, dtype=dtypes.int32)


def test_gather_finds_its_shape_when_it_runs(graph):
    handle, init = variable(np.arange(6, dtype=np.float32).reshape(3, 2), shape=dtypes_unknown_shape())
    rows = raw.ResourceGather(handle, constant([2, 0]), dtype=dtypes.float32)
    first = raw.ResourceGatherNd(handle, constant([[1, 1]]), dtype=dtypes.float32)
    with Session() as session:
        session.run(init)
        assert session.run(rows).tolist() == [[4, 5], [0, 1]]
        assert session.run(first).tolist() == [3]


def test_a_failing_scatter_changes_nothing(graph):
    handle, init = variable(np.zeros([3], np.float32))
    add = raw.ResourceScatterAdd(handle, constant([0, 9]), constant([1.0, 1.0]))
    read = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    with Session() as session:
        session.run(init)
        with pytest.raises(errors.InvalidArgumentError, match=r"indices\[1\] is 9"):
            session.run(add)
        assert session.run(read).tolist() == [0, 0, 0]


def test_strings_can_be_scattered(graph):
    handle = raw.VarHandleOp(dtype=dtypes.string, shape=[3], shared_name="s")
    init = raw.AssignVariableOp(handle, constant(["a", "b", "c"]))
    update = raw.ResourceScatterUpdate(handle, constant([1]), constant(["longer than a small string is"]))
    read = raw.ReadVariableOp(handle, dtype=dtypes.string)
    with Session() as session:
        session.run(init)
        session.run(update)
        assert session.run(read).tolist() == [b"a", b"longer than a small string is", b"c"]


def test_threads_update_and_read_one_variable(graph):
    """Updates are never lost, and a reader never sees half of one."""
    size, threads, steps = 1000, 8, 50
    handle, init = variable(np.zeros(size, np.float32))
    add = raw.AssignAddVariableOp(handle, constant(np.ones(size, np.float32)))
    scattered = raw.ResourceScatterAdd(handle, constant(np.arange(size)), constant(np.ones(size, np.float32)))
    read = raw.ReadVariableOp(handle, dtype=dtypes.float32)
    failures = []
    with Session() as session:
        session.run(init)

        def work(number):
            try:
                for _ in range(steps):
                    session.run(add if number % 2 else scattered)
                    value = session.run(read)
                    if (value != value[0]).any():
                        failures.append(value)
            except Exception as error:
                failures.append(error)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failures
        assert (session.run(read) == threads * steps).all()
