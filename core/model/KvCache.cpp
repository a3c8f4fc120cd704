// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/KvCache.h"

#include "core/model/ModelConfig.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace sigmascope {

namespace {

constexpr std::uint64_t kBatch = 512;  // llama.cpp's default of tokens at once

/// One block in so many sees everything, the others slide, in those families of llama.cpp that have a window at all.
std::uint32_t fullEveryOf(std::string_view architecture)
{
    return architecture == "gemma2" ? 2 : architecture == "olmo2" ? 4 : architecture == "gemma3" ? 6 : 0;
}

void setSliding(KvShape& shape, std::string_view architecture, std::uint32_t window)
{
    const std::uint32_t fullEvery = fullEveryOf(architecture);
    if (fullEvery == 0 || window == 0)
        return;
    shape.slidingBlocks = shape.blocks - shape.blocks / fullEvery;
    shape.slidingWindow = window;
}

tl::unexpected<Error> refuse(const Checkpoint& checkpoint, ErrorCode code, std::string_view what)
{
    return fail(code, Where{.file = checkpoint.path().string()}, what);
}

Result<KvShape> fromGguf(const Checkpoint& checkpoint)
{
    const GgufMetadata& keys = checkpoint.gguf();
    const auto architecture = keys.string("general.architecture");
    if (!architecture)
        return refuse(checkpoint, ErrorCode::InvalidMetadata, "general.architecture: missing, or no string");
    const auto number
        = [&](std::string_view name) { return keys.u32(fmt::format("{}.{}", escaped(*architecture), name)); };
    const auto blocks = number("block_count");
    const auto embedding = number("embedding_length");
    const auto heads = number("attention.head_count");
    if (!blocks || !embedding || !heads || *heads == 0)
        return refuse(checkpoint, ErrorCode::NotRepresentable,
                      "block_count, embedding_length or attention.head_count is missing, or is a list by block");
    const std::string kvKey = fmt::format("{}.attention.head_count_kv", escaped(*architecture));
    const auto kvHeads = keys.u32(kvKey);
    if (!kvHeads && keys.find(kvKey) != nullptr)
        return refuse(checkpoint, ErrorCode::NotRepresentable, kvKey + ": is a list by block");
    const std::uint32_t length = *embedding / *heads;
    KvShape shape{.blocks = *blocks,
                  .kvHeads = kvHeads.value_or(*heads),
                  .keyLength = number("attention.key_length").value_or(length),
                  .valueLength = number("attention.value_length").value_or(length),
                  .trainedContext = number("context_length").value_or(0)};
    setSliding(shape, *architecture, number("attention.sliding_window").value_or(0));
    return shape;
}

}  // namespace

Result<KvShape> kvShapeOf(const Checkpoint& checkpoint)
{
    Result<KvShape> shape
        = refuse(checkpoint, ErrorCode::NotRepresentable, "config.json is absent: the heads are not known");
    if (checkpoint.format() == CheckpointFormat::Gguf) {
        shape = fromGguf(checkpoint);
    } else if (!checkpoint.config().is_null()) {
        const auto config = modelConfigFromHf(checkpoint.config(), (checkpoint.folder() / "config.json").string());
        if (!config)
            return passOn(config);
        shape = KvShape{.blocks = config->blockCount,
                        .kvHeads = config->kvHeads,
                        .keyLength = config->headLength,
                        .valueLength = config->headLength,
                        .trainedContext = config->contextLength};
        setSliding(*shape, config->architecture, config->slidingWindow);
    }
    if (shape && (shape->blocks == 0 || shape->kvHeads == 0 || shape->keyLength == 0 || shape->valueLength == 0))
        return refuse(checkpoint, ErrorCode::InvalidMetadata,
                      "a model without blocks, heads or head length has no cache");
    return shape;
}

Result<Bytes> kvCacheBytes(const KvShape& shape, std::uint64_t context, std::uint64_t bytesPerValue)
{
    // Hostile sizes: every product is checked.
    const auto bytesOf = [&](std::uint64_t blocks, std::uint64_t tokens) -> Result<Bytes> {
        std::uint64_t bytes = blocks * shape.kvHeads;
        for (const std::uint64_t factor : {std::uint64_t{shape.keyLength} + shape.valueLength, tokens, bytesPerValue}) {
            if (__builtin_mul_overflow(bytes, factor, &bytes))
                return fail(ErrorCode::SizeOverflow,
                            fmt::format("the cache of {} tokens does not fit 64 bits", context));
        }
        return bytes;
    };
    auto full = bytesOf(shape.blocks - shape.slidingBlocks, context);
    if (!full)
        return full;
    auto sliding = bytesOf(shape.slidingBlocks, std::min(context, shape.slidingWindow + kBatch));
    if (!sliding)
        return sliding;
    const auto sum = checkedAdd(*full, *sliding);
    if (!sum)
        return fail(ErrorCode::SizeOverflow, fmt::format("the cache of {} tokens does not fit 64 bits", context));
    return *sum;
}

}  // namespace sigmascope
