// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/Workers.h"

#include <QThread>
#include <QThreadPool>
#include <QtCore/qapplicationstatic.h>

#include <algorithm>

namespace sigmascope::ui {

namespace {

/// A run, a preview and two figures of the layer that is looked at, also where there are fewer CPUs: they share them.
constexpr int kFewest = 4;

struct Workers : QThreadPool {
    Workers() { setMaxThreadCount(std::max(kFewest, QThread::idealThreadCount())); }
};

// Waits for its jobs when the application object goes.
Q_APPLICATION_STATIC(Workers, pool)

}  // namespace

QThreadPool& workers()
{
    return *pool();
}

}  // namespace sigmascope::ui
