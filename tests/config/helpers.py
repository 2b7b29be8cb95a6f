"""Configs from text, and the problems that they have."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from rixs_pipeline.config import Config
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import ConfigError

# `#key:`, and what is indented below it
EXAMPLE_LINE = re.compile(r"^#(?! \S)(?=.)", re.MULTILINE)


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


def assert_invalid(
    model: type[BaseModel], values: dict[str, Any], message: str = ""
) -> None:
    """Assert that a model refuses values, with a part of the message."""
    with pytest.raises(ValidationError) as error:
        model.model_validate(values)
    assert message in str(error.value)
