"""The notebook runs, and the page shows the outputs that it has.

`UPDATE_NOTEBOOK=1 pytest tests/docs/test_notebook.py` writes the outputs for the page
again; look at the pictures before you commit them.
"""

import base64
import json
import os
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "notebooks" / "quick_look.ipynb"
LARGEST_DIFFERENCE = 2.0  # of 255, mean of all pixels: other versions of matplotlib


def printed(cell: Any) -> str:
    """Return what an executed cell printed."""
    streams = [o for o in cell["outputs"] if o["output_type"] == "stream"]
    assert all(stream["name"] == "stdout" for stream in streams), streams
    return "".join(stream["text"] for stream in streams)


def drawn(cell: Any) -> bytes:
    """Return the picture that an executed cell shows last."""
    shown = [o["data"] for o in cell["outputs"] if "image/png" in o.get("data", {})]
    return base64.b64decode(shown[-1]["image/png"])


def pixels(picture: bytes) -> np.ndarray:
    """Return the colours of a picture, (row, column, 3)."""
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB"), dtype=float)


@pytest.fixture(scope="module")
def executed(tutorial_out: Path, tmp_path_factory) -> Any:
    """The notebook with its outputs, executed beside the products."""
    checkout = tmp_path_factory.mktemp("checkout")
    folder = checkout / "docs" / "notebooks"
    folder.mkdir(parents=True)
    shutil.copytree(tutorial_out, checkout / "out")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    assert (checkout / "out" / "co_pfy.csv").exists()
    return notebook


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_the_page_shows_the_outputs_of_the_notebook(executed: Any) -> None:
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell, run in zip(stored["cells"], executed.cells, strict=True):
        picture = cell["metadata"].get("picture")
        if "UPDATE_NOTEBOOK" in os.environ:
            if picture:
                (DOCS / "images" / picture).write_bytes(drawn(run))
            if "printed" in cell["metadata"]:
                cell["metadata"]["printed"] = printed(run).splitlines()
        elif picture:
            before, now = pixels((DOCS / "images" / picture).read_bytes()), drawn(run)
            assert before.shape == pixels(now).shape, f"{picture}: update it"
            difference = np.abs(before - pixels(now)).mean()
            assert difference < LARGEST_DIFFERENCE, f"{picture}: update it"
        if shown := cell["metadata"].get("printed"):
            assert shown == printed(run).splitlines()
    text = json.dumps(stored, indent=1, ensure_ascii=False)
    if "UPDATE_NOTEBOOK" in os.environ:
        NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")
