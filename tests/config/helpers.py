"""Configs from text, and the problems that they have."""

import re
from pathlib import Path
from typing import Any

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import ConfigError

EXAMPLE_LINE = re.compile(
    r"^#(?! \S)(?=.)", re.MULTILINE
)  # `#key:`, and what is indented below it


def loaded(folder: Path, text: str, **options: Any) -> Config:
    path = folder / "c.yaml"
    path.write_text(text)
    return load_config(path, **options)


def problems(folder: Path, text: str, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **options)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def uncommented(text: str) -> str:
    return EXAMPLE_LINE.sub("", text)
