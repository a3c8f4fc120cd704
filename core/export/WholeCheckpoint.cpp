// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/WholeCheckpoint.h"

namespace sigmascope {

Status checkWhole(const Checkpoint& checkpoint, std::size_t tensor)
{
    if (checkpoint.tensors()[tensor].state == TensorState::Ok)
        return {};
    const auto view = checkpoint.view(tensor);
    return fail(view ? ErrorCode::MissingTensor : view.error().code,
                (view ? "a tensor is not there" : view.error().detail) + "; an export needs every tensor");
}

Status checkFilesThere(const Checkpoint& checkpoint)
{
    for (std::size_t i = 0; i < checkpoint.shardCount(); ++i) {
        if (checkpoint.shard(i) == nullptr)
            return fail(ErrorCode::MissingShard, Where{checkpoint.shardPath(i).string(), {}, {}},
                        "the file is missing: put it beside the others and open the model again; an export needs every tensor");
    }
    return {};
}

}  // namespace sigmascope
