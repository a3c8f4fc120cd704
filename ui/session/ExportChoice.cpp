// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/ExportChoice.h"

#include "core/export/GgufSplit.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace sigmascope::ui {

namespace {

namespace fs = std::filesystem;

QString idOf(const ExporterRow& row)
{
    return QString::fromUtf8(row.id.data(), static_cast<qsizetype>(row.id.size()));
}

/// What the run would ask to replace: its outputs, and in a model's folder the other form of the weights.
std::vector<fs::path> existingOf(const SizeEstimate& sizes)
{
    std::vector<fs::path> wanted;
    for (const OutputFile& output : sizes.outputs)
        wanted.push_back(output.path);
    const bool isFolder
        = std::ranges::any_of(sizes.outputs, [](const OutputFile& output) { return output.kind == "config"; });
    if (isFolder && !sizes.outputs.empty()) {
        const fs::path folder = sizes.outputs.front().path.parent_path();
        for (const char* name : {"model.safetensors", "model.safetensors.index.json", "quantize_config.json"}) {
            if (std::ranges::find(wanted, folder / name) == wanted.end())
                wanted.push_back(folder / name);
        }
    }
    std::erase_if(wanted, [](const fs::path& path) {
        std::error_code error;
        return !fs::exists(fs::symlink_status(path, error));
    });
    return wanted;
}

}  // namespace

namespace {

ExportOffer completed(ExportOffer offer, const ExportRequest& request)
{
    const fs::path folder = fs::absolute(request.output).parent_path();
    offer.folderName = fromPath(folder);
    std::error_code error;
    if (!fs::is_directory(folder, error))
        offer.folder = ExportOffer::Folder::Missing;
    else if (::access(folder.c_str(), W_OK) != 0)
        offer.folder = ExportOffer::Folder::ReadOnly;
    if (const fs::space_info space = fs::space(folder, error); !error)
        offer.freeBytes = space.available;
    if (offer.sizes) {
        offer.existing = existingOf(*offer.sizes);
        if (offer.exporter->id == "gguf") {  // an earlier export of the name in another number of files goes too
            std::vector<fs::path> written;
            for (const OutputFile& output : offer.sizes->outputs)
                written.push_back(output.path);
            std::ranges::move(staleModels(request.output, written, false), std::back_inserter(offer.existing));
        }
        offer.command = QString::fromStdString(offer.exporter->loadCommand(*offer.sizes));
    }
    if (const auto unfinished = unfinishedRunAt(request.output);
        unfinished && *unfinished && (*unfinished)->finished > 0)
        offer.unfinished = *unfinished;
    return offer;
}

}  // namespace

ExportOffer offerOf(const ExportRequest& request, const ExporterRow& exporter)
{
    return completed({.exporter = &exporter, .verdict = exporter.accepts(request), .sizes = exporter.estimate(request)},
                     request);
}

ExportChoice::ExportChoice(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
    , m_target(idOf(exporters().front()))
    , m_offers(std::make_shared<const std::vector<ExportOffer>>())
{
    connect(&session, &Session::opened, this, [this] {
        m_outputs.clear();
        m_offers = std::make_shared<const std::vector<ExportOffer>>();
        invalidate();
        emit changed();
    });
    connect(&session, &Session::closed, this, [this] {
        m_job.cancel();
        m_offers = std::make_shared<const std::vector<ExportOffer>>();
        invalidate();
    });
    connect(&session, &Session::planChanged, this, &ExportChoice::invalidate);
    connect(&session, &Session::calibrationChanged, this, &ExportChoice::invalidate);
}

void ExportChoice::setTarget(const QString& id)
{
    if (id == m_target)
        return;
    m_target = id;
    emit changed();
}

const ExporterRow& ExportChoice::exporter() const
{
    return *findExporter(m_target.toStdString());
}

QString ExportChoice::outputOf(const QString& target) const
{
    if (const auto chosen = m_outputs.find(target); chosen != m_outputs.end())
        return *chosen;
    if (!m_session.isOpen())
        return {};
    const std::string_view suffix = findExporter(target.toStdString())->suffix;
    const QString folder = QStandardPaths::writableLocation(QStandardPaths::DocumentsLocation);
    // Not every desktop has made it.
    return QDir(!folder.isEmpty() && QDir(folder).exists() ? folder : QDir::homePath())
        .filePath(QFileInfo(m_session.name()).completeBaseName()
                  + QString::fromUtf8(suffix.data(), static_cast<qsizetype>(suffix.size())));
}

void ExportChoice::setOutput(const QString& path)
{
    if (output() == path)
        return;
    m_outputs[m_target] = path;
    invalidate();
    emit changed();
}

QString ExportChoice::freeName() const
{
    const QFileInfo info(output());
    // A folder's name may hold points.
    const bool hasSuffix
        = exporter().suffix.find('.') != std::string_view::npos || info.suffix() == QLatin1String("safetensors");
    const QString stem = hasSuffix ? info.completeBaseName() : info.fileName();
    const QString suffix = hasSuffix && !info.suffix().isEmpty() ? QLatin1Char('.') + info.suffix() : QString();
    for (int number = 2;; ++number) {
        const QString path = info.dir().filePath(QStringLiteral("%1-%2%3").arg(stem).arg(number).arg(suffix));
        if (QFileInfo::exists(path))
            continue;
        ExportRequest wanted = request(false);
        wanted.output = toPath(path);
        const auto sizes = exporter().estimate(wanted);
        if (!sizes || existingOf(*sizes).empty())
            return path;
    }
}

ExportRequest ExportChoice::request(bool overwrite) const
{
    ExportRequest request = m_session.exportRequest(output(), overwrite);
    request.plan.target = m_target.toStdString();
    return request;
}

const ExportOffer* ExportChoice::offer() const
{
    for (const ExportOffer& offer : *m_offers) {
        if (offer.exporter == &exporter())
            return &offer;
    }
    return nullptr;
}

void ExportChoice::invalidate()
{
    m_isCurrent = false;
}

void ExportChoice::refresh()
{
    if (m_isCurrent || !m_session.isOpen())
        return;
    m_isCurrent = true;
    std::vector<ExportRequest> requests;
    for (const ExporterRow& row : exporters()) {
        ExportRequest request = m_session.exportRequest(outputOf(idOf(row)), false);
        request.plan.target = row.id;
        requests.push_back(std::move(request));
    }
    using Offers = std::shared_ptr<const std::vector<ExportOffer>>;
    m_job.start(
        [requests = std::move(requests),
         calibration = m_session.calibration()](const JobContext& job) -> Result<Offers> {
            std::vector<ExportOffer> offers;
            for (std::size_t i = 0; i < requests.size(); ++i) {
                if (job.cancelled())
                    return cancelledError();
                offers.push_back(offerOf(requests[i], exporters()[i]));
            }
            return std::make_shared<const std::vector<ExportOffer>>(std::move(offers));
        },
        [this](Result<Offers> found) {
            if (!found)
                return;
            m_offers = std::move(*found);
            emit offersChanged();
        });
}

ExportOffer ExportChoice::offerNow() const
{
    const ExportRequest wanted = request(false);
    // The session has read a GGUF's keys and tokenizer already.
    const bool isPrepared = exporter().estimate == estimateGguf;
    ExportOffer offer{.exporter = &exporter(),
                      .verdict = {},
                      .sizes = isPrepared ? m_session.estimateFor(output()) : exporter().estimate(wanted)};
    if (!offer.sizes)
        offer.verdict.refusals.push_back(withAllReasons(offer.sizes.error(), exporter(), wanted));
    return completed(std::move(offer), wanted);
}

std::optional<UnfinishedRun> ExportChoice::unfinishedNow() const
{
    if (output().isEmpty())
        return std::nullopt;
    const auto found = unfinishedRunAt(toPath(output()));
    return found && *found && (*found)->finished > 0 ? *found : std::nullopt;
}

QString ExportChoice::obstacle(const ExportOffer& offer)
{
    if (const auto refusal = refusalOf(offer.verdict))
        return textOf(*refusal);
    if (!offer.sizes)
        return textOf(offer.sizes.error());
    if (offer.folder == ExportOffer::Folder::Missing)
        return tr("The folder %1 does not exist").arg(offer.folderName);
    if (offer.folder == ExportOffer::Folder::ReadOnly)
        return tr("The folder %1 cannot be written").arg(offer.folderName);
    // What an unfinished run has written holds its space already.
    if (!offer.unfinished && offer.freeBytes && *offer.freeBytes < offer.sizes->total)
        return tr("%1 needed, %2 free").arg(fileSize(offer.sizes->total), fileSize(*offer.freeBytes));
    return {};
}

}  // namespace sigmascope::ui
