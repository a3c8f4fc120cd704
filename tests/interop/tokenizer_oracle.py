# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugging Face's tokenizers library, made to train small byte-level BPE tokenizers and to encode with them.

train CORPUS OUT       one folder per kind in OUT: a tiny random llama model with tokenizer.json and its side files
encode OUT TEXTS.json  {kind: [ids of each text]} on stdout, with what the tokenizer itself puts around a text
"""
import json
import pathlib
import sys

import numpy
import safetensors.numpy
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

# As in the published tokenizer.json of each model.
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
TIKTOKEN = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SEED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
ENDINGS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*|\p{{N}}|{ENDINGS}"
SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*{SUFFIX}|\p{{N}}{{1,3}}|"
         + ENDINGS)
DEEPSEEK_LLM = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
             r"\s*[\r\n]+|\s+(?!\S)|\s+")


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def plain_bytes():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def words_and_bytes():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def steps(*parts):
    return pre_tokenizers.Sequence(list(parts))


KINDS = {  # kind: (pre-tokenizer, ignore_merges, normalizer)
    "llama-bpe": (lambda: steps(split(LLAMA3), plain_bytes()), True, None),
    "smaug-bpe": (lambda: steps(split(TIKTOKEN, "removed", True), plain_bytes()), False, None),
    "qwen2": (lambda: steps(split(QWEN2), plain_bytes()), False, normalizers.NFC()),
    "gpt-2": (words_and_bytes, False, None),
    "smollm": (lambda: steps(pre_tokenizers.Digits(individual_digits=True), words_and_bytes()), False, None),
    "seed-coder": (lambda: steps(split(SEED), plain_bytes()), False, None),
    "falcon": (lambda: steps(pre_tokenizers.Punctuation("contiguous"), words_and_bytes(), pre_tokenizers.Digits(individual_digits=False),
                             split("[0-9][0-9][0-9]")), False, None),
    "tekken": (lambda: steps(split(TEKKEN), plain_bytes()), True, None),
    "gpt-4o": (lambda: steps(split(GPT4O), plain_bytes()), False, None),
    "deepseek-coder": (lambda: steps(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
                                     pre_tokenizers.Digits(individual_digits=True), plain_bytes()), False, None),
    "deepseek-llm": (lambda: steps(split("[\r\n]"), split(DEEPSEEK_LLM), split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"), split(r"\s+$"),
                                   split("[一-龥ࠀ-一가-퟿]+"), pre_tokenizers.Digits(individual_digits=True), plain_bytes()), False, None),
    "deepseek-v3": (lambda: steps(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), plain_bytes()), False, None),
}
VOCABULARY = 640


def trained(kind, corpus):
    make, ignore_merges, normalizer = KINDS[kind]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = make()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - 8, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken("<|begin|>", special=True), AddedToken("<|end|>", special=True)])
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False), AddedToken("  indented", special=False, normalized=False)])
    if kind in ("llama-bpe", "tekken"):
        begin = tokenizer.token_to_id("<|begin|>")
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B", special_tokens=[("<|begin|>", begin)])])
    return tokenizer


def write_model(folder, rng):
    hidden, rows = 32, {"q_proj": 32, "k_proj": 16, "v_proj": 16, "o_proj": 32}
    tensors = {"model.embed_tokens.weight": (VOCABULARY, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (VOCABULARY, hidden)}
    for name, out in rows.items():
        tensors[f"model.layers.0.self_attn.{name}.weight"] = (out, hidden)
    for name, shape in {"gate_proj": (64, hidden), "up_proj": (64, hidden), "down_proj": (hidden, 64)}.items():
        tensors[f"model.layers.0.mlp.{name}.weight"] = shape
    for name in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"model.layers.0.{name}.weight"] = (hidden,)
    values = {name: (0.2 * rng.standard_normal(shape)).astype(numpy.float32) for name, shape in tensors.items()}
    safetensors.numpy.save_file(values, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
        "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": VOCABULARY,
        "tie_word_embeddings": False}))


def train(corpus, out):
    lines = pathlib.Path(corpus).read_text(encoding="utf-8").splitlines(keepends=True)[:1500]
    lines += ["def f(x):\n    return x + 1234567\n", "naïve café déjà vu\n", "我想在apple工作1314151天\n", "I'll we've it's don't\n"] * 300
    rng = numpy.random.default_rng(7)
    for kind in KINDS:
        folder = pathlib.Path(out) / kind
        folder.mkdir(parents=True)
        trained(kind, lines).save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps({
            "bos_token": "<|begin|>", "eos_token": "<|end|>", "clean_up_tokenization_spaces": False,
            "chat_template": "{{ messages }}<|end|>"}))
        write_model(folder, rng)


def encode(out, texts):
    wanted = json.loads(pathlib.Path(texts).read_text(encoding="utf-8"))
    result = {}
    for kind in KINDS:
        tokenizer = Tokenizer.from_file(str(pathlib.Path(out) / kind / "tokenizer.json"))
        result[kind] = [tokenizer.encode(text).ids for text in wanted]
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    {"train": train, "encode": encode}[sys.argv[1]](*sys.argv[2:])
