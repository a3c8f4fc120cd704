// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/ChannelAnalysis.h"

#include "ui/session/Session.h"

#include <algorithm>

namespace sigmascope::ui {

namespace {

constexpr std::size_t kKept = 8;  // answers: going back to a layer just seen is instant

Result<std::shared_ptr<const ChannelResult>> lookAtChannels(const MatrixSubject& subject, const JobContext& job)
{
    auto matrix = matrixRows(subject);
    if (!matrix)
        return passOn(matrix);
    auto stats = channelStats(*matrix, job);
    if (!stats && stats.error().code == ErrorCode::NonFinite) {  // the weights can be looked at all the same
        matrix->residual = {};
        matrix->scale.clear();
        stats = channelStats(*matrix, job);
    }
    if (!stats)
        return passOn(stats);
    if (auto same = subject.checkpoint->checkUnchanged(subject.tensor); !same)
        return passOn(same);
    return std::make_shared<const ChannelResult>(ChannelResult{
        .subject = subject,
        .stats = std::make_shared<const ChannelStats>(std::move(*stats)),
        .activation = activationScale(subject),
        .plainReason = plainReason(subject),
    });
}

}  // namespace

ChannelAnalysis::ChannelAnalysis(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    connect(&session, &Session::selectionChanged, this, &ChannelAnalysis::refresh);
    connect(&session, &Session::planChanged, this, &ChannelAnalysis::refresh);
    connect(&session, &Session::calibrationChanged, this, &ChannelAnalysis::refresh);
    connect(&session, &Session::opened, this, &ChannelAnalysis::refresh);
    // That some values are not finite is known only once they are counted.
    connect(&session, &Session::analysisChanged, this, [this](std::size_t tensor) {
        if (m_wanted && m_wanted->tensor == tensor)
            refresh();
    });
    connect(&session, &Session::closed, this, [this] {
        m_kept.clear();
        refresh();
    });
}

void ChannelAnalysis::setWatched(bool watched)
{
    m_isWatched = watched;
    if (watched)
        refresh();
    else if (m_job.isRunning()) {
        m_job.cancel();
        m_wanted.reset();
    }
}

std::shared_ptr<const ChannelResult> ChannelAnalysis::find(const MatrixSubject& subject) const
{
    const auto found
        = std::ranges::find(m_kept, subject, [](const auto& kept) -> const MatrixSubject& { return kept->subject; });
    return found == m_kept.end() ? nullptr : *found;
}

const ChannelResult* ChannelAnalysis::result() const
{
    const auto subject = currentSubject(m_session);
    if (!subject)
        return nullptr;
    if (const auto exact = find(*subject))
        return exact.get();
    const auto found = std::ranges::find_if(m_kept, [&](const auto& kept) {
        return kept->subject.tensor == subject->tensor && kept->subject.checkpoint == subject->checkpoint;
    });
    return found == m_kept.end() ? nullptr : found->get();
}

bool ChannelAnalysis::isCurrent() const
{
    const auto subject = currentSubject(m_session);
    return subject && find(*subject) != nullptr;
}

void ChannelAnalysis::cancel()
{
    m_job.cancel();
    emit changed();
}

void ChannelAnalysis::refresh()
{
    if (!m_isWatched)
        return;
    const auto subject = currentSubject(m_session);
    if (subject && subject == m_wanted) {
        emit changed();
        return;
    }
    m_wanted = subject;
    m_error.reset();
    m_job.cancel();
    if (subject && find(*subject) == nullptr)
        m_job.start([subject = *subject](const JobContext& job) { return lookAtChannels(subject, job); },
                    [this](const Result<std::shared_ptr<const ChannelResult>>& answer) {
                        if (answer) {
                            m_kept.push_front(*answer);
                            if (m_kept.size() > kKept)
                                m_kept.pop_back();
                        } else {
                            m_error = answer.error();
                        }
                        emit changed();
                    },
                    [this](double share, const QString&) { emit progressed(share); });
    emit changed();
}

}  // namespace sigmascope::ui
