// SPDX-License-Identifier: GPL-3.0-or-later
// What one mouse move of a rank drag costs on the GUI thread: plan, undo step, exact byte budget, error, tree row,
// inspector and marker, in the open window of the sample model. Aim: under 1 ms.
#include "core/tensor/Blas.h"
#include "ui/MainWindow.h"
#include "ui/Theme.h"
#include "ui/session/Session.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QStandardPaths>
#include <QTimer>

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace sigmascope;

namespace {

bool waitForPreview(ui::Session& session)
{
    QElapsedTimer clock;
    clock.start();
    while (clock.elapsed() < 30000) {
        QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
        if (session.isOpen() && session.current() && session.isPreviewCurrent(*session.current()))
            return true;
    }
    return false;
}

}  // namespace

int main(int argc, char** argv)
{
    blas::correctKernelChoice(argv);
    QApplication application(argc, argv);
    QStandardPaths::setTestModeEnabled(true);
    QCoreApplication::setOrganizationName(QStringLiteral("sigmascope-bench"));
    ui::installFonts();
    ui::applyTheme(application, ui::Appearance::Dark);
    ui::Session session([](std::string_view) -> Result<std::unique_ptr<ComputeBackend>> { return makeCpuBackend(); },
                        {makeCpuBackend()->device()});
    ui::MainWindow window(session, QStringLiteral(SIGMASCOPE_SOURCE_DIR "/resources/sample"));
    window.resize(1440, 900);
    window.show();
    window.openSample();
    if (!waitForPreview(session)) {
        std::fputs("the sample model did not open\n", stderr);
        return 1;
    }
    const int moves = qEnvironmentVariableIsSet("SIGMASCOPE_BENCH_SMALL") ? 100 : 2000;
    const int top = session.maxRank(*session.current());
    const quint64 gesture = session.newGesture();
    std::vector<double> sizes;
    std::vector<double> handler;
    std::vector<double> frame;
    for (int i = 0; i < moves; ++i) {
        QElapsedTimer clock;
        clock.start();
        session.setRank(session.selection(), 1 + (i * 7) % top, gesture);
        handler.push_back(static_cast<double>(clock.nsecsElapsed()) / 1e6);
        QCoreApplication::processEvents();  // the repaint of the same frame
        frame.push_back(static_cast<double>(clock.nsecsElapsed()) / 1e6);
    }
    for (int i = 0; i < moves; ++i) {
        QElapsedTimer clock;
        clock.start();
        const auto estimate = session.estimateFor(QStringLiteral("model.gguf"));
        sizes.push_back(static_cast<double>(clock.nsecsElapsed()) / 1e6);
        if (!estimate)
            return 1;
    }
    std::ranges::sort(sizes);
    std::ranges::sort(handler);
    std::ranges::sort(frame);
    const auto at = [](const std::vector<double>& sorted, double share) {
        return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
    };
    std::printf("rank drag, %d moves: handler median %.3f ms, p99 %.3f ms (aim 1 ms), of it exact sizes %.3f ms; "
                "with repaint median %.2f ms, p99 %.2f ms\n",
                moves, at(handler, 0.5), at(handler, 0.99), at(sizes, 0.5), at(frame, 0.5), at(frame, 0.99));
    return at(handler, 0.5) < 1 || qEnvironmentVariableIsSet("SIGMASCOPE_BENCH_SMALL") ? 0 : 1;
}
