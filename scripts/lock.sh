#!/bin/sh
# Resolve pyproject.toml into the two hashed locks: one for every platform and Python that we support, and one
# for the older pandas major. They carry hashes and no addresses, so any package index that serves the files will do.
set -eu
cd "$(dirname "$0")/.."
uv="${UV:-.venv/bin/uv}"
lock() { "$uv" pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
    --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet "$@"; }
lock --output-file requirements.lock
lock --constraint tests/pandas2-constraint.txt --output-file tests/requirements-pandas2.lock
