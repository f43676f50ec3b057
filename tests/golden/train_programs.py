"""Programs about training whose results are recorded from TensorFlow 1.15 and repeated here.

Each takes the module of a framework, builds its graph, and returns numbers by name.
"""

import numpy as np

STEPS = 20

OPTIMIZERS = {
    "sgd": lambda t, s: t.GradientDescentOptimizer(0.1),
    "momentum": lambda t, s: t.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda t, s: t.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adagrad": lambda t, s: t.AdagradOptimizer(0.3),
    "adagrad_da": lambda t, s: t.AdagradDAOptimizer(0.3, s, 0.2, 0.02, 0.03),
    "adadelta": lambda t, s: t.AdadeltaOptimizer(1.0, 0.9, 1e-4),
    "adam": lambda t, s: t.AdamOptimizer(0.05, 0.8, 0.95, 1e-4),
    "rmsprop": lambda t, s: t.RMSPropOptimizer(0.02, 0.9, 0.5, 1e-3),
    "rmsprop_centered": lambda t, s: t.RMSPropOptimizer(0.02, 0.9, 0.5, 1e-3, centered=True),
    "ftrl": lambda t, s: t.FtrlOptimizer(0.2),
    "ftrl_power": lambda t, s: t.FtrlOptimizer(0.2, -0.3, 0.2, 0.01, 0.02),
    "ftrl_shrinkage": lambda t, s: t.FtrlOptimizer(0.2, -0.5, 0.2, 0.01, 0.02, False, "F", "A", "L", 0.03),
    "proximal_sgd": lambda t, s: t.ProximalGradientDescentOptimizer(0.1, 0.02, 0.03),
    "proximal_adagrad": lambda t, s: t.ProximalAdagradOptimizer(0.1, 0.2, 0.02, 0.03),
}


def optimizers(tf):
    """Values of a dense and a sparse variable after 1 and 20 steps, and the optimizer's own variables."""
    results = {}
    for name, make in OPTIMIZERS.items():
        with tf.Graph().as_default():
            dense = tf.get_variable("dense", initializer=np.float32([1.0, -2.0, 0.5]), use_resource=True)
            rows = np.linspace(-1, 1, 10).reshape(5, 2)
            sparse = tf.get_variable("scope/sparse", initializer=np.float32(rows), use_resource=True)
            step = tf.train.get_or_create_global_step()
            # A gradient that turns with the variable and grows with the step; rows 1 and 3, of which 1 twice.
            time = tf.cast(step, tf.float32)
            dense_grad = tf.sin(3.0 * dense) + 0.05 * time * tf.constant([1.0, -1.0, 0.0])
            indices = tf.constant([1, 3, 1])
            sparse_grad = tf.IndexedSlices(tf.cos(2.0 * tf.gather(sparse, indices)) * 0.3, indices, [5, 2])
            optimizer = make(tf.train, step)
            train = optimizer.apply_gradients([(dense_grad, dense), (sparse_grad, sparse)], global_step=step)
            own = optimizer.variables()
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                session.run(train)
                first = session.run([dense, sparse])
                for _ in range(STEPS - 1):
                    session.run(train)
                last = session.run([dense, sparse])
                results[name] = {
                    "dense_1": first[0],
                    "sparse_1": first[1],
                    "dense_20": last[0],
                    "sparse_20": last[1],
                    "slot_names": optimizer.get_slot_names(),
                    "variables": {var.name: session.run(var) for var in own},
                    "step": session.run(step),
                }
    return results


SCHEDULES = {
    "exponential": lambda t, s: t.exponential_decay(0.1, s, 10, 0.5),
    "exponential_staircase": lambda t, s: t.exponential_decay(0.1, s, 10, 0.5, staircase=True),
    "piecewise": lambda t, s: t.piecewise_constant(s, [5, 20], [1.0, 0.5, 0.1]),
    "polynomial": lambda t, s: t.polynomial_decay(0.1, s, 20),
    "polynomial_square_cycle": lambda t, s: t.polynomial_decay(0.1, s, 10, 0.01, 2.0, cycle=True),
    "natural_exp": lambda t, s: t.natural_exp_decay(0.1, s, 10, 0.5),
    "natural_exp_staircase": lambda t, s: t.natural_exp_decay(0.1, s, 10, 0.5, True),
    "inverse_time": lambda t, s: t.inverse_time_decay(0.1, s, 10, 0.5),
    "inverse_time_staircase": lambda t, s: t.inverse_time_decay(0.1, s, 10, 0.5, True),
    "cosine": lambda t, s: t.cosine_decay(0.1, s, 20, 0.1),
    "cosine_restarts": lambda t, s: t.cosine_decay_restarts(0.1, s, 6, 1.5, 0.8, 0.1),
    "cosine_restarts_equal": lambda t, s: t.cosine_decay_restarts(0.1, s, 6, 1.0),
    "linear_cosine": lambda t, s: t.linear_cosine_decay(0.1, s, 20),
}


def schedules(tf):
    """Every schedule at some steps."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        rates = {name: make(tf.train, step) for name, make in SCHEDULES.items()}
        runs = [session.run(rates, {step: s}) for s in (0, 1, 5, 6, 10, 11, 19, 20, 21, 47)]
    return {name: np.array([run[name] for run in runs]) for name in rates}


def clipping(tf):
    """Clipping by every norm, above and below the limit."""
    with tf.Graph().as_default(), tf.Session() as session:
        a = tf.constant([[3.0, -4.0], [0.0, 1.0]])
        b = tf.constant([1.0, 2.0])
        slices = tf.IndexedSlices(tf.constant([[1.0, 5.0]]), tf.constant([1]))
        clipped, norm = tf.clip_by_global_norm([a, None, b, slices], 2.0)
        loose, _ = tf.clip_by_global_norm([a, b], 100.0)
        infinite, _ = tf.clip_by_global_norm([a, tf.constant([float("inf")])], 1.0)
        return session.run(
            {
                "norm_above": tf.clip_by_norm(a, 2.0),
                "norm_below": tf.clip_by_norm(a, 10.0),
                "norm_axes": tf.clip_by_norm(a, 2.0, axes=[1]),
                "norm_zero": tf.clip_by_norm(tf.zeros([2]), 2.0),
                "average": tf.clip_by_average_norm(a, 0.5),
                "average_below": tf.clip_by_average_norm(a, 5.0),
                "global": [clipped[0], clipped[2], clipped[3].values],
                "global_norm": norm,
                "global_loose": loose,
                "global_infinite": infinite,
            }
        )


def losses(tf):
    """Every loss with every reduction, and with weights."""
    rng = np.random.RandomState(7)
    logits = rng.normal(size=(4, 3)).astype(np.float32)
    labels = (rng.uniform(size=(4, 3)) > 0.5).astype(np.float32)
    shares = rng.uniform(0.05, 0.95, size=(4, 3)).astype(np.float32)
    weights = np.float32([[1.0], [0.0], [2.0], [0.5]])
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x, y, p = tf.constant(logits), tf.constant(labels), tf.constant(shares)
        t = tf.losses
        tensors = {}
        for reduction in t.Reduction.all():
            tensors["squared", reduction] = t.mean_squared_error(y, x, reduction=reduction)
            tensors["squared_weighted", reduction] = t.mean_squared_error(y, x, weights, reduction=reduction)
        tensors["absolute"] = t.absolute_difference(y, x, weights)
        tensors["cosine"] = t.cosine_distance(y, p, axis=1, weights=weights)
        tensors["hinge"] = t.hinge_loss(y, x, weights)
        tensors["huber"] = t.huber_loss(y, x, weights, delta=0.7)
        tensors["log"] = t.log_loss(y, p, weights)
        tensors["pairwise"] = t.mean_pairwise_squared_error(y, x)
        tensors["pairwise_weighted"] = t.mean_pairwise_squared_error(y, x, weights=weights)
        tensors["sigmoid"] = t.sigmoid_cross_entropy(y, x, label_smoothing=0.2)
        tensors["softmax"] = t.softmax_cross_entropy(y, x, weights[:, 0], label_smoothing=0.1)
        tensors["sparse_softmax"] = t.sparse_softmax_cross_entropy([2, 0, 1, 1], x)
        tensors["sparse_softmax_column"] = t.sparse_softmax_cross_entropy([[2], [0], [1], [1]], x, weights)
        tensors["all_zero_weights"] = t.mean_squared_error(y, x, 0.0)
        tensors["number_of_losses"] = tf.constant(len(t.get_losses()))
        graph.clear_collection("losses")
        t.add_loss(tf.constant(2.0))
        t.mean_squared_error(y, x)
        tensors["total"] = t.get_total_loss()
        tensors["regularization"] = t.get_regularization_loss()
        return session.run({"/".join(k) if isinstance(k, tuple) else k: v for k, v in tensors.items()})


METRICS = {
    "accuracy": lambda tf, y, p, w: tf.metrics.accuracy(y, p > 0.5, w),
    "mean": lambda tf, y, p, w: tf.metrics.mean(p, w),
    "mean_plain": lambda tf, y, p, w: tf.metrics.mean(p),
    "mean_tensor": lambda tf, y, p, w: tf.metrics.mean_tensor(p, w),
    "absolute": lambda tf, y, p, w: tf.metrics.mean_absolute_error(tf.cast(y, tf.float32), p, w),
    "squared": lambda tf, y, p, w: tf.metrics.mean_squared_error(tf.cast(y, tf.float32), p, w),
    "root": lambda tf, y, p, w: tf.metrics.root_mean_squared_error(tf.cast(y, tf.float32), p),
    "relative": lambda tf, y, p, w: tf.metrics.mean_relative_error(tf.cast(y, tf.float32), p, p + 0.5),
    "below": lambda tf, y, p, w: tf.metrics.percentage_below(p, 0.4, w),
    "precision": lambda tf, y, p, w: tf.metrics.precision(y, p > 0.5, w),
    "recall": lambda tf, y, p, w: tf.metrics.recall(y, p > 0.5),
    "tp": lambda tf, y, p, w: tf.metrics.true_positives(y, p > 0.5, w),
    "fp": lambda tf, y, p, w: tf.metrics.false_positives(y, p > 0.5, w),
    "tn": lambda tf, y, p, w: tf.metrics.true_negatives(y, p > 0.5, w),
    "fn": lambda tf, y, p, w: tf.metrics.false_negatives(y, p > 0.5, w),
    "tp_at": lambda tf, y, p, w: tf.metrics.true_positives_at_thresholds(y, p, [0.2, 0.5, 0.8], w),
    "precision_at": lambda tf, y, p, w: tf.metrics.precision_at_thresholds(y, p, [0.2, 0.5, 0.8], w),
    "recall_at": lambda tf, y, p, w: tf.metrics.recall_at_thresholds(y, p, [0.2, 0.5, 0.8]),
    "auc": lambda tf, y, p, w: tf.metrics.auc(y, p, w),
    "auc_pr": lambda tf, y, p, w: tf.metrics.auc(y, p, num_thresholds=50, curve="PR"),
    "auc_careful": lambda tf, y, p, w: tf.metrics.auc(
        y, p, num_thresholds=50, curve="PR", summation_method="careful_interpolation"
    ),
    "auc_minoring": lambda tf, y, p, w: tf.metrics.auc(y, p, num_thresholds=50, summation_method="minoring"),
    "auc_majoring": lambda tf, y, p, w: tf.metrics.auc(y, p, num_thresholds=50, summation_method="majoring"),
    "sensitivity": lambda tf, y, p, w: tf.metrics.sensitivity_at_specificity(y, p, 0.7),
    "specificity": lambda tf, y, p, w: tf.metrics.specificity_at_sensitivity(y, p, 0.7),
    "iou": lambda tf, y, p, w: tf.metrics.mean_iou(y, p > 0.5, 3, w),
    "per_class": lambda tf, y, p, w: tf.metrics.mean_per_class_accuracy(y, p > 0.5, 3),
    "recall_at_k": lambda tf, y, p, w: tf.metrics.recall_at_k(y[:6], tf.reshape(p[:18], [6, 3]), 2),
}


def metrics(tf):
    """Every metric: the update's results for two batches, and the value after them."""
    rng = np.random.RandomState(3)
    batches = []
    for _ in range(2):
        label = rng.uniform(size=30) > 0.5
        share = np.clip(rng.normal(0.35 + 0.3 * label, 0.25), 0, 1)
        batches.append(
            (label.astype(np.int64), share.astype(np.float32), rng.uniform(size=30).astype(np.float32))
        )
    results = {}
    for name, make in METRICS.items():
        with tf.Graph().as_default(), tf.Session() as session:
            y = tf.placeholder(tf.int64, [30])
            p = tf.placeholder(tf.float32, [30])
            w = tf.placeholder(tf.float32, [30])
            value, update = make(tf, y, p, w)
            session.run(tf.local_variables_initializer())
            updates = [session.run(update, dict(zip((y, p, w), batch))) for batch in batches]
            names = sorted(var.name for var in tf.local_variables())
            results[name] = {"updates": updates, "value": session.run(value), "variables": names}
    return results


def averages(tf):
    """Moving averages of a variable and of a tensor, over five steps."""
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.get_variable("w", initializer=np.float32([1.0, 2.0]), use_resource=True)
        steps = tf.get_variable("steps", initializer=np.int64(0), use_resource=True, trainable=False)
        x = tf.multiply(w, 3.0, name="x")
        plain = tf.train.ExponentialMovingAverage(0.9)
        early = tf.train.ExponentialMovingAverage(0.9, num_updates=steps, name="Early")
        debiased = tf.train.ExponentialMovingAverage(0.9, zero_debias=True, name="Debiased")
        updates = [plain.apply([w, x]), early.apply([w]), debiased.apply([x])]
        with tf.control_dependencies(updates):
            advance = tf.group(w.assign_add([0.5, -0.25]), steps.assign_add(1))
        session.run(tf.global_variables_initializer())
        for _ in range(5):
            session.run(advance)
        values = session.run(
            {
                "plain": plain.average(w),
                "tensor": plain.average(x),
                "early": early.average(w),
                "debiased": debiased.average(x),
            }
        )
        values["names"] = [plain.average_name(w), plain.average_name(x), early.average_name(w)]
        values["restore"] = {k: v.name for k, v in sorted(plain.variables_to_restore().items())}
        values["variables"] = sorted(var.name for var in tf.global_variables())
        return values


PROGRAMS = {
    "optimizers": optimizers,
    "schedules": schedules,
    "clipping": clipping,
    "losses": losses,
    "metrics": metrics,
    "averages": averages,
}
