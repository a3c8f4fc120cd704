// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Utf8.h"
#include "core/checkpoint/readers/ByteCursor.h"
#include "core/checkpoint/readers/Findings.h"
#include "core/checkpoint/readers/GgufKeys.h"
#include "core/checkpoint/readers/ShardContent.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr std::uint64_t kMinKeyRecord = 8 + 1 + 4 + 1;          // name, value type, the smallest value
constexpr std::uint64_t kMinTensorRecord = 8 + 4 + 8 + 4 + 8;   // name, n_dims, one ne, type, offset
constexpr std::uint32_t kMaxDims = 4;
constexpr std::uint64_t kMaxNameBytes = 65535;
constexpr std::size_t kRuntimeNameLimit = 64;                   // llama.cpp refuses names of 64 bytes and more
constexpr std::uint32_t kDefaultAlignment = 32;
constexpr std::uint32_t kMaxAlignment = 1U << 20;
constexpr std::array<std::uint32_t, 8> kRetiredTypes{4, 5, 31, 32, 33, 36, 37, 38};

class GgufReader {
public:
    GgufReader(const MappedFile& file, ReadMode mode)
        : m_name(file.path().native()), m_size(file.bytes().size()), m_cursor(file.bytes(), m_name), m_findings(mode.strict)
    {
    }

    [[nodiscard]] Result<ShardContent> read();

private:
    [[nodiscard]] Status readStart();
    [[nodiscard]] Status readKeys();
    [[nodiscard]] Status findAlignment();
    [[nodiscard]] Status readTensors();
    [[nodiscard]] Result<TensorInfo> readTensor();
    [[nodiscard]] Status readName(TensorInfo& tensor);
    [[nodiscard]] Status readShape(TensorInfo& tensor);
    [[nodiscard]] Status readType(TensorInfo& tensor);
    [[nodiscard]] Status placeTensors();
    [[nodiscard]] Status placeTensor(TensorInfo& tensor, std::uint64_t dataStart);
    [[nodiscard]] Status checkLayout(std::uint64_t dataStart);
    [[nodiscard]] Status markTruncated(std::uint64_t expected, const std::vector<std::uint32_t>& order);

    [[nodiscard]] Where at(const std::string& tensor, std::uint64_t offset) const { return {m_name, tensor, offset}; }

    std::string m_name;
    std::uint64_t m_size;
    ByteCursor m_cursor;
    Findings m_findings;
    std::uint64_t m_tensorCount = 0;
    std::uint64_t m_keyCount = 0;
    std::uint32_t m_alignment = kDefaultAlignment;
    std::vector<GgufKey> m_keys;
    std::vector<TensorInfo> m_tensors;
};

Status GgufReader::readStart()
{
    const auto magic = m_cursor.bytes(4, "the magic \"GGUF\"");
    if (!magic)
        return passOn(magic);
    const auto version = m_cursor.number<std::uint32_t>("version");
    if (!version)
        return passOn(version);
    if ((*version & 0xFFFFU) == 0 && *version != 0)
        return m_cursor.failAt(ErrorCode::UnsupportedVersion, 4,
                               "the file is big-endian (version word byte-swapped); only little-endian files are read");
    if (*version != 2 && *version != 3)
        return m_cursor.failAt(ErrorCode::UnsupportedVersion, 4, "expected GGUF version 2 or 3, found " + std::to_string(*version));
    const auto tensors = m_cursor.number<std::uint64_t>("n_tensors");
    if (!tensors)
        return passOn(tensors);
    const auto keys = m_cursor.number<std::uint64_t>("n_kv");
    if (!keys)
        return passOn(keys);
    const std::uint64_t left = m_cursor.left();
    if (*keys > left / kMinKeyRecord)
        return m_cursor.failAt(ErrorCode::MalformedHeader, 16,
                               "n_kv is " + std::to_string(*keys) + ", the " + std::to_string(left) + " bytes left hold at most "
                                   + std::to_string(left / kMinKeyRecord));
    const std::uint64_t leftForTensors = left - *keys * kMinKeyRecord;
    if (*tensors > leftForTensors / kMinTensorRecord)
        return m_cursor.failAt(ErrorCode::MalformedHeader, 8,
                               "n_tensors is " + std::to_string(*tensors) + ", the " + std::to_string(left)
                                   + " bytes left hold at most " + std::to_string(leftForTensors / kMinTensorRecord));
    m_tensorCount = *tensors;
    m_keyCount = *keys;
    return {};
}

Status GgufReader::readKeys()
{
    std::unordered_set<std::string_view> seen;
    for (std::uint64_t i = 0; i < m_keyCount; ++i) {
        const std::uint64_t start = m_cursor.offset();
        const auto key = readGgufKey(m_cursor);
        if (!key)
            return passOn(key);
        if (!seen.insert(key->key).second)
            return fail(ErrorCode::DuplicateName, at(std::string(key->key), start), "the key is given twice");
        if (firstInvalidUtf8(key->key)) {
            const Status tolerated =
                m_findings.odd(ErrorCode::InvalidUtf8, at(std::string(key->key), start), "the key is not valid UTF-8");
            if (!tolerated)
                return tolerated;
        }
        m_keys.push_back(*key);
    }
    return {};
}

Status GgufReader::findAlignment()
{
    constexpr std::string_view kKey = "general.alignment";
    const auto key = std::ranges::find(m_keys, kKey, &GgufKey::key);
    if (key == m_keys.end())
        return {};
    const Where where = at(std::string(kKey), key->offset);
    if (key->type != GgufType::U32)
        return fail(ErrorCode::InvalidMetadata, where, "expected a u32, found type " + std::to_string(static_cast<std::uint32_t>(key->type)));
    std::uint32_t alignment = 0;
    std::memcpy(&alignment, key->value.data(), sizeof alignment);
    if (!std::has_single_bit(alignment) || alignment > kMaxAlignment)
        return fail(ErrorCode::BadAlignment, where,
                    "expected a power of two up to " + std::to_string(kMaxAlignment) + ", found " + std::to_string(alignment));
    m_alignment = alignment;
    if (alignment % 8 != 0)
        return m_findings.odd(ErrorCode::BadAlignment, where, "expected a multiple of 8, found " + std::to_string(alignment));
    return {};
}

Status GgufReader::readTensors()
{
    m_tensors.reserve(static_cast<std::size_t>(m_tensorCount));  // bounded by the file's size
    std::unordered_set<std::string_view> seen;
    for (std::uint64_t i = 0; i < m_tensorCount; ++i) {
        const std::uint64_t start = m_cursor.offset();
        auto tensor = readTensor();
        m_cursor.setSubject({});
        if (!tensor)
            return passOn(std::move(tensor));
        m_tensors.push_back(std::move(*tensor));
        if (!seen.insert(m_tensors.back().name).second)
            return fail(ErrorCode::DuplicateName, at(m_tensors.back().name, start), "given twice");
    }
    return {};
}

Result<TensorInfo> GgufReader::readTensor()
{
    TensorInfo tensor;
    if (const Status named = readName(tensor); !named)
        return passOn(named);
    m_cursor.setSubject(tensor.name);
    if (const Status shaped = readShape(tensor); !shaped)
        return passOn(shaped);
    if (const Status typed = readType(tensor); !typed)
        return passOn(typed);
    const auto offset = m_cursor.number<std::uint64_t>("offset");
    if (!offset)
        return passOn(offset);
    tensor.offset = *offset;
    return tensor;
}

Status GgufReader::readName(TensorInfo& tensor)
{
    const std::uint64_t start = m_cursor.offset();
    const auto name = m_cursor.string("a tensor name");
    if (!name)
        return passOn(name);
    if (name->size() > kMaxNameBytes)
        return m_cursor.failAt(ErrorCode::MalformedHeader, start,
                               "a tensor name of " + std::to_string(name->size()) + " bytes is over the limit of 65535");
    tensor.name = *name;
    Status tolerated;
    if (name->size() >= kRuntimeNameLimit)
        tolerated = m_findings.odd(ErrorCode::MalformedHeader, at(tensor.name, start),
                                   "the name has " + std::to_string(name->size()) + " bytes, llama.cpp takes at most 63");
    if (tolerated && (firstInvalidUtf8(*name) || name->find('\0') != std::string_view::npos))
        tolerated = m_findings.odd(ErrorCode::InvalidUtf8, at(tensor.name, start), "the name is not plain UTF-8 text");
    return tolerated;
}

Status GgufReader::readShape(TensorInfo& tensor)
{
    const std::uint64_t start = m_cursor.offset();
    const auto dims = m_cursor.number<std::uint32_t>("n_dims");
    if (!dims)
        return passOn(dims);
    if (*dims == 0 || *dims > kMaxDims)
        return m_cursor.failAt(ErrorCode::MalformedHeader, start, "n_dims: expected 1 to 4, found " + std::to_string(*dims));
    tensor.shape.resize(*dims);
    for (std::uint32_t i = 0; i < *dims; ++i) {
        const std::uint64_t dimAt = m_cursor.offset();
        const auto ne = m_cursor.number<std::uint64_t>("ne");
        if (!ne)
            return passOn(ne);
        const std::string field = "ne[" + std::to_string(i) + "]";
        if (*ne == 0)
            return m_cursor.failAt(ErrorCode::ShapeMismatch, dimAt, field + " is 0");
        if (*ne > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return m_cursor.failAt(ErrorCode::SizeOverflow, dimAt, field + " is negative");
        tensor.shape[*dims - 1 - i] = *ne;  // GGUF lists the contiguous dimension first
    }
    const auto elements = checkedElementCount(tensor.shape);
    if (!elements || *elements > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return m_cursor.failAt(ErrorCode::SizeOverflow, start, "the element count of shape " + toString(tensor.shape) + " overflows");
    return {};
}

Status GgufReader::readType(TensorInfo& tensor)
{
    const std::uint64_t start = m_cursor.offset();
    const auto id = m_cursor.number<std::uint32_t>("type");
    if (!id)
        return passOn(id);
    const auto dtype = dtypeFromGgml(*id);
    if (!dtype) {
        const bool retired = std::ranges::find(kRetiredTypes, *id) != kRetiredTypes.end();
        return m_cursor.failAt(ErrorCode::UnknownType, start,
                               "type: the id " + std::to_string(*id) + (retired ? " is retired" : " is not known"));
    }
    const DTypeInfo& type = info(*dtype);
    if (tensor.shape.back() % type.blockElements != 0)
        return m_cursor.failAt(ErrorCode::ShapeMismatch, start,
                               "ne[0] is " + std::to_string(tensor.shape.back()) + ", type " + std::string(type.name)
                                   + " needs a multiple of " + std::to_string(type.blockElements));
    const auto bytes = checkedByteSize(*dtype, tensor.shape);
    if (!bytes)
        return m_cursor.failAt(ErrorCode::SizeOverflow, start,
                               "the byte size of " + std::string(type.name) + " " + toString(tensor.shape) + " overflows");
    tensor.dtype = *dtype;
    tensor.bytes = *bytes;
    return {};
}

Status GgufReader::placeTensor(TensorInfo& tensor, std::uint64_t dataStart)
{
    const std::uint64_t relative = tensor.offset;
    const auto begin = checkedAdd(dataStart, relative);
    const auto end = begin ? checkedAdd(*begin, tensor.bytes) : std::nullopt;
    if (!end || !checkedAlign(*end, m_alignment))
        return fail(ErrorCode::RangeOutOfFile, at(tensor.name, dataStart),
                    "offset " + std::to_string(relative) + " lies past any file");
    tensor.offset = *begin;
    if (relative % m_alignment != 0)
        return m_findings.odd(ErrorCode::BadAlignment, at(tensor.name, tensor.offset),
                              "offset " + std::to_string(relative) + " is no multiple of the alignment " + std::to_string(m_alignment));
    return {};
}

Status GgufReader::placeTensors()
{
    const auto dataStart = checkedAlign(m_cursor.offset(), m_alignment);
    for (TensorInfo& tensor : m_tensors) {
        if (Status placed = placeTensor(tensor, *dataStart); !placed)
            return placed;
    }
    return checkLayout(*dataStart);
}

Status GgufReader::checkLayout(std::uint64_t dataStart)
{
    std::vector<std::uint32_t> order(m_tensors.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return m_tensors[i].offset; });
    std::uint64_t covered = dataStart;
    const std::string* before = nullptr;
    bool gapless = true;
    for (const std::uint32_t i : order) {
        const TensorInfo& tensor = m_tensors[i];
        const std::uint64_t end = tensor.offset + tensor.bytes;
        if (tensor.offset < covered)
            return fail(ErrorCode::Overlap, at(tensor.name, tensor.offset),
                        "its bytes overlap those of tensor '" + escaped(*before) + "' by "
                            + std::to_string(std::min(covered, end) - tensor.offset));
        const bool hole = tensor.offset > alignUp(covered, m_alignment);
        gapless = gapless && !hole;
        // Data cut short continues what comes before; an offset that jumps past the end is just wrong.
        if (end > m_size && !gapless)
            return fail(ErrorCode::RangeOutOfFile, at(tensor.name, tensor.offset),
                        "its data end at byte " + std::to_string(end) + ", the file has " + std::to_string(m_size));
        if (hole) {
            const Status tolerated = m_findings.odd(ErrorCode::Hole, at(tensor.name, tensor.offset),
                                                    "a hole of " + std::to_string(tensor.offset - covered) + " bytes lies before it");
            if (!tolerated)
                return tolerated;
        }
        covered = end;
        before = &tensor.name;
    }
    if (covered > m_size && !order.empty())
        return markTruncated(covered, order);
    const std::uint64_t padded = alignUp(covered, m_alignment);
    if (m_size > padded)
        return m_findings.odd(ErrorCode::UncoveredBytes, Where{m_name, {}, padded},
                              std::to_string(m_size - padded) + " bytes follow the last tensor");
    return {};
}

Status GgufReader::markTruncated(std::uint64_t expected, const std::vector<std::uint32_t>& order)
{
    const std::uint32_t* first = nullptr;
    std::size_t count = 0;
    for (const std::uint32_t& i : order) {
        TensorInfo& tensor = m_tensors[i];
        if (tensor.offset + tensor.bytes <= m_size)
            continue;
        tensor.state = TensorState::Truncated;
        first = first == nullptr ? &i : first;
        ++count;
    }
    const TensorInfo& tensor = m_tensors[*first];
    return m_findings.odd(ErrorCode::Truncated, at(tensor.name, tensor.offset),
                          "the file is incomplete, " + std::to_string(m_size) + " of " + std::to_string(expected) + " bytes; "
                              + std::to_string(count) + " tensors lie past its end");
}

Result<ShardContent> GgufReader::read()
{
    Status good = readStart();
    if (good)
        good = readKeys();
    if (good)
        good = findAlignment();
    if (good)
        good = readTensors();
    if (good)
        good = placeTensors();
    if (!good)
        return passOn(good);
    ShardContent content;
    content.tensors = std::move(m_tensors);
    content.warnings = m_findings.take(m_name);
    content.keys = std::move(m_keys);
    return content;
}

}  // namespace

Result<ShardContent> readGguf(const MappedFile& file, ReadMode mode)
{
    GgufReader reader(file, mode);
    Result<ShardContent> content = reader.read();
    if (file.isBroken())
        return fail(ErrorCode::FileBroken, Where{file.path().native(), {}, {}}, "the file was truncated while its header was read");
    return content;
}

}  // namespace sigmascope
