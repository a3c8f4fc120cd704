// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Parallel.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace sigmascope {

namespace {

int availableCpus()
{
    // The affinity mask, not the machine: a container's two CPUs of 64 must not start 64 threads.
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::atomic<int>& wantedThreads()
{
    static std::atomic<int> count{availableCpus()};
    return count;
}

thread_local bool t_insideWorker = false;

/// Nine parts of ten go to a thread at 0 that wants the same CPU, and it need not wait for its turn.
constexpr int kBackgroundNice = 10;
std::atomic<bool> g_isBackground{false};

/// One loop in progress. Workers take indices from it until none is left.
struct Loop {
    const std::function<void(std::size_t)>* body = nullptr;
    std::size_t count = 0;
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::condition_variable done;
    int active = 0;
    std::exception_ptr error;

    void work()
    {
        for (;;) {
            const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
            if (i >= count || failed.load(std::memory_order_relaxed))
                return;
            try {
                (*body)(i);
            } catch (...) {
                const std::scoped_lock lock(mutex);
                if (!failed.exchange(true))
                    error = std::current_exception();
            }
        }
    }
};

/// Threads are kept between loops; a loop asks for helpers and never waits for a busy pool,
/// because its caller works too.
class Pool {
public:
    ~Pool()
    {
        {
            const std::scoped_lock lock(m_mutex);
            m_quit = true;
        }
        m_wake.notify_all();
        for (std::thread& thread : m_threads)
            thread.join();
    }

    void run(std::size_t count, const std::function<void(std::size_t)>& body, int helpers)
    {
        const auto loop = std::make_shared<Loop>();
        loop->body = &body;
        loop->count = count;
        {
            const std::scoped_lock lock(m_mutex);
            startThreads(helpers);
            // What may fail comes before anybody can find `body`, which goes when this ends.
            m_queue.reserve(m_queue.size() + static_cast<std::size_t>(helpers));
            for (int i = 0; i < helpers; ++i)
                m_queue.push_back(loop);
        }
        m_wake.notify_all();
        t_insideWorker = true;
        loop->work();
        t_insideWorker = false;
        {
            // Requests that no worker took yet must not outlive `body`.
            const std::scoped_lock lock(m_mutex);
            std::erase(m_queue, loop);
        }
        std::unique_lock lock(loop->mutex);
        loop->done.wait(lock, [&] { return loop->active == 0; });
        if (loop->error)
            std::rethrow_exception(loop->error);
    }

private:
    /// As many as the system gives: the caller works too, and alone if need be.
    void startThreads(int wanted)
    {
        m_threads.reserve(static_cast<std::size_t>(wanted));
        try {
            while (static_cast<int>(m_threads.size()) < wanted)
                m_threads.emplace_back([this] { serve(); });
        } catch (const std::system_error&) {
            return;
        }
    }
    void serve()
    {
        t_insideWorker = true;
        for (;;) {
            std::shared_ptr<Loop> loop;
            {
                std::unique_lock lock(m_mutex);
                m_wake.wait(lock, [this] { return m_quit || !m_queue.empty(); });
                if (m_quit)
                    return;
                loop = m_queue.front();
                m_queue.erase(m_queue.begin());
                // Under the pool's lock: run() erases requests under it before it reads `active`.
                const std::scoped_lock loopLock(loop->mutex);
                ++loop->active;
            }
            giveWay();
            loop->work();
            const std::scoped_lock lock(loop->mutex);
            --loop->active;
            loop->done.notify_all();
        }
    }

    std::mutex m_mutex;
    std::condition_variable m_wake;
    std::vector<std::shared_ptr<Loop>> m_queue;
    std::vector<std::thread> m_threads;
    bool m_quit = false;
};

Pool& pool()
{
    static Pool instance;
    return instance;
}

/// Threads that may outlive the calls that started them.
class Background {
public:
    Background()
    {
        // Made before this, so that it is taken down after it: given-up work may be inside a loop.
        static_cast<void>(pool());
    }
    ~Background() { joinLeft(); }

    bool run(const std::stop_token& stop, std::function<void()> work)
    {
        std::unique_lock lock(m_mutex);
        if (!m_changed.wait(lock, stop, [this] { return m_leftRunning == 0; }))
            return false;
        joinLeft();
        const auto call = std::make_shared<Call>();
        m_left.reserve(1);  // a thread that cannot be kept could not be left behind
        std::thread thread = started([this, call, work = std::move(work)]() mutable { serve(*call, work); });
        if (!m_changed.wait(lock, stop, [&call] { return call->finished; })) {
            call->left = true;
            ++m_leftRunning;
            m_left.push_back(std::move(thread));
            return false;
        }
        lock.unlock();
        thread.join();
        if (call->error)
            std::rethrow_exception(call->error);
        return true;
    }

    [[nodiscard]] bool isBusy()
    {
        const std::scoped_lock lock(m_mutex);
        return m_leftRunning > 0;
    }

private:
    struct Call {
        bool finished = false;
        bool left = false;  // nobody waits any more
        std::exception_ptr error;
    };

    /// std::bad_alloc where the system gives no thread.
    template <class Work>
    [[nodiscard]] static std::thread started(Work work)
    {
        try {
            return std::thread(std::move(work));
        } catch (const std::system_error&) {
            throw std::bad_alloc();
        }
    }
    void serve(Call& call, std::function<void()>& work)
    {
        giveWay();
        try {
            work();
        } catch (...) {
            call.error = std::current_exception();
        }
        work = nullptr;  // what it owns goes before anybody is told
        const std::scoped_lock lock(m_mutex);
        call.finished = true;
        if (call.left)
            --m_leftRunning;
        m_changed.notify_all();
    }

    void joinLeft()
    {
        for (std::thread& thread : m_left)
            thread.join();
        m_left.clear();
    }

    std::mutex m_mutex;
    std::condition_variable_any m_changed;
    std::vector<std::thread> m_left;
    int m_leftRunning = 0;
};

Background& background()
{
    static Background instance;
    return instance;
}

}  // namespace

int threadCount()
{
    return wantedThreads().load();
}

void setThreadCount(int count)
{
    wantedThreads().store(std::max(1, count));
}

void computeInBackground()
{
    g_isBackground.store(true);
}

void giveWay()
{
    thread_local bool t_isAsked = false;
    if (t_isAsked || !g_isBackground.load())
        return;
    t_isAsked = true;
    // On Linux the priority of the calling thread alone. Refused or already lower: nothing is lost but smoothness.
    if (getpriority(PRIO_PROCESS, 0) < kBackgroundNice)
        static_cast<void>(setpriority(PRIO_PROCESS, 0, kBackgroundNice));
}

void parallelFor(std::size_t count, const std::function<void(std::size_t)>& body)
{
    const auto helpers = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(threadCount()), count)) - 1;
    if (helpers <= 0 || t_insideWorker) {
        for (std::size_t i = 0; i < count; ++i)
            body(i);
        return;
    }
    pool().run(count, body, helpers);
}

bool runAbandonable(const std::stop_token& stop, std::function<void()> work)
{
    if (!stop.stop_possible()) {
        work();
        return true;
    }
    if (stop.stop_requested())
        return false;
    return background().run(stop, std::move(work));
}

bool hasAbandonedWork()
{
    return background().isBusy();
}

}  // namespace sigmascope
