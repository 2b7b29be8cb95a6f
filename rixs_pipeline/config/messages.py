"""Errors of pydantic in terms of the YAML file: `file:line: key.key: what is wrong`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rixs_pipeline.config.execution import PATTERNS_IN_WORDS, suggest
from rixs_pipeline.config.yaml_lines import Document, Keys, show_value
from rixs_pipeline.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)

_NUMBER_WITH_UNIT = re.compile(
    r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*[^\W\d_].*"
)
_EXPECTED = {  # type of an error of pydantic -> message
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "none_required": "must be null",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "missing": "must have more items",
    "union_tag_invalid": "must be of kind {expected_tags}",
    "union_tag_not_found": "must have a key `kind`",
}
_EXPECTED_KIND = {  # first word of the type of an error -> message
    "int": "must be a whole number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a mapping of keys to values",
    "model": "must be a mapping of keys to values",
}


@dataclass(frozen=True)
class _Location:
    """Where in the data an error is."""

    keys: Keys
    union: Keys | None  # keys of the union of types on the way, if there is one


@dataclass(frozen=True)
class _Message:
    """What is wrong with a value."""

    keys: Keys
    text: str


@dataclass(frozen=True)
class _Schema:
    """What the model allows at some keys."""

    members: list[Any]  # of the union of types
    description: str = ""  # of the last field on the way

    @property
    def fields(self) -> dict[str, FieldInfo]:
        """Fields of the models among the members."""
        return {
            name: info
            for member in self.members
            for name, info in getattr(member, "model_fields", {}).items()
        }

    @property
    def element_types(self) -> list[Any]:
        """Types of what the lists among the members hold."""
        return [
            element
            for member in self.members
            if get_origin(member) is tuple
            for element in _union_members(get_args(member)[0])
        ]

    def enter(self, key: Any) -> "_Schema":
        """Return what is allowed at a key."""
        elements = self.element_types
        if isinstance(key, int) and elements:
            return _Schema(elements, self.description)
        # one value may stand for a list of one
        schema = _Schema(self.members + elements) if isinstance(key, str) else self
        if key in schema.fields:
            info = schema.fields[key]
            return _Schema(_union_members(info.annotation), info.description or "")
        values = [
            value
            for member in schema.members
            if get_origin(member) is dict
            for value in _union_members(get_args(member)[1])
        ]
        return _Schema(values, self.description)


def _union_members(annotation: Any) -> list[Any]:
    """Return the members of a union of types, without `Annotated`."""
    if get_origin(annotation) is Annotated:
        return _union_members(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    nested = [_union_members(member) for member in get_args(annotation)]
    return [member for members in nested for member in members]


def validate(model: type[ModelT], document: Document) -> ModelT:
    """Return a document as a model.

    Parameters
    ----------
    model
        A pydantic model.
    document
        The values, with their places.

    Returns
    -------
    ModelT
        The validated model.

    Raises
    ------
    ConfigError
        One line a problem, `file:line: key.key: what is wrong`, in order of the lines.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = _problems(model, document, error.errors(include_url=False))
        raise ConfigError("\n".join(problems)) from error


def _problems(
    model: type[BaseModel], document: Document, errors: list[ErrorDetails]
) -> list[str]:
    """Return one line for each wrong value.

    The members of a union that all refuse a value give one line together.
    """
    by_place: dict[Keys, list[tuple[Keys, ErrorDetails]]] = {}
    for error in errors:
        if _is_consequence(error, errors, model):
            continue
        location = _locate(document.data, error)
        place = location.keys if location.union is None else location.union
        by_place.setdefault(place, []).append((location.keys, error))
    texts: dict[Keys, str] = {}
    for place, located in by_place.items():
        # an error inside one member of the union: that member was intended
        inner = [(keys, [error]) for keys, error in located if keys != place]
        together = [(place, [error for _, error in located])]
        for keys, group in inner or together:
            message = _explain(model, document, keys, group)
            texts[message.keys] = message.text
    in_order = sorted(
        texts, key=lambda keys: (document.place(keys), ".".join(map(str, keys)))
    )
    return [document.problem(keys, texts[keys]) for keys in in_order]


def _is_consequence(
    error: ErrorDetails, errors: list[ErrorDetails], model: type[BaseModel]
) -> bool:
    """Return whether an error only follows from another one.

    A key that is missing because it is misspelt, or too few valid items.
    """
    keys = error["loc"]
    if error["type"] == "missing":
        allowed = _allowed_keys(model, keys[:-1])
        unknown_keys = [
            str(sibling["loc"][-1])
            for sibling in errors
            if sibling["type"] == "extra_forbidden" and sibling["loc"][:-1] == keys[:-1]
        ]
        return any(
            get_close_matches(key, allowed, n=1) == [keys[-1]] for key in unknown_keys
        )
    if error["type"] == "too_short":
        return any(
            inner["loc"][: len(keys)] == keys and inner is not error for inner in errors
        )
    return False


def _locate(data: Any, error: ErrorDetails) -> _Location:
    """Return where in the data an error is; pydantic also names members of unions."""
    keys: Keys = ()
    union = None
    location: Keys = error["loc"]
    for key in location:
        is_in_mapping = isinstance(data, dict) and key in data
        is_in_list = isinstance(data, list) and key in range(len(data))
        if is_in_mapping or is_in_list:
            keys = (*keys, key)
            data = data[key]
        elif isinstance(data, dict) and key in map(str, data):
            # pydantic writes a whole number as a key as text
            number = next(number for number in data if str(number) == key)
            keys = (*keys, number)
            data = data[number]
        elif error["type"] == "missing" and key == location[-1]:
            keys = (*keys, key)
        elif key != "[key]":
            union = keys
    return _Location(keys, union)


def _explain(
    model: type[BaseModel], document: Document, keys: Keys, errors: list[ErrorDetails]
) -> _Message:
    """Return what is wrong with a value."""
    # a member of a union that fails its own check has the right form
    checks = [error for error in errors if error["type"] == "value_error"]
    error = (checks or errors)[0]
    if error["type"] == "extra_forbidden":
        hint = _hint(str(keys[-1]), _allowed_keys(model, keys[:-1]))
        return _Message(keys, f"unknown key ({hint})")
    if error["type"] == "missing" and isinstance(keys[-1], str):
        return _Message(keys, "is missing")
    if error["type"] == "missing":  # in a list of fixed length
        keys = keys[:-1]
    if error["type"] == "value_error":
        return _explain_check(document, keys, error)
    description = _schema_at(model, keys).description
    value = error["input"]
    number = "number in eV" if "eV" in description else "number"
    is_number_expected = any(error["type"].startswith("float") for error in errors)
    if is_number_expected and _NUMBER_WITH_UNIT.fullmatch(str(value)):
        text = f"must be a {number} without unit, not {show_value(value)}"
        return _Message(keys, text)
    expectations = dict.fromkeys(
        _expectation(error, number, description) for error in errors
    )
    expected = " or ".join(expectations).replace(" or must be", " or")
    subject = "the name " if error["loc"][-1] == "[key]" else ""
    text = f"{subject}{expected}, not {show_value(value)}{_suggestion(errors)}"
    return _Message(keys, text)


def _suggestion(errors: list[ErrorDetails]) -> str:
    """Return a hint at the text that may have been meant."""
    for error in errors:
        pattern = error.get("ctx", {}).get("pattern")
        meant = suggest(str(error["input"]), str(pattern)) if pattern else None
        if meant:
            return f" (did you mean '{meant}'?)"
    return ""


def _explain_check(document: Document, keys: Keys, error: ErrorDetails) -> _Message:
    """Return the message of a check of the model, at the key that it begins with."""
    message = error["msg"].removeprefix("Value error, ")
    key, _, text = message.partition(": ")
    place = (*keys, *key.split("."))
    if place in document.places:
        return _Message(place, text)
    return _Message(keys, message)


def _expectation(error: ErrorDetails, number: str, description: str) -> str:
    """Return what would be right, as `must ...`."""
    kind = error["type"]
    is_about_items = kind.startswith(("tuple", "too_", "missing"))
    if is_about_items and "[low, high]" in description:
        return "must be [low, high] in eV"
    context = error.get("ctx", {})
    if context.get("pattern") in PATTERNS_IN_WORDS:
        return PATTERNS_IN_WORDS[context["pattern"]]
    if kind in _EXPECTED:
        text = _EXPECTED[kind].format(**context)
        return text.replace("^", "").replace("$", "")
    if kind.startswith(("float", "finite")):
        return f"must be a {number}"
    if kind == "string_type" and isinstance(error["input"], int | float):
        return "must be text, in quotes"
    return _EXPECTED_KIND.get(kind.partition("_")[0], error["msg"])


def _schema_at(model: type[BaseModel], keys: Keys) -> _Schema:
    """Return what a model allows at the end of keys."""
    schema = _Schema(_union_members(model))
    for key in keys:
        schema = schema.enter(key)
    return schema


def _allowed_keys(model: type[BaseModel], keys: Keys) -> list[str]:
    """Return the keys that a model allows at the end of keys."""
    schema = _schema_at(model, keys)
    return list(_Schema(schema.members + schema.element_types).fields)


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return a hint for an unknown word.

    Parameters
    ----------
    word
        The unknown word.
    allowed
        The known ones.

    Returns
    -------
    str
        The closest one, else all of them.
    """
    return _hint(word, sorted(allowed))


def _hint(word: str, allowed: list[str]) -> str:
    close = get_close_matches(word, allowed, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"available: {', '.join(allowed)}"
