// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Small safetensors files made at test time, byte by byte, so that a test knows what it reads.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace sigmascope::test
{

struct TinyTensor {
    std::string name;
    std::string dtype; ///< as in the file: "F32"
    std::vector<std::uint64_t> shape;
    std::string bytes;
};

template <class T> std::string rawBytes(const std::vector<T>& values)
{
    std::string bytes(values.size() * sizeof(T), '\0');
    if (!bytes.empty())
        std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

inline TinyTensor floats(std::string name, std::vector<std::uint64_t> shape, const std::vector<float>& values)
{
    return {std::move(name), "F32", std::move(shape), rawBytes(values)};
}

/// Name, shape and range of each tensor, in order, and nothing else.
inline std::string safetensorsBytes(const std::vector<TinyTensor>& tensors)
{
    std::string header = "{";
    std::string data;
    for (const TinyTensor& tensor : tensors) {
        std::string shape;
        for (const std::uint64_t extent : tensor.shape)
            shape += (shape.empty() ? "" : ",") + std::to_string(extent);
        header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + "\":{\"dtype\":\"" + tensor.dtype
            + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(data.size()) + ","
            + std::to_string(data.size() + tensor.bytes.size()) + "]}";
        data += tensor.bytes;
    }
    header += "}";
    while (header.size() % 8 != 0)
        header += ' ';
    const std::uint64_t length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes + header + data;
}

inline void writeFile(const std::filesystem::path& path, const std::string& bytes)
{
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string readFile(const std::filesystem::path& path)
{
    const std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    if (file)
        bytes << file.rdbuf();
    return std::move(bytes).str();
}

} // namespace sigmascope::test
