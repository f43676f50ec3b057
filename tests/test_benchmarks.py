"""The benchmarks run, and say what they measured; what they measure is not looked at."""

import json
import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    """The driver's modules, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import lines
    import report
    from rows import bound, graph

    yield lines, report, bound, graph
    for name in ("lines", "report", "onednn", "rows", "rows.bound", "rows.graph"):
        sys.modules.pop(name, None)


def test_every_row_is_a_program_and_every_workload_has_a_bound(modules):
    lines, _, bound, graph = modules
    assert set(lines.ROWS) == set(graph.ROWS)
    assert set(lines.WORKLOADS) - set(bound.ROWS) == {"linear regression"}


def test_a_run_measures_profiles_and_remembers(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--json", str(figures)]
    quick = ["--peers", "headrace", "bound", "--rounds", "1", "--seconds", "0.01", "--errors"]
    subprocess.run([*command, *quick, "--rows", "null step", "feed"], check=True)
    profile = subprocess.run(
        [*command, *quick, "--rows", "MLP", "--profile"], check=True, capture_output=True, text=True
    ).stdout
    assert "MatMul" in profile
    assert "| all of the plan, traced |" in profile
    assert "the library alone: matmul" in profile
    measured = json.loads(figures.read_text())
    assert set(measured) == {"null step", "feed", "MLP"}
    assert set(measured["MLP"]) == {"headrace", "bound"}
    tables = subprocess.run([*command, "--rows"], check=True, capture_output=True, text=True).stdout
    for name in ("| MLP |", "| null step |", "| feed 128"):
        assert name in tables


def test_tables_compare_with_the_best_peer_and_the_bound(modules, tmp_path):
    lines, report, _, _ = modules
    row = lines.TRAINING
    ours = {"ms": 10.0, "busy_ms": 21.0, "import_s": 0.2, "build_s": 0.3, "first_s": 1.0, "peak_mb": 900.0}
    results = {
        row: {
            "headrace": ours,
            "tensorflow": {"ms": 12.5, "import_s": 3.0, "build_s": 1.0, "first_s": 2.0, "peak_mb": 1000.0},
            "torch": {"ms": 20.0},
            "torch.compile": {"failed": "over limit"},
            "bound": {"ms": 8.0},
        }
    }
    tables = report.tables(results)
    assert f"| {row} | 10 | 12.5 | 20 | over limit | — | 8 | 0.80 | 1.25 |" in tables
    assert "| first step, from process start | s | < 2.5 | 1.5 | 6 | — | — | — |" in tables
    assert f"| {row} | 2.10 | — | — | — | — |" in tables
    report.plot(results, tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
