"""The examples run as a newcomer runs them."""

import pathlib
import re
import subprocess
import sys

import pytest

import headrace as tf

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def run(tmp_path, script, *arguments):
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracy(output):
    return float(re.findall(r"held-out accuracy +([\d.]+) %", output)[-1])


def test_digits(tmp_path):
    output = run(tmp_path, "digits.py")
    assert accuracy(output) >= 98.0
    assert "loss" in output
    assert (tmp_path / "digits.png").stat().st_size > 10_000 and "digits.png" in output


def test_digits_for_tensorboard(tmp_path):
    run(tmp_path, "digits.py", "--epochs", "2", "--picture", "", "--logdir", "log")
    (path,) = (tmp_path / "log").iterdir()
    events = list(tf.train.summary_iterator(str(path)))
    assert {"graph_def", "summary", "tagged_run_metadata"} <= {event.WhichOneof("what") for event in events}
    values = {value.tag: value.WhichOneof("value") for event in events for value in event.summary.value}
    assert values["log/loss"] == values["log/held_out_accuracy"] == "simple_value"
    assert values["log/conv1/kernel"] == "histo" and values["log/digits/image/0"] == "image"


def test_softmax_regression(tmp_path):
    assert accuracy(run(tmp_path, "softmax_regression.py")) >= 94.0


def test_jacobian(tmp_path):
    output = run(tmp_path, "jacobian.py")
    assert float(re.search(r"central differences: (\S+)", output).group(1)) < 1e-7
    assert (tmp_path / "jacobian.png").exists() and "jacobian.png" in output


def test_workers(tmp_path):
    output = run(tmp_path, "workers.py", "--workers", "4", "--needed", "2", "--steps", "150")
    assert all(float(error) < 0.15 for error in re.findall(r"largest error ([\d.]+)", output))
    asynchronous, synchronous = re.findall(r"(\d+) updates from (\d+) gradients", output)
    assert int(asynchronous[0]) >= 150 and abs(int(asynchronous[0]) - int(asynchronous[1])) <= 2 * 4
    assert int(synchronous[0]) == 150 and int(synchronous[1]) >= 2 * 150 - 4


@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_is_tested(script):
    assert f'"{script}"' in pathlib.Path(__file__).read_text()
