# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference GGUF library asked about our files, and made to write one of its own.

write FOLDER OUT.gguf   a BF16 GGUF of a Hugging Face llama folder, by gguf's writer and numpy alone
read FILE.gguf OUT.f32  JSON of keys and tensors on stdout, all values decoded to OUT.f32 in listing order
raw FILE.gguf OUT       JSON of tensors on stdout, their bytes as stored in OUT in listing order
"""
import json
import pathlib
import sys

import gguf
import numpy
import safetensors

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name):
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    if name in fixed:
        return fixed[name]
    block, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{block}.{NAMES[part]}.weight"


def rotary_pairs(rows, heads):
    """Rotate-half order to interleaved pairs, as llama.cpp's converter does it."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write(folder, out):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name("reference")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    # From tokenizer.json, which our writer does not read: ids by text; merges come in the order of their ids.
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    types = [gguf.TokenType.BYTE if len(t) == 6 and t.startswith("<0x") else gguf.TokenType.NORMAL for t in tokens]
    for added in tokenizer["added_tokens"]:
        types[added["id"]] = gguf.TokenType.UNKNOWN if added["content"] == "<unk>" else gguf.TokenType.CONTROL
    first = types.index(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([float(min(0, first - i)) for i in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    for name, tensor in safetensors.deserialize((folder / "model.safetensors").read_bytes()):
        values = numpy.frombuffer(tensor["data"], dtype=numpy.uint16).reshape(tensor["shape"])
        if name.endswith("q_proj.weight"):
            values = rotary_pairs(values, config["num_attention_heads"])
        if name.endswith("k_proj.weight"):
            values = rotary_pairs(values, config["num_key_value_heads"])
        if values.ndim == 1:
            writer.add_tensor(gguf_name(name), (values.astype(numpy.uint32) << 16).view(numpy.float32))
        else:
            writer.add_tensor(gguf_name(name), numpy.ascontiguousarray(values).view(numpy.uint8),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path, out):
    reader = gguf.GGUFReader(path)
    keys = {key: field.contents() for key, field in reader.fields.items()}
    tensors = []
    with open(out, "wb") as values:
        for tensor in reader.tensors:
            decoded = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
            values.write(decoded.tobytes())
            tensors.append({"name": tensor.name, "type": tensor.tensor_type.name,
                            "shape": [int(n) for n in reversed(tensor.shape)]})
    json.dump({"keys": keys, "tensors": tensors}, sys.stdout)


def raw(path, out):
    tensors = []
    with open(out, "wb") as stored:
        for tensor in gguf.GGUFReader(path).tensors:
            stored.write(tensor.data.tobytes())
            tensors.append({"name": tensor.name, "type": tensor.tensor_type.name,
                            "shape": [int(n) for n in reversed(tensor.shape)]})
    json.dump({"tensors": tensors}, sys.stdout)


if __name__ == "__main__":
    {"write": write, "read": read, "raw": raw}[sys.argv[1]](*sys.argv[2:])
