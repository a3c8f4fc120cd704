// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufWriter.h"

#include "core/checkpoint/Checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <type_traits>
#include <unordered_set>

namespace sigmascope {

namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is little-endian; values are stored as they lie in memory");

constexpr Bytes kAlignment = 32;  // the format's default: some readers assume it (formats.md 2.9)
constexpr std::size_t kLongestName = 63;
constexpr std::size_t kMostDimensions = 4;

template <class T>
void appendNumber(std::vector<std::byte>& out, T value)
{
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    std::memcpy(out.data() + at, &value, sizeof value);
}

void appendBytes(std::vector<std::byte>& out, std::span<const std::byte> bytes)
{
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void appendString(std::vector<std::byte>& out, std::string_view text)
{
    appendNumber(out, std::uint64_t{text.size()});
    appendBytes(out, std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<std::byte> entry(std::string_view key, GgufType type)
{
    std::vector<std::byte> out;
    appendString(out, key);
    appendNumber(out, static_cast<std::uint32_t>(type));
    return out;
}

template <class T>
std::vector<std::byte> arrayEntry(std::string_view key, GgufType elementType, std::span<const T> values)
{
    auto out = entry(key, GgufType::Array);
    appendNumber(out, static_cast<std::uint32_t>(elementType));
    appendNumber(out, std::uint64_t{values.size()});
    appendBytes(out, std::as_bytes(values));
    return out;
}

/// Dimensions as GGUF counts them: innermost first, outer ones dropped, at least one.
std::vector<std::uint64_t> ggufDimensions(const Shape& shape)
{
    std::vector<std::uint64_t> ne(shape.rbegin(), shape.rend());
    while (ne.size() > 1 && ne.back() == 1)
        ne.pop_back();
    if (ne.empty())
        ne.push_back(1);
    return ne;
}

/// Of the whole that a part belongs to.
Shape wholeShape(const GgufTensorSpec& tensor)
{
    Shape shape = tensor.shape;
    if (tensor.parts > 1)
        shape.insert(shape.begin(), tensor.parts);
    return shape;
}

Status checkSpec(const GgufTensorSpec& tensor)
{
    const Where where{{}, tensor.name, {}};
    if (tensor.name.empty() || tensor.name.size() > kLongestName)
        return fail(ErrorCode::NotRepresentable, where,
                    fmt::format("GGUF names are 1 to {} bytes long, this one has {}", kLongestName, tensor.name.size()));
    if (tensor.name.find('\0') != std::string::npos)
        return fail(ErrorCode::NotRepresentable, where, "GGUF names hold no NUL");
    if (ggufDimensions(wholeShape(tensor)).size() > kMostDimensions)
        return fail(ErrorCode::NotRepresentable, where,
                    fmt::format("GGUF tensors have at most {} dimensions, shape {} has more", kMostDimensions,
                                toString(wholeShape(tensor))));
    if (info(tensor.dtype).ggmlId < 0)
        return fail(ErrorCode::NotRepresentable, where, fmt::format("GGUF has no type {}", info(tensor.dtype).name));
    if (!checkedByteSize(tensor.dtype, tensor.shape) || !checkedByteSize(tensor.dtype, wholeShape(tensor)))
        return fail(ErrorCode::NotRepresentable, where,
                    fmt::format("rows of shape {} are no multiple of {}'s block of {} elements", toString(tensor.shape),
                                info(tensor.dtype).name, info(tensor.dtype).blockElements));
    return {};
}

/// A part comes right behind the one before it, of the same kind.
Status checkPart(std::span<const GgufTensorSpec> tensors, std::size_t i)
{
    const GgufTensorSpec& tensor = tensors[i];
    const bool isFirst = tensor.part == 0;
    const bool follows = i > 0 && tensors[i - 1].part + 1 == tensor.part && tensors[i - 1].parts == tensor.parts
                         && tensors[i - 1].name == tensor.name && tensors[i - 1].dtype == tensor.dtype
                         && tensors[i - 1].shape == tensor.shape;
    const bool isWhole = tensor.part + 1 == tensor.parts || (i + 1 < tensors.size() && tensors[i + 1].part == tensor.part + 1);
    if ((isFirst || follows) && isWhole && tensor.part < tensor.parts)
        return {};
    return fail(ErrorCode::NotRepresentable, Where{{}, tensor.name, {}},
                fmt::format("part {} of {} does not stand where the tensor's parts make one", tensor.part, tensor.parts));
}

void appendTensorInfo(std::vector<std::byte>& out, const GgufTensorSpec& tensor, Bytes offset)
{
    appendString(out, tensor.name);
    const auto ne = ggufDimensions(wholeShape(tensor));
    appendNumber(out, static_cast<std::uint32_t>(ne.size()));
    for (const std::uint64_t n : ne)
        appendNumber(out, n);
    appendNumber(out, static_cast<std::uint32_t>(info(tensor.dtype).ggmlId));
    appendNumber(out, offset);
}

}  // namespace

void GgufKeys::set(std::string_view key, std::uint32_t value)
{
    auto bytes = entry(key, GgufType::U32);
    appendNumber(bytes, value);
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, std::uint16_t value)
{
    auto bytes = entry(key, GgufType::U16);
    appendNumber(bytes, value);
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, std::int32_t value)
{
    auto bytes = entry(key, GgufType::I32);
    appendNumber(bytes, value);
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, float value)
{
    auto bytes = entry(key, GgufType::F32);
    appendNumber(bytes, value);
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, bool value)
{
    auto bytes = entry(key, GgufType::Bool);
    appendNumber(bytes, static_cast<std::uint8_t>(value ? 1 : 0));
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, std::string_view value)
{
    auto bytes = entry(key, GgufType::String);
    appendString(bytes, value);
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, const std::vector<std::string>& values)
{
    auto bytes = entry(key, GgufType::Array);
    appendNumber(bytes, static_cast<std::uint32_t>(GgufType::String));
    appendNumber(bytes, std::uint64_t{values.size()});
    for (const std::string& value : values)
        appendString(bytes, value);
    replace(key, std::move(bytes));
}

void GgufKeys::set(std::string_view key, std::span<const float> values)
{
    replace(key, arrayEntry(key, GgufType::F32, values));
}

void GgufKeys::set(std::string_view key, std::span<const std::int32_t> values)
{
    replace(key, arrayEntry(key, GgufType::I32, values));
}

void GgufKeys::copy(const GgufKey& key)
{
    auto bytes = entry(key.key, key.type);
    appendBytes(bytes, key.value);
    replace(key.key, std::move(bytes));
}

void GgufKeys::append(const GgufKeys& others)
{
    for (const Entry& e : others.m_entries)
        replace(e.key, e.bytes);
}

void GgufKeys::remove(std::string_view key)
{
    std::erase_if(m_entries, [key](const Entry& e) { return e.key == key; });
}

void GgufKeys::removeAll(std::string_view prefix)
{
    std::erase_if(m_entries, [prefix](const Entry& e) { return e.key.starts_with(prefix); });
}

bool GgufKeys::contains(std::string_view key) const
{
    return std::any_of(m_entries.begin(), m_entries.end(), [key](const Entry& e) { return e.key == key; });
}

Bytes GgufKeys::bytes() const
{
    Bytes sum = 0;
    for (const Entry& e : m_entries)
        sum += e.bytes.size();
    return sum;
}

void GgufKeys::replace(std::string_view key, std::vector<std::byte> bytes)
{
    for (Entry& e : m_entries) {
        if (e.key == key) {
            e.bytes = std::move(bytes);
            return;
        }
    }
    m_entries.push_back({std::string(key), std::move(bytes)});
}

Bytes ggufPaddedBytes(Bytes size)
{
    return alignUp(size, kAlignment);
}

Bytes ggufPaddedBytes(const GgufTensorSpec& tensor)
{
    const Bytes size = *checkedByteSize(tensor.dtype, tensor.shape);
    if (tensor.part + 1 < tensor.parts)
        return size;
    return alignUp(size * tensor.parts, kAlignment) - size * (tensor.parts - 1);
}

Bytes ggufInfoBytes(const GgufTensorSpec& tensor)
{
    if (tensor.part != 0)
        return 0;
    std::size_t dimensions = tensor.shape.size();
    std::size_t outer = 0;  // leading ones are not written
    while (tensor.parts == 1 && dimensions > 1 && tensor.shape[outer] == 1) {
        --dimensions;
        ++outer;
    }
    return 8 + tensor.name.size() + 4 + 8 * std::max<std::size_t>(dimensions + (tensor.parts > 1 ? 1 : 0), 1) + 4 + 8;
}

Bytes ggufHeaderBytes(const GgufKeys& keys, std::span<const GgufTensorSpec> tensors, Bytes moreKeys)
{
    Bytes size = 4 + 4 + 8 + 8 + keys.bytes() + moreKeys;
    for (const GgufTensorSpec& tensor : tensors)
        size += ggufInfoBytes(tensor);
    return alignUp(size, kAlignment);
}

Result<GgufLayout> layoutGguf(const GgufKeys& keys, std::vector<GgufTensorSpec> tensors)
{
    assert(!keys.contains("general.alignment"));
    GgufLayout layout;
    std::unordered_set<std::string_view> names;
    Bytes end = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const GgufTensorSpec& tensor = tensors[i];
        if (auto representable = checkSpec(tensor); !representable)
            return passOn(std::move(representable));
        if (auto placed = checkPart(tensors, i); !placed)
            return passOn(std::move(placed));
        if (tensor.part == 0 && !names.insert(tensor.name).second)
            return fail(ErrorCode::NotRepresentable, Where{{}, tensor.name, {}}, "two tensors would have this name");
        const Bytes size = *checkedByteSize(tensor.dtype, tensor.shape);
        const bool isInside = tensor.part + 1 < tensor.parts;  // the next part follows at once
        const auto behind = checkedAdd(end, size);
        const auto next = behind && !isInside ? checkedAlign(*behind, kAlignment) : behind;
        if (!next)
            return fail(ErrorCode::SizeOverflow, Where{{}, tensor.name, {}}, "the file would exceed 2^64 bytes");
        layout.offsets.push_back(end);
        layout.sizes.push_back(size);
        end = *next;
    }

    std::vector<std::byte>& header = layout.header;
    const Bytes headerBytes = ggufHeaderBytes(keys, tensors);
    header.reserve(static_cast<std::size_t>(headerBytes));
    appendBytes(header, std::as_bytes(std::span("GGUF", 4)));
    appendNumber(header, std::uint32_t{3});
    appendNumber(header, std::uint64_t{names.size()});
    appendNumber(header, std::uint64_t{keys.count()});
    for (std::size_t i = 0; i < keys.count(); ++i)
        appendBytes(header, keys.encoded(i));
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (tensors[i].part == 0)
            appendTensorInfo(header, tensors[i], layout.offsets[i]);
        layout.typeOffsets.push_back(header.size() - 12);  // before the u64 offset
    }
    header.resize(alignUp(header.size(), kAlignment));
    assert(header.size() == headerBytes);

    const auto total = checkedAdd(headerBytes, end);
    if (!total)
        return fail(ErrorCode::SizeOverflow, "the GGUF file would exceed 2^64 bytes");
    layout.totalBytes = *total;
    layout.tensors = std::move(tensors);
    return layout;
}

Result<GgufWriter> GgufWriter::create(const std::filesystem::path& target, GgufLayout layout, bool overwrite,
                                      FileSystem& system)
{
    return create(target, std::move(layout), AtomicFileOptions{.overwrite = overwrite}, system);
}

Result<GgufWriter> GgufWriter::create(const std::filesystem::path& target, GgufLayout layout,
                                      const AtomicFileOptions& options, FileSystem& system)
{
    if (layout.tensors.empty())
        return fail(ErrorCode::NotRepresentable, Where{target.string()}, "a GGUF file without tensors is nothing to load");
    std::vector<FilePlace> places;
    places.reserve(layout.tensors.size());
    for (std::size_t i = 0; i < layout.tensors.size(); ++i)
        places.push_back({layout.tensors[i].name, layout.header.size() + layout.offsets[i], layout.sizes[i]});
    auto tensors = TensorFile::create(target, layout.header, std::move(places), layout.totalBytes, options, system);
    if (!tensors)
        return passOn(std::move(tensors));
    return GgufWriter(std::move(layout), std::move(*tensors));
}

Status GgufWriter::retype(std::size_t tensor, DType dtype)
{
    GgufTensorSpec spec = m_layout.tensors[tensor];
    const Where where{m_tensors.file().target().string(), spec.name, m_layout.typeOffsets[tensor]};
    spec.dtype = dtype;
    if (auto representable = checkSpec(spec); !representable)
        return representable;
    if (*checkedByteSize(dtype, spec.shape) != m_layout.sizes[tensor])
        return fail(ErrorCode::VerifyFailed, where,
                    fmt::format("{} was announced, {} has another size", info(m_layout.tensors[tensor].dtype).name, info(dtype).name));
    m_layout.tensors[tensor].dtype = dtype;
    const auto id = static_cast<std::uint32_t>(info(dtype).ggmlId);
    const std::span<std::byte> word = std::span(m_layout.header).subspan(static_cast<std::size_t>(m_layout.typeOffsets[tensor]), 4);
    std::memcpy(word.data(), &id, sizeof id);
    return m_tensors.rewrite(m_layout.typeOffsets[tensor], word);
}

Status GgufWriter::compareHeader() const
{
    const std::string target = m_tensors.file().target().string();
    const auto written = Checkpoint::open(m_tensors.file().temporaryPath(), {.alone = true});
    if (!written)
        return fail(ErrorCode::VerifyFailed, Where{target},
                    "the written file cannot be read back: " + written.error().detail);
    const Checkpoint& found = **written;
    const auto wholes = static_cast<std::size_t>(
        std::ranges::count_if(m_layout.tensors, [](const GgufTensorSpec& spec) { return spec.part == 0; }));
    if (found.tensors().size() != wholes)
        return fail(ErrorCode::VerifyFailed, Where{target},
                    fmt::format("{} tensors were written, {} are read back", wholes, found.tensors().size()));
    for (std::size_t i = 0; i < m_layout.tensors.size(); ++i) {
        const GgufTensorSpec& spec = m_layout.tensors[i];
        if (spec.part != 0)
            continue;
        const Where where{target, spec.name, m_tensors.places()[i].begin};
        const auto index = found.find(spec.name);
        if (!index)
            return fail(ErrorCode::VerifyFailed, where, "is missing from the written file");
        const TensorInfo& tensor = found.tensors()[*index];
        if (tensor.dtype != spec.dtype || ggufDimensions(tensor.shape) != ggufDimensions(wholeShape(spec)))
            return fail(ErrorCode::VerifyFailed, where,
                        fmt::format("was written as {} {}, is read back as {} {}", info(spec.dtype).name, toString(wholeShape(spec)),
                                    info(tensor.dtype).name, toString(tensor.shape)));
        if (tensor.state != TensorState::Ok || (tensor.bytes > 0 && tensor.offset != m_tensors.places()[i].begin)
            || tensor.bytes != m_tensors.places()[i].size * spec.parts)
            return fail(ErrorCode::VerifyFailed, where,
                        fmt::format("{} bytes were written there, {} bytes at byte {} are read back",
                                    m_tensors.places()[i].size * spec.parts, tensor.bytes, tensor.offset));
    }
    return {};
}

Status GgufWriter::verify(const JobContext& job)
{
    // Bytes first: what ends early says so better than a reader of the whole would. They are read piece by piece, for
    // a mapping's pages would count as this process's memory.
    if (Status compared = m_tensors.compareWithWritten(job); !compared)
        return compared;
    Status compared = compareHeader();
    m_isVerified = compared.has_value();
    return compared;
}

Status GgufWriter::finish()
{
    if (!m_isVerified) {
        if (Status verified = verify(); !verified)
            return verified;
    }
    return m_tensors.file().commit();
}

}  // namespace sigmascope
