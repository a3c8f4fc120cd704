// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/export/TensorFile.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace sigmascope {

/// One tensor of a safetensors file to be written.
struct SafetensorsSpec {
    std::string name;
    DType dtype = DType::F32;   ///< Unknown: `word` is written as it is
    Shape shape{};
    std::string word{};         ///< type as the file shall name it, when dtype is Unknown
    Bytes bytes = 0;            ///< of an Unknown type; computed for all others
};

/// The __metadata__ of a file, in order.
using SafetensorsNotes = std::vector<std::pair<std::string, std::string>>;

/// Where everything of one safetensors file will stand. Written size == totalBytes, to the byte.
struct SafetensorsLayout {
    SafetensorsNotes notes;
    std::vector<SafetensorsSpec> tensors;
    std::vector<Bytes> offsets;    ///< relative to the data section; without holes
    std::string header;            ///< length word and JSON, padded with spaces to a multiple of 8
    Bytes totalBytes = 0;
};

/// NotRepresentable for names that are empty, given twice, not UTF-8 or "__metadata__", for types that safetensors lacks,
/// for no tensor at all and for a header over the format's 100 MB. Tensors are laid out in the order given; offsets are
/// aligned to the type where wider types come first.
[[nodiscard]] Result<SafetensorsLayout> layoutSafetensors(SafetensorsNotes notes, std::vector<SafetensorsSpec> tensors);

/// Streams tensors in layout order; verify() re-opens the file with our reader and compares names, types, shapes and a
/// checksum of every tensor.
class SafetensorsWriter {
public:
    [[nodiscard]] static Result<SafetensorsWriter> create(const std::filesystem::path& target, SafetensorsLayout layout,
                                                          const AtomicFileOptions& options,
                                                          FileSystem& system = FileSystem::real());
    /// F16 that was announced becomes BF16: values turned out not to fit. The header keeps its length.
    [[nodiscard]] Status makeBf16(std::size_t tensor);
    /// Reads back what was written. @pre every tensor is complete, else VerifyFailed.
    [[nodiscard]] Status verify(const JobContext& job = {});
    [[nodiscard]] const SafetensorsLayout& layout() const { return m_layout; }
    [[nodiscard]] TensorFile& tensors() { return m_tensors; }
    [[nodiscard]] const TensorFile& tensors() const { return m_tensors; }

private:
    SafetensorsWriter(SafetensorsLayout layout, TensorFile tensors) : m_layout(std::move(layout)), m_tensors(std::move(tensors)) {}
    [[nodiscard]] Status compareHeader() const;
    SafetensorsLayout m_layout;
    TensorFile m_tensors;
    bool m_isRetyped = false;
};

}  // namespace sigmascope
