// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/calibration/Metric.h"
#include "core/checkpoint/ModelTopology.h"
#include "ui/text/Numbers.h"

#include <QString>

#include <filesystem>
#include <string_view>

namespace sigmascope {
struct Preset;
struct Solver;
}

namespace sigmascope::ui {

/// Words as the user reads them: the core speaks in codes and ids only. Numbers are in ui/text/Numbers.

[[nodiscard]] QString titleOf(ErrorCode code);
/// Title and detail on one line: "File is cut short: model.safetensors: …".
[[nodiscard]] QString textOf(const Error& error);
[[nodiscard]] QString titleOf(Role role);
[[nodiscard]] QString titleOf(MetricKind metric);
/// "L²QER, 4 bit", "GGUF Q4_K_M mixture".
[[nodiscard]] QString titleOf(const Preset& preset);
[[nodiscard]] QString titleOf(const Solver& solver);
/// Who loads what is written for a target: "llama.cpp". Empty for a word that is none.
[[nodiscard]] QString runtimeOf(std::string_view target);
/// "Block 3 · down_proj", or the tensor's own name outside the blocks.
[[nodiscard]] QString layerTitle(const TensorPlace& place, const QString& name);
/// The last part of a layer's name: "down_proj", "down_proj (bias)", or the whole name.
[[nodiscard]] QString layerShortName(const TensorPlace& place, const QString& name);
/// What the tensor is stored as: "BF16", or the file's own word.
[[nodiscard]] QString typeText(const TensorInfo& tensor);
/// "4096 × 14336"
[[nodiscard]] QString shapeText(const Shape& shape);

/// "about 2 min left"; empty before 3 % is done.
[[nodiscard]] QString timeLeft(double fraction, double elapsedSeconds);

/// Native bytes, never through a lossy conversion.
[[nodiscard]] std::filesystem::path toPath(const QString& name);
[[nodiscard]] QString fromPath(const std::filesystem::path& path);

}  // namespace sigmascope::ui
