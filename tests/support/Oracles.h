// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Foreign readers that the interop tests ask (installed by tests/interop/setup.sh).

namespace sigmascope {

/// Folder of the oracles: SIGMASCOPE_ORACLES, else build/oracles of the source tree.
[[nodiscard]] std::filesystem::path oracleFolder();

/// Runs the oracles' Python with these arguments; its output, or nothing with @p problem set.
[[nodiscard]] std::optional<std::string> runPython(const std::vector<std::string>& arguments, std::string& problem);

/// llama.cpp's own libraries, opened at run time; one thread, CPU only, F32 KV cache, no flash attention.
/// The C ABI is that of npm @node-llama-cpp/linux-x64 3.22.1 and is checked against the defaults it hands out.
class LlamaLibrary {
public:
    /// Null with @p problem set if the libraries are absent or not the ones expected.
    [[nodiscard]] static std::unique_ptr<LlamaLibrary> open(std::string& problem);
    ~LlamaLibrary();
    LlamaLibrary(const LlamaLibrary&) = delete;
    LlamaLibrary& operator=(const LlamaLibrary&) = delete;

    /// ggml_quantize_chunk. @param importance  one for every column, or empty: without importance matrix.
    [[nodiscard]] std::vector<std::byte> quantize(DType type, std::span<const float> values, std::int64_t rows,
                                                  std::int64_t cols, std::span<const float> importance = {}) const;
    /// to_float of the type's traits.
    [[nodiscard]] std::vector<float> toFloat(DType type, std::span<const std::byte> bytes, std::int64_t count) const;

    struct Run {
        std::vector<float> logits;  ///< [tokens x vocabulary]
        std::size_t vocabulary = 0;
    };
    /// Logits of every position. Nothing, with what llama.cpp logged in @p problem, if a file is refused.
    [[nodiscard]] std::optional<Run> evaluate(const std::filesystem::path& model, const std::filesystem::path& adapter,
                                              std::span<const std::int32_t> tokens, std::string& problem) const;
    /// Ids of a text, BOS as the model wants it. @param special  names of control tokens in the text become those tokens.
    [[nodiscard]] std::optional<std::vector<std::int32_t>> tokenize(const std::filesystem::path& model, std::string_view text,
                                                                    std::string& problem, bool special = false) const;

private:
    struct Functions;
    LlamaLibrary();
    std::unique_ptr<Functions> m_functions;
    std::vector<void*> m_handles;
};

}  // namespace sigmascope
