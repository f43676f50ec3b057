"""Random programs of nested conditions and loops, run here and in plain Python, and differentiated.

A program is a list of statements that change named vectors:

    ("set", target, function, a, b)           target = function(a, b)
    ("if", name, bound, then, otherwise)      by whether the sum of a vector is above a bound
    ("repeat", count, body)                   a loop of known length
    ("while", count, name, bound, body)       ... that ends early once the sum of a vector is above a bound
    ("collect", count, name, body)            a loop that writes a vector into an array, and then sums that
    ("over", name, body)                      a loop that reads an element of a vector in each iteration

`python -m tests.ops.random_programs [first seed]` runs without an end, and says which seed fails.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as tf

NAMES = ("a", "b", "c")
SIZE = 3
FUNCTIONS = (
    ("tanh of product", lambda m, a, b: m.tanh(a * b)),
    ("weighted sum", lambda m, a, b: 0.5 * a - 0.7 * b),
    ("sine", lambda m, a, b: m.sin(a) + b * 0.3),
    ("bounded quotient", lambda m, a, b: a / (1.0 + b * b)),
    ("scaled by sum", lambda m, a, b: a * m.tanh(m.sum(b))),
)

Program = list[tuple[Any, ...]]
State = dict[str, Any]


# ---- making programs


def make_program(rng: random.Random, depth: int = 3) -> Program:
    return [_statement(rng, depth) for _ in range(rng.randint(1, 3))]


def _statement(rng: random.Random, depth: int) -> tuple[Any, ...]:
    kind = rng.choice(("set", "set", "if", "repeat", "while", "collect", "over")) if depth > 0 else "set"
    name, bound, count = rng.choice(NAMES), rng.uniform(-1, 1), rng.randint(0, 3)
    if kind == "if":
        return kind, name, bound, make_program(rng, depth - 1), make_program(rng, depth - 1)
    if kind == "repeat":
        return kind, count, make_program(rng, depth - 1)
    if kind == "while":
        return kind, count, name, bound, make_program(rng, depth - 1)
    if kind == "collect":
        return kind, count, name, make_program(rng, depth - 1)
    if kind == "over":
        return kind, name, make_program(rng, depth - 1)
    return kind, name, rng.randrange(len(FUNCTIONS)), rng.choice(NAMES), rng.choice(NAMES)


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

    tanh, sin, sum = staticmethod(np.tanh), staticmethod(np.sin), staticmethod(np.sum)

    def __init__(self) -> None:
        self.path: list[bool] = []
        self.margin = np.inf

    def _above(self, value: Any, bound: float) -> bool:
        self.path.append(bool(np.sum(value) > bound))
        self.margin = min(self.margin, abs(np.sum(value) - bound))
        return self.path[-1]

    def if_(self, state: State, name: str, bound: float, then: Program, otherwise: Program) -> State:
        return run(then if self._above(state[name], bound) else otherwise, state, self)

    def repeat_(self, state: State, count: int, body: Program) -> State:
        for _ in range(count):
            state = run(body, state, self)
        return state

    def while_(self, state: State, count: int, name: str, bound: float, body: Program) -> State:
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


class Graph:
    """Makes nodes for a program."""

    tanh, sin, sum = staticmethod(tf.tanh), staticmethod(tf.sin), staticmethod(tf.reduce_sum)

    def if_(self, state: State, name: str, bound: float, then: Program, otherwise: Program) -> State:
        above = tf.reduce_sum(state[name]) > bound
        return tf.cond(above, lambda: run(then, state, self), lambda: run(otherwise, state, self))

    def repeat_(self, state: State, count: int, body: Program) -> State:
        def step(i: Any, state: State) -> Any:
            return i + 1, run(body, state, self)

        return tf.while_loop(lambda i, _: i < count, step, (0, state))[1]

    def while_(self, state: State, count: int, name: str, bound: float, body: Program) -> State:
        def below(state: State) -> Any:
            return tf.reduce_sum(state[name]) <= bound

        def step(state: State) -> Any:
            return (run(body, state, self),)

        return tf.while_loop(below, step, (state,), maximum_iterations=count)

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


# ---- comparing


def check(seed: int) -> None:
    """Compares the values of a program, and its derivative in one direction.

    Raises:
      AssertionError: if they differ.
    """
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    program = make_program(rng)
    start = {name: numbers.uniform(-1, 1, SIZE) for name in NAMES}
    weights = {name: numbers.uniform(-1, 1, SIZE) for name in NAMES}
    direction = {name: numbers.uniform(-1, 1, SIZE) for name in NAMES}

    def python(epsilon: float = 0.0) -> tuple[Python, State]:
        machine = Python()
        return machine, run(program, {n: start[n] + epsilon * direction[n] for n in NAMES}, machine)

    machine, expected = python()
    if machine.margin < 1e-3:
        return  # rounding may decide another way
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = {name: tf.placeholder(tf.float64, [SIZE]) for name in NAMES}
        outputs = run(program, inputs, Graph())
        total = tf.add_n([tf.reduce_sum(outputs[n] * weights[n]) for n in NAMES])
        grads = tf.gradients(total, [inputs[n] for n in NAMES])
        dense = [tf.zeros([SIZE], tf.float64) if grad is None else grad for grad in grads]
        feeds = {inputs[n]: start[n] for n in NAMES}
        values, slopes = session.run([outputs, dense], feeds)
    for name in NAMES:
        np.testing.assert_allclose(
            values[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}"
        )

    def objective(epsilon: float) -> float:
        machine, state = python(epsilon)
        assert machine.path == path, "the decisions are not clear"
        return sum(float(np.sum(state[n] * weights[n])) for n in NAMES)

    path, epsilon = machine.path, 1e-6
    difference = (objective(epsilon) - objective(-epsilon)) / (2 * epsilon)
    slope = sum(float(np.sum(direction[n] * grad)) for n, grad in zip(NAMES, slopes))
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6, err_msg=f"seed {seed}: gradient")


def main(first: int, checked: Callable[[int], None] = check) -> None:
    for seed in itertools.count(first):
        checked(seed)
        if seed % 100 == 0:
            print(f"seed {seed}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
