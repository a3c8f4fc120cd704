// SPDX-License-Identifier: GPL-3.0-or-later
// Filter and sort of the layer list, small and of 12,000 tensors.
#include "StudioFixture.h"

#include "ui/models/LayerFilter.h"
#include "ui/models/LayerRoles.h"
#include "ui/models/LayerTreeModel.h"
#include "ui/panels/LayerPanel.h"
#include "ui/session/Text.h"

#include <QAbstractItemModelTester>
#include <QFile>
#include <QLineEdit>
#include <QSignalSpy>
#include <QTreeView>

#include <cstring>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::LayerFilter;
using ui::LayerTreeModel;

namespace {

/// 12,000 experts in eight blocks; the data is a hole of zeros.
QString largeModel(const QString& folder)
{
    constexpr int kCount = 12000, kBytes = 32 * 64 * 2;
    static const std::array<const char*, 3> parts{"gate_proj", "up_proj", "down_proj"};
    QByteArray header("{");
    for (int i = 0; i < kCount; ++i)
        header += QStringLiteral("%1\"model.layers.%2.mlp.experts.%3.%4.weight\":{\"dtype\":\"BF16\",\"shape\":[32,64],"
                                 "\"data_offsets\":[%5,%6]}")
                      .arg(i == 0 ? QString() : QStringLiteral(","))
                      .arg(i / 1500)
                      .arg(i / 3 % 500)
                      .arg(QLatin1String(parts[static_cast<std::size_t>(i % 3)]))
                      .arg(qint64{i} * kBytes)
                      .arg(qint64{i + 1} * kBytes)
                      .toLatin1();
    header += '}';
    while (header.size() % 8 != 0)
        header += ' ';
    QDir().mkpath(folder);
    QFile file(folder + QStringLiteral("/model.safetensors"));
    const quint64 length = static_cast<quint64>(header.size());
    if (file.open(QIODevice::WriteOnly)) {
        file.write(reinterpret_cast<const char*>(&length), 8);
        file.write(header);
        file.resize(8 + header.size() + qint64{kCount} * kBytes);
    }
    return folder;
}

}  // namespace

class LayerFilterTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { isolateSettings(m_folder); }
    void init() { m_session = makeSession(); }
    void cleanup() { m_session.reset(); }

    void theProxyKeepsTheRulesOfItemModels();
    void theNameOfABlockStandsForItsLayers();
    void matchingIgnoresCaseAndEveryWordMustHold();
    void sortingKeepsBlocksTogetherAndSortsWithinThem();
    void descendingIsTheReverseAndMinusOneTheOldOrder();
    void aChangeOfThePlanReachesTheRowShown();
    void largeListsAreFlatWhileFiltered();
    void largeListsSortByEveryColumn();
    void theSelectionSurvivesAFilter();
    void openBlocksAreOpenAgainWhenTheFilterIsCleared();

private:
    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
};

void LayerFilterTest::theProxyKeepsTheRulesOfItemModels()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    const QAbstractItemModelTester tester(&filter, QAbstractItemModelTester::FailureReportingMode::QtTest);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    for (const char* text : {"down", "bits<5 role:proj", "nothing has this name", ""}) {
        QVERIFY(!filter.setText(QString::fromLatin1(text)));
        for (const int column : {-1, int(ui::LayerName), int(ui::LayerBits), int(ui::LayerError), int(ui::LayerMiB)})
            for (const Qt::SortOrder order : {Qt::AscendingOrder, Qt::DescendingOrder})
                filter.sort(column, order);
        // There and back again for every row.
        for (std::size_t tensor = 0; tensor < model.tensorCount(); ++tensor) {
            const QModelIndex shown = filter.mapFromSource(model.indexOf(tensor));
            if (shown.isValid())
                QCOMPARE(model.tensorAt(filter.mapToSource(shown)), std::optional(tensor));
        }
    }
    QCOMPARE(filter.listedTensors().size(), model.tensorCount());
    m_session->close();
    QCOMPARE(filter.rowCount(), 0);
}

void LayerFilterTest::theNameOfABlockStandsForItsLayers()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QVERIFY(!filter.setText(QStringLiteral("block")));
    QCOMPARE(filter.rowCount(), 4);
    QCOMPARE(filter.listedCount(), std::size_t{36});
}

void LayerFilterTest::matchingIgnoresCaseAndEveryWordMustHold()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QVERIFY(!filter.setText(QStringLiteral("DOWN_Proj LAYERS.1")));
    QCOMPARE(filter.listedCount(), std::size_t{1});
    // Every name is looked at, the first and the last as well.
    for (std::size_t tensor = 0; tensor < model.tensorCount(); ++tensor) {
        QVERIFY(!filter.setText(QString::fromStdString(m_session->tensor(tensor).name)));
        const auto listed = filter.listedTensors();
        QVERIFY(std::ranges::find(listed, tensor) != listed.end());
        for (const std::size_t other : listed)
            QVERIFY(m_session->tensor(other).name.find(m_session->tensor(tensor).name) != std::string::npos);
    }
    // A text that runs over the end of one name into the next is in none.
    QVERIFY(!filter.setText(QString::fromStdString(m_session->tensor(0).name + m_session->tensor(1).name)));
    QCOMPARE(filter.rowCount(), 0);
}

void LayerFilterTest::sortingKeepsBlocksTogetherAndSortsWithinThem()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    filter.sort(ui::LayerMiB, Qt::AscendingOrder);
    QCOMPARE(filter.listedTensors().size(), model.tensorCount());
    for (int row = 0; row < filter.rowCount(); ++row) {
        const QModelIndex top = filter.index(row, 0);
        if (row > 0)
            QVERIFY(top.data(ui::BytesRole).toULongLong()
                    >= filter.index(row - 1, 0).data(ui::BytesRole).toULongLong());
        for (int k = 1; k < filter.rowCount(top); ++k)
            QVERIFY(filter.index(k, 0, top).data(ui::BytesRole).toULongLong()
                    >= filter.index(k - 1, 0, top).data(ui::BytesRole).toULongLong());
    }
}

void LayerFilterTest::descendingIsTheReverseAndMinusOneTheOldOrder()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const auto before = filter.listedTensors();
    filter.sort(ui::LayerName, Qt::DescendingOrder);
    const auto top = filter.index(1, 0);
    QVERIFY(filter.rowCount(top) == 9 || filter.rowCount(filter.index(0, 0)) == 9);
    for (int row = 0; row < filter.rowCount(); ++row)
        for (int k = 1; k < filter.rowCount(filter.index(row, 0)); ++k)
            QVERIFY(filter.index(k, 0, filter.index(row, 0)).data().toString()
                    <= filter.index(k - 1, 0, filter.index(row, 0)).data().toString());
    filter.sort(-1);
    QCOMPARE(filter.listedTensors(), before);
}

void LayerFilterTest::aChangeOfThePlanReachesTheRowShown()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QVERIFY(!filter.setText(QStringLiteral("role:down")));
    const std::size_t tensor = m_session->checkpoint()->find("model.layers.2.mlp.down_proj.weight").value();
    const QModelIndex shown = filter.mapFromSource(model.indexOf(tensor));
    QSignalSpy changed(&filter, &QAbstractItemModel::dataChanged);
    m_session->setRank({tensor}, 5);
    QVERIFY(changed.count() >= 1);
    QCOMPARE(shown.siblingAtColumn(ui::LayerRank).data().toString(), QStringLiteral("5"));
    QCOMPARE(model.figures(tensor).rank, 5.0);
    QCOMPARE(model.figures(tensor).bytes, m_session->plannedBytes(tensor));
    QVERIFY(!filter.setText(QStringLiteral("rank=5 changed")));
    QCOMPARE(filter.listedTensors(), std::vector<std::size_t>{tensor});
}

void LayerFilterTest::largeListsAreFlatWhileFiltered()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    m_session->open(largeModel(m_folder.filePath(QStringLiteral("large"))));
    QVERIFY(QTest::qWaitFor([this] { return m_session->isOpen(); }, 20000));
    QCOMPARE(filter.rowCount(), 8);
    QVERIFY(!filter.isFlat());
    QVERIFY(!filter.setText(QStringLiteral("experts.17.")));
    QVERIFY(filter.isFlat());
    QCOMPARE(filter.rowCount(), 24);
    for (int row = 0; row < filter.rowCount(); ++row) {
        const QModelIndex shown = filter.index(row, 0);
        QVERIFY(!filter.hasChildren(shown));
        QVERIFY(shown.data().toString().startsWith(QStringLiteral("%1 · ").arg(row / 3)));
        QCOMPARE(filter.mapFromSource(filter.mapToSource(shown)), shown);
    }
    QVERIFY(!filter.setText(QString()));
    QCOMPARE(filter.rowCount(), 8);
}

void LayerFilterTest::largeListsSortByEveryColumn()
{
    LayerTreeModel model(*m_session);
    LayerFilter filter(model);
    m_session->open(largeModel(m_folder.filePath(QStringLiteral("large"))));
    QVERIFY(QTest::qWaitFor([this] { return m_session->isOpen(); }, 20000));
    for (std::size_t i = 0; i < 40; ++i)
        m_session->setRank({i * 301}, static_cast<int>(1 + i % 7));
    QVERIFY(!filter.setText(QStringLiteral("down_proj")));
    QCOMPARE(filter.rowCount(), 4000);
    for (const int column : {int(ui::LayerName), int(ui::LayerBits), int(ui::LayerRank), int(ui::LayerError),
                             int(ui::LayerMiB), int(ui::LayerShape)}) {
        filter.sort(column, Qt::DescendingOrder);
        QCOMPARE(filter.listedTensors().size(), std::size_t{4000});
    }
    filter.sort(ui::LayerRank, Qt::DescendingOrder);
    for (int row = 1; row < 100; ++row)
        QVERIFY(filter.index(row, 0).data(ui::RankRole).toDouble()
                <= filter.index(row - 1, 0).data(ui::RankRole).toDouble());
    QVERIFY(!filter.setText(QStringLiteral("experts")));
    filter.sort(ui::LayerName, Qt::AscendingOrder);
    QCOMPARE(filter.rowCount(), 12000);
    const auto shown = [&](int row) { return filter.mapToSource(filter.index(row, 0)).data().toString().toLower(); };
    QVERIFY(shown(0) != shown(11999));
    for (int row = 1; row < 12000; ++row)
        QVERIFY(shown(row - 1) <= shown(row));
}

void LayerFilterTest::theSelectionSurvivesAFilter()
{
    ui::installFonts();
    ui::LayerPanel panel(*m_session);
    panel.resize(392, 600);
    panel.show();
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = m_session->checkpoint()->find("model.layers.2.mlp.down_proj.weight").value();
    m_session->select({tensor}, tensor);
    panel.filterField()->setFocus();
    QTest::keyClicks(panel.filterField(), QStringLiteral("down"));
    QCOMPARE(m_session->current(), std::optional(tensor));
    QCOMPARE(panel.tree()->selectionModel()->selectedRows().size(), 1);
    QCOMPARE(panel.tree()->currentIndex().data(ui::TensorIndexRole).toInt(), static_cast<int>(tensor));
    // A filter that hides it does not unselect it either.
    panel.filterField()->clear();
    QTest::keyClicks(panel.filterField(), QStringLiteral("q_proj"));
    QCOMPARE(m_session->current(), std::optional(tensor));
    QVERIFY(panel.tree()->selectionModel()->selectedRows().isEmpty());
    panel.filterField()->clear();
    QCOMPARE(panel.tree()->selectionModel()->selectedRows().size(), 1);
}

void LayerFilterTest::openBlocksAreOpenAgainWhenTheFilterIsCleared()
{
    ui::LayerPanel panel(*m_session);
    panel.resize(392, 600);
    panel.show();
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QTreeView* tree = panel.tree();
    tree->collapseAll();
    const std::size_t tensor = m_session->checkpoint()->find("model.embed_tokens.weight").value();
    m_session->select({tensor}, tensor);
    const QModelIndex open = tree->model()->index(2, 0);
    QVERIFY(tree->model()->hasChildren(open));
    tree->expand(open);
    panel.filterField()->setText(QStringLiteral("down"));
    QVERIFY(tree->isExpanded(tree->model()->index(0, 0)));  // what a filter finds in a small model is seen at once
    panel.filterField()->clear();
    QVERIFY(tree->isExpanded(tree->model()->index(2, 0)));
    QVERIFY(!tree->isExpanded(tree->model()->index(1, 0)));
}

QTEST_MAIN(LayerFilterTest)
#include "tst_layer_filter.moc"
