// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "core/checkpoint/CodedTensors.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

// Notes in the __metadata__ of a safetensors file that make it a research container (docs/research-container.md).
inline constexpr std::string_view kContainerKey = "sigmascope.container";
inline constexpr std::string_view kContainerVersionKey = "sigmascope.container_version";
inline constexpr std::string_view kCodedTensorsKey = "sigmascope.tensors";
inline constexpr std::string_view kResearchContainer = "research";
inline constexpr std::string_view kContainerVersion = "1";

/// What the notes of one file say. The text is hostile.
struct ContainerNotes {
    std::string container;
    std::string version;
    std::string tensors;  ///< JSON object, name -> description
};

/// One described matrix: which stored tensors it is made of, not yet checked against them.
struct CodedDescription {
    std::string name;
    CodedTensor tensor;  ///< parts hold names only
};

/// MalformedHeader naming file and tensor for anything that is not as documented.
[[nodiscard]] Result<std::vector<CodedDescription>> parseCodedTensors(std::string_view json, const std::string& file);

}  // namespace sigmascope
