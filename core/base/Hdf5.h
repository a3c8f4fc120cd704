// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to HDF5. Files are built and read in memory: the library never sees a file's name, so there is no lock, no
// half-written file and no second place that opens files.

#include "core/base/Result.h"
#include "core/base/Units.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Builds one HDF5 file. Columns are one-dimensional, contiguous, little-endian; texts are UTF-8 of fixed length, filled up
/// with zeros. Same calls, same bytes. After a failure every later call fails too, with the first error. Any thread; calls
/// of all writers and readers wait for each other.
class Hdf5Writer {
public:
    Hdf5Writer();
    ~Hdf5Writer();
    Hdf5Writer(const Hdf5Writer&) = delete;
    Hdf5Writer& operator=(const Hdf5Writer&) = delete;

    /// @param path  "/plan"; its parent exists.
    void group(const std::string& path);
    void attribute(const std::string& group, const char* name, std::uint64_t value);
    /// Zeros are no part of a text.
    void attribute(const std::string& group, const char* name, std::string_view value);
    void column(const std::string& path, std::span<const double> values);
    void column(const std::string& path, std::span<const std::uint32_t> values);
    void column(const std::string& path, std::span<const std::uint8_t> values);
    void column(const std::string& path, std::span<const std::string> values);
    /// The file. WriteFailed, naming the object that could not be written.
    [[nodiscard]] Result<std::vector<std::byte>> finish();

private:
    struct State;
    std::unique_ptr<State> m_state;
};

/// Reads what Hdf5Writer writes. The bytes are hostile: types and layouts other than the writer's are refused before
/// anything is allocated, and no column can be larger than the file. Errors name the object; the caller adds the file.
class Hdf5Reader {
public:
    /// MalformedHeader if it is no HDF5 file. @param image  borrowed; must outlive the reader.
    [[nodiscard]] static Result<Hdf5Reader> open(std::span<const std::byte> image);
    Hdf5Reader(Hdf5Reader&&) noexcept;
    Hdf5Reader& operator=(Hdf5Reader&&) noexcept;
    ~Hdf5Reader();

    // MissingTensor if there is none of that name, MalformedHeader if it is of another kind.
    [[nodiscard]] Result<std::uint64_t> number(const std::string& group, const char* name) const;
    [[nodiscard]] Result<std::string> text(const std::string& group, const char* name) const;
    [[nodiscard]] Result<std::vector<double>> doubles(const std::string& path) const;
    [[nodiscard]] Result<std::vector<std::uint32_t>> numbers(const std::string& path) const;
    [[nodiscard]] Result<std::vector<std::uint8_t>> bytes(const std::string& path) const;
    [[nodiscard]] Result<std::vector<std::string>> texts(const std::string& path) const;

private:
    struct State;
    explicit Hdf5Reader(std::unique_ptr<State> state);
    std::unique_ptr<State> m_state;
};

}  // namespace sigmascope
