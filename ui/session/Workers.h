// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

class QThreadPool;

namespace sigmascope::ui {

/// The threads that the window's jobs run on. Not Qt's global pool: Qt paints large fills on that one too and waits for
/// it, so that a job that holds all its threads would stop the window.
[[nodiscard]] QThreadPool& workers();

}  // namespace sigmascope::ui
