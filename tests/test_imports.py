"""Who may include and import whom: the rooms of the house, in the order in which a computation goes."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# ---- C++: what a file of a room may include, besides its own room.

BELOW_PLAN = {"base", "graph", "registry"}
MAY_INCLUDE = {
    "base": set(),
    "graph": {"base"},
    "registry": {"base", "graph"},
    "ops": BELOW_PLAN | {"io"},
    "passes": BELOW_PLAN,
    "kernels": BELOW_PLAN | {"io"},
    "io": BELOW_PLAN,
    "plan": BELOW_PLAN | {"passes"},
    "executor": BELOW_PLAN | {"passes", "plan"},
    "devices": BELOW_PLAN | {"passes", "plan", "executor"},
    "session": BELOW_PLAN | {"passes", "plan", "executor", "io"},
    "c_api": BELOW_PLAN | {"passes", "plan", "executor", "session", "io"},
    "cc": {"c_api"},
}
CORE_FILES = sorted(p for p in (ROOT / "core").rglob("*") if p.suffix in (".cc", ".h", ".inc"))


def includes(text: str) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', text, re.M)


def wrong_includes(room: str, text: str) -> list[str]:
    wrong = []
    for name in includes(text):
        parts = name.split("/")
        if parts[0] == "core" and parts[1] != room and parts[1] not in MAY_INCLUDE[room]:
            wrong.append(name)
        if parts[0] in ("Python.h", "nanobind", "pybind11", "bindings"):
            wrong.append(name)
    return wrong


def test_core_includes_point_backwards():
    wrong = {}
    for path in CORE_FILES:
        room = path.relative_to(ROOT / "core").parts[0]
        assert room in MAY_INCLUDE, f"core/{room} is a room that the table of this test does not know"
        if found := wrong_includes(room, path.read_text()):
            wrong[str(path.relative_to(ROOT))] = found
    assert not wrong


def test_wrong_includes_are_found():
    assert wrong_includes("graph", '#include "core/registry/ops.h"\n#include "core/base/dtype.h"') == [
        "core/registry/ops.h"
    ]
    assert wrong_includes("kernels", '#include "core/plan/plan.h"') == ["core/plan/plan.h"]
    assert wrong_includes("base", "#include <Python.h>\n") == ["Python.h"]
    assert wrong_includes("cc", '#include "core/graph/graph.h"') == ["core/graph/graph.h"]


# ---- Python: a room may import those before it, and those beside it.

RANK = {
    "_core": 0,
    "framework": 1,
    "kernels": 2,
    "ops": 2,
    "gradients": 3,
    "testing": 4,
    "train": 4,
    "data": 4,
    "layers": 4,
    "summary": 4,
    "saved_model": 4,
    "devices": 5,
    "spark": 5,
    "": 6,  # the namespaces beside __init__.py: they only gather names
    "compat": 7,
}
PYTHON_FILES = sorted((ROOT / "headrace").rglob("*.py"))


def rank_of(module: str) -> int:
    """`module` without "headrace." at its front."""
    return RANK.get(module.split(".")[0], RANK[""])


def imported(node: ast.AST) -> list[str]:
    """The modules of ours that a statement imports, without "headrace." at their front."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module == "headrace" and not node.level:
        names = [f"headrace.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = ["headrace." + "?" * node.level] if node.level else [node.module or ""]
    else:
        return []
    return [name.removeprefix("headrace").lstrip(".") for name in names if name.split(".")[0] == "headrace"]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def wrong_imports(rank: int, text: str) -> list[str]:
    """What is wrong about the imports of a file of this rank."""
    wrong = []

    def visit(node: ast.AST, inside: bool) -> None:
        if is_type_checking(node):
            return
        for module in imported(node):
            if inside:
                wrong.append(f"{module} is imported inside a function")
            if rank_of(module) > rank:
                wrong.append(f"{module} comes later")
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(text), False)
    return wrong


def test_python_imports_point_backwards():
    wrong = {}
    for path in PYTHON_FILES:
        parts = path.relative_to(ROOT / "headrace").with_suffix("").parts
        rank = rank_of(parts[0]) if len(parts) > 1 else RANK[""]
        if found := wrong_imports(rank, path.read_text()):
            wrong[str(path.relative_to(ROOT))] = found
    assert not wrong


def test_wrong_imports_are_found():
    assert wrong_imports(RANK["framework"], "from headrace.ops import math") == ["ops comes later"]
    assert wrong_imports(RANK["ops"], "import headrace.gradients.engine") == ["gradients.engine comes later"]
    assert wrong_imports(RANK["train"], "from headrace import compat, _core") == ["compat comes later"]
    assert wrong_imports(RANK["framework"], "def f():\n  from headrace.framework import raw") == [
        "framework is imported inside a function"
    ]
    assert not wrong_imports(RANK["gradients"], "from headrace.ops import math\nimport numpy")


# ---- importing


def test_import_is_quiet_and_light():
    """Nothing is printed, and no optional or heavy package comes along."""
    code = "import sys, headrace; print(sorted(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    loaded = set(ast.literal_eval(done.stdout))
    assert not loaded & {"scipy", "matplotlib", "PIL", "sklearn", "tensorboard", "pytest", "unittest", "absl"}


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda p: p.stem)
def test_files_say_what_they_hold(path):
    if path.name != "__init__.py":
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
