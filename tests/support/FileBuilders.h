// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Model files byte by byte, right and wrong ones. Independent of the project's own writers.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope::test {

/// Little-endian bytes of a number.
template <class Number>
std::string le(Number value)
{
    std::string bytes(sizeof(Number), '\0');
    std::memcpy(bytes.data(), &value, sizeof(Number));
    return bytes;
}

/// Length word, header and @p dataBytes bytes 0, 1, 2, … of data. The header is taken as it is.
inline std::string safetensors(std::string_view header, std::size_t dataBytes, std::optional<std::uint64_t> length = {})
{
    std::string file = le<std::uint64_t>(length.value_or(header.size()));
    file += header;
    for (std::size_t i = 0; i < dataBytes; ++i)
        file += static_cast<char>(i);
    return file;
}

/// "NAME":{"dtype":…,"shape":[…],"data_offsets":[begin,end]}, the name as it is (escape it yourself).
inline std::string entry(std::string_view name, std::string_view dtype, const std::vector<std::uint64_t>& shape,
                         std::uint64_t begin, std::uint64_t end)
{
    std::string text = "\"" + std::string(name) + "\":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":[";
    for (std::size_t i = 0; i < shape.size(); ++i)
        text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
    return text + "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

inline std::string ggufString(std::string_view text)
{
    return le<std::uint64_t>(text.size()) + std::string(text);
}

/// A GGUF file; counts, offsets and the version can be made to lie.
struct GgufBytes {
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::optional<std::uint64_t> tensorCount{};
    std::optional<std::uint64_t> keyCount{};
    std::string keys{};
    std::string tensors{};
    std::uint64_t keysWritten = 0;
    std::uint64_t tensorsWritten = 0;
    std::uint64_t alignment = 32;
    char padding = '\0';
    std::string data{};

    GgufBytes& key(std::string_view name, std::uint32_t type, std::string_view value)
    {
        keys += ggufString(name) + le(type) + std::string(value);
        ++keysWritten;
        return *this;
    }
    GgufBytes& u32(std::string_view name, std::uint32_t value) { return key(name, 4, le(value)); }
    GgufBytes& text(std::string_view name, std::string_view value) { return key(name, 8, ggufString(value)); }
    /// @param ne  in GGUF's order, the contiguous dimension first.
    GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& ne, std::uint32_t type, std::uint64_t offset)
    {
        tensors += ggufString(name) + le(static_cast<std::uint32_t>(ne.size()));
        for (const std::uint64_t n : ne)
            tensors += le(n);
        tensors += le(type) + le(offset);
        ++tensorsWritten;
        return *this;
    }
    GgufBytes& withData(std::size_t bytes)
    {
        data.assign(bytes, '\x01');
        return *this;
    }
    [[nodiscard]] std::string header() const
    {
        return magic + le(version) + le(tensorCount.value_or(tensorsWritten)) + le(keyCount.value_or(keysWritten)) + keys + tensors;
    }
    /// Where the data begin.
    [[nodiscard]] std::size_t dataStart() const
    {
        return (header().size() + alignment - 1) / alignment * alignment;
    }
    [[nodiscard]] std::string bytes() const
    {
        std::string file = header();
        file.resize(dataStart(), padding);
        return file + data;
    }
};

inline std::filesystem::path writeFile(const std::filesystem::path& path, std::string_view bytes)
{
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
}

}  // namespace sigmascope::test
