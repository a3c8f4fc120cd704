# SPDX-License-Identifier: GPL-3.0-or-later
"""safetensors_oracle.py FOLDER: every tensor of a model as the reference reader gives it, one JSON object a line.

Reads the shards that the index names, or model.safetensors, with PyPI safetensors (its parser in Rust); BF16 becomes
float32 by ml_dtypes. The digest is SHA-1 of the float32 values, or of the bytes of other types.
"""
import hashlib
import json
import pathlib
import sys

import ml_dtypes
import numpy
import safetensors

folder = pathlib.Path(sys.argv[1])
index = folder / "model.safetensors.index.json"
if index.exists():
    weight_map = json.loads(index.read_text())["weight_map"]
    files = sorted(set(weight_map.values()))
else:
    weight_map = None
    files = ["model.safetensors"]
total = 0
for name in files:
    for tensor, info in safetensors.deserialize((folder / name).read_bytes()):
        if weight_map is not None and weight_map.pop(tensor) != name:
            sys.exit(f"{tensor} is not where the index says")
        data = bytes(info["data"])
        total += len(data)
        values = data
        if info["dtype"] == "BF16":
            values = numpy.frombuffer(data, ml_dtypes.bfloat16).astype(numpy.float32).tobytes()
        print(json.dumps({"name": tensor, "dtype": info["dtype"], "shape": info["shape"], "digest": hashlib.sha1(values).hexdigest()}))
if weight_map:
    sys.exit(f"{len(weight_map)} tensors of the index are in no shard")
if index.exists() and json.loads(index.read_text())["metadata"]["total_size"] != total:
    sys.exit("total_size is wrong")
