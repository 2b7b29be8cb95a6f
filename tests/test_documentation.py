"""Reference pages are complete, links lead to headings, and examples work."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel
from ruamel.yaml import YAML

from rixs_pipeline import schema
from rixs_pipeline.cli import app
from rixs_pipeline.config import (
    Comparison,
    Config,
    MapOptions,
    MultiPanelFigure,
    PlotsConfig,
    Region,
)

CHECKOUT = Path(__file__).parent.parent
REFERENCE = CHECKOUT / "docs" / "reference"
PAGES = sorted([*(CHECKOUT / "docs").glob("**/*.md"), CHECKOUT / "README.md"])
PAGE_IDS = [str(path.relative_to(CHECKOUT)) for path in PAGES]
SECTIONS = {
    "regions": Region,
    "compare": Comparison,
    "plots": MapOptions,
    "figures": MultiPanelFigure,
}


def page(name: str) -> str:
    """Return the text of a reference page."""
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def config_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the keys of a model, nested ones as `exclude.scans`."""
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


def test_every_kind_of_figure_is_described() -> None:
    text = page("config").split("\n## plots:")[1].split("\n## ")[0]
    assert not [kind for kind in PlotsConfig.model_fields if f"`{kind}" not in text]


@pytest.mark.parametrize(
    "section", sorted(Config.model_fields.keys() - SECTIONS.keys())
)
def test_defaults_on_the_config_page_match_the_code(section: str) -> None:
    text = page("config").split(f"\n## {section}:")[1].split("\n## ")[0]
    defaults = getattr(Config(), section).model_dump(mode="json")
    cells = re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", text, re.MULTILINE)
    for key, cell in cells:
        default = defaults
        for name in key.split("."):
            default = default[name]
        assert YAML(typ="safe").load(cell) == default, key


def options_of_verbs() -> dict[str, set[str]]:
    """Return the options of each verb, such as `config show`."""
    commands = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for name, verb in commands.pop("config").commands.items():
        commands[f"config {name}"] = verb
    return {
        name: {option for parameter in verb.params for option in parameter.opts}
        for name, verb in commands.items()
    }


def test_every_verb_and_option_is_described() -> None:
    text = page("cli")
    for name, options in options_of_verbs().items():
        assert re.search(rf"`{name}\b", text), f"verb {name}"
        long_options = {option for option in options if option.startswith("--")}
        missing = {option for option in long_options if option not in text}
        assert missing <= {"--help"}, f"options of {name}"


def console_commands(path: Path) -> list[list[str]]:
    """Return the words of each rixs-pipeline command in a page."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    words = [shlex.split(command, comments=True) for command in commands]
    return [w[1:] for w in words if w and w[0].endswith("rixs-pipeline")]


@pytest.mark.parametrize("path", PAGES, ids=PAGE_IDS)
def test_commands_in_pages_exist(path: Path) -> None:
    verbs = options_of_verbs()
    for words in console_commands(path):
        name = " ".join(words[:2]) if words[0] == "config" else words[0]
        assert name in verbs, words
        options = {word for word in words if re.match("--?[a-z]", word)}
        assert options <= verbs[name], words


def test_messages_in_the_tutorial_match_the_program(
    command_line, sample_beamtime: Path, reduced_sample: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(reduced_sample, out)
    made = json.loads((out / "run.json").read_text(encoding="utf-8"))["executed"]
    command_line("run", sample_beamtime, "-o", out, "--until", "xas")
    summary = json.loads((out / "run.json").read_text(encoding="utf-8"))
    messages = [*summary["problems"], *summary["warnings"]]
    messages += [f"wrote out/{name}" for name in [*made, *summary["executed"]]]
    text = (CHECKOUT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    output = re.findall(r"```text\n(.*?)```", text, re.DOTALL)[0].splitlines()
    shown = [line.partition(" [and ")[0] for line in output]
    assert [line for line in shown if line not in [*messages, "..."]] == []


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


def anchor(heading: str) -> str:
    """Return the anchor that Markdown gives a heading."""
    return re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=PAGE_IDS)
def test_links_lead_to_pages_and_headings(path: Path) -> None:
    links = re.findall(
        r"\]\(([^)#\s]*)(?:#([\w-]+))?\)", path.read_text(encoding="utf-8")
    )
    broken = []
    for target, heading in links:
        if "://" in target:
            continue
        linked = path.parent / target if target else path
        if not linked.exists():
            broken.append(target)
        elif heading:
            text = linked.read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            if heading not in map(anchor, headings):
                broken.append(f"{target}#{heading}")
    assert broken == []
