"""Random programs of conditions and loops in each other, as text for TensorFlow 1."""

from __future__ import annotations

import random

# x is a vector of 3; p and q are scalar conditions, n is how often the outermost loops run.
_HEAD = """
tf.set_random_seed(1)
x = tf.placeholder(tf.float32, [3], name="x")
p = tf.placeholder(tf.bool, [], name="p")
q = tf.placeholder(tf.bool, [], name="q")
n = tf.placeholder(tf.int32, [], name="n")
v = tf.get_variable("v", initializer=[1.0, 2.0, 3.0], use_resource=True)
"""
_TAIL = """
tf.identity(y, name="y")
tf.identity(tf.gradients(y, x)[0], name="dx")
tf.global_variables_initializer()
"""


class _Program:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.count = 0

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def say(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def pick(self, names: list[str]) -> str:
        return self.random.choice(names)

    def expression(self, known: list[str]) -> str:
        a, b = self.pick(known), self.pick(known)
        forms = [
            *(f"tf.sin({a}) + {b} * 0.5", f"tf.tanh({a} * {b})", f"{a} - 0.3 * tf.cos({b})"),
            *(f"tf.exp(-tf.square({a})) + {b} * 0.25", f"tf.reduce_mean({a}) * tf.sigmoid({b})"),
            *(f"tf.maximum({a}, {b} * 0.9)", f"tf.sqrt(tf.square({a}) + 0.1)", "v * 0.1 + " + a),
            *(f"tf.reverse({a}, [0]) * 0.5 + tf.stop_gradient({b})", "tf.constant([0.1, -0.2, 0.3]) + " + a),
        ]
        return self.random.choice(forms)

    def predicate(self, known: list[str], counters: list[str]) -> str:
        forms = ["p", "q", f"tf.reduce_sum({self.pick(known)}) > 0.2", "tf.logical_and(p, tf.logical_not(q))"]
        for counter in counters:
            forms += [f"tf.equal({counter} % 2, 0)", f"{counter} > 0"] * 2
        return self.random.choice(forms)

    def statements(self, indent: int, levels: int, known: list[str], counters: list[str]) -> list[str]:
        """Writes some, and returns the names known after them."""
        known = list(known)
        for _ in range(self.random.randint(1, 3)):
            kinds = [self.assign] + ([self.condition, self.loop, self.rows] if levels else [])
            weights = [2] + ([3, 3, 1] if levels else [])
            kind = self.random.choices(kinds, weights)[0]
            known += kind(indent, levels, known, counters)
        return known

    def assign(self, indent: int, levels: int, known: list[str], counters: list[str]) -> list[str]:
        name = self.name("t")
        self.say(indent, f"{name} = {self.expression(known)}")
        return [name]

    def function(
        self,
        indent: int,
        levels: int,
        known: list[str],
        counters: list[str],
        arguments: list[str],
        count: int,
    ) -> str:
        """Writes a function of arguments, the first perhaps a counter, that returns `count` tensors."""
        name = self.name("f")
        self.say(indent, f"def {name}({', '.join(arguments)}):")
        new_counters = counters + [a for a in arguments if a.startswith("i")]
        inside = known + [a for a in arguments if not a.startswith("i")]
        after = self.statements(indent + 1, levels - 1, inside, new_counters)
        results = [self.expression(after[-3:]) for _ in range(count)]
        steps = [a + " + 1" for a in arguments if a.startswith("i")]
        self.say(indent + 1, f"return {', '.join(steps + results)}")
        return name

    def condition(self, indent: int, levels: int, known: list[str], counters: list[str]) -> list[str]:
        count = self.random.randint(1, 2)
        sides = [self.function(indent, levels, known, counters, [], count) for _ in range(2)]
        names = [self.name("t") for _ in range(count)]
        self.say(
            indent, f"{', '.join(names)} = tf.cond({self.predicate(known, counters)}, {sides[0]}, {sides[1]})"
        )
        return names

    def loop(self, indent: int, levels: int, known: list[str], counters: list[str]) -> list[str]:
        count = self.random.randint(1, 2)
        variables, counter = [self.name("a") for _ in range(count)], self.name("i")
        body = self.function(indent, levels, known, counters, [counter, *variables], count)
        limits = ["n", "2", "3"] + [f"{other} + 1" for other in counters]
        test = f"{counter} < {self.random.choice(limits)}"
        if self.random.random() < 0.3:
            test = f"tf.logical_and({test}, tf.reduce_sum({variables[0]}) < 5.0)"
        names = [self.name("t") for _ in range(count)]
        self.say(
            indent,
            f"_, {', '.join(names)} = tf.while_loop(lambda {counter}, {', '.join(variables)}: {test}, "
            f"{body}, [0, {', '.join(self.pick(known) for _ in names)}])",
        )
        return names

    def rows(self, indent: int, levels: int, known: list[str], counters: list[str]) -> list[str]:
        """A loop over the rows of a tensor, with arrays to read from and to write to."""
        source, array, out = self.name("s"), self.name("r"), self.name("w")
        state, counter, body = self.name("a"), self.name("i"), self.name("f")
        picked = [self.pick(known) for _ in range(self.random.randint(2, 3))]
        self.say(indent, f"{source} = tf.stack([{', '.join(picked)}])")
        self.say(indent, f"{array} = tf.TensorArray(tf.float32, {len(picked)}).unstack({source})")
        self.say(indent, f"{out} = tf.TensorArray(tf.float32, {len(picked)})")
        self.say(indent, f"def {body}({counter}, {state}, {out}):")
        row = self.name("t")
        self.say(indent + 1, f"{row} = {array}.read({counter})")
        after = self.statements(indent + 1, levels - 1, [*known, state, row], [*counters, counter])
        value = self.name("t")
        self.say(indent + 1, f"{value} = {self.expression(after[-2:])} + 0.1 * {row}")
        self.say(indent + 1, f"return {counter} + 1, {value}, {out}.write({counter}, {value} * 0.5)")
        names = [self.name("t") for _ in range(2)]
        self.say(
            indent,
            f"_, {names[0]}, {out} = tf.while_loop(lambda {counter}, *_: {counter} < {len(picked)}, {body}, "
            f"[0, {self.pick(known)}, {out}])",
        )
        self.say(indent, f"{names[1]} = tf.reduce_sum({out}.stack(), 0)")
        return names

    def write(self) -> str:
        known = self.statements(0, 3, ["x"], [])
        while not any("tf.cond" in line or "tf.while_loop" in line for line in self.lines):
            known = self.statements(0, 3, known, [])
        self.say(0, f"y = x * 0.01 + {' + '.join(known[-4:])}")
        return _HEAD + "\n".join(self.lines) + _TAIL


def program(seed: int) -> str:
    """The text of a program with placeholders x, p, q, n, tensors y and dx, and an operation init."""
    return _Program(seed).write()
