// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/PackedExporter.h"

#include "core/base/Parallel.h"
#include "core/checkpoint/ListedBytes.h"
#include "core/export/IntCodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::uint64_t kSlabCodes = std::uint64_t{1} << 18;
constexpr std::size_t kSlabsAtOnce = 16;
constexpr std::uint64_t kSlabStep = 32;  // a whole number of words and of bytes, whatever the width

class PackedExporter final : public SafetensorsExporter {
public:
    [[nodiscard]] static Result<std::unique_ptr<Exporter>> create(ExportRequest request, SafetensorsDesign design,
                                                                  const PackedFormat& format, bool anyAsymmetric)
    {
        auto exporter = std::unique_ptr<PackedExporter>(
            new PackedExporter(std::move(request), std::move(design), format, anyAsymmetric));
        if (Status opened = exporter->open(); !opened) {
            if (!exporter->takesUp())  // else an earlier run's work would go
                exporter->discard();
            return passOn(std::move(opened));
        }
        return exporter;
    }
    [[nodiscard]] std::optional<StoredForm> storedForm() const override { return m_kept; }

private:
    PackedExporter(ExportRequest request, SafetensorsDesign design, const PackedFormat& format, bool anyAsymmetric)
        : SafetensorsExporter(std::move(request), std::move(design))
        , m_format(format)
        , m_anyAsymmetric(anyAsymmetric)
    {
    }

    [[nodiscard]] Status write(const QuantizedLayer& layer, const SafetensorsItem& item, const JobContext& job) override
    {
        const TensorInfo& tensor = checkpoint().tensors()[layer.tensor];
        m_kept.reset();
        if (!layer.quantized) {
            m_kept
                = StoredForm{.type = tensor.dtype, .bytes = listedBytes(checkpoint(), layer.tensor), .isExact = true};
            return forListedBytes(checkpoint(), layer.tensor, job,
                                  [&](std::span<const std::byte> bytes) { return append(bytes, job); });
        }
        const QuantizedTensor& quantized = *layer.quantized;
        const auto form = intFormOf(*quantized.grid);
        if (quantized.grid->id() != request().plan.layers[layer.tensor].grid || !form
            || quantized.rows != tensor.shape[0] || quantized.cols != tensor.shape[1])
            return failAt(layer.tensor,
                          fmt::format("comes as {} rows of {} on {}, which were not planned", quantized.rows,
                                      quantized.cols, quantized.grid->id()));
        const IntCodes codes(quantized, *form);
        for (const PackedTensor& part : m_format.tensors(quantized.rows, quantized.cols, *form, m_anyAsymmetric)) {
            if (Status written = writePart(part, quantized, *form, codes, job); !written)
                return written;
        }
        return item.adapter.empty() ? Status{} : writeAdapter(layer, item, job);
    }

    [[nodiscard]] Status writePart(const PackedTensor& part, const QuantizedTensor& quantized, const IntForm& form,
                                   const IntCodes& codes, const JobContext& job)
    {
        switch (part.part) {
        case PackedPart::Codes:
            return part.layout.isTransposed ? writeBySlabsOfInputs(part, quantized, codes, job)
                                            : writeBySlabsOfOutputs(part, quantized, codes, job);
        case PackedPart::Zeros:
            return writeZeros(part, quantized, form, codes, job);
        case PackedPart::Scales:
            return append(codes.scales(part.isTransposed), job);
        case PackedPart::GroupIndex: {
            std::vector<std::int32_t> index(static_cast<std::size_t>(quantized.cols));
            for (std::size_t i = 0; i < index.size(); ++i)
                index[i] = form.group == 0 ? 0 : static_cast<std::int32_t>(i / form.group);
            return append(std::as_bytes(std::span(index)), job);
        }
        case PackedPart::OutIn: {
            const std::array<std::uint64_t, 2> shape{quantized.rows, quantized.cols};
            return append(std::as_bytes(std::span(shape)), job);
        }
        }
        return {};
    }

    /// Words lie output by output.
    [[nodiscard]] Status writeBySlabsOfOutputs(const PackedTensor& part, const QuantizedTensor& quantized,
                                               const IntCodes& codes, const JobContext& job)
    {
        const std::uint64_t step = std::max<std::uint64_t>(1, kSlabCodes / quantized.cols);
        std::vector<Slab> slabs;
        for (std::uint64_t row = 0; row < quantized.rows; row += step)
            slabs.push_back({row, std::min(step, quantized.rows - row), 0, quantized.cols});
        return writeSlabs(part, codes, slabs, job);
    }
    /// Words lie input by input, or group of inputs by group of inputs.
    [[nodiscard]] Status writeBySlabsOfInputs(const PackedTensor& part, const QuantizedTensor& quantized,
                                              const IntCodes& codes, const JobContext& job)
    {
        const std::uint64_t step = std::max<std::uint64_t>(1, kSlabCodes / quantized.rows / kSlabStep) * kSlabStep;
        std::vector<Slab> slabs;
        for (std::uint64_t col = 0; col < quantized.cols; col += step)
            slabs.push_back({0, quantized.rows, col, std::min(step, quantized.cols - col)});
        return writeSlabs(part, codes, slabs, job);
    }
    struct Slab {
        std::uint64_t row = 0, rows = 0, col = 0, cols = 0;
    };
    struct Words {
        std::vector<std::uint8_t> codes;
        std::vector<std::byte> words;
        Status status;

        void pack(std::uint64_t rows, std::uint64_t cols, const PackedLayout& layout)
        {
            words.resize(
                static_cast<std::size_t>(checkedByteSize(DType::I32, packedShape(layout, rows, cols)).value_or(0)));
            status = packInts(codes, rows, cols, layout, words);
        }
    };
    /// Some at a time, packed by all threads and written in order.
    [[nodiscard]] Status writeSlabs(const PackedTensor& part, const IntCodes& codes, std::span<const Slab> slabs,
                                    const JobContext& job)
    {
        m_words.resize(std::max(m_words.size(), std::min(kSlabsAtOnce, slabs.size())));
        for (std::size_t first = 0; first < slabs.size(); first += kSlabsAtOnce) {
            const std::size_t count = std::min(kSlabsAtOnce, slabs.size() - first);
            parallelFor(count, [&](std::size_t i) {
                const Slab& slab = slabs[first + i];
                Words& out = m_words[i];
                out.codes.resize(static_cast<std::size_t>(slab.rows * slab.cols));
                codes.codes(slab.row, slab.rows, slab.col, slab.cols, out.codes);
                out.pack(slab.rows, slab.cols, part.layout);
            });
            for (std::size_t i = 0; i < count; ++i) {
                if (!m_words[i].status)
                    return m_words[i].status;
                if (Status written = append(m_words[i].words, job); !written)
                    return written;
            }
        }
        return {};
    }
    [[nodiscard]] Status writeZeros(const PackedTensor& part, const QuantizedTensor& quantized, const IntForm& form,
                                    const IntCodes& codes, const JobContext& job)
    {
        Words zeros{.codes = codes.zeros(), .words = {}, .status = {}};
        const unsigned mask = (1U << static_cast<unsigned>(form.bits)) - 1U;
        for (std::uint8_t& zero : zeros.codes)
            zero = static_cast<std::uint8_t>(static_cast<unsigned>(zero + part.zeroOffset) & mask);
        zeros.pack(quantized.rows, codes.groups(), part.layout);
        return zeros.status ? append(zeros.words, job) : zeros.status;
    }

    [[nodiscard]] Status writeAdapter(const QuantizedLayer& layer, const SafetensorsItem& item, const JobContext& job)
    {
        if (Status turned = turnToAdapter(); !turned)
            return turned;
        const LayerPlan& plan = request().plan.layers[layer.tensor];
        for (std::size_t i = 0; i < item.adapter.size(); ++i) {
            const SafetensorsSpec& spec = item.adapter[i];
            const auto size = static_cast<std::size_t>(checkedByteSize(spec.dtype, spec.shape).value_or(0));
            // A residual of zero has no factors: the file then holds zeros, as its size was promised.
            if (!layer.factors) {
                if (Status written = append(std::vector<std::byte>(size), job); !written)
                    return written;
                continue;
            }
            const StoredFactors& factors = *layer.factors;
            const std::vector<std::byte>& bytes = i == 0 ? factors.right : factors.left;
            const bool becameBf16 = factors.type == FactorType::BF16 && plan.factors == FactorType::F16;
            if (factors.rank != plan.rank || bytes.size() != size || (factors.type != plan.factors && !becameBf16))
                return failAt(layer.tensor,
                              fmt::format("factors of rank {} and {} bytes come where {} and {} were planned",
                                          factors.rank, bytes.size(), plan.rank, size));
            if (Status typed = becameBf16 ? makeBf16(item.specs.size() + i) : Status{}; !typed)
                return typed;
            if (Status written = append(bytes, job); !written)
                return written;
        }
        return {};
    }

    PackedFormat m_format;
    bool m_anyAsymmetric;
    std::vector<Words> m_words;  // of the slabs being written
    std::optional<StoredForm> m_kept;  // of the layer that came last, if it was one
};

}  // namespace

Result<std::unique_ptr<Exporter>> openPackedExporter(ExportRequest request, SafetensorsDesign design,
                                                     const PackedFormat& format, bool anyAsymmetric)
{
    return PackedExporter::create(std::move(request), std::move(design), format, anyAsymmetric);
}

}  // namespace sigmascope
