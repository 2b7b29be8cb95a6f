#!/bin/sh
# install.sh CHECKOUT VENV: install the program with the locked versions, and try it.
set -eu
checkout=$1 venv=$2
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-cache-dir --require-hashes -r "$checkout/requirements.lock"
"$venv/bin/python" -m pip install --quiet --no-cache-dir --no-deps --no-build-isolation "$checkout"
"$venv/bin/rixs-pipeline" --version
