"""Digests of products as they were written, by which other content is noticed."""

import json
import logging
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError
from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.files.opening import FileKind, is_file, open_appending, read_text
from rixs_pipeline.io.caches.digest_cache import DigestCache
from rixs_pipeline.io.locks import locked
from rixs_pipeline.io.temporaries import atomic_path

LOG = logging.getLogger(__name__)

MOST_LINES = 2  # for each product, beyond which the journal is written anew


class ProductDigests:
    """A journal with one line for each product that was written; the last one counts.

    Reductions that share a folder append to the same journal. Without it, as after it
    was deleted, products count as they are.
    """

    def __init__(self, out: Path, digests: DigestCache) -> None:
        """Read the journal.

        Parameters
        ----------
        out
            Folder of the results.
        digests
            Remembers the digests of files that did not change.
        """
        self.out = out
        self.journal = out / paths.PRODUCT_JOURNAL
        self._digests = digests
        self._written: dict[str, str] = {}
        self._lines = 0
        self._load()

    def record(self, path: Path) -> None:
        """Record a product as it is now.

        Raises
        ------
        UsageError
            The journal is a link.
        """
        name = str(path.relative_to(self.out))
        try:
            self._written[name] = self._digests.digest_file(path)
            self.journal.parent.mkdir(parents=True, exist_ok=True)
            with open_appending(self.journal) as file:
                file.write(json.dumps([name, self._written[name]]) + "\n")
        except (InputError, OSError) as error:
            LOG.debug("%s: not recorded (%s)", path, error)

    def is_intact(self, path: Path) -> bool:
        """Return whether a product is as it was written.

        Raises
        ------
        InputError
            It cannot be read.
        """
        name = str(path.relative_to(self.out))
        digest = self._digests.digest_file(path)
        if self._written.setdefault(name, digest) != digest:
            self._load()  # another reduction may have written it meanwhile
        return self._written[name] == digest

    def save(self) -> None:
        """Write a journal anew that has many lines about products written again."""
        if self._lines <= MOST_LINES * len(self._written):
            return
        with locked(self.out):
            self._load()
            present = {
                name: digest
                for name, digest in self._written.items()
                if is_file(self.out / name)
            }
            lines = [json.dumps([*item]) + "\n" for item in present.items()]
            try:
                with atomic_path(self.journal) as temporary:
                    temporary.write_text("".join(lines), encoding="utf-8")
            except OSError as error:
                LOG.debug("%s: not written anew (%s)", self.journal, error)

    def _load(self) -> None:
        if not is_file(self.journal):
            return
        try:
            lines = read_text(self.journal, FileKind.DIGESTS).splitlines()
        except (InputError, OSError) as error:
            LOG.debug("%s: cannot be read (%s)", self.journal, error)
            return
        self._lines = len(lines)
        for line in lines:
            try:
                name, digest = parse_json(line.encode())
                self._written[str(name)] = str(digest)
            except (TypeError, ValueError):  # of a job that was killed
                LOG.debug("%s: damaged line ignored", self.journal)
