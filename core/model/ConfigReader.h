// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Typed look-ups in one object of a config.json. A null value counts as absent, as in transformers; a value of another
/// kind is InvalidMetadata and names file and key. Borrows both.
class ConfigReader {
public:
    ConfigReader(const Json& object, std::string_view file)
        : m_object(object)
        , m_file(file)
    {
    }

    [[nodiscard]] const Json* find(const char* key) const;
    /// 1 … 2^31 - 1.
    [[nodiscard]] Result<std::optional<std::uint32_t>> count(const char* key) const;
    /// The same, and 0.
    [[nodiscard]] Result<std::optional<std::uint32_t>> countOrZero(const char* key) const;
    /// Finite and greater than 0.
    [[nodiscard]] Result<std::optional<float>> real(const char* key) const;
    [[nodiscard]] Result<std::optional<bool>> flag(const char* key) const;
    /// A list of finite positive numbers, at most @p most of them; empty if absent.
    [[nodiscard]] Result<std::vector<float>> reals(const char* key, std::size_t most) const;

    [[nodiscard]] tl::unexpected<Error> wrong(const char* key, std::string_view expected, const Json& found) const;
    [[nodiscard]] tl::unexpected<Error> missing(const char* key) const;
    /// Adds that a template GGUF could carry it.
    [[nodiscard]] tl::unexpected<Error> notRepresentable(std::string_view what) const;
    [[nodiscard]] std::string_view file() const { return m_file; }

private:
    const Json& m_object;
    std::string_view m_file;
};

}  // namespace sigmascope
