// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Parallel.h"
#include "ui/session/Workers.h"

#include <QObject>
#include <QString>
#include <QThreadPool>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <stop_token>
#include <utility>

namespace sigmascope::ui {

/// Runs work, turning what a library throws into an Error: an exception that got lost would leave a job's
/// indicator on for ever.
template <class T, class Work>
[[nodiscard]] Result<T> guarded(const Work& work)
{
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return fail(ErrorCode::OutOfMemory, "not enough memory for this job");
    } catch (const std::exception& e) {
        return fail(ErrorCode::Internal, std::string("unexpected: ") + e.what());
    }
}

/// Carries calls from a worker to the GUI thread, for as long as their receiver lives.
class GuiRelay {
public:
    explicit GuiRelay(QObject* target) : m_target(target) {}
    void disconnect()
    {
        const std::scoped_lock lock(m_mutex);
        m_target = nullptr;
    }
    void post(std::function<void()> call)
    {
        // The lock keeps the target alive while its event is queued; the GUI thread takes it only to disconnect.
        const std::scoped_lock lock(m_mutex);
        if (m_target != nullptr)
            QMetaObject::invokeMethod(m_target, std::move(call), Qt::QueuedConnection);
    }

private:
    std::mutex m_mutex;
    QObject* m_target;
};

/// Lets one call in 33 ms through: the window cannot show more.
class Throttle {
public:
    bool pass()
    {
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        auto last = m_last.load();
        constexpr auto kGap = std::chrono::nanoseconds(std::chrono::milliseconds(33)).count();
        return now - last >= kGap && m_last.compare_exchange_strong(last, now);
    }

private:
    std::atomic<std::chrono::steady_clock::rep> m_last{0};
};

/// At most one answer is wanted: the newest. Starting again stops the running work and voids its ticket.
/// GUI thread only. The work must not touch any QObject; it owns what it uses.
template <class T>
class LatestJob : public QObject {
public:
    /// Runs a call on the GUI thread, dropped if this work is no longer the newest. Any thread.
    using Post = std::function<void(std::function<void()>)>;

    explicit LatestJob(QObject* parent = nullptr)
        : QObject(parent)
        , m_relay(std::make_shared<GuiRelay>(this))
    {
    }
    ~LatestJob() override
    {
        cancel();
        m_relay->disconnect();
    }

    /// @param work        Result<T>(const JobContext&) or Result<T>(const JobContext&, const Post&), on a worker thread.
    /// @param onReady     void(Result<T>), on the GUI thread.
    /// @param onProgress  on the GUI thread, at most every 33 ms.
    template <class Work, class OnReady>
    void start(Work work, OnReady onReady, std::function<void(double, const QString&)> onProgress = {})
    {
        cancel();
        m_stop = std::stop_source{};
        m_running = true;
        const Post post = [relay = m_relay, this, ticket = ++m_ticket](std::function<void()> call) {
            relay->post([this, ticket, call = std::move(call)] {
                if (ticket == m_ticket)
                    call();
            });
        };
        JobContext job{.stop = m_stop.get_token()};
        if (onProgress) {
            job.progress = [post, onProgress = std::move(onProgress), throttle = std::make_shared<Throttle>()](double fraction, std::string_view subject) {
                if (throttle->pass())
                    post([onProgress, fraction, text = QString::fromUtf8(subject.data(), static_cast<int>(subject.size()))] {
                        onProgress(fraction, text);
                    });
            };
        }
        const auto task = [this, work = std::move(work), onReady = std::move(onReady), job, post] {
            giveWay();
            auto result = std::make_shared<Result<T>>(guarded<T>([&]() -> Result<T> {
                if constexpr (std::is_invocable_v<Work, const JobContext&, const Post&>)
                    return work(job, post);
                else
                    return work(job);
            }));
            post([this, result, onReady] {
                m_running = false;
                onReady(std::move(*result));
            });
        };
        workers().start(task);
    }

    void cancel()
    {
        m_stop.request_stop();
        ++m_ticket;
        m_running = false;
    }
    /// Asks the work to end; its answer, Cancelled or not, is still awaited.
    void requestStop() { m_stop.request_stop(); }
    [[nodiscard]] bool isRunning() const { return m_running; }

private:
    std::shared_ptr<GuiRelay> m_relay;
    std::stop_source m_stop;
    std::uint64_t m_ticket = 0;
    bool m_running = false;
};

}  // namespace sigmascope::ui
