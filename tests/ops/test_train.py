"""Update rules of optimisers, against their formulas in NumPy."""

import numpy as np

from headrace import _core
from tests.ops.harness import Bad, Case, OpRecord, Var, run_records

RNG = np.random.RandomState(5)

# Formulas: the variable and its slots, the gradient, the scalars by name, the attributes -> new values.


def gradient_descent(v, g, s, a):
    return (v[0] - s["alpha"] * g,)


def momentum(v, g, s, a):
    accum = s["momentum"] * v[1] + g
    step = g + s["momentum"] * accum if a.get("use_nesterov") else accum
    return v[0] - s["lr"] * step, accum


def keras_momentum(v, g, s, a):
    accum = s["momentum"] * v[1] - s["lr"] * g
    return v[0] + (s["momentum"] * accum - s["lr"] * g if a.get("use_nesterov") else accum), accum


def adagrad(v, g, s, a):
    accum = v[1] + g**2 if a.get("update_slots", True) else v[1]
    return v[0] - s["lr"] * g / (np.sqrt(accum) + s.get("epsilon", 0)), accum


def adagrad_da(v, g, s, a):
    total, squares = v[1] + g, v[2] + g**2
    shrunk = np.sign(total) * np.maximum(np.abs(total) - s["l1"] * s["global_step"], 0)
    return -s["lr"] * shrunk / (s["l2"] * s["global_step"] * s["lr"] + np.sqrt(squares)), total, squares


def adadelta(v, g, s, a):
    accum = s["rho"] * v[1] + (1 - s["rho"]) * g**2
    step = np.sqrt(v[2] + s["epsilon"]) / np.sqrt(accum + s["epsilon"]) * g
    return v[0] - s["lr"] * step, accum, s["rho"] * v[2] + (1 - s["rho"]) * step**2


def adam(v, g, s, a):
    m = s["beta1"] * v[1] + (1 - s["beta1"]) * g
    squares = s["beta2"] * v[2] + (1 - s["beta2"]) * g**2
    rate = s["lr"] * np.sqrt(1 - s["beta2_power"]) / (1 - s["beta1_power"])
    mean = s["beta1"] * m + (1 - s["beta1"]) * g if a.get("use_nesterov") else m
    if len(v) == 3:
        return v[0] - rate * mean / (np.sqrt(squares) + s["epsilon"]), m, squares
    largest = np.maximum(v[3], squares)
    return v[0] - rate * mean / (np.sqrt(largest) + s["epsilon"]), m, squares, largest


def adamax(v, g, s, a):
    m = s["beta1"] * v[1] + (1 - s["beta1"]) * g
    largest = np.maximum(s["beta2"] * v[2], np.abs(g))
    return v[0] - s["lr"] / (1 - s["beta1_power"]) * m / (largest + s["epsilon"]), m, largest


def rmsprop(v, g, s, a):
    squares = s["rho"] * v[1] + (1 - s["rho"]) * g**2
    step = s["momentum"] * v[2] + s["lr"] * g / np.sqrt(squares + s["epsilon"])
    return v[0] - step, squares, step


def centered_rmsprop(v, g, s, a):
    mean = s["rho"] * v[1] + (1 - s["rho"]) * g
    squares = s["rho"] * v[2] + (1 - s["rho"]) * g**2
    step = s["momentum"] * v[3] + s["lr"] * g / np.sqrt(squares - mean**2 + s["epsilon"])
    return v[0] - step, mean, squares, step


def ftrl(v, g, s, a):
    accum = v[1] + g**2
    power = -s["lr_power"]
    shrinkage = 2 * s.get("l2_shrinkage", 0) * v[0]
    linear = v[2] + g + shrinkage - (accum**power - v[1] ** power) / s["lr"] * v[0]
    solution = (np.sign(linear) * s["l1"] - linear) / (accum**power / s["lr"] + 2 * s["l2"])
    return np.where(np.abs(linear) > s["l1"], solution, 0), accum, linear


def shrink(x, l1, l2):
    return np.sign(x) * np.maximum(np.abs(x) - l1, 0) / (1 + l2)


def proximal_gradient_descent(v, g, s, a):
    return (shrink(v[0] - s["alpha"] * g, s["alpha"] * s["l1"], s["alpha"] * s["l2"]),)


def proximal_adagrad(v, g, s, a):
    accum = v[1] + g**2
    rate = s["lr"] / np.sqrt(accum)
    return shrink(v[0] - rate * g, rate * s["l1"], rate * s["l2"]), accum


def add_sign(v, g, s, a):
    m = s["beta"] * v[1] + (1 - s["beta"]) * g
    return v[0] - s["lr"] * (s["alpha"] + s["sign_decay"] * np.sign(g) * np.sign(m)) * g, m


def power_sign(v, g, s, a):
    m = s["beta"] * v[1] + (1 - s["beta"]) * g
    return v[0] - s["lr"] * np.exp(s["logbase"] * s["sign_decay"] * np.sign(g) * np.sign(m)) * g, m


# Rule: formula, attributes to try, and whether there is a sparse form too.
RULES = {
    "GradientDescent": (gradient_descent, [{}], False),
    "Momentum": (momentum, [{}, {"use_nesterov": True}], True),
    "KerasMomentum": (keras_momentum, [{}, {"use_nesterov": True}], True),
    "Adagrad": (adagrad, [{}, {"update_slots": False}], True),
    "AdagradV2": (adagrad, [{}, {"update_slots": False}], True),
    "AdagradDA": (adagrad_da, [{}], True),
    "Adadelta": (adadelta, [{}], True),
    "Adam": (adam, [{}, {"use_nesterov": True}], False),
    "AdamWithAmsgrad": (adam, [{}], False),
    "AdaMax": (adamax, [{}], False),
    "RMSProp": (rmsprop, [{}], True),
    "CenteredRMSProp": (centered_rmsprop, [{}], True),
    "Ftrl": (ftrl, [{}], True),
    "FtrlV2": (ftrl, [{}], True),
    "ProximalGradientDescent": (proximal_gradient_descent, [{}], True),
    "ProximalAdagrad": (proximal_adagrad, [{}], True),
    "AddSign": (add_sign, [{}], False),
    "PowerSign": (power_sign, [{}], False),
}

SCALARS = {
    "lr": 0.25,
    "alpha": 0.25,
    "momentum": 0.5,
    "epsilon": 0.125,
    "rho": 0.75,
    "beta1_power": 0.5,
    "beta2_power": 0.75,
    "beta1": 0.5,
    "beta2": 0.75,
    "beta": 0.75,
    "l1": 0.0625,
    "l2": 0.125,
    "l2_shrinkage": 0.125,
    "lr_power": -0.5,
    "logbase": 1.0,
    "sign_decay": 0.5,
    "global_step": 3,
}


def names_of(op):
    return [arg.name for arg in _core.op_def(op).inputs]


def is_variable(op, i):
    return _core.op_def(op).inputs[i].type_attr == "" and names_of(op)[i] != "global_step"


def inputs_of(op, shape, indices=None, **changed):
    """Inputs for one call: positive slots, a gradient of both signs, the scalars above."""
    inputs = []
    for i, name in enumerate(names_of(op)):
        if name in changed:
            inputs.append(changed[name])
        elif is_variable(op, i):
            low, high = {"var": (-2, 2), "mg": (0.0, 0.3)}.get(name, (0.5, 1.5))
            value = RNG.uniform(low, high, size=shape)
            inputs.append(Var(value))
        elif name in ("grad", "delta"):
            inputs.append(RNG.normal(size=shape if indices is None else (len(indices), *shape[1:])))
        elif name == "indices":
            inputs.append(indices if isinstance(indices, np.ndarray) else np.int32(indices))
        else:
            inputs.append(np.int64(SCALARS[name]) if name == "global_step" else SCALARS[name])
    return tuple(inputs)


def reference_of(op, formula):
    names = names_of(op)

    def reference(*inputs, **attrs):
        given = dict(zip(names, inputs))
        state = [value for i, value in enumerate(inputs) if is_variable(op, i)]
        grad = given.get("grad", given.get("delta"))
        if "indices" not in given:
            return list(formula(state, grad, given, attrs))
        state = [value.copy() for value in state]
        for row, index in enumerate(given["indices"]):
            new = formula([value[index] for value in state], grad[row], given, attrs)
            for value, changed in zip(state, new):
                value[index] = changed
        return state

    return reference


def record(op, formula, attrs, sparse):
    indices = [2, 0, 2] if sparse else None
    cases = [Case(inputs_of(op, (3, 4), indices), a) for a in attrs]
    cases.append(Case(inputs_of(op, (3, 0), indices), name="empty"))
    if sparse:
        cases.append(Case(inputs_of(op, (3, 2), []), name="no rows"))
        wide = inputs_of(op, (5, 3), np.array([4], np.int64))
        cases.append(Case(wide, name="wide indices"))
    else:
        cases.append(Case(inputs_of(op, ()), name="scalar"))
        cases.append(Case(inputs_of(op, (70001,)), dtypes=("float32",), name="many"))
    if "lr_power" in names_of(op):
        cases.append(Case(inputs_of(op, (3, 4), indices, lr_power=-0.25), name="power"))
    gradient = "delta" if "delta" in names_of(op) else "grad"
    rate = "alpha" if "alpha" in names_of(op) and "lr" not in names_of(op) else "lr"
    bad = [
        Bad(inputs_of(op, (3, 4), indices, **{gradient: np.zeros((3, 5))}), match=r"gradient"),
        Bad(inputs_of(op, (3, 4), indices, **{rate: np.zeros([2])}), match=r"rank|scalar|dimensions"),
    ]
    if len([i for i in range(len(names_of(op))) if is_variable(op, i)]) > 1:
        slot = names_of(op)[1]
        bad.append(Bad(inputs_of(op, (3, 4), indices, **{slot: Var(np.zeros([3]))}), match="slot"))
    if sparse:
        bad.append(Bad(inputs_of(op, (3, 4), [0, 1, 3]), match=r"indices\[2\] is 3", when="run"))
        bad.append(Bad(inputs_of(op, (3, 4), [0, -1, 1]), match=r"indices\[1\] is -1", when="run"))
        bad.append(Bad(inputs_of(op, (3, 4), [0, 1], **{gradient: np.zeros((3, 4))}), match="rows"))
    if "lr_power" in names_of(op):
        bad.append(Bad(inputs_of(op, (3, 4), indices, lr=0.0), match="lr is 0", when="run"))
        bad.append(Bad(inputs_of(op, (3, 4), indices, lr_power=0.5), match="lr_power is 0.5", when="run"))
    return OpRecord(
        op,
        cases=cases,
        reference=reference_of(op, formula),
        bad=bad,
        tolerance={"float16": 4e-3, "bfloat16": 3e-2},
    )


RECORDS = [
    record(prefix + rule, formula, attrs, prefix == "ResourceSparseApply")
    for rule, (formula, attrs, sparse) in RULES.items()
    for prefix in (["ResourceApply", "ResourceSparseApply"] if sparse else ["ResourceApply"])
]

run_records(globals(), RECORDS)
