// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/ListedBytes.h"

#include "core/checkpoint/layouts/CheckpointLayout.h"

#include <algorithm>
#include <vector>

namespace sigmascope {

namespace {

constexpr std::uint64_t kDecodedPiece = std::uint64_t{1} << 20;  // values
constexpr std::uint64_t kDecodedRows = 32;  // that share words in packed weights

}  // namespace

bool isDecoded(const Checkpoint& checkpoint, std::size_t tensor)
{
    return checkpoint.packed(tensor) != nullptr || checkpoint.coded(tensor) != nullptr;
}

Bytes listedBytes(const Checkpoint& checkpoint, std::size_t tensor)
{
    const TensorInfo& listed = checkpoint.tensors()[tensor];
    return isDecoded(checkpoint, tensor) ? checkedByteSize(listed.dtype, listed.shape).value_or(listed.bytes)
                                         : listed.bytes;
}

Status forListedBytes(const Checkpoint& checkpoint, std::size_t tensor, const JobContext& job,
                      const std::function<Status(std::span<const std::byte>)>& take)
{
    const TensorInfo& listed = checkpoint.tensors()[tensor];
    if (!isDecoded(checkpoint, tensor))
        return take(listed.bytes == 0 ? std::span<const std::byte>()
                                      : checkpoint.shard(listed.shard)
                                            ->bytes()
                                            .subspan(static_cast<std::size_t>(listed.offset),
                                                     static_cast<std::size_t>(listed.bytes)));
    if (checkpoint.packed(tensor) == nullptr) {
        const auto view = checkpoint.view(tensor);
        return view ? take(view->bytes) : passOn(view);
    }
    const PackedMatrix& matrix = *checkpoint.packed(tensor);
    const std::uint64_t step = std::max<std::uint64_t>(1, kDecodedPiece / matrix.cols / kDecodedRows) * kDecodedRows;
    std::vector<float> values;
    for (std::uint64_t first = 0; first < matrix.rows; first += step) {
        if (job.cancelled())
            return cancelledError();
        const std::uint64_t count = std::min(step, matrix.rows - first);
        values.resize(count * matrix.cols);
        if (Status read = checkpoint.readPackedRows(tensor, first, count, values); !read)
            return read;
        if (Status taken = take(std::as_bytes(std::span<const float>(values))); !taken)
            return taken;
    }
    return {};
}

}  // namespace sigmascope
