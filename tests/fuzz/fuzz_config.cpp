// SPDX-License-Identifier: GPL-3.0-or-later
#include "FuzzFile.h"
#include "support/PackedFolder.h"

#include <fstream>

namespace {

/// Good weights of every quantized layout; the config.json beside them is what the fuzzer makes it.
const std::filesystem::path& folder()
{
    static const std::filesystem::path path = [] {
        using namespace sigmascope::test;
        std::string name = (std::filesystem::temp_directory_path() / "fuzz_config_XXXXXX").native();
        if (mkdtemp(name.data()) == nullptr)
            std::abort();
        PackedFolder all;
        char prefix = 'p';
        for (const auto make : {gptqFolder, awqFolder, compressedFolder, blockFolder, rowScaledFolder, scaledFolder}) {
            for (auto& stored : make().tensors)
                all.tensors.push_back({std::string(1, prefix) + stored.name, stored.dtype, stored.shape, stored.data});
            ++prefix;
        }
        all.write(name);
        std::atexit([] { std::filesystem::remove_all(folder()); });
        return std::filesystem::path(name);
    }();
    return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::ofstream(folder() / "config.json", std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    sigmascope::test::openBothWays(folder());
    return 0;
}
