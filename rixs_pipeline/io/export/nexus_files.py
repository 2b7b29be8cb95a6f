"""Copies of products, also for programs that stumble over dimension scales."""

import shutil
from pathlib import Path

import h5py

from rixs_pipeline.io.hdf5 import attribute_text
from rixs_pipeline.io.nexus import BARE_DIMENSION
from rixs_pipeline.io.temporaries import atomic_path

# HDF5's own, of dimensions: they contain references to other parts of the file
_SCALE_ATTRIBUTES = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")


def copy(source: Path, target: Path) -> None:
    """Copy a file.

    Parameters
    ----------
    source, target
        From, to; the folder of the latter is created.
    """
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def copy_without_scales(source: Path, target: Path) -> None:
    """Copy a product without HDF5 dimension scales, as Tiled needs it.

    NXdata groups still name their axes.

    Parameters
    ----------
    source, target
        From, to; the folder of the latter is created.
    """
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
        with h5py.File(temporary, "r+") as file:
            _remove_scales(file)


def _remove_scales(file: h5py.File) -> None:
    nodes: list[h5py.HLObject] = []
    file.visititems(lambda _name, node: nodes.append(node))
    for node in nodes:
        is_bare = attribute_text(node, "NAME").startswith(BARE_DIMENSION)
        for name in _SCALE_ATTRIBUTES:
            if name in node.attrs:
                del node.attrs[name]
        if is_bare:
            del file[node.name]
