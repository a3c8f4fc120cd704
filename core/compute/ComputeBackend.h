// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Result.h"
#include "core/compute/CodeCounts.h"
#include "core/compute/Coded.h"
#include "core/compute/MatrixProducts.h"
#include "core/compute/TensorStats.h"
#include "core/tensor/TensorView.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

enum class Op {
    Statistics,
    Encode,       ///< to a GGUF block type
    EncodeGroups, ///< to INT groups with f16 scales; asked with DType::F16
    Decode,
    Histogram,
    Reduce,       ///< error sums; asked with the block type of the codes, F16 for INT groups, F32 for none
    Sketch,       ///< products of a residual with thin panels; asked likewise
    Gram,         ///< of thin panels; asked with DType::F32
    ClipSearch,   ///< over INT groups with f16 scales; asked with DType::F16
    EncodeWeighted, ///< to a GGUF block type, by importances of the columns
};

/// "statistics", "encode" (of all kinds), "decode", "histogram", "reduce", "sketch", "gram", "clip-search"
[[nodiscard]] std::string_view id(Op op);
/// The type that Op::Reduce and Op::Sketch are asked with.
[[nodiscard]] DType askedType(const std::optional<CodeFormat>& format);

/// A device as listed by `devices` and chosen in the status bar.
struct DeviceInfo {
    std::string id;          ///< "cpu", "vulkan:0"
    std::string name;        ///< "Intel Xeon…", "NVIDIA H100"
    std::string kind;        ///< "cpu", "discrete", "integrated", "virtual", "software"
    Bytes memoryBytes = 0;   ///< device-local heap, or RAM
    std::string driver;      ///< API and driver version; SIMD level for the CPU
    bool usable = true;
    std::string reason;      ///< why it is not usable, or why it is not chosen by "auto"
};

/// Runs ops on one device. Every op has a CPU reference (CpuBackend); a backend's result agrees with it
/// within the tolerance stated at the op. Thread-safe: calls are serialised inside where needed.
class ComputeBackend {
public:
    virtual ~ComputeBackend() = default;

    [[nodiscard]] virtual DeviceInfo device() const = 0;
    /// Counts are the same on every device; min and max too; mean, m2..m4 within 1e-5 relative
    /// (GPU partials are f32 per tile, folded in double).
    [[nodiscard]] virtual Result<TensorStats> statistics(const TensorView& view, const JobContext& job) = 0;

    /// Nearest-code encode of finite f32 rows into a GGUF block type, [rows x cols] row-major; out holds
    /// rows * cols / 32 blocks. Byte-equal to CpuBackend on devices with exact multiplication and rounding.
    /// UnsupportedType where the device has no kernel for the type.
    [[nodiscard]] virtual Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                        std::span<std::byte> out, const JobContext& job) = 0;

    /// encode() that weighs errors by what they cost, as ggml does given an importance matrix. Tolerance as encode()'s;
    /// on a device without exact float arithmetic 99.9 % of the codes, and a weighted error within 1e-4. Returns in
    /// words which importances could not be used as they are (see the encoders in core/compute/ops), empty if all
    /// could. @param importance  [cols], mean squares of the inputs. UnsupportedType where the type takes none.
    [[nodiscard]] virtual Result<std::string> encodeWeighted(DType type, std::span<const float> weights,
                                                             std::uint64_t rows, std::uint64_t cols,
                                                             std::span<const float> importance,
                                                             std::span<std::byte> out, const JobContext& job);

    /// encode() or, for INT groups, the bytes of the grids with f16 scales; and in the same visit what the codes
    /// leave. @param scale S of the metric [cols], or empty. Tolerance of the sums: 4e-6 relative (64 squares are
    /// added in float at most, then in double). The bytes are the CPU's where a device rounds products, sums and
    /// differences of floats to nearest even, as Vulkan asks.
    [[nodiscard]] virtual Result<ErrorSums> encodeMeasured(const CodeFormat& format, std::span<const float> weights,
                                                           std::uint64_t rows, std::uint64_t cols,
                                                           std::span<const float> scale, std::span<std::byte> out,
                                                           const JobContext& job);
    /// For every group, row by row, the part of its range (in 160ths, 48 to 160) that leaves least of
    /// sum s_j^2 (w_j - q_j)^2, searched as solver 'clip-search' does. What a device chooses leaves at most 1e-4 more
    /// than what the CPU chooses: it sums in float and rounds scales from float products, so near ties may fall the
    /// other way. @param scale s [cols], or empty. @pre finite weights.
    [[nodiscard]] virtual Result<std::vector<std::uint8_t>> clipReaches(const GroupFormat& format,
                                                                        std::span<const float> weights,
                                                                        std::uint64_t rows, std::uint64_t cols,
                                                                        std::span<const float> scale,
                                                                        const JobContext& job);
    /// The sums alone, of codes that are there. Same tolerance.
    [[nodiscard]] virtual Result<ErrorSums> errorSums(const ResidualSource& source, std::span<const float> scale,
                                                      const JobContext& job);
    /// A whole tensor as floats, bit for bit as the CPU decodes it. @pre out.size() == view.elements().
    [[nodiscard]] virtual Status decode(const TensorView& view, std::span<float> out, const JobContext& job);
    /// codeCounts() of the tensor: exact.
    [[nodiscard]] virtual Result<CodeCounts> histogram(const TensorView& view, const JobContext& job);
    /// How many elements lie in [edges[i], edges[i+1]), i = 0…: entry 0 counts those below the first edge, entry
    /// edges.size() those from the last edge on, the entry after that NaN and infinities. Exact. -0 counts as 0.
    /// @pre edges ascending and finite, not empty.
    [[nodiscard]] virtual Result<std::vector<std::uint64_t>> binned(const TensorView& view,
                                                                    std::span<const float> edges,
                                                                    const JobContext& job);
    /// E = W - Q as an operand, formed element by element where it is needed and never stored. The backend must
    /// outlive it; it may be used by one thread at a time.
    [[nodiscard]] virtual Result<std::unique_ptr<MatrixProducts>> products(const ResidualSource& source,
                                                                           const JobContext& job);

    /// True if the device itself (not a fallback) has a kernel for it.
    [[nodiscard]] virtual bool supports(Op op, DType type) const = 0;
    /// Id of the device that runs, or would run, this op ("cpu", "vulkan:0"): a FallbackBackend answers for
    /// the one it falls back to. Results name it per tensor.
    [[nodiscard]] virtual std::string deviceFor(Op op, DType type) const = 0;
    /// Ops that ran somewhere else than asked, since construction: shown in the status bar.
    [[nodiscard]] virtual std::size_t fallbackCount() const { return 0; }
    /// Validation-layer messages so far; always empty on the CPU.
    [[nodiscard]] virtual std::vector<std::string> diagnostics() const { return {}; }
};

/// The reference: native kernels chosen at run time (AVX-512, AVX2 or portable).
[[nodiscard]] std::unique_ptr<ComputeBackend> makeCpuBackend();

/// Asks `first`; what it does not support, or fails with DeviceFailed or OutOfMemory, runs on `second`.
/// After a DeviceFailed it does not ask `first` again. JobContext::ran is told why.
[[nodiscard]] std::unique_ptr<ComputeBackend> makeFallbackBackend(std::unique_ptr<ComputeBackend> first,
                                                                  std::unique_ptr<ComputeBackend> second);

/// "avx512", "avx2" or "scalar": what the kernel tables use on this CPU. SIGMASCOPE_SIMD=scalar|avx2|avx512
/// in the environment lowers it (tests run the CLI at each level).
[[nodiscard]] std::string_view simdLevel();

}  // namespace sigmascope
