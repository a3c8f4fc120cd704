// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <functional>
#include <stop_token>
#include <string_view>

namespace sigmascope {

/// What long work is told and may tell: stop token and progress. A value, cheap to copy.
/// Polled at least every 20 ms in our code; a library call that cannot be interrupted counts as
/// cancelled at once and its result is dropped.
struct JobContext {
    std::stop_token stop{};
    /// Called from any worker thread with the share done (0..1) and what is being worked on.
    /// May be empty. Must be cheap and thread-safe.
    std::function<void(double fraction, std::string_view subject)> progress{};
    /// Called by a ComputeBackend when an op is done, on the thread that asked for it: "encode", "vulkan:0", and why
    /// it was not the device asked for, else empty. May be empty.
    std::function<void(std::string_view op, std::string_view device, std::string_view why)> ran{};

    [[nodiscard]] bool cancelled() const { return stop.stop_requested(); }
    void report(double fraction, std::string_view subject = {}) const
    {
        if (progress)
            progress(fraction, subject);
    }
    void reportRan(std::string_view op, std::string_view device, std::string_view why = {}) const
    {
        if (ran)
            ran(op, device, why);
    }
};

[[nodiscard]] inline tl::unexpected<Error> cancelledError()
{
    return fail(ErrorCode::Cancelled, "cancelled");
}

}  // namespace sigmascope
