"""The errors of pydantic in the words of the YAML file that caused them: `file:line: key.key: what is wrong`."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rixs_pipeline.config.yaml_lines import Document, Keys, show
from rixs_pipeline.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)

_NUMBER_WITH_UNIT = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*[^\W\d_].*")
_EXPECTED = {
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_pattern_mismatch": "must match {pattern}",
    "none_required": "must be null",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "missing": "must have more items",
    "union_tag_invalid": "must be of kind {expected_tags}",
    "union_tag_not_found": "must say its kind",
}
_EXPECTED_KIND = {
    "int": "must be a whole number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a mapping of keys to values",
    "model": "must be a mapping of keys to values",
}


def validate(model: type[ModelT], document: Document) -> ModelT:
    """The document as a model.

    Raises:
        ConfigError: one line a problem, each `file:line: key.key: what is wrong`, in the order of the lines.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(_problems(model, document, error.errors(include_url=False)))
        ) from error


def _problems(
    model: type[BaseModel], document: Document, errors: list[ErrorDetails]
) -> list[str]:
    """One line for each value that is wrong; the members of a union that all refused it are one."""
    grouped: dict[Keys, list[tuple[Keys, ErrorDetails]]] = {}
    for error in (each for each in errors if not _consequence(each, errors, model)):
        keys, union = _follow(document.data, error)
        grouped.setdefault(keys if union is None else union, []).append((keys, error))
    found: dict[Keys, str] = {}
    for union, members in grouped.items():
        # an error inside one member of the union: that member was meant
        inner = [(keys, [error]) for keys, error in members if keys != union]
        for keys, meant in inner or [(union, [error for _, error in members])]:
            shown, text = _sentence(model, document, keys, meant)
            found[shown] = text
    lines = sorted(
        (document.place(keys), ".".join(map(str, keys)), text)
        for keys, text in found.items()
    )
    return [
        f"{place}: {dotted}: {text}" if dotted else f"{place}: {text}"
        for place, dotted, text in lines
    ]


def _consequence(
    error: ErrorDetails, others: list[ErrorDetails], model: type[BaseModel]
) -> bool:
    """Whether an error only follows from another: a key that is missing because it is misspelt, too few good items."""
    loc = error["loc"]
    if error["type"] == "missing":
        unknown = [
            str(o["loc"][-1])
            for o in others
            if o["type"] == "extra_forbidden" and o["loc"][:-1] == loc[:-1]
        ]
        return any(
            get_close_matches(word, _allowed(model, loc[:-1]), n=1) == [loc[-1]]
            for word in unknown
        )
    return error["type"] == "too_short" and any(
        o["loc"][: len(loc)] == loc and o is not error for o in others
    )


def _follow(data: Any, error: ErrorDetails) -> tuple[Keys, Keys | None]:
    """The keys in the data that an error's location means, and where a union stands on the way, if one does."""
    keys: Keys = ()
    union = None
    loc: Keys = error["loc"]
    for key in loc:
        if (isinstance(data, dict) and key in data) or (
            isinstance(data, list) and key in range(len(data))
        ):
            keys, data = (*keys, key), data[key]
        elif isinstance(data, dict) and key in map(
            str, data
        ):  # a whole number as a key: pydantic writes it as text
            keys = (*keys, next(own for own in data if str(own) == key))
            data = data[keys[-1]]
        elif error["type"] == "missing" and key == loc[-1]:
            keys = (*keys, key)
        elif key != "[key]":
            union = keys
    return keys, union


def _sentence(
    model: type[BaseModel], document: Document, keys: Keys, errors: list[ErrorDetails]
) -> tuple[Keys, str]:
    """What is wrong with a value, and the keys to show: those of the part that a model's own check names."""
    error = errors[0]
    if error["type"] == "extra_forbidden":
        return keys, f"unknown key ({_hint(str(keys[-1]), _allowed(model, keys[:-1]))})"
    if error["type"] == "missing" and isinstance(keys[-1], str):
        return keys, "is missing"
    if error["type"] == "missing":  # of a list of fixed length
        keys = keys[:-1]
    if error["type"] == "value_error":
        return _own_check(document, keys, error["msg"].removeprefix("Value error, "))
    _, description = _at(model, keys)
    value = error["input"]
    number = "number in eV" if "eV" in description else "number"
    if any(
        e["type"].startswith("float") for e in errors
    ) and _NUMBER_WITH_UNIT.fullmatch(str(value)):
        return keys, f"a {number} is expected, {show(value)} has a unit"
    expected = dict.fromkeys(_expectation(each, number, description) for each in errors)
    of_key = "the name " if error["loc"][-1] == "[key]" else ""
    return (
        keys,
        f"{of_key}{' or '.join(expected).replace(' or must be', ' or')}, not {show(value)}",
    )


def _own_check(document: Document, keys: Keys, message: str) -> tuple[Keys, str]:
    """A model's own check says `key: what is wrong`: show it at that key, if the key was given."""
    key, _, text = message.partition(": ")
    return ((*keys, key), text) if (*keys, key) in document.places else (keys, message)


def _expectation(error: ErrorDetails, number: str, description: str) -> str:
    """What would have been right, as `must ...`."""
    kind = error["type"]
    if kind.startswith(("tuple", "too_", "missing")) and "[low, high]" in description:
        return "must be [low, high] in eV"
    if kind in _EXPECTED:
        return (
            _EXPECTED[kind]
            .format(**error.get("ctx", {}))
            .replace("^", "")
            .replace("$", "")
        )
    if kind.startswith(("float", "finite")):
        return f"must be a {number}"
    if kind == "string_type" and isinstance(error["input"], int | float):
        return "must be text, in quotes"
    return _EXPECTED_KIND.get(kind.partition("_")[0], error["msg"])


def _hint(word: str, allowed: list[str]) -> str:
    close = get_close_matches(word, allowed, n=1)
    return f"did you mean '{close[0]}'?" if close else f"there are {', '.join(allowed)}"


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A hint for a word that is none of those allowed: the closest one, else all of them."""
    return _hint(word, sorted(allowed))


def _members(annotation: Any) -> list[Any]:
    """The members of a union, without `Annotated`."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for each in get_args(annotation) for member in _members(each)]
    return [annotation]


def _at(annotation: Any, keys: Keys) -> tuple[list[Any], str]:
    """What may stand at the end of the keys, and the description of the last field on the way."""
    description = ""
    members = _members(annotation)
    for key in keys:
        members = (
            members + _items(members) if isinstance(key, str) else members
        )  # one may stand for a list of one
        fields = _fields(members)
        if isinstance(key, int) and _items(members):
            members = _items(members)
        elif key in fields:
            description = fields[key].description or ""
            members = _members(fields[key].annotation)
        else:
            members = [
                each
                for m in members
                if get_origin(m) is dict
                for each in _members(get_args(m)[1])
            ]
    return members, description


def _items(members: list[Any]) -> list[Any]:
    """What the lists among the members of a union hold."""
    return [
        each
        for m in members
        if get_origin(m) is tuple
        for each in _members(get_args(m)[0])
    ]


def _allowed(model: type[BaseModel], keys: Keys) -> list[str]:
    members = _at(model, keys)[0]
    return list(_fields(members + _items(members)))


def _fields(members: list[Any]) -> dict[str, FieldInfo]:
    """The fields of the models among the members of a union."""
    return {
        name: found
        for each in members
        for name, found in getattr(each, "model_fields", {}).items()
    }
