// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/Blas.h"

#include "core/base/Parallel.h"

#include <cblas.h>
#include <lapacke.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

namespace sigmascope::blas {

namespace {

/// Set by correctKernelChoice() before it re-executes the program, so that it never does so twice.
constexpr const char* kCorrectedMark = "SIGMASCOPE_KERNELS_CORRECTED";

/// Tiles of C. Fixed by the shape alone: the thread count must not decide where a sum is cut. Small results
/// (panel against panel) take finer tiles, or there would be one for all threads.
constexpr std::size_t kTileRows = 256;
constexpr std::size_t kTileCols = 512;
constexpr std::size_t kSmallSide = 512;
constexpr std::size_t kSmallTile = 64;

/// The library's own threads would cut sums by their number; ours are on top of it.
void oneThreadPerCall()
{
    static const bool done = [] {
        openblas_set_num_threads(1);
        return true;
    }();
    static_cast<void>(done);
}

/// What the packaged OpenBLAS takes for each call that runs beside others, and then keeps.
constexpr std::size_t kCallBuffer = (std::size_t{128} << 20) + (std::size_t{1} << 16);
/// What other threads may take between the question and the library's own: two heaps of their allocator.
constexpr std::size_t kBesides = std::size_t{256} << 20;

/// A call of the library. Where there is no memory for its buffer the library asks for it again and again, for ever. So more
/// calls than ever before run at once only if there is room for the buffers of all of them; otherwise they wait for each
/// other, and where there is none for one: std::bad_alloc.
class LibraryCall {
public:
    LibraryCall()
    {
        oneThreadPerCall();
        std::unique_lock lock(s_mutex);
        while (s_running == s_most && !isRoomForOneMore()) {
            if (s_running == 0)
                throw std::bad_alloc();
            s_ended.wait(lock);
        }
        s_most = std::max(s_most, ++s_running);
    }
    ~LibraryCall()
    {
        {
            const std::scoped_lock lock(s_mutex);
            --s_running;
        }
        s_ended.notify_one();
    }
    LibraryCall(const LibraryCall&) = delete;
    LibraryCall& operator=(const LibraryCall&) = delete;

private:
    /// Beside those that run, whose buffers may not be taken yet.
    [[nodiscard]] static bool isRoomForOneMore()
    {
        const std::size_t size = kBesides + (s_running + 1) * kCallBuffer;
        void* const room = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED)
            return false;
        munmap(room, size);
        return true;
    }

    static inline std::mutex s_mutex;
    static inline std::condition_variable s_ended;
    static inline std::size_t s_running = 0;
    static inline std::size_t s_most = 0;
};

/// Threads that the library starts as it loads, and that nobody uses here, would each ask for a buffer for ever.
bool memoryIsLimited()
{
    rlimit limit{};
    return std::getenv("OPENBLAS_NUM_THREADS") == nullptr && getrlimit(RLIMIT_AS, &limit) == 0
        && limit.rlim_cur != RLIM_INFINITY;
}

int toInt(std::size_t value)
{
    assert(value <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
    return static_cast<int>(value);
}

CBLAS_TRANSPOSE cblasTranspose(Transpose t)
{
    return t == Transpose::Yes ? CblasTrans : CblasNoTrans;
}

void tileProduct(Transpose ta, Transpose tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                 int ldb, float beta, float* c, int ldc)
{
    cblas_sgemm(CblasRowMajor, cblasTranspose(ta), cblasTranspose(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void tileProduct(Transpose ta, Transpose tb, int m, int n, int k, double alpha, const double* a, int lda,
                 const double* b, int ldb, double beta, double* c, int ldc)
{
    cblas_dgemm(CblasRowMajor, cblasTranspose(ta), cblasTranspose(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

template <class Real>
void tiledProduct(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, Real alpha, const Real* a,
                  std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c, std::size_t ldc,
                  const std::stop_token& stop)
{
    if (m == 0 || n == 0)
        return;
    const std::size_t tileRows = m <= kSmallSide ? kSmallTile : kTileRows;
    const std::size_t tileCols = n <= kSmallSide ? kSmallTile : kTileCols;
    const std::size_t down = (m + tileRows - 1) / tileRows;
    const std::size_t across = (n + tileCols - 1) / tileCols;
    parallelFor(down * across, [&](std::size_t tile) {
        if (stop.stop_requested())
            return;
        const LibraryCall call;
        const std::size_t row = tile / across * tileRows;
        const std::size_t col = tile % across * tileCols;
        const Real* aTile = ta == Transpose::No ? a + row * lda : a + row;
        const Real* bTile = tb == Transpose::No ? b + col : b + col * ldb;
        tileProduct(ta, tb, toInt(std::min(tileRows, m - row)), toInt(std::min(tileCols, n - col)), toInt(k), alpha,
                    aTile, toInt(lda), bTile, toInt(ldb), beta, c + row * ldc + col, toInt(ldc));
    });
}

/// LAPACK loops for ever, or crashes, on NaN in some drivers: nothing non-finite may reach it.
template <class Real>
bool allFinite(std::size_t rows, std::size_t cols, const Real* a, std::size_t lda)
{
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < cols; ++j)
            if (!std::isfinite(a[i * lda + j]))
                return false;
    return true;
}

tl::unexpected<Error> notFinite(std::string_view what, std::size_t rows, std::size_t cols)
{
    return fail(ErrorCode::NonFinite,
                fmt::format("{} of a {} x {} matrix that holds NaN or infinity", what, rows, cols));
}

tl::unexpected<Error> notConverged(std::string_view routine, std::size_t rows, std::size_t cols, int info)
{
    return fail(ErrorCode::NotConverged,
                fmt::format("{} of a {} x {} matrix did not converge (info {})", routine, rows, cols, info));
}

/// Square, in place, by blocks that stay in cache.
void transposeInPlace(std::size_t n, double* a, std::size_t lda)
{
    constexpr std::size_t kBlock = 32;
    for (std::size_t i0 = 0; i0 < n; i0 += kBlock)
        for (std::size_t j0 = i0; j0 < n; j0 += kBlock)
            for (std::size_t i = i0; i < std::min(n, i0 + kBlock); ++i)
                for (std::size_t j = std::max(j0, i + 1); j < std::min(n, j0 + kBlock); ++j)
                    std::swap(a[i * lda + j], a[j * lda + i]);
}

int geqrf(int m, int n, float* a, int lda, float* tau, float* work, int size)
{
    return LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, m, n, a, lda, tau, work, size);
}
int geqrf(int m, int n, double* a, int lda, double* tau, double* work, int size)
{
    return LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, m, n, a, lda, tau, work, size);
}
int orgqr(int m, int n, float* a, int lda, const float* tau, float* work, int size)
{
    return LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, m, n, n, a, lda, tau, work, size);
}
int orgqr(int m, int n, double* a, int lda, const double* tau, double* work, int size)
{
    return LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, m, n, n, a, lda, tau, work, size);
}

/// The rows of a row-major panel are the columns of LAPACK's, so nothing is copied. Householder vectors are
/// orthonormal whatever the panel's rank: a vanished column yields fill, not 0 / 0.
template <class Real>
Status orthonormalRows(std::size_t n, std::size_t m, Real* a, std::size_t lda, std::span<Real> r)
{
    assert(n <= m && (r.empty() || r.size() == n * n));
    if (n == 0)
        return {};
    if (!allFinite(n, m, a, lda))
        return notFinite("QR", m, n);
    const LibraryCall call;
    std::vector<Real> tau(n);
    Real forQr = 0;
    Real forQ = 0;
    geqrf(toInt(m), toInt(n), a, toInt(lda), tau.data(), &forQr, -1);
    orgqr(toInt(m), toInt(n), a, toInt(lda), tau.data(), &forQ, -1);
    std::vector<Real> work(static_cast<std::size_t>(std::max({forQr, forQ, Real(1)})));
    if (const int info = geqrf(toInt(m), toInt(n), a, toInt(lda), tau.data(), work.data(), toInt(work.size()));
        info != 0)
        return notConverged("geqrf", m, n, info);
    for (std::size_t i = 0; i < n && !r.empty(); ++i)
        for (std::size_t j = 0; j < n; ++j)
            r[i * n + j] = j < i ? Real(0) : a[j * lda + i];
    if (const int info = orgqr(toInt(m), toInt(n), a, toInt(lda), tau.data(), work.data(), toInt(work.size()));
        info != 0)
        return notConverged("orgqr", m, n, info);
    return {};
}

template <class Real>
Status orthonormalColumns(std::size_t m, std::size_t n, Real* a, std::size_t lda)
{
    assert(n <= m);
    std::vector<Real> turned(m * n);
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
            turned[j * m + i] = a[i * lda + j];
    if (Status done = orthonormalRows<Real>(n, m, turned.data(), m, {}); !done)
        return done;
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
            a[i * lda + j] = turned[j * m + i];
    return {};
}

int gesdd(int m, int n, float* a, int lda, float* s, float* work, int size, int* iwork)
{
    return LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, 'N', m, n, a, lda, s, nullptr, 1, nullptr, 1, work, size, iwork);
}
int gesdd(int m, int n, double* a, int lda, double* s, double* work, int size, int* iwork)
{
    return LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'N', m, n, a, lda, s, nullptr, 1, nullptr, 1, work, size, iwork);
}

template <class Real>
Status valuesOnly(std::size_t m, std::size_t n, Real* a, std::size_t lda, std::span<Real> values, int libraryThreads)
{
    const std::size_t side = std::min(m, n);
    assert(values.size() == side);
    if (side == 0)
        return {};
    if (!allFinite(m, n, a, lda))
        return notFinite("singular values", m, n);
    const LibraryCall call;
    // The transpose has the same values, and is what LAPACK sees in row-major storage.
    std::vector<int> iwork(8 * side);
    Real query = 0;
    gesdd(toInt(n), toInt(m), a, toInt(lda), values.data(), &query, -1, iwork.data());
    // Work sizes come back as Real: a float holds 24 bits, so one ulp more covers a size rounded down.
    const Real size = std::nextafter(query, std::numeric_limits<Real>::max());
    std::vector<Real> work(static_cast<std::size_t>(std::ceil(std::max(size, Real(1)))));
    openblas_set_num_threads(std::max(1, libraryThreads));
    const int info
        = gesdd(toInt(n), toInt(m), a, toInt(lda), values.data(), work.data(), toInt(work.size()), iwork.data());
    openblas_set_num_threads(1);
    if (info != 0)
        return notConverged("gesdd", m, n, info);
    return {};
}

}  // namespace

void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha, const float* a,
          std::size_t lda, const float* b, std::size_t ldb, float beta, float* c, std::size_t ldc,
          const std::stop_token& stop)
{
    tiledProduct(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, stop);
}

void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, double alpha, const double* a,
          std::size_t lda, const double* b, std::size_t ldb, double beta, double* c, std::size_t ldc,
          const std::stop_token& stop)
{
    tiledProduct(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, stop);
}

void gram(std::size_t m, std::size_t k, const double* a, std::size_t lda, double* g, std::size_t ldg)
{
    const std::size_t tile = m <= kSmallSide ? kSmallTile : kTileRows;
    const std::size_t side = (m + tile - 1) / tile;
    parallelFor(side * side, [&](std::size_t index) {
        const std::size_t i = index / side * tile;
        const std::size_t j = index % side * tile;
        if (j > i)
            return;
        const LibraryCall call;
        const std::size_t rows = std::min(tile, m - i);
        const std::size_t cols = std::min(tile, m - j);
        double* lower = g + i * ldg + j;
        if (i == j)
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, toInt(rows), toInt(k), 1.0, a + i * lda, toInt(lda),
                        0.0, lower, toInt(ldg));
        else
            tileProduct(Transpose::No, Transpose::Yes, toInt(rows), toInt(cols), toInt(k), 1.0, a + i * lda, toInt(lda),
                        a + j * lda, toInt(lda), 0.0, lower, toInt(ldg));
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < (i == j ? r : cols); ++c)
                g[(j + c) * ldg + i + r] = lower[r * ldg + c];
    });
}

Status symmetricEigen(std::size_t n, double* a, std::size_t lda, std::span<double> values, bool vectors)
{
    assert(values.size() == n);
    if (n == 0)
        return {};
    if (!allFinite(n, n, a, lda))
        return notFinite("eigenvalues", n, n);
    const LibraryCall call;
    const char job = vectors ? 'V' : 'N';
    double workQuery = 0;
    int iworkQuery = 0;
    LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'U', toInt(n), a, toInt(lda), values.data(), &workQuery, -1, &iworkQuery,
                        -1);
    std::vector<double> work(static_cast<std::size_t>(std::max(workQuery, 1.0)));
    std::vector<int> iwork(static_cast<std::size_t>(std::max(iworkQuery, 1)));
    // LAPACK's upper triangle, by columns, is the lower one of row-major storage.
    const int info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'U', toInt(n), a, toInt(lda), values.data(),
                                         work.data(), toInt(work.size()), iwork.data(), toInt(iwork.size()));
    if (info != 0)
        return notConverged("syevd", n, n, info);
    if (vectors)
        transposeInPlace(n, a, lda);
    return {};
}

Status orthonormalize(std::size_t m, std::size_t n, float* a, std::size_t lda)
{
    return orthonormalColumns(m, n, a, lda);
}

Status orthonormalize(std::size_t m, std::size_t n, double* a, std::size_t lda)
{
    return orthonormalColumns(m, n, a, lda);
}

Status orthonormalizeRows(std::size_t n, std::size_t m, float* a, std::size_t lda, std::span<float> r)
{
    return orthonormalRows(n, m, a, lda, r);
}

Status orthonormalizeRows(std::size_t n, std::size_t m, double* a, std::size_t lda, std::span<double> r)
{
    return orthonormalRows(n, m, a, lda, r);
}

Status singularValues(std::size_t m, std::size_t n, float* a, std::size_t lda, std::span<float> values,
                      int libraryThreads)
{
    return valuesOnly(m, n, a, lda, values, libraryThreads);
}

Status singularValues(std::size_t m, std::size_t n, double* a, std::size_t lda, std::span<double> values,
                      int libraryThreads)
{
    return valuesOnly(m, n, a, lda, values, libraryThreads);
}

std::string kernelName()
{
    const char* name = openblas_get_corename();
    return name == nullptr ? std::string() : std::string(name);
}

std::string betterCoreType(std::string_view chosen, bool cpuHasAvx512, bool cpuHasAvx512Bf16)
{
    const bool usesAvx512 = chosen == "SkylakeX" || chosen == "Cooperlake" || chosen == "SapphireRapids";
    if (!cpuHasAvx512 || usesAvx512)
        return {};
    return cpuHasAvx512Bf16 ? "COOPERLAKE" : "SKYLAKEX";
}

void correctKernelChoice(char** argv)
{
    oneThreadPerCall();
    if (std::getenv(kCorrectedMark) != nullptr)
        return;
    std::string better;
#if defined(__x86_64__)
    if (std::getenv("OPENBLAS_CORETYPE") == nullptr) {
        const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
        better = betterCoreType(kernelName(), avx512, __builtin_cpu_supports("avx512bf16") != 0);
    }
#endif
    if (better.empty() && !memoryIsLimited())
        return;
    if (!better.empty())
        setenv("OPENBLAS_CORETYPE", better.c_str(), 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    setenv(kCorrectedMark, "1", 1);
    execv("/proc/self/exe", argv);
    // Not possible here (no /proc, say): slower kernels are no reason to stop.
    if (!better.empty())
        unsetenv("OPENBLAS_CORETYPE");
}

}  // namespace sigmascope::blas
