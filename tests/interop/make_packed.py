# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantized checkpoints as the formats define them, written without any of Sigmascope's code.

make_packed.py layouts OUT        one folder a layout with random codes, and OUT/expected/LAYOUT.safetensors, float32:
                                  what the definition makes of them
make_packed.py model LAYOUT IN OUT   a copy of the model folder IN with its linear layers rounded to LAYOUT, and
                                  OUT-plain, the same values as an ordinary model of float32

Packing goes through the bits of every code, not through the shifts that a fast implementation would use.
"""
import json
import pathlib
import shutil
import sys

import ml_dtypes
import numpy
import safetensors

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
FP4 = [0.0, 0.0052083333, 0.6666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25,
       -0.0, -0.0052083333, -0.6666667, -1.0, -0.33333333, -0.5, -0.16666667, -0.25]
E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
f32 = numpy.float32


def words(bits):
    """[..., n·32] bits, lowest first, to [..., n] int32."""
    shaped = bits.reshape(*bits.shape[:-1], -1, 32).astype(numpy.uint64)
    return (shaped << numpy.arange(32, dtype=numpy.uint64)).sum(-1).astype(numpy.uint32).view(numpy.int32)


def bits_of(codes, width):
    """[..., k] codes to [..., k·width] bits, lowest first."""
    spread = (codes[..., None].astype(numpy.int64) >> numpy.arange(width)) & 1
    return spread.reshape(*codes.shape[:-1], -1)


def stream(codes, width):
    """Codes of the last axis without gaps."""
    bits = bits_of(codes, width)
    padding = numpy.zeros((*bits.shape[:-1], -bits.shape[-1] % 32), bits.dtype)
    return words(numpy.concatenate([bits, padding], -1))


def whole(codes, width):
    """Codes of the last axis, 32 // width of them in a word."""
    each = 32 // width
    padded = numpy.zeros((*codes.shape[:-1], -(-codes.shape[-1] // each) * each), codes.dtype)
    padded[..., :codes.shape[-1]] = codes
    bits = bits_of(padded, width).reshape(*padded.shape[:-1], -1, each * width)
    spare = numpy.zeros((*bits.shape[:-1], 32 - each * width), bits.dtype)
    return words(numpy.concatenate([bits, spare], -1).reshape(*padded.shape[:-1], -1))


def affine(codes, zeros, scales, group_of):
    """(code - zero) · scale, with zero and scale [out, groups]: exact in float64, rounded to float32 once."""
    difference = codes.astype(numpy.int64) - zeros.astype(numpy.int64)[:, group_of]
    return (difference.astype(numpy.float64) * scales.astype(numpy.float64)[:, group_of]).astype(f32)


def gptq(module, codes, zeros, scales, group_of, bits, v2=False):
    stored = (zeros if v2 else zeros - 1) & ((1 << bits) - 1)
    return {f"{module}.qweight": stream(codes, bits).T.copy(),  # along the inputs of every output
            f"{module}.qzeros": stream(stored.T, bits),             # along the outputs of every group
            f"{module}.scales": scales.T.copy(),
            f"{module}.g_idx": group_of.astype(numpy.int32)}


def awq(module, codes, zeros, scales):
    def pack(matrix):  # [lines, outputs]
        return words(bits_of(matrix.reshape(matrix.shape[0], -1, 8)[..., AWQ_ORDER], 4).reshape(matrix.shape[0], -1))
    return {f"{module}.qweight": pack(codes.T), f"{module}.qzeros": pack(zeros.T), f"{module}.scales": scales.T.copy()}


def pack_quantized(module, codes, zeros, scales, bits, group_of=None, shape_type=numpy.int64, pack=whole):
    tensors = {f"{module}.weight_packed": pack(codes, bits), f"{module}.weight_scale": scales,
               f"{module}.weight_shape": numpy.array(codes.shape, shape_type)}
    if zeros is not None:
        tensors[f"{module}.weight_zero_point"] = pack(zeros.T, bits).T.copy()
    if group_of is not None:
        tensors[f"{module}.weight_g_idx"] = group_of.astype(numpy.int32)
    return tensors


def bitsandbytes(module, codes, absmax, shape, kind, nested=None, block=64):
    """codes: flat; absmax: float32 a block, or uint8 with nested = (table, scales, offset, block)."""
    padded = numpy.append(codes, numpy.zeros(len(codes) % 2, codes.dtype)).reshape(-1, 2)
    table = numpy.array(NF4 if kind == "nf4" else FP4, f32)
    state = {"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": list(shape)}
    weight = f"{module}.weight"
    tensors = {weight: ((padded[:, 0] << 4) | padded[:, 1]).astype(numpy.uint8)[:, None],
               f"{weight}.absmax": absmax, f"{weight}.quant_map": table}
    if nested is not None:
        nested_table, nested_scales, offset, nested_block = nested
        state |= {"nested_blocksize": nested_block, "nested_dtype": "float32", "nested_offset": float(offset)}
        tensors |= {f"{weight}.nested_absmax": nested_scales, f"{weight}.nested_quant_map": nested_table}
        blocks = numpy.arange(len(absmax))
        absmax = (nested_table[absmax] * nested_scales[blocks // nested_block]).astype(f32) + f32(offset)
    tensors[f"{weight}.quant_state.bitsandbytes__{kind}"] = numpy.frombuffer(json.dumps(state).encode(), numpy.uint8)
    values = table[codes] * absmax[numpy.arange(len(codes)) // block]
    return tensors, values.astype(f32).reshape(shape)


def save(path, tensors):
    """By address, so arrays have to be without gaps and stay until all is written."""
    arrays = {name: numpy.ascontiguousarray(value).reshape(value.shape) for name, value in tensors.items()}
    safetensors.serialize_file({name: safetensors.TensorSpec(dtype=value.dtype.name, shape=value.shape, data_ptr=value.ctypes.data,
                                                             data_len=value.nbytes) for name, value in arrays.items()},
                               str(path), {"format": "pt"})


def scheme(bits, group, symmetric=True, actorder=None):
    return {"targets": ["Linear"], "input_activations": None, "output_activations": None,
            "weights": {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if group else "channel",
                        "group_size": group, "dynamic": False, "actorder": actorder}}


def compressed(*schemes, form="pack-quantized"):
    return {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {f"group_{i}": one for i, one in enumerate(schemes)}}


def gptq_config(bits, group, order=False, form="gptq"):
    return {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order, "sym": False, "lm_head": False,
            "checkpoint_format": form, "pack_dtype": "int32"}


AWQ_CONFIG = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
BNB_CONFIG = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


def layouts(out):
    rng = numpy.random.default_rng(4)
    (out / "expected").mkdir(parents=True)

    def write(name, config, tensors, expected, end=".weight"):
        (out / name).mkdir()
        save(out / name / "model.safetensors", tensors)
        (out / name / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": config}))
        save(out / "expected" / f"{name}.safetensors", {module + end: values for module, values in expected.items()})

    def random(rows, cols, group, bits, kind=numpy.float16):
        groups = -(-cols // group)
        return (rng.integers(0, 1 << bits, (rows, cols)), rng.integers(0, 1 << bits, (rows, groups)),
                (rng.standard_normal((rows, groups)) * 0.02).astype(kind), numpy.arange(cols) // group)

    for bits in (2, 3, 4, 8):
        for form in ("gptq", "gptq_v2"):
            tensors, expected = {}, {}
            for module, rows, cols in (("a", 64, 96), ("b", 32, 256), ("c", 96, 32)):
                codes, zeros, scales, group_of = random(rows, cols, 32, bits)
                tensors |= gptq(module, codes, zeros, scales, group_of, bits, form == "gptq_v2")
                expected[module] = affine(codes, zeros, scales, group_of)
            write(f"{form}-{bits}", gptq_config(bits, 32, form=form), tensors, expected)
    codes, zeros, scales, group_of = random(64, 256, 64, 4)
    group_of = rng.permutation(group_of)
    write("gptq-order", gptq_config(4, 64, True), gptq("a", codes, zeros, scales, group_of, 4),
          {"a": affine(codes, zeros, scales, group_of)})
    codes, zeros, scales, group_of = random(32, 64, 64, 4)
    tensors = gptq("a", codes, zeros, scales, group_of, 4)
    del tensors["a.g_idx"]
    write("gptq-row", gptq_config(4, -1), tensors, {"a": affine(codes, zeros, scales, group_of)})

    tensors, expected = {}, {}
    for module, rows, cols in (("a", 64, 96), ("b", 40, 32), ("c", 8, 64)):
        codes, zeros, scales, group_of = random(rows, cols, 32, 4)
        tensors |= awq(module, codes, zeros, scales)
        expected[module] = affine(codes, zeros, scales, group_of)
    write("awq", AWQ_CONFIG, tensors, expected)

    for bits in (2, 3, 4, 5, 6, 8):
        for kind in (numpy.float16, ml_dtypes.bfloat16, numpy.float32):
            tensors, expected = {}, {}
            for module, rows, cols in (("a", 50, 96), ("b", 33, 64), ("c", 3, 160)):
                codes, zeros, scales, group_of = random(rows, cols, 32, bits, kind)
                tensors |= pack_quantized(module, codes, zeros, scales, bits, shape_type=numpy.int32 if module == "b" else numpy.int64)
                expected[module] = affine(codes, zeros, scales, group_of)
            write(f"compressed-{bits}-{numpy.dtype(kind).name}", compressed(scheme(bits, 32, False)), tensors, expected)
    for bits in (2, 3, 5, 6, 7):  # as compressed-tensors has packed since 0.18
        tensors, expected = {}, {}
        for module, rows, cols in (("a", 50, 96), ("b", 33, 64), ("c", 3, 160)):
            codes, zeros, scales, group_of = random(rows, cols, 32, bits, ml_dtypes.bfloat16)
            tensors |= pack_quantized(module, codes, zeros, scales, bits, pack=stream)
            expected[module] = affine(codes, zeros, scales, group_of)
        write(f"compressed-dense-{bits}", compressed(scheme(bits, 32, False)), tensors, expected)
    tensors, expected = {}, {}
    for module, bits, group in (("a", 4, 32), ("b", 8, 128), ("c", 4, 0)):  # symmetric, mixed
        codes, _, scales, group_of = random(24, 128, group or 128, bits, ml_dtypes.bfloat16)
        tensors |= pack_quantized(module, codes, None, scales, bits)
        expected[module] = affine(codes, numpy.full(scales.shape, 1 << (bits - 1)), scales, group_of)
    write("compressed-mixed", compressed(scheme(4, 32), scheme(8, None), scheme(4, None)), tensors, expected)
    codes, zeros, scales, group_of = random(40, 128, 32, 4)
    group_of = rng.permutation(group_of)
    write("compressed-order", compressed(scheme(4, 32, False, "group")), pack_quantized("a", codes, zeros, scales, 4, group_of),
          {"a": affine(codes, zeros, scales, group_of)})

    tensors, expected = {}, {}
    for module, group in (("a", 0), ("b", 16)):
        codes = rng.integers(-128, 128, (20, 48)).astype(numpy.int8)
        scales = (rng.standard_normal((20, 48 // (group or 48))) * 0.02).astype(ml_dtypes.bfloat16)
        zeros = rng.integers(-8, 8, scales.shape).astype(numpy.int8)
        tensors |= {f"{module}.weight": codes, f"{module}.weight_scale": scales, f"{module}.weight_zero_point": zeros}
        expected[module] = affine(codes, zeros, scales, numpy.arange(48) // (group or 48))
    write("int-quantized", compressed(scheme(8, 16, False), form="int-quantized"), tensors, expected)
    tensors, expected = {}, {}
    for module, scales in (("a", numpy.array([0.03], f32)), ("b", rng.random((20, 1)).astype(f32))):
        codes = rng.standard_normal((20, 48)).astype(ml_dtypes.float8_e4m3fn)
        tensors |= {f"{module}.weight": codes, f"{module}.weight_scale": scales, f"{module}.input_scale": numpy.array([1], f32)}
        expected[module] = codes.astype(f32) * scales
    write("float-quantized", compressed(scheme(8, None), form="float-quantized"), tensors, expected)
    codes = rng.standard_normal((20, 48)).astype(ml_dtypes.float8_e4m3fn)
    scales = rng.random((2, 3)).astype(f32)
    write("fp8-blocks", {"quant_method": "fp8", "weight_block_size": [16, 16]}, {"a.weight": codes, "a.weight_scale_inv": scales},
          {"a": codes.astype(f32) * scales.repeat(16, 0).repeat(16, 1)[:20, :48]})

    def e2m1(shape):
        """Random codes, two to a byte with the first in the low half, and what they stand for."""
        packed = rng.integers(0, 256, shape).astype(numpy.uint8)
        return packed, numpy.array(E2M1, f32)[numpy.stack([packed & 15, packed >> 4], -1).reshape(*shape[:-1], -1)]

    float_scheme = {"num_bits": 4, "type": "float", "symmetric": True, "strategy": "tensor_group", "group_size": 16}
    nv = {}
    for module, rows, cols in (("a", 20, 48), ("b", 3, 256)):
        packed, values = e2m1((rows, cols // 2))
        scales = rng.uniform(0.1, 400, (rows, cols // 16)).astype(ml_dtypes.float8_e4m3fn)
        nv[module] = (packed, values, scales, rng.uniform(1000, 20000, 1).astype(f32))
    tensors, expected = {}, {}
    for module, (packed, values, scales, whole) in nv.items():
        tensors |= {f"{module}.weight_packed": packed, f"{module}.weight_scale": scales, f"{module}.weight_global_scale": whole,
                    f"{module}.input_global_scale": numpy.array([3], f32)}
        expected[module] = values * (scales.astype(f32) / whole).repeat(16, -1)
    write("compressed-nvfp4", compressed({"targets": ["Linear"], "weights": float_scheme}, form="nvfp4-pack-quantized"), tensors, expected)
    tensors, expected = {}, {}
    for module, (packed, values, scales, whole) in nv.items():
        whole = (1 / whole).reshape(()).astype(f32)
        tensors |= {f"{module}.weight": packed, f"{module}.weight_scale": scales, f"{module}.weight_scale_2": whole,
                    f"{module}.input_scale": numpy.array(3, f32)}
        expected[module] = values * (scales.astype(f32) * whole).repeat(16, -1)
    write("modelopt-nvfp4", {"quant_method": "modelopt", "quant_algo": "NVFP4"}, tensors, expected)
    codes = rng.standard_normal((20, 48)).astype(ml_dtypes.float8_e4m3fn)
    write("modelopt-fp8", {"quant_method": "modelopt", "quant_algo": "FP8"},
          {"a.weight": codes, "a.weight_scale": numpy.array(0.03, f32), "a.input_scale": numpy.array(1, f32)},
          {"a": codes.astype(f32) * f32(0.03)})
    tensors, expected = {}, {}
    for module, rows, cols in (("a", 20, 96), ("b", 3, 256)):
        packed, values = e2m1((rows, cols // 2))
        scales = rng.integers(90, 140, (rows, cols // 32)).astype(numpy.uint8)
        tensors |= {f"{module}.weight_packed": packed, f"{module}.weight_scale": scales}
        expected[module] = values * numpy.exp2(scales.astype(f32) - 127).repeat(32, -1)
    write("compressed-mxfp4", compressed({"targets": ["Linear"], "weights": float_scheme | {"strategy": "group", "group_size": 32}},
                                         form="mxfp4-pack-quantized"), tensors, expected)
    tensors, expected = {}, {}  # gpt-oss: all experts of a layer in one tensor
    for module, rows, cols in (("gate_up_proj", 40, 64), ("down_proj", 64, 32)):
        packed, values = e2m1((4, rows, cols // 32, 16))
        scales = rng.integers(0, 252, (4, rows, cols // 32)).astype(numpy.uint8)
        tensors |= {f"experts.{module}_blocks": packed, f"experts.{module}_scales": scales}
        expected[f"experts.{module}"] = numpy.ldexp(values.reshape(4, rows, -1, 32), scales.astype(int)[..., None] - 127).reshape(4, rows, cols)
    write("mxfp4-experts", {"quant_method": "mxfp4"}, tensors, expected, "")

    for kind in ("nf4", "fp4"):
        tensors, expected = {}, {}
        for module, shape, doubled in (("a", (8, 96), False), ("b", (33, 72), True), ("c", (3, 5), True)):
            count = shape[0] * shape[1]
            codes = rng.integers(0, 16, count)
            blocks = -(-count // 64)
            absmax = rng.random(blocks).astype(f32)
            nested = None
            if doubled:
                absmax = rng.integers(0, 256, blocks).astype(numpy.uint8)
                nested = (numpy.sort(rng.uniform(-1, 1, 256)).astype(f32), rng.random(-(-blocks // 16)).astype(f32), 0.0345678, 16)
            found, values = bitsandbytes(module, codes, absmax, shape, kind, nested)
            tensors |= found
            expected[module] = values
        write(f"bitsandbytes-{kind}", BNB_CONFIG, tensors, expected)
    codes = rng.integers(-127, 128, (20, 48)).astype(numpy.int8)
    scales = rng.random(20).astype(f32)
    write("bitsandbytes-int8", {"quant_method": "bitsandbytes", "load_in_8bit": True},
          {"a.weight": codes, "a.SCB": scales, "a.weight_format": numpy.array(0, numpy.uint8)},
          {"a": (codes.astype(numpy.float64) * scales[:, None].astype(numpy.float64) / 127).astype(f32)})


def rounded(weights, group, bits):
    """Nearest codes between the least and the largest value of every group, zero among them."""
    parts = weights.reshape(weights.shape[0], -1, group)
    low, high = numpy.minimum(parts.min(-1), 0), numpy.maximum(parts.max(-1), 0)
    top = (1 << bits) - 1
    scales = numpy.maximum((high - low) / top, 1e-6).astype(numpy.float16)
    zeros = numpy.clip(numpy.rint(-low / scales.astype(f32)), 0, top).astype(numpy.int64)
    codes = numpy.clip(numpy.rint(parts / scales.astype(f32)[..., None]) + zeros[..., None], 0, top).astype(numpy.int64)
    return codes.reshape(weights.shape), zeros, scales, numpy.arange(weights.shape[1]) // group


def packed_layer(layout, module, weights):
    if layout in ("bitsandbytes", "nf4"):
        flat = weights.ravel()
        blocks = numpy.append(flat, numpy.zeros(-len(flat) % 64, f32)).reshape(-1, 64)
        absmax = numpy.maximum(numpy.abs(blocks).max(-1), 1e-8).astype(f32)
        nearest = numpy.abs((blocks / absmax[:, None])[..., None] - numpy.array(NF4, f32)).argmin(-1)
        return bitsandbytes(module, nearest.ravel()[:len(flat)], absmax, weights.shape, "nf4")
    codes, zeros, scales, group_of = rounded(weights, 32, 4)
    tensors = {"gptq": lambda: gptq(module, codes, zeros, scales, group_of, 4), "awq": lambda: awq(module, codes, zeros, scales),
               "compressed": lambda: pack_quantized(module, codes, zeros, scales, 4)}[layout]()
    return tensors, affine(codes, zeros, scales, group_of)


def model(layout, source, out):
    shutil.copytree(source, out)
    config = json.loads((out / "config.json").read_text())
    plain = pathlib.Path(f"{out}-plain")
    config["quantization_config"] = {"gptq": gptq_config(4, 32), "awq": AWQ_CONFIG, "compressed": compressed(scheme(4, 32, False)),
                                     "nf4": BNB_CONFIG}[layout]
    (out / "config.json").write_text(json.dumps(config))
    tensors, expected = {}, {}
    for file in source.glob("*.safetensors"):
        for name, info in safetensors.deserialize(file.read_bytes()):
            kind = {"BF16": ml_dtypes.bfloat16, "F16": numpy.float16, "F32": f32}[info["dtype"]]
            values = numpy.frombuffer(bytes(info["data"]), kind).reshape(info["shape"])
            if name.endswith("_proj.weight"):
                packed, decoded = packed_layer(layout, name.removesuffix(".weight"), values.astype(f32))
                tensors |= packed
                expected[name] = decoded
            else:
                tensors[name] = expected[name] = values
        (out / file.name).unlink()
    for index in out.glob("*.index.json"):
        index.unlink()
    save(out / "model.safetensors", tensors)
    shutil.copytree(out, plain, ignore=shutil.ignore_patterns("*.safetensors"))
    del config["quantization_config"]
    (plain / "config.json").write_text(json.dumps(config))
    save(plain / "model.safetensors", expected)


if sys.argv[1] == "layouts":
    layouts(pathlib.Path(sys.argv[2]))
else:
    model(sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]))
