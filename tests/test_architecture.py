"""The page on the architecture names files and functions that are there."""

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
PAGE = CHECKOUT / "docs" / "explanation" / "architecture.md"
STEP = re.compile(r"\| `(?P<file>[\w/]+\.py)` \| `(?P<name>[\w.]+)` \|")
FOLDER = re.compile(r"^\| `(?P<folder>[\w/]+/)` \|", re.MULTILINE)
STEPS = [match.groups() for match in STEP.finditer(PAGE.read_text(encoding="utf-8"))]


def names_in(file: Path) -> set[str]:
    """Functions, classes and, with the class in front, methods of a module."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{part.name}"
                for part in node.body
                if isinstance(part, ast.FunctionDef)
            }
    return names


def test_page_lists_the_steps() -> None:
    assert len(STEPS) > 20


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_steps_exist_in_the_code(file: str, name: str) -> None:
    assert name in names_in(CHECKOUT / "rixs_pipeline" / file)


def test_all_folders_of_core_are_listed() -> None:
    listed = {
        match["folder"].rstrip("/") for match in FOLDER.finditer(PAGE.read_text())
    }
    folders = (CHECKOUT / "rixs_pipeline" / "core").iterdir()
    of_core = {f"core/{f.name}" for f in folders if (f / "__init__.py").is_file()}
    assert of_core <= listed
