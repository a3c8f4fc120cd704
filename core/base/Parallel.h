// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>

namespace sigmascope {

/// Elements per chunk of every reduction. Fixed, so that 1 and 16 threads combine the same partial
/// sums in the same order and give the same bits.
inline constexpr std::size_t kReductionChunk = 65536;

/// Threads that parallelFor may use; the calling one counts. Default: the CPUs this process may run on.
[[nodiscard]] int threadCount();
/// @pre count >= 1. Takes effect for the next parallelFor. Thread-safe.
void setThreadCount(int count);

/// Runs body(i) for every i in [0, count), in any order, on up to threadCount() threads of one shared
/// pool; returns when all are done. Nested calls run inline on their thread. The one place where the
/// core starts threads.
///
/// An exception of a body stops the hand-out of further indices and is rethrown here (the first one).
void parallelFor(std::size_t count, const std::function<void(std::size_t)>& body);

/// To be called once, before any work, by a program that answers a user: threads that compute give way to it from then
/// on, so that it gets a CPU at once while they keep all of them busy. Bytes and results are the same.
void computeInBackground();
/// Makes the calling thread one that computes: it gives way if computeInBackground() was called. For threads that
/// parallelFor did not start; cheap when repeated.
void giveWay();

/// For what cannot be interrupted (an eigen-solver, a disk that syncs): runs @p work on a thread of its own and waits
/// for it. A stop request ends the wait at once: false, the work goes on in the background and its result is dropped.
/// At most one is left running; the next call first waits for that one, or for its own stop request.
///
/// @p work owns all it touches, for it may outlive the caller. What it throws is rethrown here, unless given up.
[[nodiscard]] bool runAbandonable(const std::stop_token& stop, std::function<void()> work);
/// Given-up work is still running: a program that wants to end now ends by _exit(), for exit() waits for it.
[[nodiscard]] bool hasAbandonedWork();

}  // namespace sigmascope
