// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to CBLAS and LAPACKE (the headers themselves are included in Blas.cpp only).
// All matrices row-major and dense. OpenBLAS runs one thread a call; products are cut into fixed tiles
// that do not depend on the thread count, so results have the same bits on 1 and 16 threads.
// Where the library finds no memory for its buffers every function throws std::bad_alloc, as the rest of the core does.

#include "core/base/Result.h"

#include <cstddef>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace sigmascope::blas {

enum class Transpose { No, Yes };

/// C = alpha op(A) op(B) + beta C, C is m x n, inner size k. Leading dimensions are row strides.
/// @param stop  once requested, tiles that have not begun are left out, and C is worth nothing.
void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha, const float* a,
          std::size_t lda, const float* b, std::size_t ldb, float beta, float* c, std::size_t ldc,
          const std::stop_token& stop = {});
void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, double alpha, const double* a,
          std::size_t lda, const double* b, std::size_t ldb, double beta, double* c, std::size_t ldc,
          const std::stop_token& stop = {});

/// Both triangles of G = A A^T, A is m x k.
void gram(std::size_t m, std::size_t k, const double* a, std::size_t lda, double* g, std::size_t ldg);

/// Eigenvalues ascending (and eigenvectors as columns of @p a when @p vectors) of a symmetric n x n matrix,
/// which is overwritten. NotConverged, or NonFinite when the input holds NaN or Inf.
[[nodiscard]] Status symmetricEigen(std::size_t n, double* a, std::size_t lda, std::span<double> values, bool vectors);

/// Thin Householder QR: the m x n panel (m >= n, row-major) is replaced by its orthonormal Q.
/// Columns that vanish become orthonormal fill, never NaN.
[[nodiscard]] Status orthonormalize(std::size_t m, std::size_t n, float* a, std::size_t lda);
[[nodiscard]] Status orthonormalize(std::size_t m, std::size_t n, double* a, std::size_t lda);
/// The same for a panel kept transposed, which needs no copy: the n rows of length m become orthonormal.
/// When @p r is not empty it receives the n x n upper triangle R of A^T = Q R, row-major.
[[nodiscard]] Status orthonormalizeRows(std::size_t n, std::size_t m, float* a, std::size_t lda,
                                        std::span<float> r = {});
[[nodiscard]] Status orthonormalizeRows(std::size_t n, std::size_t m, double* a, std::size_t lda,
                                        std::span<double> r = {});

/// Singular values only, descending, by LAPACK's divide and conquer (gesdd 'N'); a is overwritten. For
/// benches and small exact checks. @param libraryThreads is for a bench's peer, which may use them all.
[[nodiscard]] Status singularValues(std::size_t m, std::size_t n, float* a, std::size_t lda, std::span<float> values,
                                    int libraryThreads = 1);
[[nodiscard]] Status singularValues(std::size_t m, std::size_t n, double* a, std::size_t lda, std::span<double> values,
                                    int libraryThreads = 1);

/// OpenBLAS' name of the kernels in use, e.g. "SkylakeX". Part of what makes bytes reproducible.
[[nodiscard]] std::string kernelName();

/// What OPENBLAS_CORETYPE should be when the library has chosen the kernels called @p chosen on such a CPU; empty
/// when the choice is good. The packaged library tells CPUs apart by model number and takes AVX2 kernels for
/// every model younger than itself.
[[nodiscard]] std::string betterCoreType(std::string_view chosen, bool cpuHasAvx512, bool cpuHasAvx512Bf16);

/// The packaged OpenBLAS does not know newer CPUs and falls back to AVX2 kernels at half the speed. Its
/// choice can only be changed before it loads: when OPENBLAS_CORETYPE is unset and the CPU has AVX-512 but
/// the kernels chosen do not use it, sets the variable and re-executes this program once; also keeps
/// OpenBLAS to one thread, for which alone it does so under a limit of address space: the library's other threads would
/// spin for memory they cannot get. Call first thing in main(). Returns if nothing needs doing.
void correctKernelChoice(char** argv);

}  // namespace sigmascope::blas
