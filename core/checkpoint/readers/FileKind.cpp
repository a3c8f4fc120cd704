// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/FileKind.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace sigmascope {

namespace {

struct Magic {
    std::string_view start;
    std::string_view what;
};

constexpr std::array kForeign{
    Magic{"version https://git-lfs.github.com/spec/", "a Git-LFS pointer: the file itself was not downloaded (git lfs pull)"},
    Magic{"<!DOCTYPE", "a web page (HTML), perhaps an error page of a failed download"},
    Magic{"<html", "a web page (HTML), perhaps an error page of a failed download"},
    Magic{"<?xml", "an XML document, perhaps an error page of a failed download"},
    Magic{"PK\x03\x04", "a zip archive, perhaps a PyTorch checkpoint (.bin, .pt, .pth)"},
    Magic{"\x1f\x8b", "a gzip archive: unpack it first"},
    Magic{"lmgg", "a GGML file of old (magic \"GGML\"): convert it to GGUF"},
    Magic{"GGML", "a GGML file of old (magic \"GGML\"): convert it to GGUF"},
    Magic{"fmgg", "a GGML file of old (magic \"GGMF\"): convert it to GGUF"},
    Magic{"GGMF", "a GGML file of old (magic \"GGMF\"): convert it to GGUF"},
    Magic{"tjgg", "a GGML file of old (magic \"GGJT\"): convert it to GGUF"},
    Magic{"GGJT", "a GGML file of old (magic \"GGJT\"): convert it to GGUF"},
    Magic{"algg", "a GGML adapter of old (magic \"GGLA\"): convert it to GGUF"},
    Magic{"FUGG", "a GGUF file with its magic byte-swapped"},
};

bool startsWithIgnoringCase(std::string_view text, std::string_view start)
{
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return text.size() >= start.size()
        && std::ranges::equal(text.substr(0, start.size()), start, {}, lower, lower);
}

std::string_view withoutLeadingSpace(std::string_view text)
{
    const std::size_t first = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

bool looksLikeSafetensors(std::string_view head, std::uint64_t size)
{
    if (head.size() < 9 || head[8] != '{')
        return false;
    std::uint64_t length = 0;
    std::memcpy(&length, head.data(), 8);
    return length < size && length <= 100'000'000;
}

}  // namespace

Result<FileKind> fileKindOf(const MappedFile& file)
{
    const auto bytes = file.bytes();
    const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 256));
    if (looksLikeSafetensors(head, bytes.size()))
        return FileKind::Safetensors;
    if (head.starts_with("GGUF"))
        return FileKind::Gguf;
    const std::string_view text = withoutLeadingSpace(head);
    for (const Magic& magic : kForeign) {
        const bool isText = magic.start.front() == '<';
        const std::string_view where = isText ? text : head;
        if (isText ? startsWithIgnoringCase(where, magic.start) : where.starts_with(magic.start))
            return fail(ErrorCode::WrongMagic, Where{file.path().native(), {}, 0}, "not a model file but " + std::string(magic.what));
    }
    const std::string extension = file.path().extension().native();
    if (extension == ".gguf") {
        if (head.size() < 4 && std::string_view("GGUF").starts_with(head))
            return FileKind::Gguf;  // cut short inside its magic: the reader says so
        return fail(ErrorCode::WrongMagic, Where{file.path().native(), {}, 0},
                    "expected the magic \"GGUF\", found \"" + escaped(head.substr(0, 4)) + "\"");
    }
    // A safetensors file starts with a length below 2^27, so its bytes 4 to 7 are zero; JSON text has none.
    const bool jsonText = text.starts_with('{') && head.find('\0') == std::string_view::npos;
    return jsonText ? FileKind::Index : FileKind::Safetensors;
}

}  // namespace sigmascope
