// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/ExportChoice.h"

#include "core/export/ReplacedFiles.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace sigmascope::ui {

namespace {

namespace fs = std::filesystem;

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
    offer.again = requantizing(*request.checkpoint, request.plan);
    if (offer.sizes) {
        offer.existing = filesThatGo(request, *offer.exporter, *offer.sizes);
        offer.command = QString::fromStdString(offer.exporter->loadCommand(*offer.sizes));
    }
    if (const auto unfinished = unfinishedRunAt(request.output);
        unfinished && *unfinished && (*unfinished)->finished > 0)
        offer.unfinished = *unfinished;
    return offer;
}

NearestOffer nearestOffer(NearestPlan found, const ExportRequest& request)
{
    constexpr std::size_t kMost = 3;
    std::map<std::string, std::vector<const PlanChange*>> alike;
    for (const PlanChange& change : found.changes)
        alike[wordsOf(change)].push_back(&change);
    std::vector<std::vector<const PlanChange*>> kinds;
    for (auto& [words, changes] : alike)
        kinds.push_back(std::move(changes));
    std::ranges::stable_sort(kinds, std::ranges::greater{}, [](const auto& kind) { return kind.size(); });
    NearestOffer offer{.plan = {}, .changes = {}, .further = kinds.size() - std::min(kinds.size(), kMost)};
    kinds.resize(kinds.size() - offer.further);
    for (const auto& kind : kinds) {
        const PlanChange& first = *kind.front();
        const auto told = std::ranges::find_if(kind, [](const PlanChange* change) { return !change->reason.empty(); });
        offer.changes.push_back(
            {.layers = kind.size(),
             .name = QString::fromStdString(escaped(request.checkpoint->tensors()[first.tensor].name)),
             .from = request.plan.layers[first.tensor],
             .to = found.plan.layers[first.tensor],
             .bits = first.bits,
             .reason = told == kind.end() ? QString() : QString::fromStdString((*told)->reason)});
    }
    offer.plan = std::move(found.plan);
    return offer;
}

}  // namespace

ExportOffer offerOf(const ExportRequest& asked, const ExporterRow& exporter)
{
    ExportRequest request = asked;
    if (exporter.prepare != nullptr)
        exporter.prepare(request);
    return completed({.exporter = &exporter, .verdict = exporter.accepts(request), .sizes = exporter.estimate(request)},
                     request);
}

ExportChoice::ExportChoice(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
    , m_offers(std::make_shared<const std::vector<ExportOffer>>())
{
    constexpr int kSoon = 200;  // ms
    m_soon.setSingleShot(true);
    m_soon.setInterval(kSoon);
    connect(&m_soon, &QTimer::timeout, this, &ExportChoice::refresh);
    connect(&session, &Session::opened, this, [this] {
        m_outputs.clear();
        m_split = {};
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
    connect(&session, &Session::templateChanged, this, [this] {
        invalidate();
        emit changed();
    });
    connect(&session, &Session::exportTargetChanged, this, [this] {
        forgetNearest();
        lookForNearest();
        emit changed();
    });
}

QString ExportChoice::target() const
{
    return QString::fromStdString(m_session.exportTarget());
}

void ExportChoice::setTarget(const QString& id)
{
    m_session.setExportTarget(id.toStdString());
}

void ExportChoice::setSplit(const ExportSplit& split)
{
    if (split == m_split)
        return;
    m_split = split;
    invalidate();
    emit changed();
}

const ExporterRow& ExportChoice::exporter() const
{
    return *findExporter(m_session.exportTarget());
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
    m_outputs[target()] = path;
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
        if (!sizes || filesThatGo(wanted, exporter(), *sizes).empty())
            return path;
    }
}

ExportRequest ExportChoice::request(bool overwrite) const
{
    ExportRequest request = m_session.exportRequest(output(), overwrite);
    request.ggufMaxBytes = m_split.ggufBytes;
    request.ggufMaxTensors = m_split.ggufTensors;
    request.splitMaxBytes = m_split.folderBytes;
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
    forgetNearest();
}

void ExportChoice::refreshSoon()
{
    if (!m_isCurrent)
        m_soon.start();
}

void ExportChoice::refresh()
{
    m_soon.stop();
    if (m_isCurrent || !m_session.isOpen())
        return;
    m_isCurrent = true;
    // The plan is copied once in this thread: a model may have a hundred thousand tensors.
    std::vector<fs::path> outputs;
    for (const ExporterRow& row : exporters())
        outputs.push_back(toPath(outputOf(QString::fromUtf8(row.id))));
    using Offers = std::shared_ptr<const std::vector<ExportOffer>>;
    m_job.start(
        [asked = request(false), outputs = std::move(outputs),
         calibration = m_session.calibration()](const JobContext& job) -> Result<Offers> {
            ExportRequest request = asked;
            std::vector<ExportOffer> offers;
            for (std::size_t i = 0; i < outputs.size(); ++i) {
                if (job.cancelled())
                    return cancelledError();
                request.plan.target = exporters()[i].id;
                request.output = outputs[i];
                offers.push_back(offerOf(request, exporters()[i]));
            }
            return std::make_shared<const std::vector<ExportOffer>>(std::move(offers));
        },
        [this](Result<Offers> found) {
            if (!found)
                return;
            m_offers = std::move(*found);
            lookForNearest();
            emit offersChanged();
        });
}

void ExportChoice::lookForNearest()
{
    const ExportOffer* refused = isCurrent() && m_session.isOpen() ? offer() : nullptr;
    if (refused == nullptr || refused->verdict.refusals.empty())
        return;
    using Nearest = std::shared_ptr<const NearestOffer>;
    m_nearestJob.start(
        [request = request(false), &row = exporter(),
         calibration = m_session.calibration()](const JobContext&) -> Result<Nearest> {
            auto found = nearestPlan(row, request);
            if (!found)
                return passOn(found);
            return std::make_shared<const NearestOffer>(nearestOffer(std::move(*found), request));
        },
        [this](Result<Nearest> found) {
            // Where no plan of this model will do, the refusal has said so.
            m_nearest = found ? std::move(*found) : nullptr;
            emit nearestChanged();
        });
}

void ExportChoice::forgetNearest()
{
    m_nearestJob.cancel();
    m_nearest.reset();
}

void ExportChoice::useNearest()
{
    if (!m_nearest || !m_session.isOpen())
        return;
    const std::string_view runtime = exporter().runtime;
    const std::shared_ptr<const NearestOffer> wanted = m_nearest;  // the plan's change forgets it
    m_session.adoptPlan(
        wanted->plan,
        tr("Fit the plan to %1").arg(QString::fromUtf8(runtime.data(), static_cast<qsizetype>(runtime.size()))));
}

ExportOffer ExportChoice::offerNow() const
{
    const ExportRequest wanted = request(false);
    // What is known of the plan still holds; only files can have come or gone.
    if (const ExportOffer* known = isCurrent() ? offer() : nullptr)
        return completed({.exporter = known->exporter, .verdict = known->verdict, .sizes = known->sizes}, wanted);
    ExportOffer offer{.exporter = &exporter(), .verdict = {}, .sizes = exporter().estimate(wanted)};
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
