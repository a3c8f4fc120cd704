// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Sha256.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include <openssl/evp.h>

namespace sigmascope {

namespace {

constexpr std::size_t kStep = std::size_t(1) << 20;

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

Result<std::string> sha256OfFile(const std::filesystem::path& path, const JobContext& job)
{
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
    if (!file)
        return fail(ErrorCode::IoFailed, {.file = path.string()}, std::strerror(errno));
    const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
        return fail(ErrorCode::Internal, "SHA-256 is not available");
    std::vector<unsigned char> buffer(kStep);
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
        if (job.cancelled())
            return cancelledError();
        EVP_DigestUpdate(context.get(), buffer.data(), count);
    }
    if (std::ferror(file.get()) != 0)
        return fail(ErrorCode::IoFailed, {.file = path.string()}, std::strerror(errno));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    EVP_DigestFinal_ex(context.get(), digest.data(), &length);
    std::string text;
    for (unsigned int i = 0; i < length; ++i) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        text += kDigits[digest[i] >> 4U];
        text += kDigits[digest[i] & 15U];
    }
    return text;
}

}  // namespace sigmascope
