"""Random programs of nested conditions and loops, run here and in plain Python, and differentiated.

A program is a list of statements that change named vectors:

    ("set", target, function, a, b)           target = function(a, b)
    ("if", name, bound, then, otherwise)      by whether the sum of a vector is above a bound
    ("repeat", count, body)                   a loop of known length
    ("while", count, name, bound, body)       ... that ends early once the sum of a vector is above a bound
    ("collect", count, name, body)            a loop that writes a vector into an array, and then sums that
    ("over", name, body)                      a loop that reads an element of a vector in each iteration
    ("map", name, body)                       a vector out of what a program makes of each element of another
    ("scan", name, body)                      the same, where each program goes on where the last one ended
    ("count", name)                           adds 1 to a variable, and multiplies a vector with its cosine
    ("recall", count, name, body)             a loop that reads what it wrote into an array before
    ("case", name, high, low, a, b, c)        by whether the sum of a vector is above bounds
    ("sift", name, bound)                     the elements above a bound, then the others
    ("wait", body)                            what follows waits for a program, and wants nothing of it

Loops differ in their options as well. `python -m tests.ops.random_programs [--seed N] [--count N]` runs
without an end, or that many, and says which seeds fail.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as tf

NAMES = ("a", "b", "c")
COUNTED = "n"  # what the variable held last, which orders those that change it
SIZE = 3
STEEPEST = 100.0  # programs whose results change faster with the inputs are no measure
FUNCTIONS = (
    ("tanh of product", lambda m, a, b: m.tanh(a * b)),
    ("weighted sum", lambda m, a, b: 0.5 * a - 0.7 * b),
    ("sine", lambda m, a, b: m.sin(a) + b * 0.3),
    ("bounded quotient", lambda m, a, b: a / (1.0 + b * b)),
    ("scaled by sum", lambda m, a, b: a * m.tanh(m.sum(b))),
    ("share of all", lambda m, a, b: m.exp(m.sin(a)) / m.sum(m.exp(m.sin(b)))),
    ("around the mean", lambda m, a, b: (a - m.mean(a)) / (1.0 + m.mean((b - m.mean(b)) ** 2))),
)

Program = list[tuple[Any, ...]]
State = dict[str, Any]


# ---- making programs


def make_program(rng: random.Random, depth: int = 3, pure: bool = False) -> Program:
    """A program; a `pure` one leaves the variable alone, since nothing orders it among others."""
    return [_statement(rng, depth, pure) for _ in range(rng.randint(1, 3))]


_LEAVES = ("set", "set", "set", "count", "sift")
_NESTED = (
    *("set", "set", "count", "sift", "if", "case", "wait"),
    *("repeat", "while", "collect", "over", "map", "scan", "recall"),
)


def _statement(rng: random.Random, depth: int, pure: bool) -> tuple[Any, ...]:
    kind = rng.choice(_NESTED if depth > 0 else _LEAVES)
    name, bound, count = rng.choice(NAMES), rng.uniform(-1, 1), rng.randint(0, 3)

    def body(pure: bool = pure) -> Program:
        return make_program(rng, depth - 1, pure)

    match kind:
        case "if":
            return kind, name, bound, body(), body()
        case "repeat":
            return kind, count, _options(rng), body()
        case "while":
            return kind, count, name, bound, _options(rng), body()
        case "collect" | "recall":
            return kind, count, name, body()
        case "over" | "scan":
            return kind, name, body()
        case "map":
            return kind, name, body(pure=True)
        case "case":
            return kind, name, max(bound, 0.0) + 0.5, min(bound, 0.0), body(), body(), body()
        case "sift":
            return kind, name, bound
        case "wait":
            return kind, body()
        case "count" if not pure:
            return kind, name
    return "set", name, rng.randrange(len(FUNCTIONS)), rng.choice(NAMES), rng.choice(NAMES)


def _options(rng: random.Random) -> dict[str, Any]:
    """Arguments of a loop that change nothing."""
    return {
        "parallel_iterations": rng.choice((1, 10)),
        "open_shapes": rng.random() < 0.3,
        "maximum_iterations": rng.choice((None, 5)),
    }


# ---- running them


def run(program: Program, state: State, machine: Any) -> State:
    """The state after a program, on a machine: NumPy's or ours."""
    for kind, *parts in program:
        if kind == "set":
            target, function, a, b = parts
            state = {**state, target: FUNCTIONS[function][1](machine, state[a], state[b])}
        else:
            state = getattr(machine, kind + "_")(state, *parts)
    return state


class Python:
    """Runs a program at once, and notes which way it went, and how clear the decisions were."""

    tanh, sin, exp = staticmethod(np.tanh), staticmethod(np.sin), staticmethod(np.exp)
    sum, mean = staticmethod(np.sum), staticmethod(np.mean)

    def __init__(self) -> None:
        self.path: list[bool] = []
        self.margin = np.inf
        self.counter = 0.0

    def _above(self, value: Any, bound: float) -> bool:
        self.path.append(bool(np.sum(value) > bound))
        self.margin = min(self.margin, abs(np.sum(value) - bound))
        return self.path[-1]

    def if_(self, state: State, name: str, bound: float, then: Program, otherwise: Program) -> State:
        return run(then if self._above(state[name], bound) else otherwise, state, self)

    def repeat_(self, state: State, count: int, options: dict[str, Any], body: Program) -> State:
        for _ in range(count):
            state = run(body, state, self)
        return state

    def while_(
        self, state: State, count: int, name: str, bound: float, options: dict[str, Any], body: Program
    ) -> State:
        for _ in range(count):
            if self._above(state[name], bound):
                break
            state = run(body, state, self)
        return state

    def collect_(self, state: State, count: int, name: str, body: Program) -> State:
        collected = np.zeros(SIZE)
        for i in range(count):
            state = run(body, state, self)
            collected = collected + state[name] / (i + 1)
        return {**state, name: collected}

    def over_(self, state: State, name: str, body: Program) -> State:
        for element in state[name]:
            state = run(body, {**state, "a": state["a"] + element}, self)
        return state

    def map_(self, state: State, name: str, body: Program) -> State:
        made = [run(body, {**state, "a": state["a"] + element}, self) for element in state[name]]
        return {**state, name: np.array([np.sum(after[name]) for after in made])}

    def scan_(self, state: State, name: str, body: Program) -> State:
        sums = []
        for element in state[name]:
            state = run(body, {**state, "a": state["a"] + element}, self)
            sums.append(np.sum(state[name]))
        return {**state, name: np.array(sums)}

    def case_(self, state: State, name: str, high: float, low: float, *bodies: Program) -> State:
        which = 0 if self._above(state[name], high) else 1 if self._above(state[name], low) else 2
        return run(bodies[which], state, self)

    def sift_(self, state: State, name: str, bound: float) -> State:
        above = np.array([self._above(element, bound) for element in state[name]])
        return {**state, name: np.concatenate([state[name][above], state[name][~above]])}

    def wait_(self, state: State, body: Program) -> State:
        return {**state, COUNTED: run(body, state, self)[COUNTED]}

    def count_(self, state: State, name: str) -> State:
        self.counter += 1
        return {**state, name: state[name] * np.cos(self.counter), COUNTED: self.counter}

    def recall_(self, state: State, count: int, name: str, body: Program) -> State:
        written = [state[name]]
        for i in range(count):
            state = run(body, {**state, "b": written[i]}, self)
            written.append(np.sin(state[name]))
        return {**state, name: np.sum(written, 0)}


class Graph:
    """Makes nodes for a program."""

    def __init__(self) -> None:
        self.counter = tf.get_variable(
            "counter", [], tf.float64, initializer=tf.zeros_initializer(), trainable=False
        )

    tanh, sin, exp = staticmethod(tf.tanh), staticmethod(tf.sin), staticmethod(tf.exp)
    sum, mean = staticmethod(tf.reduce_sum), staticmethod(tf.reduce_mean)

    def if_(self, state: State, name: str, bound: float, then: Program, otherwise: Program) -> State:
        above = tf.reduce_sum(state[name]) > bound
        return tf.cond(above, lambda: run(then, state, self), lambda: run(otherwise, state, self))

    def repeat_(self, state: State, count: int, options: dict[str, Any], body: Program) -> State:
        def step(i: Any, state: State) -> Any:
            return i + 1, run(body, _shaped(state), self)

        start = (tf.constant(0), state)
        made = tf.while_loop(lambda i, _: i < count, step, start, **_arguments(options, start))
        return _shaped(made[1])

    def while_(
        self, state: State, count: int, name: str, bound: float, options: dict[str, Any], body: Program
    ) -> State:
        def below(state: State) -> Any:
            return tf.reduce_sum(state[name]) <= bound

        def step(state: State) -> Any:
            return (run(body, _shaped(state), self),)

        options = {**options, "maximum_iterations": count}
        arguments = _arguments(options, (state,))
        (made,) = tf.while_loop(below, step, (state,), return_same_structure=True, **arguments)
        return _shaped(made)

    def collect_(self, state: State, count: int, name: str, body: Program) -> State:
        def step(i: Any, state: State, array: Any) -> Any:
            state = run(body, state, self)
            return i + 1, state, array.write(i, state[name] / (tf.cast(i, tf.float64) + 1.0))

        array = tf.TensorArray(tf.float64, size=count, element_shape=[SIZE])
        _, state, array = tf.while_loop(lambda i, *_: i < count, step, (0, state, array))
        return {**state, name: tf.reduce_sum(array.stack(), 0)}

    def over_(self, state: State, name: str, body: Program) -> State:
        elements = state[name]

        def step(state: State, element: Any) -> State:
            return run(body, {**state, "a": state["a"] + element}, self)

        return tf.foldl(step, elements, initializer=state)

    def map_(self, state: State, name: str, body: Program) -> State:
        def each(element: Any) -> Any:
            return tf.reduce_sum(run(body, {**state, "a": state["a"] + element}, self)[name])

        return {**state, name: tf.map_fn(each, state[name])}

    def scan_(self, state: State, name: str, body: Program) -> State:
        def step(carried: Any, element: Any) -> Any:
            state = run(body, {**carried[0], "a": carried[0]["a"] + element}, self)
            return state, tf.reduce_sum(state[name])

        states, sums = tf.scan(step, state[name], initializer=(state, tf.constant(0.0, tf.float64)))
        return {**{key: value[-1] for key, value in states.items()}, name: sums}

    def case_(self, state: State, name: str, high: float, low: float, *bodies: Program) -> State:
        total = tf.reduce_sum(state[name])
        first, second, otherwise = [lambda body=body: run(body, state, self) for body in bodies]
        return tf.case([(total > high, first), (total > low, second)], otherwise)

    def sift_(self, state: State, name: str, bound: float) -> State:
        above = state[name] > bound
        parts = [tf.boolean_mask(state[name], mask) for mask in (above, ~above)]
        return _shaped({**state, name: tf.concat(parts, 0)})

    def wait_(self, state: State, body: Program) -> State:
        after = run(body, state, self)
        with tf.control_dependencies(list(after.values())):
            return {name: tf.identity(x) for name, x in {**state, COUNTED: after[COUNTED]}.items()}

    def count_(self, state: State, name: str) -> State:
        # Whatever counted before has gone into the state.
        with (
            tf.control_dependencies([state[COUNTED]]),
            tf.control_dependencies([self.counter.assign_add(1.0)]),
        ):
            counted = self.counter.read_value()
        return {**state, name: state[name] * tf.cos(counted), COUNTED: counted}

    def recall_(self, state: State, count: int, name: str, body: Program) -> State:
        array = tf.TensorArray(tf.float64, size=1, dynamic_size=True, clear_after_read=False)
        array = array.write(0, state[name])

        def step(i: Any, state: State, array: Any) -> Any:
            state = run(body, {**state, "b": array.read(i)}, self)
            return i + 1, state, array.write(i + 1, tf.sin(state[name]))

        _, state, array = tf.while_loop(lambda i, *_: i < count, step, (0, state, array))
        return {**state, name: tf.reduce_sum(array.stack(), 0)}


def _arguments(options: dict[str, Any], start: Any) -> dict[str, Any]:
    """Options of a program as arguments of while_loop."""
    arguments = {key: value for key, value in options.items() if key != "open_shapes" and value is not None}
    if options["open_shapes"]:
        shapes = {name: tf.TensorShape([None] if name in NAMES else []) for name in start[-1]}
        arguments["shape_invariants"] = [tf.TensorShape([])] * (len(start) - 1) + [shapes]
    return arguments


def _shaped(state: State) -> State:
    """A state whose shapes are known again."""
    for name in NAMES:
        state[name].set_shape([SIZE])
    return state


# ---- comparing


def check(seed: int, second_order: bool | None = None) -> None:
    """Compares the values of a program, and its derivatives in one direction.

    Args:
      seed: of the program.
      second_order: whether to differentiate twice; by default one in four programs.

    Raises:
      AssertionError: if they differ.
    """
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    program = make_program(rng)
    start = {name: numbers.uniform(-1, 1, SIZE) for name in NAMES}
    weights = {name: numbers.uniform(-1, 1, SIZE) for name in NAMES}
    direction = {name: numbers.uniform(-1, 1, SIZE) for name in NAMES}

    def moved(epsilon: float) -> State:
        return {n: start[n] + epsilon * direction[n] for n in NAMES}

    def python(epsilon: float = 0.0, dtype: Any = np.float64) -> tuple[Python, State]:
        machine = Python()
        inputs = {n: x.astype(dtype) for n, x in moved(epsilon).items()}
        return machine, run(program, {**inputs, COUNTED: 0.0}, machine)

    machine, expected = python()
    _, near = python(1e-9)
    _, exact = python(dtype=np.longdouble)
    change = max(float(np.max(np.abs(near[n] - expected[n]))) for n in NAMES)
    grows = any(not np.allclose(expected[n], exact[n], rtol=1e-10, atol=1e-13) for n in NAMES)
    if machine.margin < 1e-3 or change > 1e-9 * STEEPEST or grows:
        return  # rounding may decide another way, or grow
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = {name: tf.placeholder(tf.float64, [SIZE]) for name in NAMES}
        outputs = run(program, {**inputs, COUNTED: tf.constant(0.0, tf.float64)}, Graph())
        total = tf.add_n([tf.reduce_sum(outputs[n] * weights[n]) for n in NAMES])
        dense = _gradients(total, inputs)
        slope = tf.add_n([tf.reduce_sum(dense[n] * direction[n]) for n in NAMES])
        twice = seed % 4 == 0 if second_order is None else second_order
        curvature = _gradients(slope, inputs) if twice else {}

        def step(fetches: Any, epsilon: float = 0.0) -> Any:
            session.run(tf.global_variables_initializer())
            return session.run(fetches, {inputs[n]: x for n, x in moved(epsilon).items()})

        values, slopes, curvatures = step([outputs, slope, curvature])
        epsilon = 1e-5
        bent = (step(slope, epsilon) - step(slope, -epsilon)) / (2 * epsilon) if twice else 0.0
    for name in NAMES:
        np.testing.assert_allclose(
            values[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}"
        )

    def objective(epsilon: float) -> float:
        machine, state = python(epsilon)
        assert machine.path == path, "the decisions are not clear"
        return sum(float(np.sum(state[n] * weights[n])) for n in NAMES)

    def central(epsilon: float) -> float:
        return (objective(epsilon) - objective(-epsilon)) / (2 * epsilon)

    path = machine.path
    difference = (4 * central(0.5e-6) - central(1e-6)) / 3  # without the error that grows with the square
    np.testing.assert_allclose(slopes, difference, rtol=1e-5, atol=1e-6, err_msg=f"seed {seed}: gradient")
    if twice:
        bend = sum(float(np.sum(direction[n] * grad)) for n, grad in curvatures.items())
        np.testing.assert_allclose(bend, bent, rtol=1e-4, atol=1e-5, err_msg=f"seed {seed}: second order")


def _gradients(y: Any, inputs: State) -> State:
    """The derivatives by all inputs, zeros where there is none."""
    grads = tf.gradients(y, list(inputs.values()))
    dense = [tf.zeros([SIZE], tf.float64) if grad is None else tf.convert_to_tensor(grad) for grad in grads]
    return dict(zip(inputs, dense))


def main(first: int, count: int | None, checked: Callable[[int], None] = check) -> None:
    """Checks programs one after the other, and prints what fails."""
    for seed in itertools.count(first) if count is None else range(first, first + count):
        try:
            checked(seed)
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:400]}", flush=True)
        if seed % 100 == 0:
            print(f"seed {seed}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Random programs, without an end.")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--count", type=int, help="how many")
    options = parser.parse_args()
    main(options.seed, options.count)
