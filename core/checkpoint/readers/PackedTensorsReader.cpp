// SPDX-License-Identifier: GPL-3.0-or-later
// Quantized safetensors checkpoints: a weight that is stored as several tensors is listed as one.
#include "core/checkpoint/layouts/PackedFold.h"
#include "core/checkpoint/readers/CheckpointBuilder.h"

#include <algorithm>
#include <array>

namespace sigmascope {

namespace {

/// As it is listed: decoded values of F32, and all bytes that are stored for them.
TensorInfo packedInfo(const PackedMatrix& matrix)
{
    const LayoutPart& codes = matrix.parts.front();
    return {.name = matrix.name,
            .shape = matrix.shape.empty() ? Shape{matrix.rows, matrix.cols} : matrix.shape,
            .unknownDtype = matrix.format,
            .offset = codes.offset,
            .bytes = matrix.bytes(),
            .shard = codes.shard,
            .dtype = DType::F32};
}

/// Where the quantization was told of before it was in config.json.
struct OlderFile {
    const char* name;
    const char* method;
    const char* key;  ///< of the object that tells; null: all of the file
};
constexpr std::array kOlderFiles{OlderFile{"quantize_config.json", "gptq", nullptr},  // AutoGPTQ's
                                 OlderFile{"hf_quant_config.json", "modelopt", "quantization"}};

}  // namespace

Status CheckpointBuilder::foldPackedTensors(const std::filesystem::path& folder)
{
    std::vector<TensorInfo>& tensors = m_checkpoint->m_tensors;
    if (m_checkpoint->m_format != CheckpointFormat::Safetensors || !m_checkpoint->m_coded.empty()
        || !mayBePacked(tensors, m_checkpoint->m_config))
        return {};
    auto settings = layoutSettings(m_checkpoint->m_config, (folder / "config.json").native());
    for (const OlderFile& file : kOlderFiles) {
        if (!settings || !settings->method.empty())
            break;
        const std::filesystem::path path = folder / file.name;
        auto older = jsonIn(path);
        if (!older && older.error().code != ErrorCode::NotFound)
            return m_findings.odd(older.error().code, {},
                                  older.error().detail + "; the tensors are listed as they are stored");
        if (!older || !older->is_object())
            continue;
        Json told = file.key == nullptr ? std::move(*older) : older->value(file.key, Json());
        if (told.is_object())
            settings = LayoutSettings{path.native(), file.method, std::move(told)};
    }
    if (!settings)
        return m_findings.odd(settings.error().code, {},
                              settings.error().detail + "; the tensors are listed as they are stored");
    const StoredTensors stored(tensors, m_checkpoint->m_shardPaths, [this](const TensorInfo& tensor) {
        return m_checkpoint->m_files[tensor.shard]->bytes().subspan(
            static_cast<std::size_t>(tensor.bytes == 0 ? 0 : tensor.offset), static_cast<std::size_t>(tensor.bytes));
    });
    const auto fold = foldPacked(tensors, stored, *settings, m_findings, m_job);
    if (!fold)
        return passOn(fold);
    if (fold->matrices.empty())
        return {};
    m_checkpoint->m_byName.clear();  // it borrows names that move now
    std::vector<TensorInfo> listed;
    listed.reserve(tensors.size());
    std::vector<bool> isListed(fold->matrices.size(), false);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::size_t owner = fold->owner[i];
        if (owner == PackedFold::kNone) {
            listed.push_back(std::move(tensors[i]));
        } else if (!isListed[owner]) {  // where the first of its parts stood
            isListed[owner] = true;
            m_checkpoint->m_packed.emplace(listed.size(), fold->matrices[owner]);
            listed.push_back(packedInfo(*fold->matrices[owner]));
        }
    }
    tensors = std::move(listed);
    // What is left speaks of the tensors as they are listed now; where some could not be read, it is still needed.
    if (fold->isWhole && m_checkpoint->m_config.is_object()) {
        m_checkpoint->m_config.erase("quantization_config");
        m_checkpoint->m_config.erase("compression_config");
    }
    return {};
}

}  // namespace sigmascope
