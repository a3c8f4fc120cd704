// SPDX-License-Identifier: GPL-3.0-or-later
// What one mouse move of a rank drag costs on the GUI thread: plan, undo step, exact byte budget, error, tree row,
// inspector and marker, in the open window of the sample model. Aim: under 1 ms.
#include "bench/SampleWindow.h"
#include "core/tensor/Blas.h"

using namespace sigmascope;
using namespace sigmascope::bench;

namespace {

double millisecondsOf(const QElapsedTimer& clock)
{
    return static_cast<double>(clock.nsecsElapsed()) / 1e6;
}

}  // namespace

int main(int argc, char** argv)
{
    blas::correctKernelChoice(argv);
    QApplication application(argc, argv);
    SampleWindow sample(application);
    if (!sample.isSurveyed())
        return 1;
    ui::Session& session = sample.session();
    const int moves = isSmall() ? 100 : 2000;
    const int top = session.maxRank(*session.current());
    const quint64 gesture = session.newGesture();
    std::vector<double> sizes;
    std::vector<double> handler;
    std::vector<double> frame;
    for (int i = 0; i < moves; ++i) {
        QElapsedTimer clock;
        clock.start();
        session.setRank(session.selection(), 1 + (i * 7) % top, gesture);
        handler.push_back(millisecondsOf(clock));
        QCoreApplication::processEvents();  // the repaint of the same frame
        frame.push_back(millisecondsOf(clock));
    }
    for (int i = 0; i < moves; ++i) {
        QElapsedTimer clock;
        clock.start();
        const auto estimate = estimateGguf(session.exportRequest(QStringLiteral("model.gguf"), false));
        sizes.push_back(millisecondsOf(clock));
        if (!estimate)
            return 1;
    }
    std::printf("rank drag, %d moves: handler median %.3f ms, p99 %.3f ms (aim 1 ms), of it exact sizes %.3f ms; "
                "with repaint median %.2f ms, p99 %.2f ms\n",
                moves, quantile(handler, 0.5), quantile(handler, 0.99), quantile(sizes, 0.5), quantile(frame, 0.5),
                quantile(frame, 0.99));
    return quantile(handler, 0.5) < 1 || isSmall() ? 0 : 1;
}
