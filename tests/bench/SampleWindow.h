// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What the benches of the window share: the window itself with the sample model open, and the ways to wait and to sum
// up timings.

#include "core/base/Parallel.h"
#include "ui/MainWindow.h"
#include "ui/Theme.h"
#include "ui/session/Session.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QStandardPaths>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <vector>

namespace sigmascope::bench {

/// SIGMASCOPE_BENCH_SMALL=1: only prove that the bench still works.
inline bool isSmall()
{
    return qEnvironmentVariableIsSet("SIGMASCOPE_BENCH_SMALL");
}

/// Runs the event loop until @p done or a minute is over.
template <class Done>
bool waitUntil(const Done& done)
{
    QElapsedTimer clock;
    clock.start();
    while (!done() && clock.elapsed() < 60000)
        QCoreApplication::processEvents(QEventLoop::AllEvents | QEventLoop::WaitForMoreEvents, 20);
    return done();
}

/// The value that @p share of all are not above. @pre not empty.
inline double quantile(std::vector<double> values, double share)
{
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// The main window with the sample model open. To be made after the QApplication.
class SampleWindow {
public:
    explicit SampleWindow(QApplication& application)
        : m_session([](std::string_view) -> Result<std::unique_ptr<ComputeBackend>> { return makeCpuBackend(); },
                    {makeCpuBackend()->device()})
    {
        computeInBackground();  // as app/main.cpp does
        QStandardPaths::setTestModeEnabled(true);
        QCoreApplication::setOrganizationName(QStringLiteral("sigmascope-bench"));
        ui::installFonts();
        ui::applyTheme(application, ui::Appearance::Dark);
        m_window = std::make_unique<ui::MainWindow>(m_session, QStringLiteral(SIGMASCOPE_SOURCE_DIR "/resources/sample"));
        m_window->resize(1440, 900);
        m_window->show();
        m_window->openSample();
    }

    [[nodiscard]] ui::Session& session() { return m_session; }
    [[nodiscard]] ui::MainWindow& window() { return *m_window; }

    /// Waits until every layer has its preview, so that nothing is left to do but what is measured.
    [[nodiscard]] bool isSurveyed()
    {
        const auto allKnown = [this] {
            for (std::size_t i = 0; m_session.isOpen() && i < m_session.plan().layers.size(); ++i)
                if (!m_session.layer(i).keep && !m_session.isPreviewCurrent(i))
                    return false;
            return m_session.isOpen() && m_session.current().has_value();
        };
        const bool isReady = waitUntil(allKnown);
        if (!isReady)
            std::fputs("the sample model was not surveyed\n", stderr);
        return isReady;
    }

private:
    ui::Session m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

}  // namespace sigmascope::bench
