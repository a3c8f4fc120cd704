// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// GGUF value types by their ids in the file (formats.md §2.1).
enum class GgufType : std::uint32_t {
    U8 = 0, I8 = 1, U16 = 2, I16 = 3, U32 = 4, I32 = 5, F32 = 6, Bool = 7, String = 8, Array = 9, U64 = 10, I64 = 11, F64 = 12,
};

/// One key of a GGUF file. `value` is the validated raw encoding (without the type word), so a template's
/// keys are copied byte for byte; it borrows the file's mapping.
struct GgufKey {
    std::string_view key;
    GgufType type = GgufType::U32;
    GgufType elementType = GgufType::U32;  ///< of an array
    std::uint64_t count = 1;               ///< elements of an array
    std::span<const std::byte> value{};
    std::uint64_t offset = 0;              ///< of the value in the file
};

/// All key/values of one file, validated when opened. Getters return nothing when the key is absent or
/// of another type, exactly as llama.cpp's do (u32 is not i32).
class GgufMetadata {
public:
    GgufMetadata() = default;
    explicit GgufMetadata(std::vector<GgufKey> keys) : m_keys(std::move(keys)) {}

    [[nodiscard]] std::span<const GgufKey> keys() const { return m_keys; }
    [[nodiscard]] const GgufKey* find(std::string_view key) const;
    [[nodiscard]] std::optional<std::uint32_t> u32(std::string_view key) const;
    [[nodiscard]] std::optional<float> f32(std::string_view key) const;
    [[nodiscard]] std::optional<std::string_view> string(std::string_view key) const;
    [[nodiscard]] std::optional<std::vector<std::string_view>> strings(std::string_view key) const;

private:
    std::vector<GgufKey> m_keys;
};

}  // namespace sigmascope
