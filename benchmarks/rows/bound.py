"""What each workload takes at least on this machine: its products of matrices and its convolutions, each run
alone by the library (`onednn.py`); of the elementwise row, its transcendental functions, in cache.

`ROWS[name]()` returns a function that runs the kernels of one step; its `kinds` says what each kind takes.
"""

import collections
import time

import onednn


def dense(rows, size_in, size, count=1, first=False):
    """A dense layer in training: its product, and the derivatives by weights and (but in the first) input."""
    kernels = [(count, onednn.product, (rows, size_in, size)), (count, onednn.product, (size_in, rows, size))]
    return kernels if first else [*kernels, (count, onednn.product, (rows, size, size_in))]


def conv(batch, size, size_in, size_out, kernel, stride=1, count=1, **options):
    made = lambda *args: onednn.convolution(*args, **options)  # noqa: E731
    return [(count, made, (batch, size, (size_in, size_out), kernel, stride))]


def elementwise():
    return [(20, onednn.elementwise, (200_000, f)) for f in (onednn.TANH, onednn.LOGISTIC)]


def mlp():
    return dense(128, 784, 512, first=True) + dense(128, 512, 512) + dense(128, 512, 10)


def lenet():
    convs = conv(64, 28, 1, 32, 5, first=True) + conv(64, 14, 32, 64, 5)
    return convs + dense(64, 7 * 7 * 64, 1024) + dense(64, 1024, 10)


def resnet50(batch, **options):
    kernels, size, size_in = conv(batch, 224, 3, 64, 7, 2, **options, **first(options)), 56, 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width, stride = 64 << stage, 2 if stage > 0 else 1
        wide, small = 4 * width, size // stride
        kernels += conv(batch, size, size_in, wide, 1, stride, **options)
        kernels += conv(batch, size, size_in, width, 1, **options)
        kernels += conv(batch, size, width, width, 3, stride, **options)
        kernels += conv(batch, small, wide, width, 1, count=blocks - 1, **options)
        kernels += conv(batch, small, width, width, 3, count=blocks - 1, **options)
        kernels += conv(batch, small, width, wide, 1, count=blocks, **options)
        size, size_in = small, wide
    if options.get("training", True):
        return kernels + dense(batch, 2048, 1000)
    dtype = options.get("dtype", onednn.FLOAT32)
    return [*kernels, (1, lambda *sizes: onednn.product(*sizes, dtype=dtype), (batch, 2048, 1000))]


def first(options):
    return {"first": True} if options.get("training", True) else {}


def lstm(width=256, steps=50, batch=32):
    # The inputs' part of the product, and the weights' derivative, need not wait for one step after another.
    whole = [(steps * batch, width, 4 * width), (2 * width, steps * batch, 4 * width)]
    each = [(batch, width, 4 * width), (batch, 4 * width, width)]
    return [(1, onednn.product, p) for p in whole] + [(steps, onednn.product, p) for p in each]


def transformer(width=256, steps=128, batch=16, heads=4, blocks=2):
    rows, size = batch * steps, width // heads
    kernels = dense(rows, width, width, count=4 * blocks)
    kernels += dense(rows, width, 4 * width, count=blocks) + dense(rows, 4 * width, width, count=blocks)
    scores, mixed = (batch * heads, steps, size, steps), (batch * heads, steps, steps, size)
    return [*kernels, (3 * blocks, onednn.product, scores), (3 * blocks, onednn.product, mixed)]


def stepper(describe):
    """A function that runs all kernels that `describe()` lists, those of one shape one after the other."""

    def build():
        kernels = []
        for count, make, sizes in describe():
            made = make(*sizes)
            kernels += [(count, kernel) for kernel in (made if isinstance(made, list) else [made])]

        def step():
            for count, kernel in kernels:
                for _ in range(count):
                    kernel()

        def kinds():
            """{kind: ms} of one step."""
            total = collections.Counter()
            for count, kernel in kernels:
                kernel()
                start = time.perf_counter()
                for _ in range(count):
                    kernel()
                total[kernel.kind] += 1e3 * (time.perf_counter() - start)
            return dict(total)

        step.kinds = kinds
        return step

    return build


ROWS = {
    name: stepper(describe)
    for name, describe in {
        "matmul 1024": lambda: [(1, onednn.product, (1024, 1024, 1024))],
        "elementwise 4M": elementwise,
        "MLP": mlp,
        "LeNet": lenet,
        "ResNet-50 inference 1": lambda: resnet50(1, training=False),
        "ResNet-50 inference 8": lambda: resnet50(8, training=False),
        "ResNet-50 training 8": lambda: resnet50(8),
        "LSTM": lstm,
        "transformer": transformer,
        "ResNet-50 bfloat16 8": lambda: resnet50(8, training=False, dtype=onednn.BFLOAT16),
    }.items()
}
