// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/MeasureOp.h"

#include "gpu/EncodeOp.h"
#include "gpu/Operand.h"
#include "gpu/SuperEncodeOp.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace sigmascope::gpu {

namespace {

constexpr std::uint64_t kBlock = 32;
constexpr std::uint64_t kChunkCols = 1024;  // of error_sums.comp
constexpr Bytes kHeader = 16;
constexpr Bytes kSumsBytes = 4 * sizeof(float);
// Bits of the header's first word, as in exact.glsl.
constexpr std::uint32_t kMetTiny = 1;
constexpr std::uint32_t kMetTrouble = 2;

std::uint32_t word(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value);
}

std::uint64_t ceilDiv(std::uint64_t a, std::uint64_t b)
{
    return (a + b - 1) / b;
}

/// Sums of a matrix, from parts of rows that kernels have summed in float.
class SumsOfRows {
public:
    SumsOfRows(OpContext& context, const ResidualSource& source, std::span<const float> scale)
        : m_context(context)
        , m_source(source)
        , m_scale(scale)
    {
    }

    [[nodiscard]] std::uint64_t chunks() const { return ceilDiv(m_source.cols, kChunkCols); }

    /// Takes the parts of a row. The reference sums those that left the range in which float squares are exact
    /// enough: each square of the residual is at least 2^-48 of its weight's.
    [[nodiscard]] Status take(std::span<const std::byte> parts, std::uint64_t row)
    {
        ErrorSums sums;
        bool trusted = true;
        for (std::uint64_t chunk = 0; chunk < chunks(); ++chunk) {
            std::array<float, 4> part{};
            std::memcpy(part.data(), parts.data() + chunk * kSumsBytes, sizeof part);
            sums.residual += part[0];
            sums.scaledResidual += part[1];
            sums.weight += part[2];
            sums.scaledWeight += part[3];
            trusted
                = trusted && inRange(part[2]) && inRange(part[3]) && std::isfinite(part[0]) && std::isfinite(part[1]);
        }
        if (!trusted)
            return byReference(row);
        add(sums);
        return {};
    }

    [[nodiscard]] Status byReference(std::uint64_t row)
    {
        const auto sums = referenceOf(row);
        if (!sums)
            return passOn(sums);
        add(*sums);
        return {};
    }

    /// One row's sums again, and how far the device's are from them.
    [[nodiscard]] Status check(std::span<const std::byte> parts, std::uint64_t row)
    {
        const ErrorSums before = m_total;
        m_total = {};
        const Status taken = take(parts, row);
        const ErrorSums found = m_total;
        m_total = before;
        const auto expected = referenceOf(row);
        if (!taken || !expected)
            return taken ? passOn(expected) : passOn(taken);
        const auto close = [](double a, double b) { return std::fabs(a - b) <= 1e-4 * b; };
        if (close(found.residual, expected->residual) && close(found.weight, expected->weight)
            && close(found.scaledResidual, expected->scaledResidual))
            return {};
        return m_context.wrongResult("reduce", fmt::format("row {}", row));
    }

    [[nodiscard]] const ErrorSums& total() const { return m_total; }

private:
    [[nodiscard]] static bool inRange(float sum) { return sum >= 0x1p-60F && sum <= 0x1p100F; }

    [[nodiscard]] Result<ErrorSums> referenceOf(std::uint64_t row)
    {
        ResidualSource one = m_source;
        one.weights = m_source.weights.subspan(row * m_source.cols, m_source.cols);
        one.rows = 1;
        if (m_source.format) {
            const std::uint64_t rowBytes = m_source.format->rowBytes(m_source.cols);
            one.codes = m_source.codes.subspan(row * rowBytes, rowBytes);
        }
        return m_context.reference.errorSums(one, m_scale, {});
    }

    void add(const ErrorSums& sums)
    {
        m_total.residual += sums.residual;
        m_total.scaledResidual += sums.scaledResidual;
        m_total.weight += sums.weight;
        m_total.scaledWeight += sums.scaledWeight;
    }

    OpContext& m_context;
    const ResidualSource& m_source;
    std::span<const float> m_scale;
    ErrorSums m_total;
};

/// The metric's scale on the device; one word where there is none, since a binding must hold something.
Result<Buffer> scaleBuffer(OpContext& context, std::span<const float> scale, const JobContext& job)
{
    constexpr float kOne = 1;
    return uploaded(context, std::as_bytes(scale.empty() ? std::span(&kOne, 1) : scale), job);
}

/// What encoding of one matrix needs, for blocks and for groups.
class MeasuredEncode {
public:
    MeasuredEncode(OpContext& context, const ResidualSource& source, std::span<const float> scale,
                   std::span<std::byte> out)
        : m_context(context)
        , m_source(source)
        , m_format(*source.format)
        , m_sums(context, source, scale)
        , m_scaled(!scale.empty())
        , m_out(out)
        , m_rowBytes(m_format.rowBytes(source.cols))
        , m_super(m_format.block ? superKernel(*m_format.block, false) : std::nullopt)
        , m_supers{m_format.block.value_or(DType::F32), source.weights, source.cols, {}, out}
    {
        const GroupFormat& groups = m_format.groups;
        const std::uint64_t cols = source.cols;
        m_scaleWords = ceilDiv(groups.groups(cols), 2);
        m_zeroWords = groups.asymmetric ? ceilDiv(groups.packed(groups.groups(cols)), 4) : 0;
        m_codeWords = ceilDiv(groups.packed(cols), 4);
    }

    [[nodiscard]] Status prepare(std::span<const float> scale, const JobContext& job)
    {
        auto buffer = scaleBuffer(m_context, scale, job);
        if (!buffer)
            return passOn(buffer);
        m_scale = std::move(*buffer);
        std::vector<std::pair<const Kernel**, std::pair<KernelId, std::uint32_t>>> wanted;
        const bool wide = m_format.groups.groupLength(m_source.cols) > kWideGroup;
        m_team = wide ? 64 : 8;
        wanted.push_back({&m_sumKernel, {KernelId::ErrorSums, *codedKind(m_source.format)}});
        if (m_format.block) {
            wanted.push_back({&m_codeKernel,
                              m_super ? std::pair(m_super->id, m_super->constant)
                                      : std::pair(*encodeKernel(*m_format.block), std::uint32_t{0})});
        } else {
            wanted.push_back({&m_scaleKernel, {KernelId::GroupScales, m_team}});
            wanted.push_back({&m_codeKernel, {KernelId::GroupCodes, 0}});
        }
        for (const auto& [kernel, key] : wanted) {
            const auto got = m_context.kernels.get(key.first, key.second);
            if (!got)
                return passOn(got);
            *kernel = *got;
        }
        return {};
    }

    [[nodiscard]] TileWork work()
    {
        TileWork work;
        work.units = m_source.rows;
        work.inputPerUnit = m_source.cols * sizeof(float);
        work.outputHeader = kHeader + kSlack;
        work.outputPerUnit = codedBytes() + m_sums.chunks() * kSumsBytes;
        work.clearsOutput = true;
        work.maxUnits = std::min<std::uint64_t>(
            m_context.device.maxWorkgroupsY(),
            std::max<std::uint64_t>(1, std::uint64_t{m_context.device.maxWorkgroups()} * 64 / m_source.cols));
        if (m_super)  // a search takes long: the first slice is short until its time is known
            work.firstUnits = std::max<std::uint64_t>(1, kFirstSearched / m_source.cols);
        work.subject = "encode";
        work.fill = [this](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
            const auto part = m_source.weights.subspan(first * m_source.cols, count * m_source.cols);
            std::memcpy(upload.data(), part.data(), part.size_bytes());
            return Bytes{part.size_bytes()};
        };
        work.passes = [this](std::span<Pass> passes, const Slice& slice) {
            std::size_t used = m_format.block ? blockPass(passes, slice) : groupPasses(passes, slice);
            passes[used++] = sumsPass(slice);
            return used;
        };
        work.take = [this](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) {
            return take(output, first, count);
        };
        return work;
    }

    [[nodiscard]] bool metTrouble() const { return m_metTrouble || m_supers.metTrouble; }
    [[nodiscard]] const ErrorSums& total() const { return m_sums.total(); }

private:
    static constexpr std::uint64_t kWideGroup = 512;
    static constexpr std::uint64_t kFirstSearched = 65536;  // weights
    /// A last pair of blocks is written whole, and sums begin at a word.
    static constexpr Bytes kSlack = 256;

    [[nodiscard]] Bytes rowWords() const { return m_scaleWords + m_zeroWords + m_codeWords; }
    [[nodiscard]] Bytes codedBytes() const { return m_format.block ? m_rowBytes : rowWords() * 4; }
    [[nodiscard]] std::uint64_t blocks(std::uint64_t rows) const
    {
        return rows * m_source.cols / (m_super ? kSuper : kBlock);
    }
    /// In words from the start of the output.
    [[nodiscard]] std::uint64_t sumsAt(std::uint64_t rows) const
    {
        const std::uint64_t coded = m_format.block
            ? ceilDiv(blocks(rows), 2) * 2 * (info(*m_format.block).blockBits / 8)
            : rows * codedBytes();
        return (kHeader + alignUp(coded, 4)) / 4;
    }

    std::size_t blockPass(std::span<Pass> passes, const Slice& slice) const
    {
        passes[0].kernel = m_codeKernel;
        if (m_super) {
            passes[0].buffers = {slice.input, slice.output, &m_scale};
            passes[0].tell({word(blocks(slice.count)), 0, word(m_source.cols / kSuper)});
            passes[0].groupsX = word(ceilDiv(blocks(slice.count), m_super->perWorkgroup));
            return 1;
        }
        passes[0].buffers = {slice.input, slice.output};
        passes[0].tell({word(blocks(slice.count))});
        passes[0].groupsX = word(ceilDiv(ceilDiv(blocks(slice.count), 2), m_codeKernel->row().workgroup));
        return 1;
    }

    std::size_t groupPasses(std::span<Pass> passes, const Slice& slice) const
    {
        const GroupFormat& format = m_format.groups;
        const std::uint64_t cols = m_source.cols;
        const std::uint32_t asymmetric = format.asymmetric ? 1 : 0;
        const auto bits = static_cast<std::uint32_t>(format.bits);
        passes[0].kernel = m_scaleKernel;
        passes[0].buffers = {slice.input, slice.output};
        passes[0].tell({word(cols), word(format.groupLength(cols)), word(format.groups(cols)), bits, asymmetric,
                        word(rowWords()), word(m_scaleWords)});
        passes[0].groupsX = scaleGroups();
        passes[0].groupsY = word(slice.count);
        passes[1].kernel = m_codeKernel;
        passes[1].buffers = {slice.input, slice.output};
        passes[1].tell({word(cols), word(format.groupLength(cols)), bits, asymmetric, word(rowWords()),
                        word(m_scaleWords), word(m_scaleWords + m_zeroWords), word(m_codeWords)});
        passes[1].groupsX = codeGroups();
        passes[1].groupsY = word(slice.count);
        return 2;
    }

    [[nodiscard]] std::uint32_t scaleGroups() const
    {
        return word(ceilDiv(m_format.groups.groups(m_source.cols), 64 / m_team));
    }
    [[nodiscard]] std::uint32_t codeGroups() const { return word(ceilDiv(m_codeWords, 64)); }

    [[nodiscard]] Pass sumsPass(const Slice& slice) const
    {
        Pass pass;
        pass.kernel = m_sumKernel;
        pass.buffers = {slice.input, slice.output, &m_scale, slice.output};
        const GroupFormat& format = m_format.groups;
        const std::uint64_t cols = m_source.cols;
        pass.tell({word(cols), 0, word(cols), word(kHeader), word(codedBytes()),
                   static_cast<std::uint32_t>(format.bits), format.asymmetric ? 1U : 0U,
                   word(m_format.block ? cols : format.groupLength(cols)), word(m_scaleWords * 4),
                   word((m_scaleWords + m_zeroWords) * 4), m_scaled ? 1U : 0U, word(sumsAt(slice.count)), 3U});
        pass.groupsX = word(m_sums.chunks());
        pass.groupsY = word(slice.count);
        return pass;
    }

    [[nodiscard]] Status take(std::span<const std::byte> output, std::uint64_t first, std::uint64_t rows)
    {
        std::array<std::uint32_t, 4> header{};
        std::memcpy(header.data(), output.data(), sizeof header);
        std::array<std::uint32_t, 3> expected{0, 0, word(m_sums.chunks() * rows)};
        if (m_format.block)
            expected[0] = word(blocks(rows));
        else
            expected = {word(scaleGroups() * rows), word(codeGroups() * rows), expected[2]};
        for (std::size_t i = 0; i < expected.size(); ++i)
            if (header[i + 1] != expected[i])
                return m_context.notWritten("encode", expected[i], header[i + 1]);
        m_metTrouble = m_metTrouble || (header[0] & kMetTrouble) != 0;
        if (m_metTrouble)
            return {};
        copyCodes(output.subspan(kHeader), first, rows);
        if (m_super && (header[0] & kMetTiny) != 0) {
            // Sums over a marked super-block are NaN: the reference sums its row.
            const Status redone
                = redoMarked(m_context, *m_super, m_supers, first * m_source.cols / kSuper, blocks(rows));
            if (!redone || m_supers.metTrouble)
                return redone;
        }
        const auto sums = output.subspan(sumsAt(rows) * 4);
        const Bytes perRow = m_sums.chunks() * kSumsBytes;
        for (std::uint64_t i = 0; i < rows; ++i) {
            const bool redo = !m_super && (header[0] & kMetTiny) != 0 && needsReference(first + i);
            Status done = redo ? byReference(first + i) : m_sums.take(sums.subspan(i * perRow, perRow), first + i);
            if (done && !redo && i == 0)
                done = m_sums.check(sums.first(perRow), first);
            if (!done)
                return done;
        }
        return {};
    }

    void copyCodes(std::span<const std::byte> coded, std::uint64_t first, std::uint64_t rows)
    {
        if (m_format.block) {
            std::memcpy(m_out.data() + first * m_rowBytes, coded.data(), rows * m_rowBytes);
            return;
        }
        const GroupFormat& format = m_format.groups;
        const std::uint64_t cols = m_source.cols;
        for (std::uint64_t row = 0; row < rows; ++row) {
            const std::byte* from = coded.data() + row * codedBytes();
            std::byte* to = m_out.data() + (first + row) * m_rowBytes;
            std::memcpy(to, from, format.zerosAt(cols));
            std::memcpy(to + format.zerosAt(cols), from + m_scaleWords * 4,
                        format.codesAt(cols) - format.zerosAt(cols));
            std::memcpy(to + format.codesAt(cols), from + (m_scaleWords + m_zeroWords) * 4, format.packed(cols));
        }
    }

    [[nodiscard]] bool needsReference(std::uint64_t row) const
    {
        const auto values = m_source.weights.subspan(row * m_source.cols, m_source.cols);
        const std::uint64_t length = m_format.block ? kBlock : m_format.groups.groupLength(m_source.cols);
        for (std::uint64_t begin = 0; begin < values.size(); begin += length) {
            float low = 0;
            float high = 0;
            for (const float value : values.subspan(begin, std::min<std::uint64_t>(length, values.size() - begin))) {
                low = std::max(low, -value);
                high = std::max(high, value);
            }
            const auto isTiny = [](float a) { return a != 0 && a < 0x1p-100F; };
            const auto exponent = [](float a) { return static_cast<int>(std::bit_cast<std::uint32_t>(a) >> 23); };
            const bool apart = low != 0 && high != 0 && std::abs(exponent(low) - exponent(high)) > 24;
            if (isTiny(std::max(low, high))
                || (!m_format.block && (isTiny(low) || isTiny(high) || (m_format.groups.asymmetric && apart))))
                return true;
        }
        return false;
    }

    [[nodiscard]] Status byReference(std::uint64_t row)
    {
        m_context.usedReference = true;
        const auto values = m_source.weights.subspan(row * m_source.cols, m_source.cols);
        const auto done = m_context.reference.encodeMeasured(m_format, values, 1, m_source.cols, {},
                                                             m_out.subspan(row * m_rowBytes, m_rowBytes), {});
        if (!done)
            return passOn(done);
        return m_sums.byReference(row);
    }

    OpContext& m_context;
    const ResidualSource& m_source;
    const CodeFormat& m_format;
    SumsOfRows m_sums;
    bool m_scaled;
    std::span<std::byte> m_out;
    Bytes m_rowBytes;
    std::optional<SuperKernel> m_super;
    SuperEncode m_supers;
    std::uint64_t m_scaleWords = 0, m_zeroWords = 0, m_codeWords = 0;
    std::uint32_t m_team = 8;
    Buffer m_scale;
    const Kernel* m_scaleKernel = nullptr;
    const Kernel* m_codeKernel = nullptr;
    const Kernel* m_sumKernel = nullptr;
    bool m_metTrouble = false;
};

}  // namespace

Result<ErrorSums> encodeMeasured(OpContext& context, const CodeFormat& format, std::span<const float> weights,
                                 std::uint64_t rows, std::uint64_t cols, std::span<const float> scale,
                                 std::span<std::byte> out, const JobContext& job)
{
    if (format.block && !encodeKernel(*format.block) && !superKernel(*format.block, false))
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} has no kernel for encoding to {}", context.device.info().id, format.id()));
    const auto byReference
        = [&] { return context.reference.encodeMeasured(format, weights, rows, cols, scale, out, {.stop = job.stop}); };
    const bool fits = weights.size() == rows * cols && out.size() == rows * format.rowBytes(cols)
        && (!format.block || cols % info(*format.block).blockElements == 0);
    if (!fits || weights.empty())  // the reference words the error
        return byReference();
    const ResidualSource source{weights, rows, cols, format, out};
    MeasuredEncode encode(context, source, scale, out);
    if (const Status ready = encode.prepare(scale, job); !ready)
        return passOn(ready);
    if (const Status done = context.tiles.run(encode.work(), job); !done)
        return passOn(done);
    if (encode.metTrouble()) {
        context.usedReference = true;
        return byReference();
    }
    if (const Status right = spotCheckCodes(context, format, weights, rows, cols, out); !right)
        return passOn(right);
    return encode.total();
}

Result<ErrorSums> errorSums(OpContext& context, const ResidualSource& source, std::span<const float> scale,
                            const JobContext& job)
{
    if (source.weights.empty())
        return ErrorSums{};
    const auto kernel = context.kernels.get(KernelId::ErrorSums, *codedKind(source.format));
    if (!kernel)
        return passOn(kernel);
    const auto scaleOnDevice = scaleBuffer(context, scale, job);
    if (!scaleOnDevice)
        return passOn(scaleOnDevice);
    const RowRecord record(source);
    SumsOfRows sums(context, source, scale);
    const Bytes perRow = sums.chunks() * kSumsBytes;
    TileWork work;
    work.units = source.rows;
    work.inputPerUnit = record.bytes;
    work.outputHeader = kHeader;
    work.outputPerUnit = perRow;
    work.maxUnits = context.device.maxWorkgroupsY();
    work.subject = (*kernel)->row().name;
    work.fill = [&](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
        return record.fill(upload, first, count);
    };
    work.passes = [&](std::span<Pass> passes, const Slice& slice) {
        Pass& pass = passes[0];
        pass.kernel = *kernel;
        pass.buffers = {slice.input, slice.input, &*scaleOnDevice, slice.output};
        const auto matrix = record.matrix();
        std::copy(matrix.begin(), matrix.end(), pass.push.begin());
        const std::array<std::uint32_t, 3> rest{scale.empty() ? 0U : 1U, word(kHeader / 4), 0U};
        std::copy(rest.begin(), rest.end(), pass.push.begin() + matrix.size());
        pass.groupsX = word(sums.chunks());
        pass.groupsY = word(slice.count);
        return std::size_t{1};
    };
    work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) -> Status {
        std::uint32_t done = 0;
        std::memcpy(&done, output.data(), sizeof done);
        if (done != sums.chunks() * count)
            return context.notWritten((*kernel)->row().name, sums.chunks() * count, done);
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto parts = output.subspan(kHeader + i * perRow, perRow);
            if (i == 0)
                if (const Status right = sums.check(parts, first); !right)
                    return right;
            if (const Status taken = sums.take(parts, first + i); !taken)
                return taken;
        }
        return {};
    };
    if (const Status done = context.tiles.run(work, job); !done)
        return passOn(done);
    return sums.total();
}

}  // namespace sigmascope::gpu
