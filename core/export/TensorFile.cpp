// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/TensorFile.h"

#include "core/base/Parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <mutex>
#include <utility>

namespace sigmascope {

Result<TensorFile> TensorFile::create(const std::filesystem::path& target, std::span<const std::byte> header,
                                      std::vector<FilePlace> places, Bytes total, const AtomicFileOptions& options,
                                      FileSystem& system)
{
    auto file = AtomicFile::create(target, total, options, system);
    if (!file)
        return passOn(std::move(file));
    TensorFile tensors;
    tensors.m_file = std::move(*file);
    tensors.m_places = std::move(places);
    tensors.m_checksums.resize(tensors.m_places.size());
    tensors.m_missing = tensors.m_places.size();
    tensors.m_total = total;
    Status begun = tensors.m_file->write(header);
    if (begun && (tensors.m_places.empty() ? total : tensors.m_places.front().begin) > header.size())
        begun = tensors.m_file->writeZeros((tensors.m_places.empty() ? total : tensors.m_places.front().begin) - header.size());
    if (begun)
        begun = tensors.closeFullTensors();  // the first ones may be empty
    if (!begun) {
        tensors.m_file->discard();
        return passOn(std::move(begun));
    }
    return tensors;
}

Bytes TensorFile::endOf(std::size_t tensor) const
{
    return tensor + 1 < m_places.size() ? m_places[tensor + 1].begin : m_total;
}

Status TensorFile::seek(std::size_t tensor)
{
    assert(tensor < m_places.size());
    m_next = tensor;
    m_inTensor = 0;
    m_running = {};
    m_file->moveTo(m_places[tensor].begin);
    return closeFullTensors();
}

Status TensorFile::append(std::span<const std::byte> bytes)
{
    if (bytes.empty())
        return {};
    const bool isBehind = m_next == m_places.size();
    if (isBehind || bytes.size() > m_places[m_next].size - m_inTensor)
        return fail(ErrorCode::VerifyFailed,
                    Where{m_file->target().string(), isBehind ? std::string{} : m_places[m_next].name, m_file->position()},
                    fmt::format("{} bytes come where {} are expected", bytes.size(),
                                isBehind ? 0 : m_places[m_next].size - m_inTensor));
    if (m_checksums[m_next]) {  // written anew: what stood there counts no more
        m_checksums[m_next].reset();
        ++m_missing;
    }
    if (auto written = m_file->write(bytes); !written)
        return written;
    m_running.add(bytes);
    m_inTensor += bytes.size();
    return closeFullTensors();
}

Status TensorFile::advance(std::uint64_t checksum)
{
    if (auto padded = m_file->writeZeros(endOf(m_next) - m_file->position()); !padded)
        return padded;
    m_missing -= m_checksums[m_next] ? 0 : 1;
    m_checksums[m_next] = checksum;
    m_running = {};
    m_inTensor = 0;
    ++m_next;
    return {};
}

Status TensorFile::closeFullTensors()
{
    while (m_next < m_places.size() && m_inTensor == m_places[m_next].size) {
        if (auto moved = advance(m_running.value()); !moved)
            return moved;
    }
    return {};
}

Status TensorFile::takeUp(std::uint64_t checksum, const JobContext& job)
{
    assert(m_next < m_places.size() && m_inTensor == 0);
    const FilePlace& place = m_places[m_next];
    const auto found = m_file->checksum(place.begin, place.begin + place.size, job);
    if (!found)
        return passOn(found);
    if (*found != checksum)
        return fail(ErrorCode::VerifyFailed, Where{m_file->target().string(), place.name, place.begin},
                    "what an earlier run wrote is not what its journal says");
    m_file->skip(place.size);
    if (auto moved = advance(checksum); !moved)
        return moved;
    return closeFullTensors();
}

Status TensorFile::compareWithWritten(const JobContext& job) const
{
    if (!isFull()) {
        const auto missing = static_cast<std::size_t>(std::ranges::find_if(m_checksums, [](const auto& sum) { return !sum; }) - m_checksums.begin());
        const Bytes come = missing == m_next ? m_inTensor : 0;
        return fail(ErrorCode::VerifyFailed,
                    Where{m_file->target().string(), m_places[missing].name, m_places[missing].begin + come},
                    come == 0 ? std::string("was never written")
                              : fmt::format("ends after {} of {} bytes", come, m_places[missing].size));
    }
    std::vector<Status> found(m_places.size());
    std::atomic<std::size_t> firstBad = m_places.size();  // what lies behind it need not be read
    std::mutex mutex;
    Bytes done = 0;
    parallelFor(m_places.size(), [&](std::size_t i) {
        if (i > firstBad || job.cancelled())
            return;
        found[i] = compareTensor(i, job.stop);
        if (!found[i]) {
            for (std::size_t bad = firstBad; i < bad && !firstBad.compare_exchange_weak(bad, i);) {}
            return;
        }
        const std::scoped_lock lock(mutex);  // so that progress never goes back
        done += m_places[i].size;
        job.report(static_cast<double>(done) / static_cast<double>(std::max<Bytes>(1, m_total)), m_places[i].name);
    });
    if (job.cancelled())
        return cancelledError();
    return firstBad < found.size() ? found[firstBad] : Status();
}

Status TensorFile::compareTensor(std::size_t tensor, const std::stop_token& stop) const
{
    const FilePlace& place = m_places[tensor];
    const auto read = m_file->checksum(place.begin, place.begin + place.size, {.stop = stop});
    if (!read)
        return passOn(read);
    if (*read != *m_checksums[tensor])
        return fail(ErrorCode::VerifyFailed, Where{m_file->target().string(), place.name, place.begin},
                    "the bytes read back are not those that were written");
    return {};
}

}  // namespace sigmascope
