"""Compare networks with their twins: `python -m tests.models.twin_table [NAME ...]`.

The results are written to docs/twins.json: float64 at a reduced input, in train and in eval mode;
with --float32 in float32 at the network's own input.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from minicnn import models
from minicnn.layers.init import skip_init
from minicnn.study import summarize

from . import twins
from .test_twins import CLASSES, compare, distances

TABLE = Path(__file__).parents[2] / "docs" / "twins.json"


def measure(name):
    with skip_init():
        counts = summarize(models.create(name))
    started = time.perf_counter()
    errors = compare(name, np.float64, *twins.pair(name, CLASSES)).values()
    found = {"forward": max(e[0] for e in errors), "gradient": max(e[1] for e in errors)}
    seconds = round(time.perf_counter() - started, 1)
    return {
        "parameters": counts.parameters,
        "macs": counts.macs,
        "float64": {**found, "seconds": seconds},
    }


def measure_float32(name):
    """The distances of our float32 and torch's from float64, at the network's own size."""
    started = time.perf_counter()
    found = distances(name, *twins.pair(name, CLASSES, full=True))
    return {"float32": found | {"seconds": round(time.perf_counter() - started, 1)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=models.names())
    parser.add_argument(
        "--float32", action="store_true", help="at full size, against torch's float32 and float64"
    )
    options = parser.parse_args()
    rows = json.loads(TABLE.read_text())["networks"] if TABLE.exists() else {}
    for name in options.names:
        rows[name] = rows.get(name, {}) | (
            measure_float32(name) if options.float32 else measure(name)
        )
        print(name, json.dumps(rows[name]), flush=True)
        ordered = {n: rows[n] for n in models.names() if n in rows}
        TABLE.write_text(
            json.dumps({"torch": torch.__version__, "networks": ordered}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
