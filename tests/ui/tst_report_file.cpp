// SPDX-License-Identifier: GPL-3.0-or-later
// A run's report, saved from the menu as HTML and as PDF.
#include "StudioFixture.h"

#include "core/base/Sha256.h"
#include "ui/session/RunController.h"

#include <QCryptographicHash>
#include <QFile>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenuBar>
#include <QSignalSpy>

using namespace sigmascope;
using namespace sigmascope::test;

namespace
{

QByteArray bytesOf(const QString& path)
{
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

} // namespace

class ReportFileTest : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase();
    void reportIsOfferedOnlyAfterARun();
    void htmlHoldsTheRunsErrorsAndHashes();
    void pdfHasPagesAndPictures();
    void changedOutputIsNotVouchedFor();

private:
    [[nodiscard]] QAction* action() const;
    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void ReportFileTest::initTestCase()
{
    QVERIFY(m_folder.isValid());
    isolateSettings(m_folder);
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->show();
}

QAction* ReportFileTest::action() const
{
    for (QAction* action : m_window->findChildren<QAction*>())
        if (action->text() == QStringLiteral("Save report…"))
            return action;
    return nullptr;
}

void ReportFileTest::reportIsOfferedOnlyAfterARun()
{
    QVERIFY(action() != nullptr && !action()->isEnabled());
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QVERIFY(!action()->isEnabled());
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    m_window->runController().start(m_folder.filePath(QStringLiteral("model.gguf")), false);
    QVERIFY(finished.wait(60000));
    QVERIFY(action()->isEnabled());
}

void ReportFileTest::htmlHoldsTheRunsErrorsAndHashes()
{
    QSignalSpy saved(&m_window->runController(), &ui::RunController::reportSaved);
    action()->trigger();
    auto* dialog = m_window->findChild<QFileDialog*>();
    QVERIFY(dialog != nullptr);
    emit dialog->fileSelected(m_folder.filePath(QStringLiteral("run.html")));
    dialog->close();
    QVERIFY(saved.wait(30000));
    const QByteArray page = bytesOf(m_folder.filePath(QStringLiteral("run.html")));
    QVERIFY(page.startsWith("<!DOCTYPE html>"));
    for (const OutputFile& output : m_window->runController().lastResult()->outputs) {
        // Qt's own SHA-256 as the judge.
        const QByteArray hash = QCryptographicHash::hash(bytesOf(QString::fromStdString(output.path.string())), QCryptographicHash::Sha256).toHex();
        QVERIFY(page.contains(hash));
    }
    for (const TensorResult& tensor : m_window->runController().lastResult()->tensors)
        QVERIFY2(page.contains(QByteArray::fromStdString(tensor.name)), tensor.name.c_str());
    QVERIFY(page.contains("&quot;schema&quot;"));
}

void ReportFileTest::pdfHasPagesAndPictures()
{
    QSignalSpy saved(&m_window->runController(), &ui::RunController::reportSaved);
    m_window->runController().saveReport(m_folder.filePath(QStringLiteral("run.pdf")));
    QVERIFY(saved.wait(30000));
    const QByteArray pdf = bytesOf(m_folder.filePath(QStringLiteral("run.pdf")));
    QVERIFY(pdf.startsWith("%PDF-"));
    QVERIFY(pdf.count("/Type /Page\n") >= 2);
    QVERIFY(pdf.count("/Subtype /Image") >= 3);
}

void ReportFileTest::changedOutputIsNotVouchedFor()
{
    QFile model(m_folder.filePath(QStringLiteral("model.gguf")));
    QVERIFY(model.open(QIODevice::Append));
    model.write("x");
    model.close();
    QSignalSpy raised(m_session.get(), &ui::Session::messageRaised);
    m_window->runController().saveReport(m_folder.filePath(QStringLiteral("late.html")));
    QVERIFY(raised.wait(30000));
    QVERIFY(raised[0][0].toString().contains(QLatin1String("model.gguf")));
    QVERIFY(!QFileInfo::exists(m_folder.filePath(QStringLiteral("late.html"))));
}

QTEST_MAIN(ReportFileTest)
#include "tst_report_file.moc"
