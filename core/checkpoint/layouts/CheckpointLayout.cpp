// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/layouts/CheckpointLayout.h"

#include "core/checkpoint/layouts/Layouts.h"

#include <algorithm>
#include <array>

namespace sigmascope {

Bytes PackedMatrix::bytes() const
{
    Bytes total = 0;
    for (const LayoutPart& part : parts)
        total += part.bytes;
    return total;
}

std::optional<std::size_t> PackedMatrix::find(std::string_view role) const
{
    const auto found = std::ranges::find(parts, role, &LayoutPart::role);
    return found == parts.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - parts.begin()));
}

StoredTensors::StoredTensors(std::span<const TensorInfo> tensors, std::span<const std::filesystem::path> shards,
                             Bytes bytes)
    : m_tensors(tensors)
    , m_shards(shards)
    , m_bytes(std::move(bytes))
{
    m_byName.reserve(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i)
        m_byName.emplace(tensors[i].name, i);
}

const TensorInfo* StoredTensors::find(std::string_view name) const
{
    const auto found = m_byName.find(name);
    return found == m_byName.end() ? nullptr : &m_tensors[found->second];
}

Where StoredTensors::where(const TensorInfo& tensor) const
{
    return {m_shards[tensor.shard].native(), tensor.name, tensor.offset};
}

Where LayoutSettings::where(std::string_view key) const
{
    return {file, "quantization_config." + std::string(key), {}};
}

Result<std::optional<std::int64_t>> LayoutSettings::number(const Json& object, const char* key) const
{
    const auto found = object.find(key);
    if (found == object.end() || found->is_null())
        return std::optional<std::int64_t>();
    constexpr std::int64_t kMost = std::int64_t{1} << 31;
    if (found->is_number_integer()) {
        const bool isHuge
            = found->is_number_unsigned() && found->get<std::uint64_t>() > static_cast<std::uint64_t>(kMost);
        if (!isHuge && found->get<std::int64_t>() >= -kMost)
            return std::optional(found->get<std::int64_t>());
    }
    return fail(ErrorCode::InvalidMetadata, where(key),
                "expected a whole number of 32 bits, found " + escaped(dumpJson(*found), 60));
}

std::span<const CheckpointLayout* const> checkpointLayouts()
{
    static const std::array layouts{&gptqLayout(),       &awqLayout(),        &packedTensorsLayout(), &scaledCodesLayout(),
                                    &floatCodesLayout(), &blockCodesLayout(), &rowScaledLayout()};
    return layouts;
}

void decodePackedRows(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                      std::span<float> out)
{
    const std::uint64_t unit = matrix.rowUnit;
    std::vector<float> tile;
    for (std::uint64_t row = first; row < first + count;) {
        const std::uint64_t begin = row / unit * unit;
        const std::uint64_t length = std::min(unit, matrix.rows - begin);
        const std::uint64_t wanted = std::min(begin + length, first + count) - row;
        const auto target = out.subspan((row - first) * matrix.cols, wanted * matrix.cols);
        if (row == begin && wanted == length) {
            matrix.layout->decode(matrix, parts, begin, length, target);
        } else {
            tile.resize(length * matrix.cols);
            matrix.layout->decode(matrix, parts, begin, length, tile);
            std::copy_n(tile.begin() + static_cast<std::ptrdiff_t>((row - begin) * matrix.cols), target.size(),
                        target.begin());
        }
        row += wanted;
    }
}

}  // namespace sigmascope
