// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/Text.h"

#include "core/export/Exporter.h"
#include "core/solve/Solver.h"

#include <QCoreApplication>
#include <QFile>

#include <cmath>

namespace sigmascope::ui {

namespace {

/// The context is what lupdate takes for a free function: its namespace. Another one would never be found.
QString tr(const char* text, const char* disambiguation = nullptr)
{
    return QCoreApplication::translate("sigmascope::ui", text, disambiguation);
}

}  // namespace

QString titleOf(ErrorCode code)
{
    switch (code) {
    case ErrorCode::NotFound: return tr("Not found");
    case ErrorCode::PermissionDenied: return tr("Permission denied");
    case ErrorCode::NotRegularFile: return tr("Not a regular file");
    case ErrorCode::IoFailed: return tr("Reading failed");
    case ErrorCode::FileChanged: return tr("The file changed while it was open");
    case ErrorCode::FileBroken: return tr("The file was cut short while it was open");
    case ErrorCode::WrongMagic: return tr("Not a model file");
    case ErrorCode::UnsupportedVersion: return tr("Unsupported version of the format");
    case ErrorCode::Truncated: return tr("The file is cut short");
    case ErrorCode::HeaderTooLarge: return tr("The header is too large");
    case ErrorCode::MalformedHeader: return tr("The header is malformed");
    case ErrorCode::InvalidUtf8: return tr("Text is not valid UTF-8");
    case ErrorCode::InvalidNumber: return tr("Not a valid number");
    case ErrorCode::DuplicateName: return tr("A name occurs twice");
    case ErrorCode::UnknownType: return tr("Unknown data type");
    case ErrorCode::UnsupportedType: return tr("Data type cannot be decoded");
    case ErrorCode::ShapeMismatch: return tr("Shape and size disagree");
    case ErrorCode::SizeOverflow: return tr("A size is out of range");
    case ErrorCode::RangeOutOfFile: return tr("Data lies outside the file");
    case ErrorCode::Overlap: return tr("Tensors overlap");
    case ErrorCode::Hole: return tr("Bytes between tensors belong to none");
    case ErrorCode::UncoveredBytes: return tr("Bytes after the last tensor");
    case ErrorCode::BadAlignment: return tr("Bad alignment");
    case ErrorCode::UnsafePath: return tr("The index names a file outside the folder");
    case ErrorCode::MissingShard: return tr("A part of the model is missing");
    case ErrorCode::MissingTensor: return tr("A tensor is missing");
    case ErrorCode::InconsistentShards: return tr("Parts of the model disagree");
    case ErrorCode::InvalidMetadata: return tr("Invalid metadata");
    case ErrorCode::NonFinite: return tr("Values that are not finite");
    case ErrorCode::ScaleOutOfRange: return tr("A scale does not fit its storage");
    case ErrorCode::BadCalibration: return tr("Unusable calibration");
    case ErrorCode::InvalidOption: return tr("Invalid option");
    case ErrorCode::InvalidRecipe: return tr("Invalid recipe");
    case ErrorCode::NotRepresentable: return tr("The target cannot carry this plan");
    case ErrorCode::WouldOverwrite: return tr("The file exists");
    case ErrorCode::OutputIsInput: return tr("The output is one of the inputs");
    case ErrorCode::OutputBusy: return tr("Another run is writing there");
    case ErrorCode::UnfinishedRun: return tr("An unfinished run lies there");
    case ErrorCode::JournalMismatch: return tr("The unfinished run is not of this job");
    case ErrorCode::NoSpace: return tr("Not enough space");
    case ErrorCode::WriteFailed: return tr("Writing failed");
    case ErrorCode::VerifyFailed: return tr("The written file is not what was meant");
    case ErrorCode::DeviceUnavailable: return tr("The device is not available");
    case ErrorCode::DeviceFailed: return tr("The device failed");
    case ErrorCode::NotConverged: return tr("The computation did not converge");
    case ErrorCode::OutOfMemory: return tr("Out of memory");
    case ErrorCode::LayersFailed: return tr("Some layers failed");
    case ErrorCode::Cancelled: return tr("Cancelled");
    case ErrorCode::Internal: return tr("Unexpected error");
    }
    return {};
}

QString textOf(const Error& error)
{
    return tr("%1: %2", "error title, detail").arg(titleOf(error.code), QString::fromStdString(error.detail));
}

QString titleOf(Role role)
{
    // Roles are the field's own words, the norms' by their short GGUF names; only the catch-all is ours.
    switch (role) {
    case Role::AttnNorm: return QStringLiteral("attn_norm");
    case Role::FfnNorm: return QStringLiteral("ffn_norm");
    case Role::OutputNorm: return QStringLiteral("output_norm");
    default: break;
    }
    return role == Role::Other ? tr("other", "role") : QString::fromUtf8(id(role).data(), static_cast<int>(id(role).size()));
}

QString titleOf(const Preset& preset)
{
    QString title = QString::fromUtf8(preset.title.data(), static_cast<qsizetype>(preset.title.size()));
    const auto stem = [&title](const char* end) { return title.left(title.size() - static_cast<qsizetype>(qstrlen(end))); };
    // Names stay, the words between them are ours.
    if (title.endsWith(QLatin1String(" mixture")))
        return tr("%1 mixture", "preset").arg(stem(" mixture"));
    if (title.endsWith(QLatin1String(" everywhere")))
        return tr("%1 everywhere", "preset").arg(stem(" everywhere"));
    if (title.endsWith(QLatin1String(" bit")))
        return tr("%1 bit", "preset: L²QER, 4").arg(stem(" bit"));
    return title;
}

QString titleOf(const Solver& solver)
{
    if (solver.id == "nearest")
        return tr("Nearest code (RTN)");
    if (solver.id == "clip-search")
        return tr("Clip search under the metric");
    if (solver.id == "imatrix")
        return tr("Search weighted by importances");
    if (solver.id == "wide")
        return tr("Wider search than ggml's, never worse");
    return QString::fromUtf8(solver.title.data(), static_cast<qsizetype>(solver.title.size()));
}

QString runtimeOf(std::string_view target)
{
    const ExporterRow* exporter = findExporter(target);
    return exporter == nullptr
        ? QString()
        : QString::fromUtf8(exporter->runtime.data(), static_cast<qsizetype>(exporter->runtime.size()));
}

QString titleOf(MetricKind metric)
{
    switch (metric) {
    case MetricKind::Plain: return tr("Plain (no activations)");
    case MetricKind::DiagonalRms: return tr("Activation RMS");
    case MetricKind::DiagonalLqer: return tr("LQER mean magnitude");
    }
    return {};
}

QString layerShortName(const TensorPlace& place, const QString& name)
{
    if (place.role == Role::Other)
        return name;
    return place.bias ? tr("%1 (bias)").arg(titleOf(place.role)) : titleOf(place.role);
}

QString layerTitle(const TensorPlace& place, const QString& name)
{
    if (place.block < 0)
        return layerShortName(place, name);
    return tr("Block %1 · %2").arg(place.block).arg(layerShortName(place, name));
}

QString typeText(const TensorInfo& tensor)
{
    const std::string_view name = tensor.typeName();
    return QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size()));
}

QString shapeText(const Shape& shape)
{
    QStringList parts;
    for (const std::uint64_t dimension : shape)
        parts << QString::number(dimension);
    return parts.isEmpty() ? tr("scalar") : parts.join(QStringLiteral(" × "));
}

QString timeLeft(double fraction, double elapsedSeconds)
{
    if (fraction < 0.03 || fraction >= 1)
        return {};
    const double seconds = elapsedSeconds * (1 - fraction) / fraction;
    if (seconds < 90)
        return tr("about %1 s left").arg(std::max(1, static_cast<int>(std::lround(seconds))));
    if (seconds < 5400)
        return tr("about %1 min left").arg(static_cast<int>(std::lround(seconds / 60)));
    return tr("about %1 h left").arg(number3(seconds / 3600));
}

std::filesystem::path toPath(const QString& name)
{
    return {QFile::encodeName(name).toStdString()};
}

QString fromPath(const std::filesystem::path& path)
{
    return QFile::decodeName(QByteArray::fromStdString(path.string()));
}

}  // namespace sigmascope::ui
