// SPDX-License-Identifier: GPL-3.0-or-later
// What a window must live through: sessions and recovery by real clicks, many files dropped at once (reliability item
// 106), undo across a finished run (item 110), every scale from 100 to 300 % without OpenGL (item 108).
#include "CutWords.h"
#include "StudioFixture.h"

#include "ui/models/LayerRoles.h"
#include "ui/panels/ComparePage.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/PlanPage.h"
#include "ui/session/RunController.h"
#include "ui/session/SessionStore.h"
#include "ui/widgets/ElidedLabel.h"

#include <QDialogButtonBox>
#include <QDropEvent>
#include <QElapsedTimer>
#include <QFile>
#include <QFileDialog>
#include <QGuiApplication>
#include <QMenuBar>
#include <QMimeData>
#include <QPushButton>
#include <QSignalSpy>
#include <QTabWidget>
#include <QTimer>
#include <QTreeView>
#include <QUrl>

#include <algorithm>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

/// Longest time in which the event loop did not come round.
class GapMeter : public QObject {
public:
    GapMeter()
    {
        m_timer.setInterval(2);
        connect(&m_timer, &QTimer::timeout, this, [this] {
            m_longest = std::max(m_longest, m_clock.restart());
        });
        m_clock.start();
        m_timer.start();
    }
    [[nodiscard]] qint64 longest() const { return m_longest; }

private:
    QTimer m_timer;
    QElapsedTimer m_clock;
    qint64 m_longest = 0;
};

}  // namespace

class WindowReliabilityTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();

    void aSessionIsSavedAndOpenedByItsMenu();
    void aCrashIsRecoveredByAClick();
    void aCopyIsDiscardedByAClick();
    void item106FiftyFilesDroppedWaitInTheirOrder();
    void item106PartsOfOneModelOpenOnce();
    void item106AFolderOfTenThousandFilesDoesNotFreeze();
    void item106TenThousandDroppedFilesDoNotFreeze();
    void item108EveryPageFitsAtThisScale();
    void item110UndoCrossesAFinishedRun();

private:
    void makeWindow();
    void drop(const QStringList& paths);
    [[nodiscard]] QString at(const QString& name) const { return m_folder.filePath(name); }
    [[nodiscard]] bool waitForModel() const
    {
        return QTest::qWaitFor([this] { return m_session->isOpen() && !m_session->isOpening() && m_session->current(); }, 30000);
    }
    [[nodiscard]] bool says(const QString& words) const
    {
        const auto labels = m_window->findChildren<ui::ElidedLabel*>();
        return std::ranges::any_of(labels, [&](const auto* label) { return label->isVisible() && label->text().contains(words); });
    }
    /// Opens a menu by its bar and takes the entry of these words.
    void takeFromMenu(const QString& menu, const QString& entry) const;
    /// Types a name into the file dialog that is open and accepts it.
    void answerDialog(const QString& path) const;

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void WindowReliabilityTest::initTestCase()
{
    isolateSettings(m_folder);
    qputenv("XDG_STATE_HOME", m_folder.path().toUtf8());
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
    QCoreApplication::setAttribute(Qt::AA_DontUseNativeDialogs);
}

void WindowReliabilityTest::init()
{
    makeWindow();
}

void WindowReliabilityTest::cleanup()
{
    m_window.reset();
    m_session.reset();
    QDir(m_folder.filePath(QStringLiteral("sigmascope"))).removeRecursively();
}

void WindowReliabilityTest::makeWindow()
{
    m_window.reset();
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
}

void WindowReliabilityTest::drop(const QStringList& paths)
{
    QMimeData data;
    QList<QUrl> urls;
    for (const QString& path : paths)
        urls << QUrl::fromLocalFile(path);
    data.setUrls(urls);
    QDragEnterEvent enter(QPoint(300, 300), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(m_window.get(), &enter);
    QVERIFY(enter.isAccepted());
    QDropEvent dropped(QPointF(300, 300), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(m_window.get(), &dropped);
}

void WindowReliabilityTest::takeFromMenu(const QString& menu, const QString& entry) const
{
    for (const QAction* title : m_window->menuBar()->actions()) {
        if (QString(title->text()).remove(u'&') != menu)
            continue;
        QTest::mouseClick(m_window->menuBar(), Qt::LeftButton, {}, m_window->menuBar()->actionGeometry(const_cast<QAction*>(title)).center());
        QMenu* opened = title->menu();
        QVERIFY(QTest::qWaitFor([opened] { return opened->isVisible(); }, 2000));
        for (QAction* action : opened->actions()) {
            if (action->text() != entry)
                continue;
            QVERIFY(action->isEnabled());
            QTest::mouseClick(opened, Qt::LeftButton, {}, opened->actionGeometry(action).center());
            return;
        }
    }
    QFAIL(qPrintable(menu + QStringLiteral(" has no entry ") + entry));
}

void WindowReliabilityTest::answerDialog(const QString& path) const
{
    auto* dialog = m_window->findChild<QFileDialog*>();
    QVERIFY(dialog != nullptr);
    QVERIFY(QTest::qWaitFor([dialog] { return dialog->isVisible(); }, 5000));
    // Not typed: without a window system the completer takes the keys.
    dialog->setDirectory(QFileInfo(path).path());
    dialog->selectFile(QFileInfo(path).fileName());
    const auto* buttons = dialog->findChild<QDialogButtonBox*>();
    QVERIFY(buttons != nullptr);
    QPushButton* accept
        = buttons->button(dialog->acceptMode() == QFileDialog::AcceptSave ? QDialogButtonBox::Save : QDialogButtonBox::Open);
    QTRY_VERIFY(accept != nullptr && accept->isEnabled());
    QTest::mouseClick(accept, Qt::LeftButton);
}

void WindowReliabilityTest::aSessionIsSavedAndOpenedByItsMenu()
{
    m_window->openSample();
    QVERIFY(waitForModel());
    const std::size_t layer = *m_session->current();
    m_session->setRank({layer}, 19);
    m_window->showPage(ui::MainWindow::Plan);
    QSignalSpy saved(m_window->store(), &ui::SessionStore::saved);
    takeFromMenu(QStringLiteral("File"), QStringLiteral("Save session as…"));
    answerDialog(at(QStringLiteral("clicked.sgms")));
    QTRY_COMPARE_WITH_TIMEOUT(saved.count(), 1, 10000);
    QVERIFY(QFile::exists(at(QStringLiteral("clicked.sgms"))));

    makeWindow();
    QSignalSpy restored(m_window->store(), &ui::SessionStore::restored);
    takeFromMenu(QStringLiteral("File"), QStringLiteral("Open session…"));
    answerDialog(at(QStringLiteral("clicked.sgms")));
    QTRY_COMPARE_WITH_TIMEOUT(restored.count(), 1, 30000);
    QCOMPARE(m_session->layer(layer).rank, 19U);
    QVERIFY(m_window->planPage()->isVisible());  // the page it was left on
    // Ctrl+S now writes to the same file, without asking.
    m_session->setRank({layer}, 23);
    QSignalSpy again(m_window->store(), &ui::SessionStore::saved);
    m_window->activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(m_window.get()));
    QTest::keyClick(m_window.get(), Qt::Key_S, Qt::ControlModifier);
    QTRY_COMPARE_WITH_TIMEOUT(again.count(), 1, 10000);
    QVERIFY(again[0][0].toString().endsWith(QStringLiteral("clicked.sgms")));
}

void WindowReliabilityTest::aCrashIsRecoveredByAClick()
{
    m_window->openSample();
    QVERIFY(waitForModel());
    const std::size_t layer = *m_session->current();
    m_session->setBits({layer}, 8);
    m_window->store()->keepCopy();
    const QString own = m_folder.filePath(QStringLiteral("sigmascope/autosave-%1.sgms").arg(QCoreApplication::applicationPid()));
    QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(own), 20000);
    const QString crashed = m_folder.filePath(QStringLiteral("sigmascope/autosave-99999999.sgms"));
    QVERIFY(QFile::copy(own, crashed));
    const LayerPlan plan = m_session->layer(layer);

    makeWindow();
    auto* recover = m_window->findChild<QPushButton*>(QStringLiteral("recoverSession"));
    QVERIFY(recover->isVisible());
    QVERIFY(says(QStringLiteral("did not end as it should")));
    QSignalSpy restored(m_window->store(), &ui::SessionStore::restored);
    QTest::mouseClick(recover, Qt::LeftButton);
    QTRY_COMPARE_WITH_TIMEOUT(restored.count(), 1, 30000);
    QVERIFY(m_session->layer(layer) == plan);
    QVERIFY(m_window->store()->path().isEmpty());  // a new one, to be saved where one likes
    QVERIFY(!recover->isVisible());
    QTRY_VERIFY_WITH_TIMEOUT(!QFile::exists(crashed), 10000);
}

void WindowReliabilityTest::aCopyIsDiscardedByAClick()
{
    const QString crashed = m_folder.filePath(QStringLiteral("sigmascope/autosave-99999998.sgms"));
    QVERIFY(QDir().mkpath(QFileInfo(crashed).path()));
    QFile file(crashed);
    QVERIFY(file.open(QIODevice::WriteOnly) && file.write("no session") > 0);
    file.close();
    makeWindow();
    // What cannot be opened is told, and is not lost.
    QSignalSpy failed(m_window->store(), &ui::SessionStore::failed);
    QTest::mouseClick(m_window->findChild<QPushButton*>(QStringLiteral("recoverSession")), Qt::LeftButton);
    QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, 10000);
    QVERIFY(QFile::exists(crashed));
    makeWindow();
    QTest::mouseClick(m_window->findChild<QPushButton*>(QStringLiteral("discardSession")), Qt::LeftButton);
    QVERIFY(!QFile::exists(crashed));
    QVERIFY(!says(QStringLiteral("did not end as it should")));
}

void WindowReliabilityTest::item106FiftyFilesDroppedWaitInTheirOrder()
{
    QStringList models;
    for (int i = 0; i < 50; ++i) {
        const QString path = at(QStringLiteral("drop-%1.safetensors").arg(i, 2, 10, QLatin1Char('0')));
        QVERIFY(QFile::link(sampleFolder() + QStringLiteral("/model.safetensors"), path));
        models << path;
    }
    models << at(QStringLiteral("notes.txt")) << models.front();  // neither a stranger nor a second time waits
    const GapMeter gaps;
    drop(models);
    QVERIFY(QTest::qWaitFor([&] { return m_session->isOpen() && m_session->path() == models[0]; }, 20000));
    auto* next = m_window->findChild<QPushButton*>(QStringLiteral("openNext"));
    QVERIFY(next->isVisible());
    QVERIFY(says(QStringLiteral("49 more")));
    QTest::mouseClick(next, Qt::LeftButton);
    QVERIFY(QTest::qWaitFor([&] { return m_session->isOpen() && m_session->path() == models[1]; }, 20000));
    QVERIFY(says(QStringLiteral("48 more")));
    takeFromMenu(QStringLiteral("File"), QStringLiteral("Open next of the dropped"));
    QVERIFY(QTest::qWaitFor([&] { return m_session->isOpen() && m_session->path() == models[2]; }, 20000));
    QVERIFY2(gaps.longest() < 1000, qPrintable(QString::number(gaps.longest())));
}

void WindowReliabilityTest::item106PartsOfOneModelOpenOnce()
{
    const QString folder = at(QStringLiteral("parts"));
    QVERIFY(QDir().mkpath(folder));
    QStringList parts;
    for (int i = 1; i <= 4; ++i) {
        parts << folder + QStringLiteral("/model-%1-of-00004.safetensors").arg(i, 5, 10, QLatin1Char('0'));
        QFile file(parts.back());
        QVERIFY(file.open(QIODevice::WriteOnly));
    }
    QSignalSpy opening(m_session.get(), &ui::Session::openStarted);
    drop(parts);
    QCOMPARE(opening.count(), 1);
    QCOMPARE(opening[0][0].toString(), folder);  // no index: the folder says what belongs together
    QSignalSpy failed(m_session.get(), &ui::Session::openFailed);
    QVERIFY(failed.wait(10000));
    QVERIFY(!m_window->findChild<QPushButton*>(QStringLiteral("openNext"))->isVisible());
}

void WindowReliabilityTest::item106AFolderOfTenThousandFilesDoesNotFreeze()
{
    const QString folder = copySample(at(QStringLiteral("crowded")));
    for (int i = 0; i < 10'000; ++i) {
        QFile file(folder + QStringLiteral("/note-%1.txt").arg(i));
        QVERIFY(file.open(QIODevice::WriteOnly));
    }
    QElapsedTimer took;
    took.start();
    const GapMeter gaps;
    drop({folder});
    QVERIFY(QTest::qWaitFor([&] { return m_session->isOpen() && m_session->path() == folder; }, 30000));
    QVERIFY2(gaps.longest() < 1000, qPrintable(QString::number(gaps.longest())));
    QVERIFY2(took.elapsed() < 15000, qPrintable(QString::number(took.elapsed())));
    QVERIFY(m_session->current().has_value());
}

void WindowReliabilityTest::item106TenThousandDroppedFilesDoNotFreeze()
{
    QStringList paths;
    for (int i = 0; i < 10'000; ++i)
        paths << at(QStringLiteral("absent-%1.txt").arg(i));
    QElapsedTimer took;
    took.start();
    drop(paths);
    QVERIFY2(took.elapsed() < 1000, qPrintable(QString::number(took.elapsed())));
    QVERIFY(says(QStringLiteral("None of the")));
    QVERIFY(!m_session->isOpen() && !m_session->isOpening());
}

void WindowReliabilityTest::item108EveryPageFitsAtThisScale()
{
    QCOMPARE(QGuiApplication::platformName(), QStringLiteral("offscreen"));  // no OpenGL, no screen
    m_window->openSample();
    QVERIFY(waitForModel());
    const qreal scale = m_window->devicePixelRatioF();
    QStringList wrong;
    const auto look = [&](const QString& page) {
        QTest::qWait(120);
        for (const QString& cut : cutWords(*m_window))
            wrong << page + QStringLiteral(": ") + cut;
        if (m_window->size() != QSize(1280, 720))
            wrong << QStringLiteral("%1: %2 × %3").arg(page).arg(m_window->width()).arg(m_window->height());
        const QImage image = m_window->grab().toImage();
        if (image.size() != QSize(qRound(1280 * scale), qRound(720 * scale)))
            wrong << QStringLiteral("%1: drawn %2 × %3").arg(page).arg(image.width()).arg(image.height());
        QSet<QRgb> colours;
        for (int y = 0; y < image.height(); y += 7)
            for (int x = 0; x < image.width(); x += 7)
                colours.insert(image.pixel(x, y));
        if (colours.size() < 12)
            wrong << page + QStringLiteral(": nothing drawn");
        const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
        QVERIFY(QDir().mkpath(folder.path()));
        QVERIFY(image.save(folder.filePath(QStringLiteral("scale-%1-%2.png").arg(qRound(100 * scale)).arg(page))));
    };
    m_window->showPage(ui::MainWindow::Inspect);
    QTabWidget* tabs = m_window->inspectPage()->tabs();
    for (int tab = 0; tab < tabs->count(); ++tab) {
        tabs->setCurrentIndex(tab);
        look(QStringLiteral("inspect-%1").arg(tab));
    }
    m_window->showPage(ui::MainWindow::Plan);
    look(QStringLiteral("plan"));
    m_window->showPage(ui::MainWindow::Run);
    look(QStringLiteral("run"));
    m_window->showPage(ui::MainWindow::Export);
    look(QStringLiteral("export"));
    m_window->showPage(ui::MainWindow::Compare);
    look(QStringLiteral("compare"));
    m_window->showPage(ui::MainWindow::Start);
    look(QStringLiteral("start"));
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join(QLatin1Char('\n'))));
}

void WindowReliabilityTest::item110UndoCrossesAFinishedRun()
{
    m_window->openSample();
    QVERIFY(waitForModel());
    const std::size_t layer = *m_session->current();
    const LayerPlan opened = m_session->layer(layer);
    m_session->setRank({layer}, 12);
    const LayerPlan ran = m_session->layer(layer);
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    m_window->runController().start(at(QStringLiteral("across.gguf")), true);
    m_session->setRank({layer}, 40);  // while it runs: the run keeps its own plan
    QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, 60000);
    QVERIFY(m_session->measured(layer) == nullptr);  // it is of another plan than the one shown
    const auto errorOf = [&] { return m_session->measured(layer) == nullptr ? std::optional<double>() : m_session->measured(layer)->metricError; };

    QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier);
    QVERIFY(m_session->layer(layer) == ran);
    QVERIFY(m_session->measured(layer) != nullptr);
    QCOMPARE(m_session->measured(layer)->rank, 12U);
    const auto error = errorOf();
    QVERIFY(error.has_value());
    QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier);
    QVERIFY(m_session->layer(layer) == opened);
    QVERIFY(m_session->measured(layer) == nullptr);
    QVERIFY(!m_session->undoStack().canUndo());
    QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    QVERIFY(m_session->layer(layer) == ran);
    QCOMPARE(errorOf(), error);
    QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    QCOMPARE(m_session->layer(layer).rank, 40U);
    QVERIFY(m_session->measured(layer) == nullptr);
    // Redone and run again: the file is of what is shown.
    m_window->runController().start(at(QStringLiteral("across.gguf")), true);
    QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 2, 60000);
    QVERIFY(m_session->measured(layer) != nullptr);
    QCOMPARE(m_session->measured(layer)->rank, 40U);
}

QTEST_MAIN(WindowReliabilityTest)
#include "tst_window_reliability.moc"
