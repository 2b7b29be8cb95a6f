"""The pages of the documentation, and the code blocks in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
PAGES = [*sorted(DOCS.glob("**/*.md")), CHECKOUT / "README.md"]

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code."""

    page: Path
    language: str
    text: str

    @property
    def name(self) -> str:
        """Page and first line, to find it."""
        first = self.text.strip().splitlines()[0]
        return f"{self.page.relative_to(CHECKOUT)}: {first}"


def blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of one language of a page, in order."""
    return [
        Block(page, match[2], dedent(match[3]) if match[1] else match[3])
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match[2] == language
    ]


def blocks_of_pages(language: str) -> list[Block]:
    """Return the blocks of one language of all pages."""
    return [block for page in PAGES for block in blocks(page, language)]


def pages_with(language: str) -> list[Path]:
    """Return the pages with blocks of a language."""
    return [page for page in PAGES if blocks(page, language)]
