// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to CBLAS and LAPACKE (the headers themselves are included in Blas.cpp only).
// All matrices row-major and dense. OpenBLAS runs one thread a call; products are cut into fixed tiles
// that do not depend on the thread count, so results have the same bits on 1 and 16 threads.

#include "core/base/Result.h"

#include <cstddef>
#include <span>
#include <string>

namespace sigmascope::blas {

enum class Transpose { No, Yes };

/// C = alpha op(A) op(B) + beta C, C is m x n, inner size k. Leading dimensions are row strides.
void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, float alpha, const float* a,
          std::size_t lda, const float* b, std::size_t ldb, float beta, float* c, std::size_t ldc);
void gemm(Transpose ta, Transpose tb, std::size_t m, std::size_t n, std::size_t k, double alpha, const double* a,
          std::size_t lda, const double* b, std::size_t ldb, double beta, double* c, std::size_t ldc);

/// Both triangles of G = A A^T, A is m x k.
void gram(std::size_t m, std::size_t k, const double* a, std::size_t lda, double* g, std::size_t ldg);

/// Eigenvalues ascending (and eigenvectors as columns of @p a when @p vectors) of a symmetric n x n matrix,
/// which is overwritten. NotConverged, or NonFinite when the input holds NaN or Inf.
[[nodiscard]] Status symmetricEigen(std::size_t n, double* a, std::size_t lda, std::span<double> values, bool vectors);

/// Thin Householder QR: the m x n panel (m >= n, row-major) is replaced by its orthonormal Q.
/// Columns that vanish become orthonormal fill, never NaN.
[[nodiscard]] Status orthonormalize(std::size_t m, std::size_t n, float* a, std::size_t lda);
[[nodiscard]] Status orthonormalize(std::size_t m, std::size_t n, double* a, std::size_t lda);

/// Singular values only, descending, by LAPACK's divide and conquer (gesdd 'N'); a is overwritten. For
/// benches and small exact checks.
[[nodiscard]] Status singularValues(std::size_t m, std::size_t n, float* a, std::size_t lda, std::span<float> values);
[[nodiscard]] Status singularValues(std::size_t m, std::size_t n, double* a, std::size_t lda, std::span<double> values);

/// OpenBLAS' name of the kernels in use, e.g. "SkylakeX". Part of what makes bytes reproducible.
[[nodiscard]] std::string kernelName();

/// The packaged OpenBLAS does not know newer CPUs and falls back to AVX2 kernels at half the speed. Its
/// choice can only be changed before it loads: when OPENBLAS_CORETYPE is unset and the CPU has AVX-512 but
/// the kernels chosen do not use it, sets the variable and re-executes this program once; also keeps
/// OpenBLAS to one thread. Call first thing in main(). Returns if nothing needs doing.
void correctKernelChoice(char** argv);

}  // namespace sigmascope::blas
