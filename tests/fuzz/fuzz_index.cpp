// SPDX-License-Identifier: GPL-3.0-or-later
#include "FuzzFile.h"

#include <fstream>

namespace {

/// A folder with one good shard; the index in it is what the fuzzer makes it.
const std::filesystem::path& folder()
{
    static const std::filesystem::path path = [] {
        std::string name = (std::filesystem::temp_directory_path() / "fuzz_index_XXXXXX").native();
        if (mkdtemp(name.data()) == nullptr)
            std::abort();
        const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
        const auto length = static_cast<std::uint64_t>(header.size());
        std::ofstream shard(std::filesystem::path(name) / "model.safetensors", std::ios::binary);
        shard.write(reinterpret_cast<const char*>(&length), sizeof length);
        shard << header << "1234";
        std::atexit([] { std::filesystem::remove_all(folder()); });
        return std::filesystem::path(name);
    }();
    return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::filesystem::path path = folder() / "model.safetensors.index.json";
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    sigmascope::test::openBothWays(path);
    return 0;
}
