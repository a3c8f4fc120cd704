# SPDX-License-Identifier: GPL-3.0-or-later
"""research_oracle.py FILE OUT: decodes a research container by what docs/research-container.md says, and nothing else.

Writes OUT/N.q (float32) and OUT/N.w (float64: Q + L R) of the N-th described tensor and prints one JSON object a line.
"""
import json
import pathlib
import struct
import sys

import numpy


def container(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    return header, data[8 + length :]


def array(header, data, name):
    entry = header[name]
    types = {"U8": "u1", "I8": "i1", "F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
    begin, end = entry["data_offsets"]
    values = numpy.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        values = (values.astype("<u4") << 16).view("<f4")
    return values


def unpacked(packed, bits, count):
    """Code i takes bits [i * bits, (i + 1) * bits) of a row, bit 0 being the lowest of byte 0."""
    stream = numpy.unpackbits(packed, axis=1, bitorder="little")[:, : bits * count]
    weights = (1 << numpy.arange(bits)).astype(numpy.uint32)
    return stream.reshape(len(packed), count, bits) @ weights


NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


def grid_values(header, data, name, described):
    grid, bits, cols = described["grid"], described["bits"], described["shape"][-1]
    group = described["group"] or cols
    groups = -(-cols // group)
    codes = unpacked(array(header, data, name + ".codes"), bits, cols).astype(numpy.float64)
    spread = numpy.arange(cols) // group
    if grid.startswith("int"):
        scales = array(header, data, name + ".scales").astype(numpy.float64)
        zero = (1 << (bits - 1)) - 1
        if "-asym" in grid:
            zero = unpacked(array(header, data, name + ".zeros"), bits, groups).astype(numpy.float64)[:, spread]
        return (scales[:, spread] * (codes - zero)).astype(numpy.float32)
    if grid.startswith("mxint") or grid.startswith("bfp"):
        stored = array(header, data, name + ".exponents").astype(numpy.int64)
        shift = bits - 1 if grid.startswith("bfp") else bits - 2
        step = numpy.where(stored == 0, 0.0, numpy.ldexp(1.0, stored - 127 - shift))
        return (step[:, spread] * (codes - ((1 << (bits - 1)) - 1))).astype(numpy.float32)
    if grid.startswith("nf4") and not grid.endswith("-dq"):
        scales = array(header, data, name + ".scales").astype(numpy.float64)
        levels = numpy.array(NF4, dtype=numpy.float32).astype(numpy.float64)
        return (scales[:, spread] * levels[codes.astype(int)]).astype(numpy.float32)
    sys.exit(f"this reader does not know {grid}")


def main():
    header, data = container(sys.argv[1])
    notes = header["__metadata__"]
    assert notes["sigmascope.container"] == "research" and notes["sigmascope.container_version"] == "1"
    json.loads(notes["sigmascope.recipe"])
    out = pathlib.Path(sys.argv[2])
    for number, (name, described) in enumerate(json.loads(notes["sigmascope.tensors"]).items()):
        assert {f"{name}.{part}" for part in described["parts"]} == {key for key in header if key.startswith(name + ".")}
        values = grid_values(header, data, name, described)
        whole = values.astype(numpy.float64)
        if described["rank"]:
            left = array(header, data, name + ".left").astype(numpy.float64)
            right = array(header, data, name + ".right").astype(numpy.float64)
            if f"{name}.left_scales" in header:
                left = left * array(header, data, name + ".left_scales").astype(numpy.float64)
                right = right * array(header, data, name + ".right_scales").astype(numpy.float64)[:, None]
            whole = whole + left @ right
        (out / f"{number}.q").write_bytes(values.tobytes())
        (out / f"{number}.w").write_bytes(whole.tobytes())
        print(json.dumps({"number": number, "name": name, "rank": described["rank"], "grid": described["grid"]}))


main()
