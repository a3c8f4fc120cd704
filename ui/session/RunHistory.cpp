// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/RunHistory.h"

#include "core/project/ProjectFile.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QLocale>
#include <QTime>

#include <algorithm>
#include <map>

namespace sigmascope::ui {

namespace {

std::shared_ptr<const ComparedRun> comparedRun(std::vector<TensorResult> layers, const Checkpoint& checkpoint)
{
    ComparedRun run{std::move(layers), {}};
    for (const TensorResult& layer : run.layers) {
        const auto tensor = checkpoint.find(layer.name);
        run.elements.push_back(tensor ? checkpoint.tensors()[*tensor].elements() : 0);
    }
    return std::make_shared<const ComparedRun>(std::move(run));
}

/// What most of the layers went through: "l2qer".
QString mainMethod(const std::vector<TensorResult>& layers)
{
    std::map<std::string, std::size_t> counts;
    for (const TensorResult& layer : layers)
        if (layer.method != "keep")
            ++counts[layer.method];
    const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
    return most == counts.end() ? RunHistory::tr("kept") : QString::fromStdString(most->first);
}

QString calibrationOf(const Session& session)
{
    return session.calibration() ? fromPath(session.calibration()->path.filename()) : QString();
}

}  // namespace

RunHistory::RunHistory(Session& session, RunController& controller, QObject* parent)
    : QObject(parent)
    , m_session(session)
    , m_controller(controller)
{
    connect(&controller, &RunController::finished, this, &RunHistory::record);
    connect(&session, &Session::opened, this, &RunHistory::changed);
    connect(&session, &Session::baselineChanged, this, [this] {  // a session file brought its results
        m_restored.clear();
        emit changed();
    });
    connect(&session, &Session::closed, this, &RunHistory::forget);
}

void RunHistory::forget()
{
    m_runs.clear();
    m_written.clear();
    m_restored.clear();
    emit changed();
}

void RunHistory::record()
{
    const auto& result = m_controller.lastResult();
    if (!result || !m_session.isOpen())
        return;
    const int number = static_cast<int>(m_runs.size()) + 1;
    const double bits = result->elements == 0 ? 0 : 8.0 * static_cast<double>(result->writtenBytes) / static_cast<double>(result->elements);
    m_runs.push_back({.kind = CompareSource::Kind::Run,
                      .title = tr("Run %1 · %2 · %3 bpw · %4")
                                   .arg(QString::number(number), mainMethod(result->tensors), decimals(bits, 2),
                                        QLocale().toString(QTime::currentTime(), QLocale::ShortFormat)),
                      .run = comparedRun(result->tensors, *m_session.checkpoint()),
                      .calibration = calibrationOf(m_session)});
    for (const OutputFile& file : result->outputs) {
        if (file.kind != "model")
            continue;
        const QString path = fromPath(file.path);
        std::erase_if(m_written, [&](const CompareSource& earlier) { return earlier.path == path; });
        m_written.push_back({.kind = CompareSource::Kind::Model,
                             .title = tr("%1, written by run %2").arg(fromPath(file.path.filename())).arg(number),
                             .path = path});
        break;  // a model of several shards opens by its first
    }
    emit changed();
}

std::vector<CompareSource> RunHistory::runs() const
{
    if (!m_runs.empty() || !m_session.isOpen())
        return m_runs;
    if (!m_restored.empty())
        return m_restored;
    std::vector<TensorResult> layers;
    for (const ProjectFile::MeasuredLayer& layer : m_session.snapshot().results)
        layers.push_back(layer.result);
    if (layers.empty())
        return {};
    m_restored = {{.kind = CompareSource::Kind::Run,
                   .title = tr("Measured layers of this session"),
                   .run = comparedRun(std::move(layers), *m_session.checkpoint()),
                   .calibration = calibrationOf(m_session)}};
    return m_restored;
}

std::vector<CompareSource> RunHistory::models() const
{
    if (!m_session.isOpen())
        return {};
    std::vector<CompareSource> found{{.kind = CompareSource::Kind::Model,
                                      .title = tr("%1, the open model").arg(m_session.name()),
                                      .path = m_session.path(),
                                      .model = m_session.checkpoint()}};
    found.insert(found.end(), m_written.begin(), m_written.end());
    return found;
}

}  // namespace sigmascope::ui
