// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Utf8.h"
#include "core/calibration/ImatrixReaders.h"

#include <fmt/format.h>

#include <cstring>
#include <span>

namespace sigmascope {

namespace {

/// Walks the file; every length is held against what is left before anything is allocated.
class LegacyReader {
public:
    explicit LegacyReader(const MappedFile& file) : m_file(file), m_bytes(file.bytes()) {}

    Result<Imatrix> read();

private:
    std::size_t left() const { return m_bytes.size() - m_at; }
    Where here(std::string tensor = {}) const
    {
        return {.file = m_file.path().native(), .tensor = std::move(tensor), .offset = m_at};
    }
    Result<std::int32_t> integer(std::string_view what, const std::string& tensor = {});
    Result<std::string> text(std::string_view what);
    Status readEntry(Imatrix& imatrix);
    Status readTrailer(Imatrix& imatrix);

    const MappedFile& m_file;
    std::span<const std::byte> m_bytes;
    std::size_t m_at = 0;
};

Result<std::int32_t> LegacyReader::integer(std::string_view what, const std::string& tensor)
{
    std::int32_t value = 0;
    if (left() < sizeof value)
        return fail(ErrorCode::Truncated, here(tensor), fmt::format("the file ends in {}", what));
    std::memcpy(&value, m_bytes.data() + m_at, sizeof value);
    m_at += sizeof value;
    return value;
}

Result<std::string> LegacyReader::text(std::string_view what)
{
    const Where start = here();
    const auto length = integer(what);
    if (!length)
        return passOn(length);
    if (*length < 0 || static_cast<std::uint64_t>(*length) > left())
        return fail(*length < 0 ? ErrorCode::BadCalibration : ErrorCode::Truncated, start,
                    fmt::format("{} of {} bytes, {} are left", what, *length, left()));
    std::string value(reinterpret_cast<const char*>(m_bytes.data() + m_at), static_cast<std::size_t>(*length));
    m_at += value.size();
    return value;
}

Status LegacyReader::readEntry(Imatrix& imatrix)
{
    const Where start = here();
    const auto name = text("an entry's name");
    if (!name)
        return passOn(name);
    if (name->empty() || firstInvalidUtf8(*name))
        return fail(ErrorCode::BadCalibration, start, "an entry's name is empty or no UTF-8");
    const auto calls = integer("an entry's call count", *name);
    if (!calls)
        return passOn(calls);
    const Where countAt = here(*name);
    const auto count = integer("an entry's value count", *name);
    if (!count)
        return passOn(count);
    if (*count < 1)
        return fail(ErrorCode::BadCalibration, countAt, fmt::format("{} values, expected 1 or more", *count));
    const std::uint64_t size = static_cast<std::uint64_t>(*count) * sizeof(float);
    if (size > left())
        return fail(ErrorCode::Truncated, countAt, fmt::format("{} values take {} bytes, {} are left", *count, size, left()));

    ImatrixEntry entry;
    entry.meanSquares.resize(static_cast<std::size_t>(*count));
    std::memcpy(entry.meanSquares.data(), m_bytes.data() + m_at, size);
    m_at += size;
    if (imatrix.entries.contains(*name))
        return fail(ErrorCode::DuplicateName, start, fmt::format("a second entry '{}'", escaped(*name)));
    if (*calls <= 0) {
        imatrix.unusable.push_back(fmt::format("{}: a call count of {}", *name, *calls));
        return {};
    }
    // Stored is the mean of squares times the calls (formats.md §6).
    for (float& value : entry.meanSquares)
        value /= static_cast<float>(*calls);
    if (const auto reason = whyUnusable(entry))
        imatrix.unusable.push_back(*name + ": " + *reason);
    else
        imatrix.entries.emplace(*name, std::move(entry));
    return {};
}

/// Last chunk and dataset: files of 2023 end before them.
Status LegacyReader::readTrailer(Imatrix& imatrix)
{
    if (left() == 0)
        return {};
    const auto chunks = integer("the chunk count");
    if (!chunks)
        return passOn(chunks);
    imatrix.chunks = *chunks > 0 ? static_cast<std::uint32_t>(*chunks) : 0;
    auto dataset = text("the dataset's name");
    if (!dataset)
        return passOn(dataset);
    if (!dataset->empty())
        imatrix.datasets.push_back(std::move(*dataset));
    if (left() != 0)
        return fail(ErrorCode::BadCalibration, here(), fmt::format("{} bytes after the last field", left()));
    return {};
}

Result<Imatrix> LegacyReader::read()
{
    Imatrix imatrix;
    imatrix.legacy = true;
    const auto count = integer("the entry count");
    if (!count)
        return passOn(count);
    constexpr std::size_t kSmallestEntry = 4 + 1 + 4 + 4 + 4;
    if (*count < 1 || static_cast<std::uint64_t>(*count) > left() / kSmallestEntry)
        return fail(ErrorCode::BadCalibration, Where{.file = m_file.path().native(), .tensor = {}, .offset = 0},
                    fmt::format("neither a GGUF nor a legacy importance matrix: {} entries cannot be in {} bytes", *count,
                                m_bytes.size()));
    for (std::int32_t i = 0; i < *count; ++i) {
        if (Status entry = readEntry(imatrix); !entry)
            return passOn(entry);
    }
    if (Status trailer = readTrailer(imatrix); !trailer)
        return passOn(trailer);
    return imatrix;
}

}  // namespace

Result<Imatrix> readLegacyImatrix(const MappedFile& file)
{
    return LegacyReader(file).read();
}

}  // namespace sigmascope
