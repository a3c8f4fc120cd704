// SPDX-License-Identifier: GPL-3.0-or-later
// The desktop studio.

#include "app/Composition.h"
#include "core/base/Parallel.h"
#include "core/tensor/Blas.h"
#include "ui/Language.h"
#include "ui/MainWindow.h"
#include "ui/Theme.h"
#include "ui/session/Session.h"
#include "ui/session/Settings.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QFileInfo>
#include <QTimer>

#include <cstdlib>

namespace {

/// The bundled model: told by the environment, beside the installed program, or in the source tree above the build folder.
QString samplePath()
{
    const QStringList candidates{qEnvironmentVariable("SIGMASCOPE_SAMPLE_DIR"),
                                 QCoreApplication::applicationDirPath() + QStringLiteral("/../share/sigmascope/sample"),
                                 QCoreApplication::applicationDirPath() + QStringLiteral("/../../../resources/sample")};
    for (const QString& folder : candidates) {
        if (!folder.isEmpty() && QFileInfo::exists(QDir(folder).filePath(QStringLiteral("model.safetensors"))))
            return QDir(folder).canonicalPath();
    }
    return {};
}

/// Leaves with 0 once the picture is written, with 1 if the model cannot be opened or nothing arrives in half a minute.
void takePicture(sigmascope::ui::Session& session, QWidget& window, const QString& path)
{
    using sigmascope::ui::Session;
    const auto take = [&session, &window, path] {
        if (!session.current() || !session.isPreviewCurrent(*session.current()))
            return;
        // One more turn of the event loop: the plots repaint from queued replots.
        QTimer::singleShot(300, &window, [&window, path] { QCoreApplication::exit(window.grab().save(path) ? 0 : 1); });
    };
    QObject::connect(&session, &Session::analysisChanged, &window, take);
    QObject::connect(&session, &Session::openFailed, &window, [] { QCoreApplication::exit(1); });
    QTimer::singleShot(30000, &window, [] { QCoreApplication::exit(1); });
}

}  // namespace

int main(int argc, char** argv)
{
    sigmascope::blas::correctKernelChoice(argv);
    sigmascope::computeInBackground();
    QApplication application(argc, argv);
    QCoreApplication::setOrganizationName(QStringLiteral("sigmascope"));
    QCoreApplication::setApplicationName(QStringLiteral("sigmascope"));
    QCoreApplication::setApplicationVersion(QStringLiteral(SIGMASCOPE_VERSION));
    QGuiApplication::setDesktopFileName(QStringLiteral("sigmascope"));

    sigmascope::ui::installLanguage(application, sigmascope::ui::Settings::language());

    QCommandLineParser parser;
    parser.setApplicationDescription(QCoreApplication::translate("main", "See what quantization does to every layer of a language model."));
    parser.addHelpOption();
    parser.addVersionOption();
    const QCommandLineOption sample(QStringLiteral("sample"), QCoreApplication::translate("main", "Open the bundled sample model."));
    parser.addOption(sample);
    const QCommandLineOption screenshot(QStringLiteral("screenshot"),
                                        QCoreApplication::translate("main", "Write a picture of the window once the first layer is analysed, and leave."),
                                        QStringLiteral("PNG"));
    parser.addOption(screenshot);
    parser.addPositionalArgument(QStringLiteral("file"), QCoreApplication::translate("main", "Model to open: file, index or folder."), QStringLiteral("[FILE]"));
    parser.process(application);

    using namespace sigmascope;
    ui::installFonts();
    const auto appearance = ui::Settings::appearance();
    ui::applyTheme(application, appearance == ui::Settings::Appearance::Dark ? ui::Appearance::Dark
                                    : appearance == ui::Settings::Appearance::Light ? ui::Appearance::Light
                                                                                    : ui::Appearance::System);
    int code = 0;
    {
        ui::Session session([](std::string_view device) { return makeBackend(device); }, listDevices());
        session.setDevice(ui::Settings::device());
        ui::MainWindow window(session, samplePath());
        window.show();
        if (!parser.positionalArguments().isEmpty())
            window.openPath(parser.positionalArguments().front());
        else if (parser.isSet(sample))
            window.openSample();
        if (parser.isSet(screenshot))
            takePicture(session, window, parser.value(screenshot));
        code = QApplication::exec();
    }
    // What a stopped run left behind cannot be interrupted, and nobody waits for it.
    if (hasAbandonedWork())
        std::_Exit(code);
    return code;
}
