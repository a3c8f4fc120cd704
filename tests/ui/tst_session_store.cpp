// SPDX-License-Identifier: GPL-3.0-or-later
#include "StudioFixture.h"

#include "ui/session/RunController.h"
#include "ui/session/SessionStore.h"
#include "ui/widgets/ElidedLabel.h"

#include <QDir>
#include <QFile>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>

using namespace sigmascope;
using namespace sigmascope::test;

class SessionStoreTest : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::SessionStore> m_store;
    QByteArray m_applied;

    void makeStudio()
    {
        m_store.reset();
        m_session = makeSession();
        m_store = std::make_unique<ui::SessionStore>(*m_session);
        m_applied.clear();
        m_store->setView([] { return QByteArray(R"({"page":"plan","tab":2})"); }, [this](const QByteArray& view) { m_applied = view; });
    }
    /// The sample with a plan, a selection and a result of its own.
    void work()
    {
        QVERIFY(openAndWait(*m_session, sampleFolder()));
        m_session->select({3, 5}, 5);
        m_session->setBits({3}, 8);
        m_session->setRank({5}, 17);
        m_session->setPinned({5}, true);
        TensorResult result{.tensor = 3, .name = m_session->tensor(3).name, .grid = m_session->layer(3).grid, .method = "l2qer"};
        result.weightError = 0.0625;
        m_session->recordResult(result, m_session->layer(3));
    }
    void expectWork(const QuantizationPlan& plan)
    {
        QVERIFY(m_session->plan() == plan);
        QVERIFY(m_session->layer(5).pinned);
        QCOMPARE(m_session->layer(5).rank, 17U);
        QVERIFY(m_session->measured(3) != nullptr);
        QCOMPARE(m_session->measured(3)->weightError, std::optional(0.0625));
        QVERIFY(!m_session->undoStack().canUndo());
        QCOMPARE(m_applied, QByteArray(R"({"page":"plan","tab":2})"));
    }
    [[nodiscard]] QString at(const char* name) const { return m_folder.filePath(QString::fromLatin1(name)); }

private slots:
    void initTestCase()
    {
        isolateSettings(m_folder);
        qputenv("XDG_STATE_HOME", m_folder.path().toUtf8());
    }
    void init() { makeStudio(); }
    void cleanup()
    {
        m_store.reset();
        m_session.reset();
    }

    void savedAndReopenedIsTheSamePlanResultsAndView()
    {
        work();
        QSignalSpy ruled(m_session.get(), &ui::Session::recipeChanged);
        m_session->setRules({{.match = "down_proj", .bits = 8}}, QStringLiteral("Add a rule"));
        QTRY_COMPARE_WITH_TIMEOUT(ruled.count(), 1, 20000);
        QVERIFY(m_store->isChanged());
        const QuantizationPlan plan = m_session->plan();
        QSignalSpy saved(m_store.get(), &ui::SessionStore::saved);
        m_store->save(at("mine"));
        QTRY_COMPARE(saved.count(), 1);
        QCOMPARE(m_store->path(), at("mine.sgms"));
        QVERIFY(!m_store->isChanged());
        makeStudio();
        QSignalSpy restored(m_store.get(), &ui::SessionStore::restored);
        QSignalSpy failed(m_store.get(), &ui::SessionStore::failed);
        QVERIFY(ui::SessionStore::isSessionFile(at("mine.sgms")));
        m_store->open(at("mine.sgms"));
        QTRY_COMPARE_WITH_TIMEOUT(restored.count(), 1, 20000);
        expectWork(plan);
        // Rules come back too, and leave the plan as it was saved.
        QTRY_COMPARE_WITH_TIMEOUT(m_session->recipe().recipe.rules.size(), std::size_t{1}, 20000);
        QCOMPARE(m_session->recipe().recipe.rules[0].match, std::string("down_proj"));
        expectWork(plan);
        QVERIFY(!m_store->isChanged());
        QCOMPARE(failed.count(), 0);
        QCOMPARE(m_store->path(), at("mine.sgms"));
        QVERIFY(!m_store->isChanged());
    }

    void aCrashLeavesACopyThatTheNextStartOffers()
    {
        work();
        const QuantizationPlan plan = m_session->plan();
        m_store->setInterval(1);
        const QString own = m_folder.filePath(QStringLiteral("sigmascope/autosave-%1.sgms").arg(QCoreApplication::applicationPid()));
        QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(own), 20000);
        QVERIFY(ui::SessionStore::abandonedCopies().isEmpty());  // this program lives
        // As it would lie there after the end of a process; no process has this number (pid_max is 2^22).
        const QString crashed = m_folder.filePath(QStringLiteral("sigmascope/autosave-99999999.sgms"));
        QVERIFY(QFile::copy(own, crashed));
        makeStudio();
        QVERIFY(!QFile::exists(own));  // ended as it should
        QCOMPARE(ui::SessionStore::abandonedCopies(), QStringList{crashed});
        QSignalSpy restored(m_store.get(), &ui::SessionStore::restored);
        m_store->recover(crashed);
        QTRY_COMPARE_WITH_TIMEOUT(restored.count(), 1, 20000);
        expectWork(plan);
        QVERIFY(m_store->path().isEmpty());
        QVERIFY(m_store->isChanged());
        ui::SessionStore::forget(crashed);
        QVERIFY(ui::SessionStore::abandonedCopies().isEmpty());
    }

    void recoveringIsRefusedInWordsWhileARunWorks()
    {
        work();
        QSignalSpy saved(m_store.get(), &ui::SessionStore::saved);
        m_store->save(at("crashed.sgms"));
        QTRY_COMPARE(saved.count(), 1);
        const QString crashed = m_folder.filePath(QStringLiteral("sigmascope/autosave-99999999.sgms"));
        QVERIFY(QDir().mkpath(QFileInfo(crashed).path()));
        QVERIFY(QFile::copy(at("crashed.sgms"), crashed));
        m_store.reset();
        ui::MainWindow window(*m_session, sampleFolder());
        auto* recover = window.findChild<QPushButton*>(QStringLiteral("recoverSession"));
        QVERIFY(!recover->isHidden());
        QSignalSpy opening(m_session.get(), &ui::Session::openStarted);
        QSignalSpy finished(&window.runController(), &ui::RunController::finished);
        window.runController().start(at("run.gguf"), false);
        QVERIFY(window.runController().isRunning());
        recover->click();
        QVERIFY(std::ranges::any_of(window.findChildren<ui::ElidedLabel*>(), [](const auto* label) {
            return label->text().contains(QStringLiteral("A run is working"));
        }));
        QVERIFY(!recover->isHidden());
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, 60000);
        QCOMPARE(opening.count(), 0);
        recover->click();
        QTRY_COMPARE_WITH_TIMEOUT(opening.count(), 1, 20000);
        QTRY_VERIFY_WITH_TIMEOUT(!QFile::exists(crashed), 20000);
        QCOMPARE(m_session->layer(5).rank, 17U);
    }

    void aDamagedFileIsAMessageAndTheDocumentStays()
    {
        work();
        const QuantizationPlan plan = m_session->plan();
        QFile file(at("bad.sgms"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("SGMSESS\nnot much");
        file.close();
        QSignalSpy failed(m_store.get(), &ui::SessionStore::failed);
        m_store->open(at("bad.sgms"));
        QTRY_COMPARE(failed.count(), 1);
        QVERIFY(failed[0][0].toString().contains(QStringLiteral("bad.sgms")));
        QVERIFY(m_session->plan() == plan);
        m_store->save(QStringLiteral("/nowhere/x.sgms"));
        QTRY_COMPARE(failed.count(), 2);
        QVERIFY(m_store->isChanged());
    }
};

QTEST_MAIN(SessionStoreTest)
#include "tst_session_store.moc"
