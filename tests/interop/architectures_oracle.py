# SPDX-License-Identifier: GPL-3.0-or-later
"""What models of transformers compute, from their published definitions with NumPy alone, in double precision.

logits TOKENS FOLDER...    FOLDER/logits.f32 of every folder; TOKENS: ids, separated by commas
wrong WHAT TOKENS FOLDER   FOLDER/wrong.f32: the same with one mistake that converters make (see MISTAKES)
names FOLDER FILE.gguf...   tensors and keys of exports by the tables of the gguf package; what differs, line by line
"""
import json
import pathlib
import re
import sys

import gguf
import numpy
from safetensors.numpy import load_file

MISTAKES = ("rotary", "norms", "order")


def silu(x):
    return x / (1 + numpy.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + numpy.tanh(numpy.sqrt(2 / numpy.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = numpy.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


GEMMA3_TEXT = {  # what transformers' Gemma3TextConfig takes where a file is silent
    "head_dim": 256, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4, "sliding_window_pattern": 6,
    "query_pre_attn_scalar": 256, "tie_word_embeddings": True}


def configuration(folder):
    """What a folder says of its model of text, in the words of older versions."""
    whole = json.loads((folder / "config.json").read_text())
    if "text_config" not in whole:
        return whole
    config = {**GEMMA3_TEXT, **whole["text_config"], "architectures": ["Gemma3ForCausalLM"]}
    if "rope_parameters" in config:
        both = config.pop("rope_parameters")
        config["rope_scaling"], config["rope_theta"] = both["full_attention"], both["full_attention"]["rope_theta"]
        config["rope_local_base_freq"] = both["sliding_attention"]["rope_theta"]
    return config


def tensors(folder):
    """The model of text under the names of older versions, experts one by one."""
    found = {}
    for name, value in load_file(folder / "model.safetensors").items():
        if "vision_tower" in name or "multi_modal_projector" in name:
            continue
        name = re.sub(r"^(language_model\.model|model\.language_model)\.", "model.", name)
        stem, _, kind = name.rpartition(".experts.")
        if kind == "gate_up_proj":
            for e, matrix in enumerate(value):
                gate, up = numpy.split(matrix, 2)
                found[f"{stem}.experts.{e}.gate_proj.weight"], found[f"{stem}.experts.{e}.up_proj.weight"] = gate, up
        elif kind == "down_proj":
            found.update({f"{stem}.experts.{e}.down_proj.weight": matrix for e, matrix in enumerate(value)})
        else:
            found[name] = value
    return found


class Model:
    def __init__(self, folder, mistake=None):
        self.config = configuration(folder)
        self.weights = {name: value.astype(numpy.float64) for name, value in tensors(folder).items()}
        self.kind = self.config["architectures"][0].removesuffix("ForCausalLM")
        self.mistake = mistake
        c = self.config
        self.heads = c["num_attention_heads"]
        self.kv_heads = c.get("num_key_value_heads", self.heads)
        self.head = c.get("head_dim", c["hidden_size"] // self.heads)
        self.rotary = int(self.head * c.get("partial_rotary_factor", 1.0))
        self.is_gemma = self.kind.startswith("Gemma")
        self.activation = gelu if self.is_gemma else silu

    def norm(self, x, name):
        w = self.weights[name + ".weight"] + (1 if self.is_gemma and self.mistake != "norms" else 0)
        return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + self.config["rms_norm_eps"]) * w

    def linear(self, x, name):
        y = x @ self.weights[name + ".weight"].T
        return y + self.weights[name + ".bias"] if name + ".bias" in self.weights else y

    def frequencies(self, block, length):
        """Angles per position of every pair, and the factor of cosine and sine."""
        c = self.config
        base, scaling, factor = c["rope_theta"], c.get("rope_scaling") or {}, 1.0
        if self.kind == "Gemma3" and self.slides(block):
            base, scaling = c["rope_local_base_freq"], {}
        if self.kind == "Olmo3" and self.slides(block):
            scaling = {}
        d = self.rotary
        inverse = base ** (-numpy.arange(0, d, 2) / d)
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind == "linear":
            inverse = inverse / scaling["factor"]
        elif kind == "llama3":
            original = scaling["original_max_position_embeddings"]
            wave = 2 * numpy.pi / inverse
            low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
            smooth = numpy.clip((original / wave - low) / (high - low), 0, 1)
            inverse = (1 - smooth) * inverse / scaling["factor"] + smooth * inverse
        elif kind == "yarn":
            original = scaling["original_max_position_embeddings"]
            turn = lambda rotations: d * numpy.log(original / (rotations * 2 * numpy.pi)) / (2 * numpy.log(base))
            low, high = max(numpy.floor(turn(32)), 0), min(numpy.ceil(turn(1)), d - 1)
            ramp = numpy.clip((numpy.arange(d // 2) - low) / max(high - low, 0.001), 0, 1)
            inverse = inverse / scaling["factor"] * ramp + inverse * (1 - ramp)
            factor = 0.1 * numpy.log(scaling["factor"]) + 1
        elif kind == "longrope":
            original = c["original_max_position_embeddings"]
            stretch = c["max_position_embeddings"] / original
            inverse = inverse / numpy.array(scaling["long_factor" if length > original else "short_factor"])
            factor = numpy.sqrt(1 + numpy.log(stretch) / numpy.log(original)) if stretch > 1 else 1.0
        return numpy.outer(numpy.arange(length), inverse), factor

    def rotate(self, x, block):
        if self.kind == "SmolLM3" and (block + 1) % 4 == 0:
            return x
        angles, factor = self.frequencies(block, x.shape[0])
        cos, sin = numpy.cos(angles)[:, None] * factor, numpy.sin(angles)[:, None] * factor
        turned, rest = x[..., : self.rotary], x[..., self.rotary :]
        if self.mistake == "rotary":  # pairs side by side
            a, b = turned[..., ::2], turned[..., 1::2]
            turned = numpy.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(turned.shape)
        else:
            a, b = numpy.split(turned, 2, -1)
            turned = numpy.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
        return numpy.concatenate([turned, rest], -1)

    def slides(self, block):
        if self.kind == "Gemma2":
            return block % 2 == 0
        if self.kind == "Olmo3":
            return self.config["layer_types"][block] == "sliding_attention"
        return self.kind == "Gemma3" and (block + 1) % self.config["sliding_window_pattern"] != 0

    def attention(self, x, block, prefix):
        c = self.config
        length = x.shape[0]
        if self.kind == "Phi3":
            qkv = self.linear(x, prefix + "qkv_proj")
            q, k, v = numpy.split(qkv, [self.heads * self.head, (self.heads + self.kv_heads) * self.head], -1)
        else:
            q, k, v = (self.linear(x, prefix + name) for name in ("q_proj", "k_proj", "v_proj"))
        if self.kind in ("Olmo2", "Olmo3"):
            q, k = self.norm(q, prefix + "q_norm"), self.norm(k, prefix + "k_norm")
        q, k, v = (t.reshape(length, -1, self.head) for t in (q, k, v))
        if self.kind in ("Qwen3", "Qwen3Moe", "Gemma3"):
            q, k = self.norm(q, prefix + "q_norm"), self.norm(k, prefix + "k_norm")
        q, k = self.rotate(q, block), self.rotate(k, block)
        k, v = (numpy.repeat(t, self.heads // self.kv_heads, 1) for t in (k, v))
        scores = numpy.einsum("ihd,jhd->hij", q, k) / numpy.sqrt(c.get("query_pre_attn_scalar", self.head))
        if c.get("attn_logit_softcapping"):
            scores = c["attn_logit_softcapping"] * numpy.tanh(scores / c["attn_logit_softcapping"])
        distance = numpy.arange(length)[:, None] - numpy.arange(length)
        hidden = distance < 0
        if self.slides(block):
            hidden |= distance >= c["sliding_window"]
        scores = numpy.where(hidden, -numpy.inf, scores)
        return self.linear(numpy.einsum("hij,jhd->ihd", softmax(scores), v).reshape(length, -1), prefix + "o_proj")

    def gated(self, x, prefix, names=("gate_proj", "up_proj", "down_proj")):
        gate, up, down = names
        return self.linear(self.activation(self.linear(x, prefix + gate)) * self.linear(x, prefix + up), prefix + down)

    def experts(self, x, prefix, normalizes, names):
        c = self.config
        share = softmax(self.linear(x, prefix + "gate"))
        y = numpy.zeros_like(x)
        for i, row in enumerate(share):
            chosen = numpy.argsort(-row, kind="stable")[: c["num_experts_per_tok"]]
            total = row[chosen].sum() if normalizes else 1
            for e in chosen:
                used = (e + 1) % len(row) if self.mistake == "order" else e
                y[i] += row[e] / total * self.gated(x[i : i + 1], f"{prefix}experts.{used}.", names)[0]
        return y

    def feed_forward(self, x, prefix):
        if self.kind == "Phi3":
            gate, up = numpy.split(self.linear(x, prefix + "mlp.gate_up_proj"), 2, -1)
            return self.linear(silu(gate) * up, prefix + "mlp.down_proj")
        plain = ("gate_proj", "up_proj", "down_proj")
        if self.kind == "Mixtral" and prefix + "block_sparse_moe.gate.weight" in self.weights:
            return self.experts(x, prefix + "block_sparse_moe.", True, ("w1", "w3", "w2"))
        if self.kind in ("Mixtral", "Qwen2Moe", "Qwen3Moe"):
            y = self.experts(x, prefix + "mlp.", self.config.get("norm_topk_prob", True), plain)
            if self.kind == "Qwen2Moe":
                gate = 1 / (1 + numpy.exp(-self.linear(x, prefix + "mlp.shared_expert_gate")))
                y += gate * self.gated(x, prefix + "mlp.shared_expert.")
            return y
        return self.gated(x, prefix + "mlp.")

    def block(self, x, index):
        p = f"model.layers.{index}."
        attention = lambda y: self.attention(y, index, p + "self_attn.")
        forward = lambda y: self.feed_forward(y, p)
        if self.kind in ("Gemma2", "Gemma3"):
            x = x + self.norm(attention(self.norm(x, p + "input_layernorm")), p + "post_attention_layernorm")
            return x + self.norm(forward(self.norm(x, p + "pre_feedforward_layernorm")), p + "post_feedforward_layernorm")
        if self.kind in ("Olmo2", "Olmo3"):
            x = x + self.norm(attention(x), p + "post_attention_layernorm")
            return x + self.norm(forward(x), p + "post_feedforward_layernorm")
        x = x + attention(self.norm(x, p + "input_layernorm"))
        return x + forward(self.norm(x, p + "post_attention_layernorm"))

    def logits(self, tokens):
        embedding = self.weights["model.embed_tokens.weight"]
        x = embedding[tokens] * (numpy.sqrt(self.config["hidden_size"]) if self.is_gemma else 1)
        for index in range(self.config["num_hidden_layers"]):
            x = self.block(x, index)
        y = self.norm(x, "model.norm") @ self.weights.get("lm_head.weight", embedding).T
        cap = self.config.get("final_logit_softcapping")
        return cap * numpy.tanh(y / cap) if cap else y


def run(mistake, tokens, folders, name):
    ids = numpy.array([int(token) for token in tokens.split(",")])
    for folder in map(pathlib.Path, folders):
        (folder / name).write_bytes(Model(folder, mistake).logits(ids).astype(numpy.float32).tobytes())


def names(folder, path):
    reader = gguf.GGUFReader(path)
    found = {tensor.name for tensor in reader.tensors}
    word = reader.fields["general.architecture"].contents()
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == word)
    config = configuration(pathlib.Path(folder))
    table = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    expected = set()
    for name in tensors(pathlib.Path(folder)):
        merged = re.sub(r"experts\.\d+\.", "experts.", name)  # the table knows the stacks that converters make of them
        expected.add(table.get_name(merged, try_suffixes=(".weight", ".bias")) or f"?{name}")
    extras = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
    for name in sorted(expected ^ (found - extras)):
        print(path, "tensor", name, "is not written" if name in expected else "is not in the table")
    templates = {value for group in vars(gguf.Keys).values() if isinstance(group, type) for value in vars(group).values()
                 if isinstance(value, str)}
    for key in reader.fields:
        known = key.startswith(("GGUF.", "sigmascope.")) or key.replace(word + ".", "{arch}.", 1) in templates or key in templates
        if not known:
            print(path, "key", key, "is not known")


if __name__ == "__main__":
    if sys.argv[1] == "logits":
        run(None, sys.argv[2], sys.argv[3:], "logits.f32")
    elif sys.argv[1] == "wrong" and sys.argv[2] in MISTAKES:
        run(sys.argv[2], sys.argv[3], sys.argv[4:], "wrong.f32")
    elif sys.argv[1] == "names":
        for pair in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
            names(*pair)
    else:
        sys.exit(__doc__)
