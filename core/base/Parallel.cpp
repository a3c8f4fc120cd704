// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
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
            while (static_cast<int>(m_threads.size()) < helpers)
                m_threads.emplace_back([this] { serve(); });
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

}  // namespace

int threadCount()
{
    return wantedThreads().load();
}

void setThreadCount(int count)
{
    wantedThreads().store(std::max(1, count));
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

}  // namespace sigmascope
