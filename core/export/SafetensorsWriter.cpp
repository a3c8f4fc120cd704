// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/SafetensorsWriter.h"

#include "core/base/Json.h"
#include "core/base/Utf8.h"
#include "core/base/MappedFile.h"
#include "core/checkpoint/readers/ShardContent.h"

#include <fmt/format.h>

#include <bit>
#include <cassert>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace sigmascope {

namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian; values are stored as they lie in memory");

constexpr std::size_t kPrefix = 8;                // the length word
constexpr std::size_t kLongestHeader = 100'000'000;  // the reference reader's limit

std::string_view wordOf(const SafetensorsSpec& tensor)
{
    return tensor.dtype == DType::Unknown ? std::string_view(tensor.word) : info(tensor.dtype).safetensorsName;
}

std::string headerText(const SafetensorsLayout& layout)
{
    std::string text = "{";
    if (!layout.notes.empty()) {
        Json notes = Json::object();
        for (const auto& [key, value] : layout.notes)
            notes[key] = value;
        text += "\"__metadata__\":" + dumpJson(notes) + ',';
    }
    for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
        const SafetensorsSpec& tensor = layout.tensors[i];
        text += fmt::format("{}:{{\"dtype\":{},\"shape\":[{}],\"data_offsets\":[{},{}]}},", dumpJson(Json(tensor.name)),
                            dumpJson(Json(std::string(wordOf(tensor)))), fmt::join(tensor.shape, ","), layout.offsets[i],
                            layout.offsets[i] + tensor.bytes);
    }
    text.back() = '}';
    return text;
}

/// Filled up with spaces, which the format allows at the end.
std::string headerBytes(std::string text, std::size_t length)
{
    text.resize(length, ' ');
    const auto word = static_cast<std::uint64_t>(length);
    std::string bytes(kPrefix, '\0');
    std::memcpy(bytes.data(), &word, kPrefix);
    return bytes + text;
}

Status checkSpec(SafetensorsSpec& tensor)
{
    const Where where{{}, tensor.name, {}};
    if (tensor.name.empty() || tensor.name == "__metadata__")
        return fail(ErrorCode::NotRepresentable, where, "safetensors cannot have a tensor of this name");
    if (firstInvalidUtf8(tensor.name))
        return fail(ErrorCode::NotRepresentable, where, "the name is not UTF-8, which safetensors demands");
    if (wordOf(tensor).empty())
        return fail(ErrorCode::NotRepresentable, where, fmt::format("safetensors has no type {}", info(tensor.dtype).name));
    if (tensor.dtype == DType::Unknown)
        return {};
    const auto bytes = checkedByteSize(tensor.dtype, tensor.shape);
    if (!bytes)
        return fail(ErrorCode::NotRepresentable, where, fmt::format("{} {} does not fill whole bytes", info(tensor.dtype).name,
                                                                    toString(tensor.shape)));
    tensor.bytes = *bytes;
    return {};
}

}  // namespace

Result<SafetensorsLayout> layoutSafetensors(SafetensorsNotes notes, std::vector<SafetensorsSpec> tensors)
{
    if (tensors.empty())
        return fail(ErrorCode::NotRepresentable, "a safetensors file without tensors is nothing to load");
    SafetensorsLayout layout{.notes = std::move(notes), .tensors = std::move(tensors)};
    std::unordered_set<std::string_view> names;
    Bytes end = 0;
    std::size_t spare = 0;  // for every F16 that may become BF16
    for (SafetensorsSpec& tensor : layout.tensors) {
        if (Status representable = checkSpec(tensor); !representable)
            return passOn(std::move(representable));
        if (!names.insert(tensor.name).second)
            return fail(ErrorCode::NotRepresentable, Where{{}, tensor.name, {}}, "two tensors would have this name");
        layout.offsets.push_back(end);
        const auto next = checkedAdd(end, tensor.bytes);
        if (!next)
            return fail(ErrorCode::SizeOverflow, Where{{}, tensor.name, {}}, "the file would exceed 2^64 bytes");
        end = *next;
        spare += tensor.dtype == DType::F16 ? 1 : 0;
    }
    std::string text = headerText(layout);
    const auto length = static_cast<std::size_t>(alignUp(text.size() + spare, 8));
    if (length > kLongestHeader)
        return fail(ErrorCode::NotRepresentable, fmt::format("the header would have {} bytes, safetensors allows {}: write more, smaller files",
                                                             length, kLongestHeader));
    layout.header = headerBytes(std::move(text), length);
    const auto total = checkedAdd(layout.header.size(), end);
    if (!total)
        return fail(ErrorCode::SizeOverflow, "the safetensors file would exceed 2^64 bytes");
    layout.totalBytes = *total;
    return layout;
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::filesystem::path& target, SafetensorsLayout layout,
                                                    const AtomicFileOptions& options, FileSystem& system)
{
    std::vector<FilePlace> places;
    places.reserve(layout.tensors.size());
    for (std::size_t i = 0; i < layout.tensors.size(); ++i)
        places.push_back({layout.tensors[i].name, layout.header.size() + layout.offsets[i], layout.tensors[i].bytes});
    const auto header = std::as_bytes(std::span(layout.header.data(), layout.header.size()));
    auto file = TensorFile::create(target, header, std::move(places), layout.totalBytes, options, system);
    if (!file)
        return passOn(std::move(file));
    return SafetensorsWriter(std::move(layout), std::move(*file));
}

Status SafetensorsWriter::makeBf16(std::size_t tensor)
{
    SafetensorsSpec& spec = m_layout.tensors[tensor];
    if (spec.dtype == DType::BF16)
        return {};
    if (spec.dtype != DType::F16)
        return fail(ErrorCode::VerifyFailed, Where{m_tensors.file().target().string(), spec.name, {}},
                    fmt::format("{} was announced and cannot become BF16", info(spec.dtype).name));
    spec.dtype = DType::BF16;
    m_isRetyped = true;
    return {};
}

Status SafetensorsWriter::compareHeader() const
{
    const AtomicFile& file = m_tensors.file();
    const std::string target = file.target().string();
    // The file alone, as it is stored: what lies beside it may be of another model, or not written yet.
    const auto mapped = MappedFile::open(file.temporaryPath().empty() ? file.target() : file.temporaryPath());
    const auto found = mapped ? readSafetensors(**mapped, {}) : passOn(mapped);
    if (!found)
        return fail(ErrorCode::VerifyFailed, Where{target, {}, {}}, "the written file cannot be read back: " + found.error().detail);
    if (found->tensors.size() != m_layout.tensors.size())
        return fail(ErrorCode::VerifyFailed, Where{target, {}, {}},
                    fmt::format("{} tensors were written, {} are read back", m_layout.tensors.size(), found->tensors.size()));
    std::unordered_map<std::string_view, const TensorInfo*> byName;
    for (const TensorInfo& tensor : found->tensors)
        byName.emplace(tensor.name, &tensor);
    for (std::size_t i = 0; i < m_layout.tensors.size(); ++i) {
        const SafetensorsSpec& spec = m_layout.tensors[i];
        const Where where{target, spec.name, m_layout.header.size() + m_layout.offsets[i]};
        const auto at = byName.find(spec.name);
        if (at == byName.end())
            return fail(ErrorCode::VerifyFailed, where, "is missing from the written file");
        const TensorInfo& tensor = *at->second;
        const bool sameType = spec.dtype == DType::Unknown ? tensor.unknownDtype == spec.word : tensor.dtype == spec.dtype;
        if (!sameType || tensor.shape != spec.shape || tensor.offset != where.offset || tensor.bytes != spec.bytes)
            return fail(ErrorCode::VerifyFailed, where,
                        fmt::format("was written as {} {}, is read back as {} {} at byte {}", wordOf(spec), toString(spec.shape),
                                    info(tensor.dtype).name, toString(tensor.shape), tensor.offset));
    }
    return {};
}

Status SafetensorsWriter::verify(const JobContext& job)
{
    if (m_isRetyped) {
        std::string text = headerText(m_layout);
        assert(text.size() + kPrefix <= m_layout.header.size());
        m_layout.header = headerBytes(std::move(text), m_layout.header.size() - kPrefix);
        m_isRetyped = false;
        if (Status written = m_tensors.rewrite(0, std::as_bytes(std::span(m_layout.header.data(), m_layout.header.size()))); !written)
            return written;
    }
    if (Status compared = m_tensors.compareWithWritten(job); !compared)
        return compared;
    return compareHeader();
}

}  // namespace sigmascope
