// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/KeptForm.h"

#include "core/checkpoint/ListedBytes.h"
#include "core/export/Exporter.h"

namespace sigmascope {

KeptForm keptForm(std::string_view target, const Checkpoint& checkpoint, std::size_t tensor)
{
    const TensorInfo& stored = checkpoint.tensors()[tensor];
    if (stored.dtype == DType::Unknown)
        return {stored.dtype, stored.bytes};
    DType type = stored.dtype;
    if (target == "gguf")
        type = keptType(checkpoint, tensor);
    const bool hasNoName = info(type).safetensorsName.empty() && info(type).decodable;
    if (target == "bf16" && (hasNoName || isDecoded(checkpoint, tensor)))
        type = DType::BF16;
    if (type != stored.dtype)
        return {type, checkedByteSize(type, stored.shape).value_or(stored.bytes)};
    const bool staysCoded = target == "research" && checkpoint.coded(tensor) != nullptr;
    return {type, staysCoded ? stored.bytes : listedBytes(checkpoint, tensor)};
}

}  // namespace sigmascope
