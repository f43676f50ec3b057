"""The workloads in PyTorch. `ROWS[name](compiled)` returns a function that runs one step."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


def finish(module_or_function, compiled):
    return torch.compile(module_or_function) if compiled else module_or_function


def trainer(model, loss_of, inputs, compiled, rate=0.01, other=None):
    """One SGD step: forward, backward, update in place. Its `other` runs one on other inputs."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    forward = finish(lambda *args: loss_of(model, *args), compiled)

    def step(inputs=inputs):
        optimizer.zero_grad(set_to_none=True)
        forward(*inputs).backward()
        optimizer.step()

    if other is not None:
        step.other = lambda: step(other)
    return step


def matmul(compiled):
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    f = finish(lambda a, b: a @ b, compiled)
    return lambda: f(a, b)


def elementwise(compiled):
    x = torch.randn(4_000_000)
    f = finish(lambda x: torch.tanh(2.0 * x + 1.0) * torch.sigmoid(x) - x * x, compiled)
    return lambda: f(x)


def linear_regression(compiled):
    x = torch.randn(100, 1)
    return trainer(nn.Linear(1, 1), lambda m, x, y: F.mse_loss(m(x), y), (x, 3 * x + 2), compiled)


def cross_entropy(model, x, y):
    return F.cross_entropy(model(x), y)


def mlp(compiled):
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return trainer(model, cross_entropy, (torch.randn(128, 784), torch.randint(0, 10, (128,))), compiled)


def lenet(compiled):
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )  # fmt: skip
    return trainer(model, cross_entropy, (torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))), compiled)


class Bottleneck(nn.Module):
    def __init__(self, size_in, width, stride, project):
        super().__init__()

        def conv(i, o, k, s):
            return nn.Sequential(nn.Conv2d(i, o, k, s, padding=k // 2, bias=False), nn.BatchNorm2d(o))

        self.a, self.b, self.c = (
            conv(size_in, width, 1, 1),
            conv(width, width, 3, stride),
            conv(width, 4 * width, 1, 1),
        )
        self.project = conv(size_in, 4 * width, 1, stride) if project else nn.Identity()

    def forward(self, x):
        return F.relu(self.c(F.relu(self.b(F.relu(self.a(x))))) + self.project(x))


def resnet50():
    layers = [
        nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    size_in = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(Bottleneck(size_in, 64 << stage, stride, project=block == 0))
            size_in = 4 * (64 << stage)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def resnet50_inference(batch, dtype=torch.float32):
    def build(compiled):
        # channels_last is the faster of its two layouts here
        model = resnet50().eval().to(dtype=dtype, memory_format=torch.channels_last)
        x = torch.randn(batch, 3, 224, 224).to(dtype=dtype, memory_format=torch.channels_last)
        f = finish(model, compiled)

        def step():
            with torch.inference_mode():
                f(x)

        return step

    return build


def resnet50_training(compiled, batch=8, other=4):
    def images(batch):
        x = torch.randn(batch, 3, 224, 224).to(memory_format=torch.channels_last)
        return x, torch.randint(0, 1000, (batch,))

    model = resnet50().to(memory_format=torch.channels_last)
    return trainer(model, cross_entropy, images(batch), compiled, other=images(other))


def lstm(compiled, width=256, steps=50, batch=32):
    model = nn.LSTM(width, width, batch_first=True)

    def loss_of(model, x, y):
        return F.mse_loss(model(x)[0][:, -1], y)

    return trainer(model, loss_of, (torch.randn(batch, steps, width), torch.randn(batch, width)), compiled)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h):
        batch, steps, width = h.shape
        n = self.norm1(h)
        q, k, v = (
            layer(n).view(batch, steps, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, steps, width)
        h = h + self.out(mixed)
        return h + self.down(F.gelu(self.up(self.norm2(h)), approximate="tanh"))


def transformer(compiled, width=256, steps=128, batch=16, heads=4, blocks=2):
    model = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
    inputs = torch.randn(batch, steps, width), torch.randn(batch, steps, width)
    return trainer(model, lambda m, x, y: F.mse_loss(m(x), y), inputs, compiled)


def chain(compiled, length=10_000):
    x = torch.ones([])

    def step():
        y = x
        for _ in range(length):
            y = y + x
        return y

    return step


def fan_out(compiled, width=10_000):
    x, y = torch.ones([]), torch.ones([])
    return lambda: [x + y for _ in range(width)]


def feed(compiled):
    x = torch.randn(128, 784).numpy()
    total = finish(torch.sum, compiled)
    return lambda: total(torch.from_numpy(x)).item()


def sparse(rows, width=16, batch=32):
    def build(compiled):
        table = nn.Embedding(rows, width, sparse=True, _weight=torch.zeros(rows, width))
        ids = torch.randint(0, rows, (batch,))
        return trainer(table, lambda m, ids: torch.sum((m(ids) - 1.0) ** 2), (ids,), compiled)

    return build


def full_softmax(compiled, batch=32, units=512, words=40_000):
    model = nn.Linear(units, words)
    h = torch.randn(batch, units, requires_grad=True)
    return trainer(model, cross_entropy, (h, torch.randint(0, words, (batch,))), compiled)


ROWS = {
    "matmul 1024": matmul,
    "elementwise 4M": elementwise,
    "linear regression": linear_regression,
    "MLP": mlp,
    "LeNet": lenet,
    "ResNet-50 inference 1": resnet50_inference(1),
    "ResNet-50 inference 8": resnet50_inference(8),
    "ResNet-50 training 8": resnet50_training,
    "LSTM": lstm,
    "transformer": transformer,
    "ResNet-50 bfloat16 8": resnet50_inference(8, torch.bfloat16),
    "chain": chain,
    "fan-out": fan_out,
    "feed": feed,
    "sparse 10^3": sparse(10**3),
    "sparse 10^5": sparse(10**5),
    "sparse 10^7": sparse(10**7),
    "full softmax": full_softmax,
}
