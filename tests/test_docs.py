"""Generated pages are up to date, the guide's programs run, and links lead somewhere."""

import pathlib
import re
import subprocess
import sys

import pytest

import headrace as tf

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "core/README.md"]


def test_generated_pages_are_up_to_date():
    command = [sys.executable, str(ROOT / "tools/make_docs.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_guide_runs():
    """All code of the guide, as one program."""
    text = (ROOT / "docs/guide.md").read_text()
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S))
    with tf.Graph().as_default():
        exec(compile(program, "guide.md", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
