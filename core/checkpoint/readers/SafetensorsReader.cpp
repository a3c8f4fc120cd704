// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Utf8.h"
#include "core/checkpoint/readers/Findings.h"
#include "core/checkpoint/readers/JsonScanner.h"
#include "core/checkpoint/readers/ShardContent.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference reader's limit
constexpr std::uint64_t kPrefix = 8;               // the length word before the header
constexpr std::size_t kMaxMetadataKeys = 65536;  // real files have a handful
constexpr std::size_t kMaxNotes = 64;
constexpr std::size_t kMaxNoteBytes = 256;

/// What a header says about a tensor besides its TensorInfo.
struct Placement {
    std::uint64_t begin = 0;  // in the data buffer
    std::uint64_t end = 0;
    std::uint64_t nameAt = 0;  // of the entry, in the file
};

class HeaderReader {
public:
    HeaderReader(const MappedFile& file, ReadMode mode) : m_file(file), m_mode(mode), m_findings(mode.strict) {}

    [[nodiscard]] Result<ShardContent> read();
    [[nodiscard]] Bytes headerBytes() const { return m_header.size(); }

private:
    [[nodiscard]] Status locateHeader();
    [[nodiscard]] Status readObject(JsonScanner& scanner);
    [[nodiscard]] Status readMetadata(JsonScanner& scanner, std::uint64_t keyAt);
    [[nodiscard]] Status readEntry(JsonScanner& scanner, std::string_view name, std::uint64_t nameAt);
    [[nodiscard]] Status readField(JsonScanner& scanner, std::string_view key, TensorInfo& tensor, Placement& placement);
    [[nodiscard]] Status readOffsets(JsonScanner& scanner, Placement& placement);
    [[nodiscard]] Status checkSize(TensorInfo& tensor, const Placement& placement);
    [[nodiscard]] Status refuseDuplicates() const;
    [[nodiscard]] Status checkLayout();
    [[nodiscard]] Status checkEnd(std::uint64_t covered, const std::vector<std::uint32_t>& order);

    [[nodiscard]] Where at(std::uint64_t offset) const { return {m_file.path().native(), {}, offset}; }
    [[nodiscard]] Where at(const std::string& tensor, std::uint64_t offset) const
    {
        return {m_file.path().native(), tensor, offset};
    }
    [[nodiscard]] std::uint64_t dataStart() const { return kPrefix + m_header.size(); }

    const MappedFile& m_file;
    ReadMode m_mode;
    Findings m_findings;
    std::string_view m_header;
    std::vector<TensorInfo> m_tensors;
    std::vector<Placement> m_placements;  // parallel to m_tensors
    std::vector<HeaderNote> m_notes;
    ContainerNotes m_container;
    std::string m_scratch;
    std::uint64_t m_total = 0;  // bytes of the tensors so far
    std::uint64_t m_ends = 0;   // where the last of them ends
    bool m_hasMetadata = false;
};

Status HeaderReader::locateHeader()
{
    const auto bytes = m_file.bytes();
    if (bytes.size() < kPrefix)
        return fail(ErrorCode::Truncated, at(0),
                    "too short for a header: expected at least 8 bytes, found " + std::to_string(bytes.size()));
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), kPrefix);
    if (length > kMaxHeader)
        return fail(ErrorCode::HeaderTooLarge, at(0),
                    "header length " + std::to_string(length) + " is over the limit of " + std::to_string(kMaxHeader));
    if (length > bytes.size() - kPrefix)
        return fail(ErrorCode::Truncated, at(0),
                    "the file is incomplete, " + std::to_string(bytes.size()) + " of at least "
                        + std::to_string(kPrefix + length) + " bytes: the header needs " + std::to_string(length));
    m_header = {reinterpret_cast<const char*>(bytes.data()) + kPrefix, static_cast<std::size_t>(length)};
    if (length < 2)
        return fail(ErrorCode::MalformedHeader, at(0),
                    "header length " + std::to_string(length) + " cannot hold a JSON object");
    if (m_header.front() != '{')
        return fail(ErrorCode::MalformedHeader, at(kPrefix),
                    "expected '{' as the header's first byte, found '" + escaped(m_header.substr(0, 1)) + "'");
    if (const auto bad = firstInvalidUtf8(m_header))
        return fail(ErrorCode::InvalidUtf8, at(kPrefix + *bad), "the header is not valid UTF-8");
    return {};
}

Status HeaderReader::readObject(JsonScanner& scanner)
{
    return scanner.object([&](std::string_view key, std::uint64_t keyAt) -> Status {
        scanner.setSubject({});
        return key == "__metadata__" ? readMetadata(scanner, keyAt) : readEntry(scanner, key, keyAt);
    });
}

Status HeaderReader::readMetadata(JsonScanner& scanner, std::uint64_t keyAt)
{
    if (m_hasMetadata)
        return fail(ErrorCode::DuplicateName, at("__metadata__", keyAt), "given twice");
    m_hasMetadata = true;
    if (scanner.peek() != '{') {
        const Status tolerated = m_findings.odd(ErrorCode::InvalidMetadata, at("__metadata__", keyAt), "is not an object");
        return tolerated ? scanner.skip() : tolerated;
    }
    std::unordered_set<std::string> seen;
    return scanner.object([&](std::string_view key, std::uint64_t at0) -> Status {
        if (seen.size() >= kMaxMetadataKeys)
            return fail(ErrorCode::MalformedHeader, at(at0), "__metadata__ has more than 65,536 keys");
        if (!seen.emplace(key).second)
            return fail(ErrorCode::DuplicateName, at(at0), "__metadata__ has the key '" + escaped(key) + "' twice");
        if (scanner.peek() != '"') {
            const Status tolerated = m_findings.odd(
                ErrorCode::InvalidMetadata, at(at0), "__metadata__ key '" + escaped(key) + "' is not a string");
            return tolerated ? scanner.skip() : tolerated;
        }
        const auto value = scanner.string(m_scratch);
        if (!value)
            return passOn(value);
        if (key == kContainerKey)
            m_container.container = *value;
        else if (key == kContainerVersionKey)
            m_container.version = *value;
        else if (key == kCodedTensorsKey)
            m_container.tensors = *value;
        if (m_notes.size() < kMaxNotes)
            m_notes.push_back({escaped(key, kMaxNoteBytes), escaped(*value, kMaxNoteBytes)});
        return {};
    });
}

Status HeaderReader::readEntry(JsonScanner& scanner, std::string_view name, std::uint64_t nameAt)
{
    TensorInfo tensor;
    tensor.name = name;
    Placement placement{.begin = 0, .end = 0, .nameAt = nameAt};
    scanner.setSubject(tensor.name);
    if (scanner.peek() != '{')
        return scanner.failHere(ErrorCode::MalformedHeader, "JSON: expected an object that describes a tensor");
    // A tensor has three fields: comparing with a few names beats a hash set 100,000 times.
    std::vector<std::string> others;
    bool hasDtype = false;
    bool hasShape = false;
    bool hasOffsets = false;
    Status read = scanner.object([&](std::string_view key, std::uint64_t keyAt) -> Status {
        bool twice = false;
        if (key == "dtype") {
            twice = std::exchange(hasDtype, true);
        } else if (key == "shape") {
            twice = std::exchange(hasShape, true);
        } else if (key == "data_offsets") {
            twice = std::exchange(hasOffsets, true);
        } else {
            twice = std::ranges::find(others, key) != others.end();
            if (others.size() >= 16)
                return scanner.failAt(ErrorCode::MalformedHeader, keyAt, "has too many fields that are not known");
            others.emplace_back(key);
            const Status tolerated =
                m_findings.odd(ErrorCode::InvalidMetadata, at(tensor.name, keyAt), "has the unknown field '" + escaped(key) + "'");
            if (!tolerated)
                return tolerated;
        }
        if (twice)
            return scanner.failAt(ErrorCode::DuplicateName, keyAt, "has the field '" + escaped(key) + "' twice");
        return readField(scanner, key, tensor, placement);
    });
    if (!read)
        return read;
    if (!hasDtype || !hasShape || !hasOffsets)
        return fail(ErrorCode::MalformedHeader, at(tensor.name, nameAt), "lacks one of dtype, shape, data_offsets");
    if (Status sized = checkSize(tensor, placement); !sized)
        return sized;
    scanner.setSubject({});
    m_tensors.push_back(std::move(tensor));
    m_placements.push_back(placement);
    // Ranges that do not overlap never add up to more than where the last one ends. Asked at once: a header
    // that lays 100,000 tensors on the same bytes must not be kept in memory first.
    m_ends = std::max(m_ends, placement.end);
    m_total = checkedAdd(m_total, m_tensors.back().bytes).value_or(std::numeric_limits<std::uint64_t>::max());
    return m_total > m_ends ? checkLayout() : Status{};
}

Status HeaderReader::readField(JsonScanner& scanner, std::string_view key, TensorInfo& tensor, Placement& placement)
{
    if (key == "dtype") {
        const auto word = scanner.string(m_scratch);
        if (!word)
            return passOn(word);
        const auto known = dtypeFromSafetensors(*word);
        tensor.dtype = known.value_or(DType::Unknown);
        if (!known)
            tensor.unknownDtype = escaped(*word, 32);
        return {};
    }
    if (key == "shape") {
        const Status read = scanner.array([&]() -> Status {
            const auto dimension = scanner.unsignedInteger();
            if (!dimension)
                return passOn(dimension);
            tensor.shape.push_back(*dimension);
            return {};
        });
        tensor.shape.shrink_to_fit();
        return read;
    }
    return key == "data_offsets" ? readOffsets(scanner, placement) : scanner.skip();
}

Status HeaderReader::readOffsets(JsonScanner& scanner, Placement& placement)
{
    const std::uint64_t start = scanner.offset();
    std::size_t count = 0;
    Status read = scanner.array([&]() -> Status {
        const auto value = scanner.unsignedInteger();
        if (!value)
            return passOn(value);
        if (++count > 2)
            return scanner.failHere(ErrorCode::MalformedHeader, "data_offsets: expected two numbers, found more");
        (count == 1 ? placement.begin : placement.end) = *value;
        return {};
    });
    if (read && count != 2)
        return scanner.failAt(ErrorCode::MalformedHeader, start, "data_offsets: expected two numbers, found " + std::to_string(count));
    return read;
}

Status HeaderReader::checkSize(TensorInfo& tensor, const Placement& placement)
{
    const auto where = [&] { return at(tensor.name, placement.nameAt); };
    const auto range = [&] {
        return "data_offsets [" + std::to_string(placement.begin) + ", " + std::to_string(placement.end) + "]";
    };
    if (placement.begin > placement.end)
        return fail(ErrorCode::MalformedHeader, where(), range() + " end before they begin");
    const auto absoluteEnd = checkedAdd(placement.end, dataStart());
    if (!absoluteEnd)
        return fail(ErrorCode::RangeOutOfFile, where(), range() + " lie past any file");
    tensor.offset = dataStart() + placement.begin;
    tensor.bytes = placement.end - placement.begin;
    const auto elements = checkedElementCount(tensor.shape);
    if (!elements)
        return fail(ErrorCode::SizeOverflow, where(), "element count of shape " + toString(tensor.shape) + " overflows");
    if (tensor.dtype == DType::Unknown)
        return {};
    const DTypeInfo& type = info(tensor.dtype);
    const auto bits = checkedMul(*elements, type.blockBits);
    if (!bits)
        return fail(ErrorCode::SizeOverflow, where(), "byte size of shape " + toString(tensor.shape) + " overflows");
    if (*bits % 8 != 0) {
        // Only sub-byte types can do this, and none of them is decoded: the tensor alone is refused.
        const Status tolerated = m_findings.odd(
            ErrorCode::ShapeMismatch, where(),
            std::string(type.name) + " " + toString(tensor.shape) + " does not fill whole bytes; it is listed, not analysed");
        tensor.unknownDtype = type.name;
        tensor.dtype = DType::Unknown;
        return tolerated;
    }
    if (*bits / 8 != tensor.bytes)
        return fail(ErrorCode::ShapeMismatch, where(),
                    std::string(type.name) + " " + toString(tensor.shape) + " needs " + std::to_string(*bits / 8) + " bytes, "
                        + range() + " hold " + std::to_string(tensor.bytes));
    return {};
}

Status HeaderReader::refuseDuplicates() const
{
    std::unordered_set<std::string_view> seen;
    seen.reserve(m_tensors.size());
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        if (!seen.insert(m_tensors[i].name).second)
            return fail(ErrorCode::DuplicateName, at(m_tensors[i].name, m_placements[i].nameAt), "given twice");
    }
    return {};
}

Status HeaderReader::checkLayout()
{
    std::vector<std::uint32_t> order(m_tensors.size());
    std::iota(order.begin(), order.end(), 0U);
    // Empty tensors first among equals: they may share an offset with the tensor that follows them.
    std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) {
        const Placement& x = m_placements[a];
        const Placement& y = m_placements[b];
        return x.begin != y.begin ? x.begin < y.begin : x.end < y.end;
    });
    std::uint64_t covered = 0;
    const std::string* before = nullptr;
    for (const std::uint32_t i : order) {
        const Placement& placement = m_placements[i];
        const TensorInfo& tensor = m_tensors[i];
        if (placement.begin < covered)
            return fail(ErrorCode::Overlap, at(tensor.name, tensor.offset),
                        "its bytes overlap those of tensor '" + escaped(*before) + "' by "
                            + std::to_string(std::min(covered, placement.end) - placement.begin));
        if (placement.begin > covered)
            return fail(ErrorCode::Hole, at(tensor.name, tensor.offset),
                        "expected its data right after what comes before, found a hole of "
                            + std::to_string(placement.begin - covered) + " bytes");
        covered = placement.end;
        before = &tensor.name;
    }
    return checkEnd(covered, order);
}

Status HeaderReader::checkEnd(std::uint64_t covered, const std::vector<std::uint32_t>& order)
{
    const std::uint64_t size = m_file.bytes().size();
    const std::uint64_t expected = dataStart() + covered;
    if (expected < size)
        return m_findings.odd(ErrorCode::UncoveredBytes, at(expected),
                              std::to_string(size - expected) + " bytes follow the last tensor");
    if (expected == size)
        return {};
    const std::string what =
        "the file is incomplete, " + std::to_string(size) + " of " + std::to_string(expected) + " bytes";
    bool named = false;
    for (const std::uint32_t i : order) {
        TensorInfo& tensor = m_tensors[i];
        if (tensor.bytes == 0 || tensor.offset + tensor.bytes <= size)
            continue;
        if (!m_mode.partOfSet)
            return fail(ErrorCode::Truncated, at(tensor.name, tensor.offset), what);
        tensor.state = TensorState::Truncated;
        if (named)
            continue;
        named = true;
        if (Status tolerated = m_findings.odd(ErrorCode::Truncated, at(tensor.name, tensor.offset), what); !tolerated)
            return tolerated;
    }
    return {};
}

Result<ShardContent> HeaderReader::read()
{
    if (const Status located = locateHeader(); !located)
        return passOn(located);
    const std::string file = m_file.path().native();
    JsonScanner scanner(m_header, file, kPrefix);
    Status good = readObject(scanner);
    if (good)
        good = scanner.end();
    if (good)
        good = refuseDuplicates();
    if (good)
        good = checkLayout();
    if (!good)
        return passOn(good);
    ShardContent content;
    content.tensors = std::move(m_tensors);
    content.warnings = m_findings.take(file);
    content.notes = std::move(m_notes);
    content.container = std::move(m_container);
    return content;
}

}  // namespace

Result<ShardContent> readSafetensors(const MappedFile& file, ReadMode mode)
{
    HeaderReader reader(file, mode);
    Result<ShardContent> content = reader.read();
    if (file.isBroken())
        return fail(ErrorCode::FileBroken, Where{file.path().native(), {}, {}}, "the file was truncated while its header was read");
    // The tables are built; the header's own pages need not stay.
    file.release(kPrefix + reader.headerBytes());
    return content;
}

}  // namespace sigmascope
