"""What was learnt, as a file for the next allocation: JSON with version, experiments, dates and a hash; no clock."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from clv.abm.loop.evidence import Measurement, checked_evidence
from clv.abm.loop.response import Response, _response
from clv.abm.loop.shrinkage import Scales
from clv.errors import DataError

SCHEMA = "clv.response"
SCHEMA_VERSION = 2
#: versions whose prior and measurements mean the same; their posterior followed from another model.
_EARLIER = (1,)
_ROUND = 10


def save_response(response: Response, path: str | Path) -> Path:
    """Write a response as JSON.

    The file holds the prior, every measurement with its experiment and dates, the posterior, and a hash of prior and
    measurements. Equal evidence gives equal bytes.
    """
    inputs = _inputs(response)
    days = [day for m in response.measurements for day in (m.start, m.end) if day]
    columns = ["tier", "segment", "mean", "sd", "lower", "upper"]
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": response.version,
        "provenance": {
            "experiments": sorted({m.experiment for m in response.measurements}),
            "from": min(days, default=None),
            "to": max(days, default=None),
            "inputs_sha256": _hash(inputs),
        },
        **inputs,
        "posterior": [
            {k: round(v, _ROUND) if isinstance(v, float) else v for k, v in row.items()}
            for row in response.table[columns].to_dict("records")
        ],
    }
    target = Path(path)
    target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return target


def load_response(path: str | Path) -> Response:
    """Read what `save_response` wrote, and check it: schema, hash, and the posterior, which is computed anew.

    Of a file of schema version 1 the measurements are kept and the posterior is not: there the part that all tiers
    share was normal.

    Raises
    ------
    DataError
        The file is no such JSON, of a later schema, or was changed by hand.
    """
    source = Path(path)
    name = source.name
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DataError("cannot be read.", table=name, mend="Check the path.") from fault
    except (json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise DataError("is no JSON.", table=name, mend="Write it with save_response().") from fault
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DataError("holds no response parameters.", table=name, mend="Give a file of save_response().")
    if document.get("schema_version") not in (*_EARLIER, SCHEMA_VERSION):
        raise DataError(
            f"has schema version {document.get('schema_version')!r}; this clv reads {SCHEMA_VERSION}.",
            table=name, column="schema_version", mend="Use the clv that wrote it, or a newer one.",
        )  # fmt: skip
    try:
        response = _read(document)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise DataError(f"lacks or misstates {fault}.", table=name, mend="Write it with save_response().") from fault
    if document["provenance"]["inputs_sha256"] != _hash(_inputs(response)):
        raise DataError(
            "was changed after it was written: the hash of its inputs differs.",
            table=name, column="inputs_sha256", mend="Make it anew from the experiments.",
        )  # fmt: skip
    if document["schema_version"] in _EARLIER:
        return response
    stored = np.array([[row["mean"], row["sd"]] for row in document["posterior"]])
    if stored.shape != (len(response.table), 2) or not np.allclose(
        stored, response.table[["mean", "sd"]], rtol=1e-6, atol=1e-8
    ):
        raise DataError(
            "the posterior does not follow from the measurements.",
            table=name, column="posterior", mend="Make it anew from the experiments.",
        )  # fmt: skip
    return response


def _inputs(response: Response) -> dict[str, Any]:
    return {
        "prior": {
            "assumed_uplift": response.assumed,
            "segments": list(response.segments),
            "scales": asdict(response.scales),
            "confidence": response.confidence,
        },
        "measurements": [m.record() for m in response.measurements],
    }


def _hash(inputs: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _read(document: dict[str, Any]) -> Response:
    prior = document["prior"]
    assumed = {str(tier): float(uplift) for tier, uplift in prior["assumed_uplift"].items()}
    segments = tuple(str(s) for s in prior["segments"])
    evidence = checked_evidence([Measurement(**m) for m in document["measurements"]], tuple(assumed), segments)
    scales = Scales(**prior["scales"])
    return _response(assumed, segments, scales, evidence, int(document["version"]), float(prior["confidence"]))
