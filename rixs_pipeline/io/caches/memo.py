"""Decisions that are kept between reductions, because they take long to find."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.json_text import read_json
from rixs_pipeline.files.opening import FileKind, is_file, named_errors
from rixs_pipeline.io.provenance import code_version, digest_values
from rixs_pipeline.io.temporaries import atomic_path

LOG = logging.getLogger(__name__)
Found = TypeVar("Found")
_DIGEST, _VALUES = "digest", "values"


@dataclass
class Memo:
    """Plain JSON values by the digest of all that they depend on.

    They are only ever a short cut: what is missing or damaged is found again.

    Attributes
    ----------
    path
        The JSON file; with None, the next reduction finds everything again.
    known
        Of earlier reductions.
    used
        Of this one.
    """

    path: Path | None = None
    known: dict[str, Any] = field(default_factory=dict)
    used: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Memo":
        """Return the values that are kept in a file; none if it is damaged."""
        if not is_file(path):
            return cls(path)
        try:
            with named_errors(path, consequence="ignored"):
                return cls(path, _checked(read_json(path, FileKind.DIGESTS)))
        except InputError as error:
            LOG.debug("%s", error)
            return cls(path)

    def has(self, depends_on: Mapping[str, Any]) -> bool:
        """Whether a value is known already."""
        key = _key(depends_on)
        return key in self.used or key in self.known

    def get(
        self,
        depends_on: Mapping[str, Any],
        find: Callable[[], Any],
        decode: Callable[[Any], Found],
    ) -> Found:
        """Return a value, found now or known already.

        Parameters
        ----------
        depends_on
            All that it depends on besides the program, as plain JSON.
        find
            Returns it as plain JSON.
        decode
            Makes an object of it.

        Returns
        -------
        object
            As `decode` returns it.
        """
        key = _key(depends_on)
        if key not in self.used and key in self.known:
            self.used[key] = self.known[key]
        if key not in self.used:
            self.used[key] = find()
        return decode(self.used[key])

    def save(self, *, is_complete: bool) -> None:
        """Keep the values; without room on the disk they are found again.

        Parameters
        ----------
        is_complete
            Whether this reduction looked at everything: values that it did not use are
            dropped.
        """
        values = self.used if is_complete else self.known | self.used
        if self.path is None or values == self.known:
            return
        content = {_DIGEST: _digest(values), _VALUES: values}
        try:
            with atomic_path(self.path) as temporary:
                temporary.write_text(json.dumps(content), encoding="utf-8")
        except OSError as error:
            LOG.debug("%s: not saved (%s)", self.path, error)
            return
        self.known = dict(values)


def _key(depends_on: Mapping[str, Any]) -> str:
    return digest_values({**depends_on, "program": code_version()})


def _checked(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a file, which are as they were written."""
    values = dict(content[_VALUES])
    if _digest(values) != content[_DIGEST]:
        raise ValueError("values were changed since they were written")
    return values


def _digest(values: Mapping[str, Any]) -> str:
    return digest_values({_VALUES: json.dumps(values)})
