// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/KrylovBasis.h"

#include "core/base/Random.h"
#include "core/lowrank/Decompositions.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

namespace {

/// Products are scaled to ||A S||_F ~ 1, so H has trace ~ 1 and rounds at about 1e-7: a direction smaller than
/// this is noise, not something H has told.
constexpr float kNoise = 1e-6F;
/// Re-orthogonalisation has done its work once no vector shrinks below this ("twice is enough", Kahan, Parlett).
constexpr float kKeptLength = 0.5F;
constexpr int kMaxRounds = 5;

std::span<float> span(MatrixF& matrix)
{
    return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}

}  // namespace

Result<KrylovBasis> KrylovBasis::start(SideProducts& products, std::size_t block, std::uint64_t seed)
{
    assert(block >= 1 && block <= products.shortSide());
    // Drawn on the long side and sent through A once: the noise of small directions is damped from the start.
    MatrixF draw(static_cast<Eigen::Index>(block), static_cast<Eigen::Index>(products.longSide()));
    fillNormal(seed, span(draw));
    auto panel = products.toShort(draw);
    if (!panel)
        return passOn(panel);
    auto first = orthonormalRows(std::move(*panel), false, products.job());
    if (!first)
        return passOn(first);
    return from(products, std::move(first->rows));
}

Result<KrylovBasis> KrylovBasis::from(SideProducts& products, MatrixF panel)
{
    KrylovBasis basis(products);
    if (Status done = basis.append(std::move(panel)); !done)
        return passOn(done);
    return basis;
}

bool KrylovBasis::spansAll() const
{
    return m_size >= m_products->shortSide();
}

Status KrylovBasis::append(MatrixF panel)
{
    auto image = m_products->toLong(panel);
    if (!image)
        return passOn(image);
    const auto added = static_cast<std::size_t>(panel.rows());
    m_basis.insert(m_basis.end(), panel.data(), panel.data() + panel.size());
    m_images.insert(m_images.end(), image->data(), image->data() + image->size());
    m_lastImage = std::move(*image);
    m_size += added;
    const auto columns = m_products->imageGram(m_images, m_lastImage);
    if (!columns)
        return passOn(columns);
    const auto size = static_cast<Eigen::Index>(m_size);
    const auto width = static_cast<Eigen::Index>(added);
    m_gram.conservativeResize(size, size);
    m_gram.rightCols(width) = *columns;
    m_gram.bottomRows(width) = columns->transpose();
    m_next.resize(0, 0);
    return {};
}

void KrylovBasis::projectOut(MatrixF& panel) const
{
    const auto vectors = static_cast<std::size_t>(panel.rows());
    const std::size_t side = m_products->shortSide();
    MatrixF along(panel.rows(), static_cast<Eigen::Index>(m_size));
    const std::stop_token& stop = m_products->job().stop;
    blas::gemm(blas::Transpose::No, blas::Transpose::Yes, vectors, m_size, side, 1.0F, panel.data(), side,
               m_basis.data(), side, 0.0F, along.data(), m_size, stop);
    blas::gemm(blas::Transpose::No, blas::Transpose::No, vectors, side, m_size, -1.0F, along.data(), m_size,
               m_basis.data(), side, 1.0F, panel.data(), side, stop);
}

Status KrylovBasis::prepareNext()
{
    if (m_next.size() != 0 || spansAll())
        return {};
    auto product = m_products->toShort(m_lastImage);
    if (!product)
        return passOn(product);
    MatrixF panel = std::move(*product);
    const std::size_t side = m_products->shortSide();
    MatrixF triangle;
    for (int round = 0; round < kMaxRounds; ++round) {
        projectOut(panel);
        const auto width = static_cast<std::size_t>(panel.rows());
        auto orthonormal = orthonormalRows(std::move(panel), true, m_products->job());
        if (!orthonormal)
            return passOn(orthonormal);
        panel = std::move(orthonormal->rows);
        triangle = std::move(orthonormal->triangle);
        if (round > 0) {
            if (triangle.diagonal().cwiseAbs().minCoeff() > kKeptLength)
                break;
            continue;
        }
        m_coupling = triangle;
        // What H no longer tells is drawn afresh: an invariant space must not end the search for the rest.
        for (Eigen::Index i = 0; i < panel.rows(); ++i)
            if (std::abs(triangle(i, i)) < kNoise)
                fillNormal(m_size + static_cast<std::size_t>(i), std::span<float>(panel.row(i).data(), side),
                           1.0 / std::sqrt(static_cast<double>(side)));
        // The block that fills up the space is narrower.
        if (width > side - m_size)
            panel.conservativeResize(static_cast<Eigen::Index>(side - m_size), Eigen::NoChange);
    }
    m_next = std::move(panel);
    return {};
}

Status KrylovBasis::extend()
{
    if (Status done = prepareNext(); !done)
        return done;
    return m_next.size() == 0 ? Status() : append(std::move(m_next));
}

Result<RitzPairs> KrylovBasis::pairsOf(std::size_t count, MatrixD& leading) const
{
    assert(count <= m_size);
    const auto eigen = symmetricEigen(m_gram, true, m_products->job());
    if (!eigen)
        return passOn(eigen);
    const auto wanted = static_cast<Eigen::Index>(count);
    leading = eigen->vectors.rightCols(wanted).rowwise().reverse().transpose();
    const MatrixF coefficients = leading.cast<float>();
    RitzPairs pairs;
    pairs.squares.assign(eigen->values.rbegin(), eigen->values.rbegin() + wanted);
    const std::size_t side = m_products->shortSide();
    pairs.vectors.resize(wanted, static_cast<Eigen::Index>(side));
    blas::gemm(blas::Transpose::No, blas::Transpose::No, count, side, m_size, 1.0F, coefficients.data(), m_size,
               m_basis.data(), side, 0.0F, pairs.vectors.data(), side, m_products->job().stop);
    if (m_products->job().cancelled())
        return cancelledError();
    pairs.residuals.assign(count, 0.0);
    return pairs;
}

Result<RitzPairs> KrylovBasis::ritzWithoutResiduals(std::size_t count) const
{
    MatrixD leading;
    return pairsOf(count, leading);
}

Result<RitzPairs> KrylovBasis::ritz(std::size_t count)
{
    if (Status done = prepareNext(); !done)
        return passOn(done);
    MatrixD leading;
    auto pairs = pairsOf(count, leading);
    if (!pairs || spansAll())
        return pairs;
    // H u = theta u + next^T R y_last: only the newest block leads out of the basis.
    const Eigen::Index last = m_coupling.rows();
    const MatrixD coupling = m_coupling.cast<double>();
    for (std::size_t i = 0; i < count; ++i)
        pairs->residuals[i] = (coupling * leading.row(static_cast<Eigen::Index>(i)).tail(last).transpose()).norm();
    return pairs;
}

MatrixF KrylovBasis::newestBlock() const
{
    const auto side = static_cast<Eigen::Index>(m_products->shortSide());
    const Eigen::Index block = m_lastImage.rows();
    return ConstMatrixMapF(m_basis.data() + (static_cast<Eigen::Index>(m_size) - block) * side, block, side);
}

Result<std::vector<double>> KrylovBasis::ritzValues() const
{
    auto eigen = symmetricEigen(m_gram, false, m_products->job());
    if (!eigen)
        return passOn(eigen);
    std::reverse(eigen->values.begin(), eigen->values.end());
    return std::move(eigen->values);
}

Result<MeasuredPairs> measure(SideProducts& products, const MatrixF& vectors)
{
    const auto image = products.toLong(vectors);
    if (!image)
        return passOn(image);
    const auto back = products.toShort(*image);
    if (!back)
        return passOn(back);
    MeasuredPairs pairs;
    for (Eigen::Index i = 0; i < vectors.rows(); ++i) {
        const VectorD u = vectors.row(i).cast<double>().transpose();
        const double length = u.squaredNorm();
        const double theta = image->row(i).cast<double>().squaredNorm() / length;
        const VectorD left = back->row(i).cast<double>().transpose() - theta * u;
        pairs.squares.push_back(theta);
        pairs.residuals.push_back(left.norm() / std::sqrt(length));
    }
    return pairs;
}

}  // namespace sigmascope
