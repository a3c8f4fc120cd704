// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/PackedModel.h"

#include <memory>

namespace sigmascope {

/// Writes a designed folder of a packed format. @param anyAsymmetric  of the whole plan: some formats say zero points
/// otherwise then. Errors as SafetensorsExporter::open().
[[nodiscard]] Result<std::unique_ptr<Exporter>> openPackedExporter(ExportRequest request, SafetensorsDesign design,
                                                                   const PackedFormat& format, bool anyAsymmetric);

}  // namespace sigmascope
