"""Inputs that failed once, each with what is wrong with it."""

import logging
import re
import time
import zipfile
from io import BytesIO

import h5py
import numpy as np
import pytest

from rixs_pipeline.errors import RixsError
from tests.fuzz.mutations import dump_json
from tests.fuzz.products import PRODUCT_SEEDS
from tests.fuzz.targets import (
    LOG,
    STATES,
    TARGETS,
    ascii_seeds,
    npz_seeds,
    off_seeds,
    summary_seeds,
)
from tests.fuzz.worker import TIME_LIMIT, find_memory_error

OFF, NPZ, ASCII = off_seeds()[2], npz_seeds()[0], ascii_seeds()[0]
YAML_BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (after, after, b", ".join([b"*%c" % before] * 9))
    for before, after in zip(b"abcdefgh", b"bcdefghi", strict=True)
)
HEADER = b"--- {file_header: true, dtype: data}\n"


def with_array(name: str, content: bytes) -> bytes:
    """A photon list, an array of which has other bytes."""
    with zipfile.ZipFile(BytesIO(NPZ)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = content
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return stream.getvalue()


def array_header(text: str) -> bytes:
    """The header of an array with nothing behind it."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def saved(values: np.ndarray) -> bytes:
    stream = BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def changed_product(change) -> bytes:
    stream = BytesIO(PRODUCT_SEEDS()[0])
    with h5py.File(stream, "r+") as file:
        change(file)
    return stream.getvalue()


def damage_scale(file: h5py.File) -> None:
    """HDF5 copies this attribute into a buffer of the length that it should have."""
    file["A/data/incident_energy"].attrs["CLASS"] = "x" * 10_000


def big_dataset_as_entry(file: h5py.File) -> None:
    file.create_dataset("entry", (10**7,), "f4", chunks=(10**6,), compression="gzip")


def big_rows(file: h5py.File) -> None:
    del file["A/data"]
    file["A"].create_dataset("data", (3, 10**12), "S9", chunks=(1, 1000))


def scalar(file: h5py.File) -> None:
    del file["A/data/status"]
    file["A/data/status"] = 5


def changed_summary(old: bytes, new: bytes) -> bytes:
    text = summary_seeds()[0]
    assert old in text
    return text.replace(old, new)


FOUND = {
    "off: infinite frames": ("off", OFF.replace(b"4.8e-06", b"1e999")),
    "off: nested header": ("off", b'{"a":' * 50_000 + b"\n}\n"),
    "off: long integer": ("off", OFF.replace(b'"5"', b"9" * 5000)),
    "off: many bases": ("off", OFF.replace(b'"5"', b'"900000000"')),
    "off: long version": ("off", OFF.replace(b"0.3.0", b"9" * 60_000)),
    "off: negative rows": ("off", OFF.replace(b'"Rows": "5"', b'"Rows": "-5"')),
    "states: long time": ("states", b"9" * 5000 + b", CAL0\n"),
    "states: beyond 64 bits": ("states", b"99999999999999999999, CAL0\n"),
    "states: long number": ("states", STATES.encode() + b"1, SCAN" + b"1" * 5000),
    "states: not text": ("states", b"\xff\xfe\n" * 50_000),
    "json: nested": ("json", b"[" * 100_000),
    "json: nested value": ("json", dump_json(LOG)[:-1] + b', "x": ' + b"[" * 900),
    "json: long integer": ("json", dump_json(LOG | {"scan_num": 10**4000})),
    "json: infinite number": ("json", dump_json(LOG | {"scan_num": float("inf")})),
    "json: large number": ("json", dump_json(LOG | {"scan_num": 10**15})),
    "json: slow number": (
        "json",
        dump_json(LOG | {"var_values": ["1" * 60_000 + "x"] * 4}),
    ),
    "json: large exponent": (
        "json",
        dump_json(LOG | {"epoch_time_start_s": ["0e999999999"] * 4}),
    ),
    "json: time of blanks": (
        "json",
        dump_json(
            LOG | {"epoch_time_start_s": ["2026-01-01T00:00" + " " * 60_000 + "x"] * 4}
        ),
    ),
    "json: half a character": ("json", dump_json(LOG | {"sample_id": "\ud800"})),
    "json: long name": ("json", dump_json(LOG | {"sample_id": "x" * 5000})),
    "ascii: blanks": (
        "ascii",
        ASCII.replace(b"Sample:", b"Sample:" + b" " * 60_000 + b"x"),
    ),
    "ascii: long number": ("ascii", ASCII.replace(b"Scan:", b"Scan: " + b"9" * 5000)),
    "ascii: many columns": ("ascii", ASCII.replace(b"COLS: ", b"COLS: " + b"9" * 300)),
    "ascii: long word": ("ascii", ASCII.replace(b"770.0", b"[" * 60_000)),
    "off: long frames": (
        "off",
        re.sub(rb'("FramePeriodSeconds": )[^,]+', rb"\g<1>1e300", OFF),
    ),
    "npz: directory cut": ("npz", NPZ[:-30] + NPZ[-22:]),
    "npz: copy broken off": ("npz", NPZ[: len(NPZ) // 2]),
    "npz: two of them": ("npz", NPZ[: len(NPZ) // 2] + NPZ),
    "npz: large shape": (
        "npz",
        with_array(
            "energies.npy",
            array_header(
                "{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}\n"
            ),
        ),
    ),
    "npz: negative shape": (
        "npz",
        with_array(
            "energies.npy",
            array_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n"),
        ),
    ),
    "npz: zeros": ("npz", with_array("energies.npy", bytes(1 << 28))),
    "npz: nested header": ("npz", with_array("energies.npy", array_header("(" * 9000))),
    "npz: text": ("npz", with_array("energies.npy", saved(np.array(["a", "b"])))),
    "npz: no times": ("npz", with_array("timestamps.npy", saved(np.full(40, np.nan)))),
    "npz: infinite": ("npz", with_array("timestamps.npy", saved(np.full(40, np.inf)))),
    "npz: table": ("npz", with_array("channels.npy", saved(np.zeros((2, 3))))),
    "yaml: brackets": ("yaml", HEADER + b"--- " + b"[" * 50_000),
    "yaml: sequences": ("yaml", HEADER + b"--- " + b"- " * 50_000),
    "yaml: aliases": ("yaml", HEADER + b"---\n" + YAML_BOMB),
    "yaml: itself": ("yaml", HEADER + b"--- &a [*a]\n"),
    "yaml: long integer": (
        "yaml",
        HEADER + b"--- {header: {htxs: " + b"9" * 5000 + b"}}",
    ),
    "config: brackets": ("config", b"map: " + b"[" * 50_000),
    "config: aliases": ("config", YAML_BOMB),
    "config: slow number": ("config", b"map: {step: '" + b"1" * 60_000 + b"_'}"),
    "config: infinite bins": ("config", b"map: {step: 1.0e-320}"),
    "reference: brackets": ("reference", b"lines: " + b"[" * 50_000),
    "reference: wide shape": (
        "reference",
        b"source: x\nlines:\n"
        + b"".join(
            b"  %c: {energy: 500, uncertainty: 1, shape: [[0, 1, 1], [%s, 1, 1]]}\n"
            % (name, place)
            for name, place in zip(b"abc", (b"1e308", b"1000", b"0"), strict=True)
        ),
    ),
    "summary: other type": (
        "summary",
        changed_summary(b'"status": "done"', b'"status": []'),
    ),
    "summary: absolute": ("summary", changed_summary(b"figures/scan", b"/tmp/scan")),
    "summary: above": (
        "summary",
        changed_summary(b"figures/scan0001.png", b"../precious"),
    ),
    "summary: long name": (
        "summary",
        changed_summary(b"scan0001.png", b"9" * 5000 + b".png"),
    ),
    "summary: nested": ("summary", b'{"items":' * 100_000),
    "config: long line": (
        "config",
        b"calibration: {reference: srd128, lines: [C" + b"- " * 3000 + b"]}\n",
    ),
    "config: long file": ("config", b"calibration: {reference: " + b"1" * 5000 + b"}"),
    "digests: status of text": (
        "digests",
        b'{"FOLDER/beamtime/data/20260101_chan1.off": {"status": ["a", "b", "c", "d"], '
        b'"tail": "a", "ranges": {}, "windows": {}}}',
    ),
    "product: scale": ("product", changed_product(damage_scale)),
    "product: rows": ("product", changed_product(big_rows)),
    "product: dataset": ("product", changed_product(big_dataset_as_entry)),
    "product: scalar": ("product", changed_product(scalar)),
}


@pytest.mark.parametrize("name", FOUND)
def test_it_is_read_or_refused(name, tmp_path):
    logging.disable(logging.CRITICAL)
    target, data = TARGETS[FOUND[name][0]], FOUND[name][1]
    start = time.process_time()
    try:
        for read in (target.read, target.read_all):
            try:
                read(data, tmp_path)
            except RixsError as error:
                assert not find_memory_error(error)
    finally:
        logging.disable(logging.NOTSET)
    assert time.process_time() - start < 2 * TIME_LIMIT
