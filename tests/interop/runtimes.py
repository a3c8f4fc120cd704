# SPDX-License-Identifier: GPL-3.0-or-later
"""The written folders in the hands of the Python runtimes they are for. Run by hand: the runtimes are gigabytes.

runtimes.py CLI MODEL WORK [--runtime NAME ...] [--case REGEX]

CLI is sigmascope-cli, MODEL a folder of the llama family in BF16 (resources/sample), WORK an empty folder. Every case is
a recipe that the CLI writes; NAME of transformers, peft, gptqmodel, gguf (default: all that are installed; each runs in a
process of its own, since they patch each other). For each folder:

  * the runtime loads config, tokenizer and weights, unmodified, without a missing, unexpected or mismatched tensor;
  * its logits on a text are those of a plain float32 model that holds the weights as our reader decodes them (the CLI
    copies the folder to a GGUF of F32, which the reference reader of PyPI `gguf` opens), as they are or rounded to F16,
    as kernels round them;
  * it generates.

Prints a line a case and what the runtime warned of; exits 1 if anything failed. The distance to the model before
quantization stands beside each difference: a runtime that ignored the codes would be off by as much.
"""
import argparse
import contextlib
import copy
import importlib.metadata
import importlib.util
import io
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TORCHDYNAMO_DISABLE"] = "1"  # compiling each model takes a minute and is no part of reading it

TEXT = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife."
MIXED = """"default":{"grid":"%s"},"rules":[{"match":"layers\\\\.0\\\\..*down_proj","grid":"%s"},
    {"match":"layers\\\\.1\\\\.self_attn\\\\.[qkv]_proj","grid":"%s"},{"match":"layers\\\\.2\\\\.mlp\\\\.(gate|up)_proj","skip":true},
    {"match":"layers\\\\.3\\\\.self_attn\\\\.o_proj","grid":"%s"}]"""
KEPT = """"default":{"grid":"%s"},"rules":[{"match":"layers\\\\.1\\\\.self_attn\\\\.[qkv]_proj","skip":true},
    {"match":"layers\\\\.2\\\\.mlp\\\\.down_proj","skip":true}]"""
RANKS = """"default":{"preset":"lqer-w4","rank":8,"factor_bits":%d},"rules":[{"match":"down_proj","rank":3},
    {"match":"layers\\\\.0\\\\.self_attn\\\\.q_proj","rank":12},{"match":"layers\\\\.1\\\\.mlp\\\\.up_proj","rank":0}]"""
EVEN = '"default":{"preset":"%s","rank":16}'


def one(grid):
    return f'"default":{{"grid":"{grid}"}}'


def cases():
    """(name, target, rules, runtimes)"""
    found = []
    for bits in (4, 8):
        for shape in ("g32", "g64", "g128", "row"):
            for kind in ("", "-asym"):
                grid = f"int{bits}-{shape}{kind}"
                found.append((f"compressed-tensors {grid}", "compressed-tensors", one(grid), ["transformers"]))
    found += [("compressed-tensors mixed", "compressed-tensors",
               MIXED % ("int4-g128", "int8-g128", "int4-g64-asym", "int8-row"), ["transformers"]),
              ("compressed-tensors kept", "compressed-tensors", KEPT % "int4-g64", ["transformers"]),
              ("compressed-tensors f32 scales", "compressed-tensors", one("int4-g64-f32"), ["transformers"])]
    for bits in (2, 3, 4, 8):
        for shape in ("g32", "g128", "row") if bits in (4, 8) else ("g64",):
            for kind in ("", "-asym"):
                grid = f"int{bits}-{shape}{kind}"
                found.append((f"gptq {grid}", "gptq", one(grid), ["transformers", "gptqmodel"]))
    found += [("gptq mixed", "gptq", MIXED % ("int4-g128", "int8-g128", "int4-g64-asym", "int8-row"), ["gptqmodel", "transformers"]),
              ("gptq mixed symmetric", "gptq", MIXED % ("int4-g128", "int8-g128", "int4-g64", "int8-row"), ["gptqmodel", "transformers"]),
              ("gptq kept", "gptq", KEPT % "int4-g64", ["gptqmodel", "transformers"])]
    for shape in ("g32", "g64", "g128", "row"):
        found.append((f"awq int4-{shape}-asym", "awq", one(f"int4-{shape}-asym"), ["transformers", "gptqmodel"]))
    found.append(("awq kept", "awq", KEPT % "int4-g64-asym", ["transformers", "gptqmodel"]))
    for target in ("compressed-tensors", "gptq", "awq"):
        found.append((f"{target} adapter, ranks mixed", target, RANKS % (32 if target == "gptq" else 16), ["peft"]))
    found.append(("gptq adapter, one rank", "gptq", EVEN % "lqer-w4", ["peft"]))
    found += [("bf16 int3-g64", "bf16", one("int3-g64"), ["transformers"]),
              ("bf16 nf4 corrected", "bf16", '"default":{"preset":"lqer-w3","grid":"nf4-g64","rank":8}', ["transformers"])]
    for type_name in ("q4_k", "q8_0"):
        found.append((f"gguf {type_name}", "gguf", one(type_name), ["gguf"]))
    return found


def cli(arguments):
    done = subprocess.run([str(part) for part in arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(str(part) for part in arguments)}\n{done.stderr.strip()}")


def written(options, name, target, rules):
    """The folder (or file) of a case, and the F32 GGUF of what our reader makes of it."""
    stem = options.work / re.sub(r"[^a-z0-9]+", "-", name.lower())
    recipe = stem.with_suffix(".json")
    recipe.write_text(f'{{"schema":1,"target":"{target}",{rules}}}')
    output = stem / "model.gguf" if target == "gguf" else stem
    plain = stem.with_name(stem.name + "-decoded.gguf")
    if not plain.exists():
        keep = options.work / "keep.json"
        keep.write_text('{"schema":1,"target":"gguf","default":{"skip":true}}')
        stem.mkdir(exist_ok=True)
        cli([options.cli, "quantize", options.model, "--recipe", recipe, "--to", target, "-o", output, "--overwrite"])
        if target != "gguf":
            cli([options.cli, "quantize", output, "--recipe", keep, "--to", "gguf", "-o", plain, "--overwrite"])
    return stem, output if target == "gguf" else plain


PLACES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
          "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
          "ffn_norm": "post_attention_layernorm"}
ENDS = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}


def decoded(path, config):
    """Hugging Face's names -> float32 tensors, the heads' rows in Hugging Face's order."""
    import gguf
    import torch
    found = {}
    for tensor in gguf.GGUFReader(str(path)).tensors:
        values = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
        values = values.reshape(tuple(int(n) for n in reversed(tensor.shape)))
        if tensor.name in ENDS:
            found[ENDS[tensor.name]] = values
            continue
        _, layer, place, _ = tensor.name.split(".")
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(place)
        if heads is not None:
            rows, cols = values.shape
            values = values.reshape(heads, rows // heads // 2, 2, cols).transpose(1, 2).reshape(rows, cols)
        found[f"model.layers.{layer}.{PLACES[place]}.weight"] = values
    return found


def corrected(weights, folder):
    """With B A of an adapter beside the model added, as W = Q + L R is meant."""
    import safetensors.torch
    factors = safetensors.torch.load_file(folder / "lora" / "adapter_model.safetensors")
    found = dict(weights)
    ranks = set()
    for name, right in factors.items():
        if name.endswith(".lora_A.weight"):
            stem = name.removesuffix(".lora_A.weight")
            left = factors[f"{stem}.lora_B.weight"]
            ranks.add(right.shape[0])
            weight = stem.removeprefix("base_model.model.") + ".weight"
            found[weight] = (found[weight].double() + left.double() @ right.double()).float()
    if not ranks:
        raise RuntimeError("the adapter holds no factors")
    return found


class Said(logging.Handler):
    """What a user would see on the terminal."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def listening():
    said = Said()
    loggers = [logging.getLogger(name) for name in ("", "transformers", "peft", "compressed_tensors", "gptqmodel", "accelerate")]
    for logger in loggers:
        logger.addHandler(said)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield said
        finally:
            for logger in loggers:
                logger.removeHandler(said)
    said.lines += [str(each.message) for each in caught if issubclass(each.category, UserWarning)]


def loaded_by_transformers(folder, dtype, gguf_file=None, dequantize=False):
    from transformers import AutoModelForCausalLM
    extra = {"gguf_file": gguf_file} if gguf_file else {}
    if dequantize:
        from transformers.utils.quantization_config import CompressedTensorsConfig
        extra["quantization_config"] = CompressedTensorsConfig(dequantize=True)
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map="cpu", output_loading_info=True, **extra)
    bad = {key: value for key, value in report.items() if value and key.endswith(("_keys", "error_msgs"))}
    if bad:
        raise RuntimeError(f"loads with {bad}")
    return model


def loaded(runtime, folder, dtype, method):
    if runtime == "gptqmodel":
        from gptqmodel import BACKEND, GPTQModel
        return GPTQModel.load(str(folder), device="cpu", dtype=dtype, backend=BACKEND.TORCH).model
    if runtime == "peft" and method == "gptq":  # as our command line says: transformers does not read `dynamic`
        from gptqmodel import BACKEND, GPTQModel
        model = GPTQModel.load(str(folder), device="cpu", dtype=dtype, backend=BACKEND.TORCH).model
    else:
        # PEFT looks for a weight, which compressed-tensors has none of before the first token.
        model = loaded_by_transformers(folder, dtype, "model.gguf" if runtime == "gguf" else None,
                                       runtime == "peft" and method == "compressed-tensors")
    if runtime == "peft":
        from peft import PeftModel
        model = PeftModel.from_pretrained(model, str(folder / "lora"))
        held = {name for name, _ in model.named_parameters() if ".lora_A." in name}
        import safetensors
        with safetensors.safe_open(folder / "lora" / "adapter_model.safetensors", "pt") as file:
            stored = {name.replace(".lora_A.", ".lora_A.default.") for name in file.keys() if ".lora_A." in name}
        if held != stored:
            raise RuntimeError(f"PEFT holds factors of other modules than the file: {sorted(held ^ stored)[:4]}")
    return model


def quantized_modules(model):
    names = [type(module).__name__ for name, module in model.named_modules() if name.endswith("_proj")]
    return ", ".join(f"{name} x{names.count(name)}" for name in sorted(set(names)))


def logits_of(model, ids):
    import torch
    model.eval()
    with torch.inference_mode():
        return model(input_ids=ids).logits[0].float()


def dtypes_of(runtime, method):
    """What the kernels for the CPU compute in."""
    with_gptqmodel = runtime == "gptqmodel" or (runtime == "peft" and method == "gptq")
    return ["float16" if with_gptqmodel else "float32", "bfloat16"]


def checked(options, runtime, name, folder, decoded_path):
    """One line of the report."""
    method = name.split()[0]
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    tokenizer_of = folder if runtime != "gguf" else options.model
    ids = AutoTokenizer.from_pretrained(tokenizer_of)(TEXT, return_tensors="pt").input_ids
    original = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    if not torch.equal(ids, AutoTokenizer.from_pretrained(options.model)(TEXT, return_tensors="pt").input_ids):
        raise RuntimeError("its tokenizer is not the model's")
    before = logits_of(original, ids)
    weights = decoded(decoded_path, original.config)
    halved = {key: value.half().float() if key.endswith("_proj.weight") else value for key, value in weights.items()}
    original.load_state_dict(corrected(halved, folder) if runtime == "peft" else halved)
    as_half = logits_of(original, ids)
    original.load_state_dict(corrected(weights, folder) if runtime == "peft" else weights)
    meant = logits_of(original, ids)
    line = {"case": name, "runtime": runtime, "rounding": {}, "from the original": float((meant - before).abs().max())}
    for word in dtypes_of(runtime, method):
        in_dtype = copy.deepcopy(original).to(getattr(torch, word))
        line["rounding"][word] = float((logits_of(in_dtype, ids) - meant).abs().max())
    with listening() as said, contextlib.redirect_stdout(io.StringIO()):
        for word in dtypes_of(runtime, method):
            dtype = getattr(torch, word)
            try:
                model = loaded(runtime, folder, dtype, method)
                line["modules"] = quantized_modules(model)
                found = logits_of(model, ids)
                # Some kernels multiply code and scale in 16 bits, whatever they compute in then.
                line[word] = min(float((found - each).abs().max()) for each in (meant, as_half))
                settings = GenerationConfig(max_new_tokens=12, do_sample=False, pad_token_id=0)
                made = model.generate(input_ids=ids[:, :8], attention_mask=torch.ones_like(ids[:, :8]), generation_config=settings)
                line["tokens"] = int(made.shape[1]) - 8
            except Exception as error:  # whatever a runtime throws is what a user would see
                line.setdefault("failed", f"{word}: {type(error).__name__}: {str(error).strip()[:400]}")
    line["said"] = sorted(set(said.lines))
    return line


def verdict(line):
    """Float32 within rounding of the sums; 16 bits within three times what they cost a plain model of the same weights."""
    if "failed" in line:
        return line["failed"]
    for word, rounding in line["rounding"].items():
        tolerance = 2e-3 if word == "float32" else 3 * rounding
        if line[word] > tolerance:
            return f"{word} is off by {line[word]:.4g}, more than {tolerance:.4g}"
    if line["tokens"] < 1:
        return "generates nothing"
    if line["from the original"] < 10 * 2e-3:
        return "the case tells nothing: quantized or not, the logits are the same"
    return ""


VERSIONS = {"transformers": ["transformers", "compressed-tensors", "gptqmodel"], "peft": ["peft", "transformers", "compressed-tensors", "gptqmodel"],
            "gptqmodel": ["gptqmodel"], "gguf": ["transformers", "gguf"]}


def worker(options, runtime):
    failures = 0
    versions = " ".join(f"{package} {importlib.metadata.version(package)}" for package in [*VERSIONS[runtime], "torch"]
                        if importlib.util.find_spec(package.replace("-", "_")))
    print(f"\n{runtime}: {versions}")
    for name, target, rules, runtimes in cases():
        if runtime not in runtimes or not re.search(options.case, name):
            continue
        folder, plain = written(options, name, target, rules)
        try:
            line = checked(options, runtime, name, folder, plain)
            problem = verdict(line)
        except Exception as error:
            line, problem = {}, f"{type(error).__name__}: {error}"
        failures += bool(problem)
        figures = "  ".join(f"{word} {line[word]:.2e}" for word in ("float32", "float16", "bfloat16", "from the original") if word in line)
        print(f"  {'FAILED' if problem else 'ok':6}  {name:34}  {figures}  {line.get('modules', '')}  {problem}", flush=True)
        for said in line.get("said", []):
            print(f"          said: {said[:300]}", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cli", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--runtime", action="append", choices=list(VERSIONS))
    parser.add_argument("--case", default="", help="regular expression found in the name of a case")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    wanted = {runtime for name, _, _, runtimes in cases() if re.search(options.case, name) for runtime in runtimes}
    runtimes = [name for name in options.runtime or VERSIONS if name in wanted and (options.runtime or importlib.util.find_spec(name))]
    if not runtimes:
        sys.exit("nothing to try: no case has that name, or no runtime is installed that reads it")
    if len(runtimes) == 1:
        sys.exit(1 if worker(options, runtimes[0]) else 0)
    again = [sys.executable, sys.argv[0], options.cli, options.model, options.work, "--case", options.case, "--runtime"]
    failed = [name for name in runtimes if subprocess.run([*again, name], check=False).returncode != 0]
    print(f"failed: {', '.join(failed)}" if failed else "all loaded, equal and running")
    sys.exit(1 if failed else 0)


main()
