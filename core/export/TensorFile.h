// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/AtomicFile.h"
#include "core/base/Checksum.h"
#include "core/base/Job.h"
#include "core/base/Result.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// Where one tensor stands in a file. Places follow one another; what lies between two is zero.
struct FilePlace {
    std::string name;
    Bytes begin = 0;
    Bytes size = 0;
};

/// One output file: a header, then tensors at places fixed beforehand, streamed one after the other in the file's order
/// or in any other. What every format's writer shares: checksums per tensor, taking up tensors that stand there since an
/// earlier run, leaving places open, and reading everything back.
class TensorFile {
public:
    /// Opens the file and writes @p header at its start. @p total is its whole size. Errors as AtomicFile::create().
    [[nodiscard]] static Result<TensorFile> create(const std::filesystem::path& target, std::span<const std::byte> header,
                                                   std::vector<FilePlace> places, Bytes total,
                                                   const AtomicFileOptions& options,
                                                   FileSystem& system = FileSystem::real());

    /// The tensor that comes next; one that has come, or begun to, is written anew. Without it the next one is that
    /// behind the last.
    [[nodiscard]] Status seek(std::size_t tensor);
    /// Bytes of the next tensor; may come in pieces, their sum must be its size.
    [[nodiscard]] Status append(std::span<const std::byte> bytes);
    /// The next tensor stands there already, with this checksum. VerifyFailed if it does not: nothing has moved then.
    /// @pre no part of it was appended.
    [[nodiscard]] Status takeUp(std::uint64_t checksum, const JobContext& job);
    /// Replaces bytes of the header.
    [[nodiscard]] Status rewrite(Bytes offset, std::span<const std::byte> bytes) { return m_file->rewrite(offset, bytes); }

    /// Index of the tensor that comes next; the number of tensors behind the last.
    [[nodiscard]] std::size_t next() const { return m_next; }
    /// Every tensor has come.
    [[nodiscard]] bool isFull() const { return m_missing == 0; }
    [[nodiscard]] std::span<const FilePlace> places() const { return m_places; }
    /// Of a tensor that has come.
    [[nodiscard]] std::optional<std::uint64_t> checksum(std::size_t tensor) const { return m_checksums[tensor]; }
    /// Reads all tensors back, several at a time, and compares. VerifyFailed, naming the first that differs; Cancelled.
    [[nodiscard]] Status compareWithWritten(const JobContext& job) const;
    [[nodiscard]] AtomicFile& file() { return *m_file; }
    [[nodiscard]] const AtomicFile& file() const { return *m_file; }

private:
    TensorFile() = default;
    [[nodiscard]] Status closeFullTensors();
    [[nodiscard]] Status advance(std::uint64_t checksum);
    [[nodiscard]] Status compareTensor(std::size_t tensor, const std::stop_token& stop) const;
    [[nodiscard]] Bytes endOf(std::size_t tensor) const;

    std::unique_ptr<AtomicFile> m_file;
    std::vector<FilePlace> m_places;
    std::vector<std::optional<std::uint64_t>> m_checksums;  // of the tensors that have come
    std::size_t m_missing = 0;                              // tensors that have not
    Bytes m_total = 0;
    std::size_t m_next = 0;
    Bytes m_inTensor = 0;
    Checksum m_running;  // of the tensor being written
};

}  // namespace sigmascope
