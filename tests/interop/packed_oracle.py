# SPDX-License-Identifier: GPL-3.0-or-later
"""packed_oracle.py FOLDER: every weight of a quantized model, unpacked as its format defines, one JSON object a line.

Knows compressed-tensors (pack-quantized), GPTQ (gptq and gptq_v2) and AWQ (GEMM) from their definitions alone: numpy and the
reference reader of safetensors. What config.json says of each module decides how it is read; a module that is stored
otherwise than the config says, a name or a shape that does not fit, or a tensor left over ends the script. Weights are
float32: scale as stored, times (code - zero point). The digest is SHA-1 of the values, or of the bytes of kept tensors.
With an adapter in FOLDER/lora: its tensors, and for each module the factor that PEFT and vLLM would apply.
"""
import hashlib
import json
import pathlib
import re
import sys

import ml_dtypes
import numpy
import safetensors

folder = pathlib.Path(sys.argv[1])
DTYPES = {"F16": numpy.float16, "F32": numpy.float32, "BF16": ml_dtypes.bfloat16, "I32": numpy.int32, "I64": numpy.int64}
FUSED = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj"}


def stored(path):
    tensors = {}
    for name, info in safetensors.deserialize(path.read_bytes()):
        tensors[name] = (info["dtype"], info["shape"], bytes(info["data"]))
    return tensors


def array(tensor):
    dtype, shape, data = tensor
    return numpy.frombuffer(data, DTYPES[dtype]).reshape(shape)


def check(condition, what):
    if not condition:
        sys.exit(what)


def bits_of(words, bits, count):
    """Codes of each row of a [n, words] int32 array whose bits run on from word to word, lowest first."""
    raw = numpy.ascontiguousarray(words).view(numpy.uint8).reshape(words.shape[0], -1)
    stream = numpy.unpackbits(raw, axis=1, bitorder="little")[:, : count * bits].reshape(words.shape[0], count, bits)
    return (stream.astype(numpy.int32) << numpy.arange(bits)).sum(axis=2)


def fields_of(words, bits):
    """[n, words] -> [n, words * (32 // bits)]: whole codes, lowest first."""
    unsigned = words.astype(numpy.int64) & 0xFFFFFFFF
    each = 32 // bits
    codes = (unsigned[:, :, None] >> (bits * numpy.arange(each))) & ((1 << bits) - 1)
    return codes.reshape(words.shape[0], -1).astype(numpy.int32)


def dequantized(codes, zeros, scales, group_of):
    """[out, in] codes, [out, groups] zeros and scales."""
    return (codes - zeros[:, group_of]).astype(numpy.float32) * scales.astype(numpy.float32)[:, group_of]


def compressed_scheme(config, module):
    if module in config["ignore"]:
        return None
    for group in config["config_groups"].values():
        if module in group["targets"]:
            return group["weights"]
    for group in config["config_groups"].values():
        if "Linear" in group["targets"]:
            return group["weights"]
    return None


def compressed(take, scheme):
    check(scheme["type"] == "int" and not scheme["dynamic"] and scheme["actorder"] is None, "no scheme of pack-quantized")
    bits = scheme["num_bits"]
    out, columns = array(take("weight_shape", "I64")).tolist()
    packed = array(take("weight_packed", "I32"))
    scales = array(take("weight_scale"))
    each = 32 // bits
    check(packed.shape == (out, -(-columns // each)), f"weight_packed has the shape {packed.shape}")
    codes = fields_of(packed, bits)
    check(not codes[:, columns:].any(), "padding is not zero")
    codes = codes[:, :columns]
    group = columns if scheme["strategy"] == "channel" else scheme["group_size"]
    check(columns % group == 0 and scales.shape == (out, columns // group), f"weight_scale has the shape {scales.shape}")
    zeros = numpy.full(scales.shape, 1 << (bits - 1), numpy.int32)
    if not scheme["symmetric"]:
        words = array(take("weight_zero_point", "I32"))
        check(words.shape == (-(-out // each), scales.shape[1]), f"weight_zero_point has the shape {words.shape}")
        zeros = fields_of(words.T, bits)[:, :out].T
    return dequantized(codes, zeros, scales, numpy.arange(columns) // group)


def gptq_scheme(config, module):
    names = [module]
    parent, _, word = module.rpartition(".")
    if word in FUSED:
        names.append(f"{parent}.{FUSED[word]}")
    found = []
    for name in names:
        scheme = {key: config[key] for key in ("bits", "group_size", "sym")}
        for pattern, changes in config.get("dynamic", {}).items():
            if re.match(pattern[2:], name):
                scheme = None if pattern.startswith("-:") else {**scheme, **changes}
                break
        found.append(scheme)
    check(all(scheme == found[0] for scheme in found), f"{module} has another scheme by its fused name")
    return None if module == "lm_head" and not config["lm_head"] else found[0]


def gptq(take, scheme, version):
    bits = scheme["bits"]
    packed = array(take("qweight", "I32"))
    words = array(take("qzeros", "I32"))
    scales = array(take("scales", "F16"))
    index = array(take("g_idx", "I32"))
    columns, (groups, out) = len(index), scales.shape
    group = columns if scheme["group_size"] == -1 else scheme["group_size"]
    check(groups * group == columns and (index == numpy.arange(columns) // group).all(), "g_idx is not in order")
    check(packed.shape == (columns * bits // 32, out), f"qweight has the shape {packed.shape}")
    check(words.shape == (groups, out * bits // 32), f"qzeros has the shape {words.shape}")
    codes = bits_of(packed.T, bits, columns)
    zeros = bits_of(words, bits, out)
    if version == "gptq":
        zeros = zeros + 1  # kernels add without a carry
        check(not scheme["sym"] or (zeros == 1 << (bits - 1)).all(), "zero points of a symmetric layer")
        check((zeros < 1 << bits).all(), "a zero point of 0 in version 1")
    return dequantized(codes, zeros.T, scales.T, index)


AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def awq(take, config):
    check(config["bits"] == 4 and config["zero_point"] and config["version"] == "gemm", "not AWQ's GEMM layout")

    def unpacked(words):
        nibbles = fields_of(words, 4).reshape(words.shape[0], -1, 8)
        columns = numpy.empty_like(nibbles)
        columns[:, :, AWQ_ORDER] = nibbles
        return columns.reshape(words.shape[0], -1)

    codes = unpacked(array(take("qweight", "I32")))
    zeros = unpacked(array(take("qzeros", "I32")))
    scales = array(take("scales", "F16"))
    columns = codes.shape[0]
    group = columns if config["group_size"] == -1 else config["group_size"]
    check(scales.shape == (columns // group, codes.shape[1]) and zeros.shape == scales.shape, "scales or zero points do not fit")
    return dequantized(codes.T, zeros.T, scales.T, numpy.arange(columns) // group)


def adapter(modules):
    config = json.loads((folder / "lora" / "adapter_config.json").read_text())
    tensors = stored(folder / "lora" / "adapter_model.safetensors")
    check(config["peft_type"] == "LORA" and not config["use_rslora"] and not config["fan_in_fan_out"], "not a plain LoRA")
    check(config["r"] in (8, 16, 32, 64, 128, 256, 320, 512), "vLLM takes no such rank")
    targets = config["target_modules"]
    for module in modules:
        first = tensors.pop(f"base_model.model.{module}.lora_A.weight", None)
        second = tensors.pop(f"base_model.model.{module}.lora_B.weight", None)
        is_target = any(module == target or module.endswith("." + target) for target in targets)
        check(is_target == (first is not None) == (second is not None), f"{module}: target_modules and tensors differ")
        if first is None:
            continue
        rank = first[1][0]
        check(second[1][1] == rank <= config["r"], f"{module}: ranks differ")
        of_peft = [values.get(module, config[key]) for values, key in ((config["rank_pattern"], "r"), (config["alpha_pattern"], "lora_alpha"))]
        check(of_peft[0] == rank, f"{module}: PEFT would make room for another rank")
        print(json.dumps({"name": module, "rank": rank, "scales": [of_peft[1] / of_peft[0], config["lora_alpha"] / config["r"]],
                          "A": hashlib.sha1(first[2]).hexdigest(), "B": hashlib.sha1(second[2]).hexdigest()}))
    check(not tensors, f"left over in the adapter: {sorted(tensors)}")


config = json.loads((folder / "config.json").read_text())["quantization_config"]
method = config["quant_method"]
index = folder / "model.safetensors.index.json"
weight_map = json.loads(index.read_text())["weight_map"] if index.exists() else None
tensors = {}
for file in sorted(set(weight_map.values())) if weight_map else ["model.safetensors"]:
    for name, tensor in stored(folder / file).items():
        check(weight_map is None or weight_map[name] == file, f"{name} is not where the index says")
        tensors[name] = tensor
check(weight_map is None or set(weight_map) == set(tensors), "the index names other tensors")
if (folder / "quantize_config.json").exists():
    check(json.loads((folder / "quantize_config.json").read_text()) == config, "quantize_config.json differs from config.json")

END = {"compressed-tensors": ".weight_packed", "gptq": ".qweight", "awq": ".qweight"}[method]
packed_modules = [name[: -len(END)] for name in tensors if name.endswith(END)]
plain = [name[: -len(".weight")] for name in tensors if name.endswith(".weight") and len(tensors[name][1]) == 2 and "embed" not in name]
for module in packed_modules:
    def take(part, dtype=None):
        tensor = tensors.pop(f"{module}.{part}", None)
        check(tensor is not None, f"{module} has no {part}")
        check(dtype is None or tensor[0] == dtype, f"{module}.{part} is {tensor[0]}")
        return tensor

    if method == "compressed-tensors":
        check(config["format"] == "pack-quantized" and config["quantization_status"] == "compressed", "another format")
        scheme = compressed_scheme(config, module)
        check(scheme is not None, f"{module} is packed and config.json says that it is not")
        weight = compressed(take, scheme)
    elif method == "gptq":
        scheme = gptq_scheme(config, module)
        check(scheme is not None, f"{module} is packed and config.json says that it is not")
        weight = gptq(take, scheme, config["checkpoint_format"])
    else:
        check(not any(word in module for word in config["modules_to_not_convert"]), f"{module} is not to be converted")
        weight = awq(take, config)
    check(numpy.isfinite(weight).all(), f"{module}: not finite")
    print(json.dumps({"name": module + ".weight", "packed": True, "shape": list(weight.shape),
                      "digest": hashlib.sha1(numpy.ascontiguousarray(weight).tobytes()).hexdigest()}))
for module in plain:
    quantized = {"compressed-tensors": lambda: compressed_scheme(config, module), "gptq": lambda: gptq_scheme(config, module),
                 "awq": lambda: None if any(word in module for word in config["modules_to_not_convert"]) else config}[method]()
    check(quantized is None, f"{module} is plain and config.json says that it is quantized")
for name, (dtype, shape, data) in tensors.items():
    check(not re.search(r"\.(weight_\w+|qweight|qzeros|scales|g_idx)$", name), f"left over: {name}")
    print(json.dumps({"name": name, "packed": False, "dtype": dtype, "shape": shape, "digest": hashlib.sha1(data).hexdigest()}))
if (folder / "lora").exists():
    adapter(packed_modules + plain)
