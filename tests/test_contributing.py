"""CONTRIBUTING.md's worked example, followed literally.

Its C++ is compiled into a library of its own, with the heads of the files that it says to edit; loaded beside
the core, it adds the operation to the registry. Then the operation's record runs as the document gives it.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from headrace import _core

ROOT = pathlib.Path(__file__).parents[1]
LIBRARY = next(pathlib.Path(_core.__file__).parent.glob("libheadrace.*"), None)


def blocks():
    """The code blocks of the document by what stands after their language."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return dict(re.findall(r"^```\w+ (\S[^\n]*)\n(.*?)^```$", text, re.M | re.S))


def includes(path):
    return "".join(re.findall(r"^#include [^\n]*\n", (ROOT / path).read_text(), re.M))


def imports(path):
    """The imports at the head of a Python file."""
    text = (ROOT / path).read_text()
    return "".join(re.findall(r"^(?:from (?!__future__)|import )[^(\n]*(?:\([^)]*\))?\n", text, re.M))


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_adding_an_operation(tmp_path):
    block = blocks()
    (tmp_path / "op.cc").write_text(
        includes("core/ops/math.cc")
        + "namespace headrace { HEADRACE_OPS(example) {\n" + block["core/ops"] + "} }\n"
    )  # fmt: skip
    (tmp_path / "kernel.cc").write_text(
        includes("core/kernels/math.cc")
        + "namespace headrace {\nnamespace {\n" + block["core/kernels"] + "}\n"
        + "HEADRACE_KERNELS(example) {\n" + block["core/kernels register"] + "}\n}\n"
    )  # fmt: skip
    library = tmp_path / "libexample.so"
    command = [
        "g++",
        "-std=c++20",
        "-O1",
        "-fPIC",
        "-shared",
        f"-I{ROOT}",
        "op.cc",
        "kernel.cc",
        "-o",
        str(library),
    ]
    command += [str(LIBRARY), f"-Wl,-rpath,{LIBRARY.parent}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    test = tmp_path / "test_example.py"
    test.write_text(
        "import ctypes\nimport headrace\n"
        f"ctypes.CDLL({str(library)!r})\n"
        + imports("headrace/gradients/math.py") + block["headrace/gradients"] + "\n"
        + imports("headrace/ops/math.py") + block["headrace/ops"] + "\n"
        + "import numpy as np\nfrom tests.ops.harness import Bad, Case, OpRecord, run_records\n"
        + "run_records(globals(), [\n" + block["tests/ops"] + "])\n"
        "def test_public():\n"
        "    with headrace.Graph().as_default(), headrace.Session() as session:\n"
        "        np.testing.assert_allclose(session.run(logit([0.5, 0.75])), [0, np.log(3)], rtol=1e-6)\n"
    )  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--rootdir={ROOT}", str(test)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_values[Logit" in done.stdout
