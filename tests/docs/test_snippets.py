"""Python, YAML and numbers in README and docs: they run, are valid, and are right."""

import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from ruamel.yaml import YAML

import rixs_pipeline
from rixs_pipeline.config import Config
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.types import PixelState
from tests.docs.pages import DOCS, Block, blocks, blocks_of_pages, pages_with

# what an indented block continues
CONTINUED = {
    "regions.md": "regions:\n",
    "energy_scale.md": """name: lines
source: none
lines:
  C_Ka: {energy: 277, uncertainty: 1}
  O_Ka: {energy: 525, uncertainty: 1}
""",
}


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.stem)
def test_python_runs(page: Path, tutorial_out, tmp_path, monkeypatch) -> None:
    """Each page by itself, in a folder with the products in `out`; warnings raise."""
    shutil.copytree(tutorial_out, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    code = "\n".join(block.text for block in blocks(page, "python"))
    exec(compile(code, str(page), "exec"), {})
    plt.close("all")
    pictures = re.findall(r"savefig\(\"(.*?)\"", code)
    assert all((tmp_path / picture).stat().st_size > 0 for picture in pictures)


@pytest.mark.parametrize("block", blocks_of_pages("yaml"), ids=lambda b: b.name)
def test_yaml_is_valid(block: Block, tmp_path: Path) -> None:
    text = block.text
    if text.startswith("  "):
        text = CONTINUED[block.page.name] + text
    if text.startswith("name:"):
        path = tmp_path / "set.yaml"
        path.write_text(text, encoding="utf-8")
        assert load_reference_set(str(path), {}).lines
    else:
        Config.model_validate(YAML(typ="safe").load(text))


def test_numbers_of_the_tutorial(tutorial_out: Path) -> None:
    comparison = rixs_pipeline.open_product(
        tutorial_out / "comparisons" / "heating-O_K.nxs"
    )
    redox = comparison["O_sPFY"]
    names = ("ratio", "ratio_lower", "ratio_upper")
    ratio, low, high = (float(redox[name][0]) for name in names)
    p, ratio_p = float(redox.p[0]), float(redox.ratio_p[0])
    text = " ".join((DOCS / "tutorial.md").read_text(encoding="utf-8").split())
    assert f"finds {ratio:.2f} ({low:.2f} to {high:.2f})" in text
    assert f"here p = {p:.2f}" in text
    assert f"equal amplitudes is {ratio_p:.2f}" in text


def test_every_reason_of_a_pixel_is_described() -> None:
    text = (DOCS / "howto" / "leave_out.md").read_text(encoding="utf-8")
    reasons = {state.value for state in PixelState} - {"", "ok"}
    assert [reason for reason in reasons if f"`{reason}`" not in text] == []
