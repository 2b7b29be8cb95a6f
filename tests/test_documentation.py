"""The reference pages name every verb, option, config key and variable that there is, and links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel
from ruamel.yaml import YAML

from rixs_pipeline import schema
from rixs_pipeline.cli import app
from rixs_pipeline.config import Comparison, Config, MultiPanelFigure, Region

CHECKOUT = Path(__file__).parent.parent
REFERENCE = CHECKOUT / "docs" / "reference"
PAGES = sorted([*(CHECKOUT / "docs").glob("**/*.md"), CHECKOUT / "README.md"])
SECTIONS = {"regions": Region, "compare": Comparison, "figures": MultiPanelFigure}


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def config_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """`exclude.scans` for a key of a model within the section."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from config_keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize("section", Config.model_fields)
def test_every_config_key_is_described(section: str) -> None:
    model = SECTIONS.get(section) or Config.model_fields[section].annotation
    assert isinstance(model, type)
    text = page("config").split(f"\n## {section}:")[1].split("\n## ")[0]
    missing = [key for key in config_keys(model) if f"`{key}`" not in text]
    assert not missing


@pytest.mark.parametrize(
    "section", sorted(Config.model_fields.keys() - SECTIONS.keys())
)
def test_the_defaults_of_the_config_page_are_those_of_the_code(section: str) -> None:
    text = page("config").split(f"\n## {section}:")[1].split("\n## ")[0]
    defaults = getattr(Config(), section).model_dump(mode="json")
    cells = re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", text, re.MULTILINE)
    for key, cell in cells:
        default = defaults
        for name in key.split("."):
            default = default[name]
        assert YAML(typ="safe").load(cell) == default, key


def test_every_verb_and_option_is_described() -> None:
    text = page("cli")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    nested = {
        f"config {name}": verb for name, verb in commands.pop("config").commands.items()
    }
    for name, verb in (commands | nested).items():
        assert re.search(rf"`{name}\b", text), f"verb {name}"
        options = {
            option
            for parameter in verb.params
            for option in parameter.opts
            if option.startswith("--")
        }
        assert {
            option for option in options - {"--help"} if option not in text
        } == set(), f"options of {name}"


@pytest.mark.parametrize(
    "variables",
    [
        schema.RIXS_MAP,
        schema.SCAN_MAP,
        schema.PIXEL_CALIBRATION,
        schema.spectrum("incident_energy"),
        schema.comparison("incident_energy"),
    ],
    ids=["map", "scan", "calibration", "spectrum", "comparison"],
)
def test_every_variable_is_described(variables: dict[str, schema.Variable]) -> None:
    text = page("products")
    assert [name for name in variables if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT))
)
def test_links_lead_to_files(path: Path) -> None:
    targets = re.findall(
        r"\]\(([^)#]+)(?:#[\w-]+)?\)", path.read_text(encoding="utf-8")
    )
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_the_example_config_of_the_readme_is_one() -> None:
    blocks = re.findall(
        r"```yaml\n(.*?)```",
        (CHECKOUT / "README.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert blocks
    for block in blocks:
        Config.model_validate(YAML(typ="safe").load(block))
