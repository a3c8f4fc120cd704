// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Operand.h"

#include "core/compute/ops/Residual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace sigmascope::gpu {

namespace {

/// Depth of a partial sum in product.comp: slices over rows begin at multiples of it.
constexpr std::uint64_t kDepth = 32;
constexpr std::uint64_t kSide = 64;
constexpr std::uint64_t kVectors = 32;
/// Largest part of an operand: byte addresses of codes stay far below 2^32.
constexpr Bytes kPartBytes = Bytes{256} << 20;
constexpr Bytes kPanelBytes = Bytes{64} << 20;
constexpr Bytes kHeader = 16;
/// Work of the first slice, before its time is known.
constexpr double kFirstSliceFlops = 2e7;

template <class T> std::span<const std::byte> bytesOf(std::span<const T> values)
{
    return std::as_bytes(values);
}

std::uint32_t groupsOf(std::uint64_t items, std::uint64_t perGroup)
{
    return static_cast<std::uint32_t>((items + perGroup - 1) / perGroup);
}

/// Vectors [first, first + count) of a product over the whole of E.
class PanelProduct {
public:
    PanelProduct(OpContext& context, const RowRecord& record, const Operand& operand, const Product& product,
                 const Kernel& kernel, std::uint64_t first, std::uint64_t count)
        : m_context(context)
        , m_record(record)
        , m_operand(operand)
        , m_product(product)
        , m_kernel(kernel)
        , m_first(first)
        , m_count(count)
    {
    }

    [[nodiscard]] Status run(const JobContext& job)
    {
        const std::uint64_t length = vectorLength();
        auto panel = uploaded(m_context, bytesOf(m_product.panel.subspan(m_first * length, m_count * length)), job);
        if (!panel)
            return passOn(panel);
        m_panel = std::move(*panel);
        if (m_product.overRows) {
            auto results = m_context.memory.create(m_count * source().cols * kResultBytes, MemoryUse::Kernel);
            if (!results)
                return passOn(results);
            m_results = std::move(*results);
        }
        if (m_operand.parts.empty()) {
            if (const Status done = overPart(nullptr, 0, source().rows, job); !done)
                return done;
        } else {
            for (const Operand::Part& part : m_operand.parts)
                if (const Status done = overPart(&part.buffer, part.firstRow, part.rows, job); !done)
                    return done;
        }
        return m_product.overRows ? takeResults() : Status{};
    }

private:
    static constexpr Bytes kResultBytes = sizeof(Sum);

    [[nodiscard]] const ResidualSource& source() const { return m_record.source; }
    [[nodiscard]] std::uint64_t vectorLength() const { return m_product.overRows ? source().rows : source().cols; }

    [[nodiscard]] Status overPart(const Buffer* kept, std::uint64_t firstRow, std::uint64_t rows, const JobContext& job)
    {
        TileWork work;
        work.units = rows;
        work.inputPerUnit = kept == nullptr ? m_record.bytes : 0;
        work.outputPerUnit = m_product.overRows ? 0 : m_count * kResultBytes;
        work.outputHeader = kHeader;
        work.grain = kDepth;
        work.maxUnits = std::uint64_t{m_context.device.maxWorkgroups()} * kSide / kDepth * kDepth;
        const double flopsARow = 2.0 * static_cast<double>(source().cols) * static_cast<double>(m_count);
        work.firstUnits = std::max<std::uint64_t>(kDepth, static_cast<std::uint64_t>(kFirstSliceFlops / flopsARow));
        work.subject = m_kernel.row().name;
        work.fill = [&](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
            return m_record.fill(upload, firstRow + first, count);
        };
        work.passes = [&](std::span<Pass> passes, const Slice& slice) {
            passes[0] = passOver(kept, firstRow, slice);
            return std::size_t{1};
        };
        work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) {
            return take(output, firstRow + first, count);
        };
        return m_context.tiles.run(work, job);
    }

    [[nodiscard]] std::uint32_t sides(std::uint64_t rows) const
    {
        return groupsOf(m_product.overRows ? source().cols : rows, kSide);
    }

    [[nodiscard]] Pass passOver(const Buffer* kept, std::uint64_t firstRow, const Slice& slice) const
    {
        Pass pass;
        pass.kernel = &m_kernel;
        const Buffer* input = kept == nullptr ? slice.input : kept;
        pass.buffers = {input, input, &m_panel, m_product.overRows ? &m_results : slice.output, slice.output};
        const auto matrix = m_record.matrix();
        std::copy(matrix.begin(), matrix.end(), pass.push.begin());
        const auto word = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
        const std::uint64_t row = firstRow + slice.first;
        const std::array<std::uint32_t, 8> rest{word(kept == nullptr ? 0 : slice.first),
                                                word(slice.count),
                                                word(m_count),
                                                word(vectorLength()),
                                                word(m_product.overRows ? row : 0),
                                                m_product.overRows ? 0U : word(kHeader / kResultBytes),
                                                word(m_product.overRows ? source().cols : slice.count),
                                                m_product.overRows && row != 0 ? 1U : 0U};
        std::copy(rest.begin(), rest.end(), pass.push.begin() + matrix.size());
        pass.groupsX = sides(slice.count);
        pass.groupsY = groupsOf(m_count, kVectors);
        return pass;
    }

    [[nodiscard]] Status take(std::span<const std::byte> output, std::uint64_t firstRow, std::uint64_t rows)
    {
        std::uint32_t done = 0;
        std::memcpy(&done, output.data(), sizeof done);
        const std::uint32_t expected = sides(rows) * groupsOf(m_count, kVectors);
        if (done != expected)
            return m_context.notWritten(m_kernel.row().name, expected, done);
        if (!m_product.overRows)
            put(output.subspan(kHeader), firstRow, rows);
        return {};
    }

    /// Results lie vector by vector, @p length each.
    void put(std::span<const std::byte> results, std::uint64_t first, std::uint64_t length)
    {
        for (std::uint64_t vector = 0; vector < m_count; ++vector)
            putRun(results.subspan(vector * length * kResultBytes, length * kResultBytes), vector, first);
    }

    void putRun(std::span<const std::byte> results, std::uint64_t vector, std::uint64_t first)
    {
        std::array<Sum, 512> sums;
        for (std::uint64_t at = 0; at < results.size() / kResultBytes; at += sums.size()) {
            const std::uint64_t count = std::min<std::uint64_t>(sums.size(), results.size() / kResultBytes - at);
            std::memcpy(sums.data(), results.data() + at * kResultBytes, count * kResultBytes);
            m_product.put(m_first + vector, first + at, std::span(sums).first(count));
        }
    }

    /// The sums over rows, once all slices have added theirs: vector by vector, in pieces.
    [[nodiscard]] Status takeResults()
    {
        constexpr std::uint64_t kPieceResults = std::uint64_t{1} << 20;
        const std::uint64_t all = m_count * source().cols;
        auto readback = m_context.memory.create(std::min(all, kPieceResults) * kResultBytes, MemoryUse::Readback);
        if (!readback)
            return passOn(readback);
        auto stream = CommandStream::create(m_context.device);
        if (!stream)
            return passOn(stream);
        for (std::uint64_t at = 0; at < all; at += kPieceResults) {
            const std::uint64_t count = std::min(kPieceResults, all - at);
            RoundTrip trip;
            trip.output = &m_results;
            trip.readback = &*readback;
            trip.outputOffset = at * kResultBytes;
            trip.outputBytes = count * kResultBytes;
            Status done = stream->submit(trip);
            if (done)
                done = stream->wait();
            if (!done)
                return done;
            if (m_context.device.faults().spoilsThisResult())
                readback->mapped()[3] ^= std::byte{0x5A};
            for (std::uint64_t i = 0; i < count;) {
                const std::uint64_t column = (at + i) % source().cols;
                const std::uint64_t run = std::min(count - i, source().cols - column);
                putRun(readback->mapped().subspan(i * kResultBytes, run * kResultBytes), (at + i) / source().cols,
                       column);
                i += run;
            }
        }
        return {};
    }

    OpContext& m_context;
    const RowRecord& m_record;
    const Operand& m_operand;
    const Product& m_product;
    const Kernel& m_kernel;
    std::uint64_t m_first;
    std::uint64_t m_count;
    Buffer m_panel;
    Buffer m_results;
};

/// Vectors of one dispatch: panel and results fit a binding each.
std::uint64_t vectorsAtOnce(const OpContext& context, const ResidualSource& source, const Product& product)
{
    const Bytes limit = std::min(context.device.maxBinding(), kPanelBytes);
    const Bytes length = (product.overRows ? source.rows : source.cols) * sizeof(float);
    const Bytes results = product.overRows ? source.cols * 2 * sizeof(float) : kDepth * 2 * sizeof(float);
    return std::min(product.vectors, limit / std::max(length, results));
}

double valueOf(const Sum& sum)
{
    return static_cast<double>(sum.high) + static_cast<double>(sum.low);
}

/// Remembers the elements that are looked at again.
struct Spot {
    std::uint64_t vector = 0, at = 0;
    double found = std::numeric_limits<double>::quiet_NaN();
};

Status checkSpot(const OpContext& context, const ResidualSource& source, const Product& product, const Spot& spot)
{
    const std::uint64_t length = product.overRows ? source.rows : source.cols;
    const auto vector = product.panel.subspan(spot.vector * length, length);
    double sum = 0;
    double lengthE = 0;
    double lengthP = 0;
    for (std::uint64_t i = 0; i < length; ++i) {
        const double e = product.overRows ? residualElement(source, i, spot.at) : residualElement(source, spot.at, i);
        const double p = vector[i];
        sum += e * p;
        lengthE += e * e;
        lengthP += p * p;
    }
    // Twice the tolerance of MatrixProducts: a place that fails is no matter of rounding.
    constexpr double kAllowed = 64 * 0x1p-24;
    if (std::fabs(spot.found - sum) <= kAllowed * std::sqrt(lengthE * lengthP) + 0x1p-120)
        return {};
    return context.wrongResult(
        "sketch", fmt::format("vector {}, {} {}", spot.vector, product.overRows ? "column" : "row", spot.at));
}

}  // namespace

Bytes RowRecord::fill(std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) const
{
    const std::uint64_t cols = source.cols;
    for (std::uint64_t row = 0; row < count; ++row) {
        std::byte* to = upload.data() + row * bytes;
        std::memcpy(to, source.weights.data() + (first + row) * cols, cols * sizeof(float));
        if (codeBytes != 0)
            std::memcpy(to + cols * sizeof(float), source.codes.data() + (first + row) * codeBytes, codeBytes);
    }
    return count * bytes;
}

std::array<std::uint32_t, 10> RowRecord::matrix() const
{
    const auto word = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    const std::uint64_t cols = source.cols;
    std::array<std::uint32_t, 10> words{
        word(cols), 0, word(bytes / sizeof(float)), word(cols * sizeof(float)), word(bytes), 0, 0, 1, 0, 0};
    if (source.format && !source.format->block) {
        const GroupFormat& groups = source.format->groups;
        words[5] = static_cast<std::uint32_t>(groups.bits);
        words[6] = groups.asymmetric ? 1 : 0;
        words[7] = word(groups.groupLength(cols));
        words[8] = word(groups.zerosAt(cols));
        words[9] = word(groups.codesAt(cols));
    }
    return words;
}

Result<Buffer> uploaded(OpContext& context, std::span<const std::byte> bytes, const JobContext& job)
{
    auto buffer = context.memory.create(bytes.size(), MemoryUse::Kernel);
    if (!buffer)
        return passOn(buffer);
    TileWork work;
    work.units = bytes.size() / sizeof(std::uint32_t);
    work.inputPerUnit = sizeof(std::uint32_t);
    work.target = &*buffer;
    work.subject = "upload";
    work.fill = [&](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
        const auto part = bytes.subspan(first * work.inputPerUnit, count * work.inputPerUnit);
        std::memcpy(upload.data(), part.data(), part.size());
        return Bytes{part.size()};
    };
    if (const Status done = context.tiles.run(work, {.stop = job.stop}); !done)
        return passOn(done);
    return buffer;
}

Result<Operand> keptOperand(OpContext& context, const ResidualSource& source, const JobContext& job)
{
    const RowRecord record(source);
    const Bytes limit = std::min(context.device.maxBinding(), kPartBytes);
    const std::uint64_t perPart = limit / record.bytes / kDepth * kDepth;
    Operand operand;
    if (perPart == 0)
        return operand;
    for (std::uint64_t first = 0; first < source.rows; first += perPart) {
        const std::uint64_t rows = std::min(perPart, source.rows - first);
        auto buffer = context.memory.create(rows * record.bytes, MemoryUse::Kernel);
        if (!buffer && buffer.error().code == ErrorCode::OutOfMemory)
            return Operand{};
        if (!buffer)
            return passOn(buffer);
        operand.parts.push_back({first, rows, std::move(*buffer)});
        TileWork work;
        work.units = rows;
        work.inputPerUnit = record.bytes;
        work.target = &operand.parts.back().buffer;
        work.subject = "upload";
        work.fill = [&](std::span<std::byte> upload, std::uint64_t begin, std::uint64_t count) {
            return record.fill(upload, first + begin, count);
        };
        const Status done = context.tiles.run(work, {.stop = job.stop});
        if (!done && done.error().code == ErrorCode::OutOfMemory)
            return Operand{};
        if (!done)
            return passOn(done);
    }
    return operand;
}

Status multiply(OpContext& context, const ResidualSource& source, Operand& operand, const Product& product,
                const JobContext& job)
{
    const auto kind = codedKind(source.format);
    const auto kernel = context.kernels.get(product.overRows ? KernelId::ProductRows : KernelId::ProductCols, *kind);
    if (!kernel)
        return passOn(kernel);
    const RowRecord record(source);
    Spot spot{spotOf(source.cols, product.vectors),
              spotOf(source.rows + product.vectors, product.overRows ? source.cols : source.rows)};
    Product watched = product;
    watched.put = [&](std::uint64_t vector, std::uint64_t first, std::span<const Sum> sums) {
        if (vector == spot.vector && spot.at >= first && spot.at < first + sums.size())
            spot.found = valueOf(sums[spot.at - first]);
        product.put(vector, first, sums);
    };
    std::uint64_t atOnce = vectorsAtOnce(context, source, product);
    for (std::uint64_t vector = 0; vector < product.vectors;) {
        const std::uint64_t count = std::min(atOnce, product.vectors - vector);
        const Status done = count == 0
            ? fail(ErrorCode::OutOfMemory,
                   fmt::format("{}: a vector of {} values does not fit a binding", context.device.info().id,
                               std::max(source.rows, source.cols)))
            : PanelProduct(context, record, operand, watched, **kernel, vector, count).run(job);
        if (done) {
            vector += count;
            continue;
        }
        if (done.error().code != ErrorCode::OutOfMemory || (operand.parts.empty() && atOnce <= 1))
            return done;
        if (operand.parts.empty())
            atOnce /= 2;
        operand.parts.clear();
        context.tiles.release();
    }
    return checkSpot(context, source, product, spot);
}

}  // namespace sigmascope::gpu
