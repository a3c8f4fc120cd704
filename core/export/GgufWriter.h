// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/AtomicFile.h"
#include "core/base/Result.h"
#include "core/checkpoint/GgufMetadata.h"
#include "core/export/TensorFile.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sigmascope {

/// Key/values to be written, in order. Values are stored encoded, so the header's size is known at once.
class GgufKeys {
public:
    void set(std::string_view key, std::uint32_t value);
    void set(std::string_view key, std::uint16_t value);
    void set(std::string_view key, std::int32_t value);
    void set(std::string_view key, float value);
    void set(std::string_view key, bool value);
    void set(std::string_view key, std::string_view value);
    void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
    void set(std::string_view key, const std::vector<std::string>& values);
    void set(std::string_view key, std::span<const float> values);
    void set(std::string_view key, std::span<const std::int32_t> values);
    /// Byte for byte from a template.
    void copy(const GgufKey& key);
    /// All of @p others, behind these; a key of both keeps its place and takes the other's value.
    void append(const GgufKeys& others);
    void remove(std::string_view key);
    /// All keys that start with @p prefix.
    void removeAll(std::string_view prefix);
    [[nodiscard]] bool contains(std::string_view key) const;
    [[nodiscard]] std::size_t count() const { return m_entries.size(); }
    /// Of all entries as they stand in the file.
    [[nodiscard]] Bytes bytes() const;
    [[nodiscard]] const std::vector<std::byte>& encoded(std::size_t i) const { return m_entries[i].bytes; }

private:
    struct Entry {
        std::string key;
        std::vector<std::byte> bytes;  // key, type and value as in the file
    };
    void replace(std::string_view key, std::vector<std::byte> bytes);
    std::vector<Entry> m_entries;
};

struct GgufTensorSpec {
    std::string name;   ///< < 64 bytes, checked by layout()
    DType dtype = DType::F32;
    Shape shape;        ///< outermost first; written as ne reversed
    /// > 1: this is one of that many parts of one tensor, which they make by standing one after the other: all have its
    /// name and type and the shape of a part, which the tensor's own has the number of parts in front of.
    std::uint32_t parts = 1, part = 0;
};

/// Where everything of a GGUF file will stand. Written size == totalBytes, to the byte. Parts have rows of their own here.
struct GgufLayout {
    std::vector<std::byte> header;          ///< magic to padded start of data
    std::vector<GgufTensorSpec> tensors;
    std::vector<Bytes> offsets;             ///< relative to the data section, running padded sums
    std::vector<Bytes> sizes;
    std::vector<Bytes> typeOffsets;         ///< of each tensor's type in the header
    Bytes totalBytes = 0;
};

/// NotRepresentable for names of 64 bytes and more, more than 4 dimensions, types GGUF lacks, duplicates.
[[nodiscard]] Result<GgufLayout> layoutGguf(const GgufKeys& keys, std::vector<GgufTensorSpec> tensors);
/// Size alone, without building the header: O(tensors). @param moreKeys  encoded bytes of further keys.
[[nodiscard]] Bytes ggufHeaderBytes(const GgufKeys& keys, std::span<const GgufTensorSpec> tensors, Bytes moreKeys = 0);
/// Of a tensor's entry in the header; 0 for a part that is not the first.
[[nodiscard]] Bytes ggufInfoBytes(const GgufTensorSpec& tensor);
/// A tensor's size with the padding behind it.
[[nodiscard]] Bytes ggufPaddedBytes(Bytes size);
/// The same of a spec: padding stands behind the last part only. @pre its size is representable.
[[nodiscard]] Bytes ggufPaddedBytes(const GgufTensorSpec& tensor);

/// Streams tensors in layout order into an AtomicFile; finish() re-opens the temporary file with our reader and
/// compares names, types, shapes and a checksum of every tensor before it is renamed.
class GgufWriter {
public:
    [[nodiscard]] static Result<GgufWriter> create(const std::filesystem::path& target, GgufLayout layout,
                                                   const AtomicFileOptions& options,
                                                   FileSystem& system = FileSystem::real());
    [[nodiscard]] static Result<GgufWriter> create(const std::filesystem::path& target, GgufLayout layout, bool overwrite,
                                                   FileSystem& system = FileSystem::real());
    /// Bytes of the next tensor of the layout; may come in pieces, their sum must be its size.
    [[nodiscard]] Status append(std::span<const std::byte> bytes) { return m_tensors.append(bytes); }
    /// Another type of the same size for a tensor whose values turned out not to fit the one announced. @pre no part.
    [[nodiscard]] Status retype(std::size_t tensor, DType dtype);
    /// Re-reads what stands under the temporary name. @pre every tensor is complete, else VerifyFailed.
    [[nodiscard]] Status verify(const JobContext& job = {});
    /// verify() unless that is done, then the rename.
    [[nodiscard]] Status finish();
    [[nodiscard]] const GgufLayout& layout() const { return m_layout; }
    [[nodiscard]] TensorFile& tensors() { return m_tensors; }
    [[nodiscard]] const TensorFile& tensors() const { return m_tensors; }

private:
    GgufWriter(GgufLayout layout, TensorFile tensors) : m_layout(std::move(layout)), m_tensors(std::move(tensors)) {}
    [[nodiscard]] Status compareHeader() const;
    GgufLayout m_layout;
    TensorFile m_tensors;
    bool m_isVerified = false;
};

}  // namespace sigmascope
