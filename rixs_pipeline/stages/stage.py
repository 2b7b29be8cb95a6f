"""What a stage is: the products it makes, what each depends on, and how to compute it.

A stage says, in this order, which products it makes, the config options and the inputs
that each depends on, and how it is computed. Whether a product is fresh, what happens
when it fails, and how it gets to disk is the runner's business.

Every reduction loads all stages, and most make little: a stage imports what it computes
with in the functions that compute.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from rixs_pipeline.errors import RixsError
from rixs_pipeline.io import csv_tables, nexus
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.types import Correction, Outcome

if TYPE_CHECKING:
    import xarray as xr

Source = TypeVar("Source")


@dataclass(frozen=True)
class Product(Generic[Source]):
    """A file that a stage makes.

    Attributes
    ----------
    name : str
        As `status` and run.json list it.
    path : Path
        Of the file.
    source : Source
        What it is made of: a run, a sample and edge, a comparison.
    problem : RixsError or None
        Why it cannot be made at all.
    """

    name: str
    path: Path
    source: Source
    problem: RixsError | None = None


class WriteFile(Protocol):
    """Write a file, with attributes that say what it was made from."""

    def __call__(self, path: Path, attributes: Mapping[str, str]) -> None:
        """Write the file at `path`."""
        ...


@dataclass(frozen=True)
class Content:
    """What is in a product, and what run.json says of it.

    Attributes
    ----------
    write : WriteFile
        Writes the file.
    facts : mapping of str to JSON values
        Entries of the product's item in run.json.
    warnings : sequence of str
        One line each, ``subject: problem; what to do``. Lines that differ in subject
        and numbers alone are of one kind, and reported once.
    losses : sequence of str
        One line for each thing that was requested and is lost although the product is
        made, such as a pass; the exit code is then 1.
    corrections : sequence of Correction
        The automatic corrections of the product.
    """

    write: WriteFile
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    losses: Sequence[str] = ()
    corrections: Sequence[Correction] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what run.json says of the product; it is kept in the product too."""
        item = dict(self.facts)
        if self.warnings:
            item["warnings"] = list(self.warnings)
        if self.losses:
            item["losses"] = list(self.losses)
        if self.corrections:
            item["corrections"] = list(map(asdict, self.corrections))
        return item


@dataclass(frozen=True)
class FigureFiles:
    """A set of figures that is on disk.

    Attributes
    ----------
    digests : mapping of str to str
        File, relative to the output folder -> digest of what it shows.
    new_files : tuple of str
        The files that were drawn just now.
    texts : mapping of str to tuple of str
        Those of them whose options replace texts -> the section of the config, and the
        texts as they were.
    """

    digests: Mapping[str, str]
    new_files: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Result(Generic[Source]):
    """A product, and its content or the reason why there is none."""

    product: Product[Source]
    content: Outcome[Content] | Outcome[FigureFiles]


class Stage(ABC, Generic[Source]):
    """One stage of a reduction, from the moment at which the stages before it are done.

    Attributes
    ----------
    verb : str
        The command that ends with this stage; stages of one verb belong together.
    has_figures : bool
        Whether its products are sets of figures, whose keys are in run.json.
    reads_pulses : bool
        Whether the digests of its inputs require reading pulse files.
    in_background : bool
        Whether its results are collected at the end of the reduction.
    """

    verb: ClassVar[str]
    has_figures: ClassVar[bool] = False
    reads_pulses: ClassVar[bool] = False
    in_background: ClassVar[bool] = False

    def __init__(self, context: RunContext) -> None:
        self.context = context

    @abstractmethod
    def products(self) -> Sequence[Product[Source]]:
        """Return all products of this stage, in the order in which they are checked."""

    @abstractmethod
    def options(self, product: Product[Source]) -> Mapping[str, Any]:
        """Return the values of the config that a product depends on, as plain JSON."""

    @abstractmethod
    def inputs(self, product: Product[Source]) -> Mapping[str, str]:
        """Return a digest of every input of a product."""

    def compute(self, products: Sequence[Product[Source]]) -> Iterator[Result[Source]]:
        """Compute the products that are not fresh, one after the other."""
        for product in products:
            yield Result(product, Outcome.of(self.compute_product, product))

    def compute_product(self, product: Product[Source]) -> Content:
        """Compute one product."""
        raise NotImplementedError


class StageOfTasks(Stage[Source]):
    """A stage whose products worker processes compute, if these run already."""

    @abstractmethod
    def task(self, product: Product[Source]) -> Callable[[], Content]:
        """Return a function, which can be pickled, that computes one product."""

    def compute(self, products: Sequence[Product[Source]]) -> Iterator[Result[Source]]:
        """Compute the products that are not fresh.

        Starting processes takes longer than most products: without running ones they
        are computed in this process.
        """
        tasks = (Outcome.of(self.task, product) for product in products)
        executor = self.context.executor
        if executor.has_running_processes:
            contents = executor.outcomes(_call_task, tasks)
        else:
            contents = (Outcome.of(_call_task, task) for task in tasks)
        for product, content in zip(products, contents, strict=True):
            yield Result(product, content)


def _call_task(task: Outcome[Callable[[], Content]]) -> Content:
    """Compute the content of a product."""
    return task.unwrap()()


def dataset_writer(entries: Mapping[str, "xr.Dataset"], signal: str) -> WriteFile:
    """Return a writer of a NeXus product.

    Parameters
    ----------
    entries : mapping of str to xarray.Dataset
        The NXentry groups by name.
    signal : str
        The variable that viewers plot.

    Returns
    -------
    WriteFile
        For `Content`.
    """
    return partial(_write_nexus, entries=dict(entries), signal=signal)


def _write_nexus(
    path: Path,
    attributes: Mapping[str, str],
    *,
    entries: dict[str, "xr.Dataset"],
    signal: str,
) -> None:
    nexus.write_product(path, entries, dict(attributes), signal)


def table_writer(
    columns: Mapping[str, Sequence[Any]], table_attributes: Mapping[str, str]
) -> WriteFile:
    """Return a writer of a CSV table.

    Parameters
    ----------
    columns : mapping of str to sequence
        Of equal length.
    table_attributes : mapping of str to str
        Further lines of the header.

    Returns
    -------
    WriteFile
        For `Content`.
    """
    return partial(_write_csv, columns=columns, table_attributes=table_attributes)


def _write_csv(
    path: Path,
    attributes: Mapping[str, str],
    *,
    columns: Mapping[str, Sequence[Any]],
    table_attributes: Mapping[str, str],
) -> None:
    csv_tables.write_table(path, columns, {**attributes, **table_attributes})
