// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sigmascope::test {

/// A regular file in memory that holds the fuzzer's bytes; readers take paths.
class FuzzFile {
public:
    FuzzFile(const std::uint8_t* data, std::size_t size) : m_fd(memfd_create("fuzz", MFD_CLOEXEC))
    {
        if (m_fd < 0 || write(m_fd, data, size) != static_cast<ssize_t>(size))
            std::abort();
    }
    ~FuzzFile() { close(m_fd); }
    FuzzFile(const FuzzFile&) = delete;
    FuzzFile& operator=(const FuzzFile&) = delete;
    [[nodiscard]] std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(m_fd); }

private:
    int m_fd;
};

/// Reads every byte that an opened model offers, as statistics would: a view outside of its file faults here.
inline void touch(const Checkpoint& model)
{
    volatile unsigned sink = 0;
    for (std::size_t i = 0; i < model.tensors().size(); ++i) {
        const auto view = model.view(i);
        if (!view)
            continue;
        const auto size = checkedByteSize(view->dtype, view->shape);
        if (!size || *size != view->bytes.size())
            std::abort();
        for (const std::byte b : view->bytes)
            sink = sink + std::to_integer<unsigned>(b);
        if (model.find(model.tensors()[i].name) != i)
            std::abort();
    }
    for (const GgufKey& key : model.gguf().keys()) {
        static_cast<void>(model.gguf().u32(key.key));
        static_cast<void>(model.gguf().string(key.key));
        static_cast<void>(model.gguf().strings(key.key));
        for (const std::byte b : key.value)
            sink = sink + std::to_integer<unsigned>(b);
    }
}

/// Strict mode must refuse whatever lenient mode refuses or warns of.
inline void openBothWays(const std::filesystem::path& path)
{
    const auto lenient = Checkpoint::open(path);
    const auto strict = Checkpoint::open(path, {.strict = true});
    if (strict.has_value() != (lenient.has_value() && (*lenient)->warnings().empty()))
        std::abort();
    if (lenient)
        touch(**lenient);
    else if (lenient.error().detail.empty())
        std::abort();
}

}  // namespace sigmascope::test
