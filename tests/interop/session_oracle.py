# SPDX-License-Identifier: GPL-3.0-or-later
"""session_oracle.py FILE: what h5py reads in a session file (docs/session-file.md), as one JSON object."""
import json
import sys

import h5py


def column(dataset):
    values = dataset[:].tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in values]


with h5py.File(sys.argv[1], "r") as file:
    text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
    print(json.dumps({
        "schema": int(file.attrs["schema"]),
        "model": bytes(file["model/path"][:]).decode(),
        "fingerprint": text(file["model"].attrs["fingerprint"]),
        "target": text(file["plan"].attrs["target"]),
        "seed": int(file["plan"].attrs["seed"]),
        "plan": {name: column(file["plan"][name]) for name in ("name", "keep", "grid", "rank", "factors", "metric", "pinned")},
        "recipe": json.loads(bytes(file["plan/recipe"][:]).decode()) if "recipe" in file["plan"] else None,
        "results": {name: column(file["results"][name]) for name in ("name", "method", "weight_rel_error")},
        "view": json.loads(bytes(file["view"][:]).decode()),
    }, allow_nan=False))
