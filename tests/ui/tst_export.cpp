// SPDX-License-Identifier: GPL-3.0-or-later
// What every plot and table gives away: clipboard and files, read back.
#include "StudioFixture.h"

#include "ui/models/RunTableModel.h"
#include "ui/panels/ChannelsPanel.h"
#include "ui/panels/HeatMapPanel.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/PlanDiff.h"
#include "ui/panels/PlanPage.h"
#include "ui/panels/RulesPanel.h"
#include "ui/panels/RunPage.h"
#include "ui/panels/StatisticsPanel.h"
#include "ui/plots/ChannelsPlot.h"
#include "ui/plots/DensityPlot.h"
#include "ui/plots/HeatMapPlot.h"
#include "ui/plots/SpectrumPlot.h"
#include "ui/session/RunController.h"
#include "ui/text/Csv.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/ModelMap.h"

#include <QClipboard>
#include <QFile>

#include <QLineEdit>
#include <QMenu>
#include <QMimeData>
#include <QSignalSpy>
#include <QTabWidget>
#include <QTableView>
#include <QTreeView>
#include <QXmlStreamReader>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::PlotFrame;

namespace {

constexpr const char* kLayer = "model.layers.2.mlp.down_proj.weight";

QByteArray contentOf(const QString& path)
{
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

/// Elements of a well-formed SVG by name; empty if it is not one.
QHash<QString, int> elementsOf(const QByteArray& svg)
{
    QHash<QString, int> elements;
    QXmlStreamReader reader(svg);
    while (!reader.atEnd())
        if (reader.readNext() == QXmlStreamReader::StartElement)
            ++elements[reader.name().toString()];
    return reader.hasError() ? QHash<QString, int>() : elements;
}

/// Rows after comments and the header, and that every row has as many fields as the header.
QStringList rowsOf(const QString& csv)
{
    QStringList rows;
    qsizetype fields = -1;
    for (const QString& line : csv.split(QLatin1Char('\n'), Qt::SkipEmptyParts)) {
        if (line.startsWith(QLatin1Char('#')))
            continue;
        const qsizetype own = line.count(QLatin1Char(','));
        if (fields < 0) {
            fields = own;
            continue;
        }
        if (own != fields && !line.contains(QLatin1Char('"')))
            return {};
        rows += line;
    }
    return rows;
}

}  // namespace

class ExportTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cleanupTestCase();
    void everyPlotSavesEachFormat_data();
    void everyPlotSavesEachFormat();
    void keysCopyPictureAndData_data() { everyPlotSavesEachFormat_data(); }
    void keysCopyPictureAndData();
    void theContextMenuOffersAllOfIt();
    void aFileThatCannotBeWrittenIsSaid();
    void statisticsKeepFullPrecisionInEveryLocale();
    void theLayerTableHoldsEveryListedLayer();
    void theTablesOfThePlanHoldItsChanges();
    void aTableSaysWhereItWasSaved();
    void theRunTableHoldsWhatTheRunMeasured();
    void selectedRowsAreCopiedAsTheyAreRead();
    void fieldsWithCommasAndQuotesAreQuoted();

private:
    [[nodiscard]] PlotFrame* plotOf(const QString& name) const;
    void showTab(const QString& name);

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void ExportTest::initTestCase()
{
    isolateSettings(m_folder);
    QLocale::setDefault(QLocale(QLocale::German));  // commas for points, points for thousands
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1440, 900);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    m_window->openSample();
    QVERIFY(QTest::qWaitFor([this] { return m_session->isOpen(); }, 20000));
    const std::size_t tensor = m_session->checkpoint()->find(kLayer).value();
    m_session->select({tensor}, tensor);
    QVERIFY(QTest::qWaitFor([this] { return m_session->isPreviewCurrent(*m_session->current()); }, 30000));
}

void ExportTest::cleanupTestCase()
{
    m_window.reset();
    m_session.reset();
    QLocale::setDefault(QLocale(QLocale::C));
}

PlotFrame* ExportTest::plotOf(const QString& name) const
{
    const ui::InspectPage* page = m_window->inspectPage();
    return name == QLatin1String("density") ? static_cast<PlotFrame*>(page->density())
        : name == QLatin1String("spectrum") ? static_cast<PlotFrame*>(page->spectrum())
        : name == QLatin1String("channels") ? static_cast<PlotFrame*>(page->channels()->plot())
                                            : static_cast<PlotFrame*>(page->heatMap()->plot());
}

void ExportTest::showTab(const QString& name)
{
    QTabWidget* tabs = m_window->inspectPage()->tabs();
    PlotFrame* plot = plotOf(name);
    for (int i = 0; i < tabs->count(); ++i)
        if (tabs->widget(i) == plot || tabs->widget(i)->isAncestorOf(plot))
            tabs->setCurrentIndex(i);
    QVERIFY(QTest::qWaitFor([plot] { return plot->state() == PlotFrame::State::Ready; }, 20000));
    QTest::qWait(60);
}

void ExportTest::everyPlotSavesEachFormat_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("fewestRows");
    QTest::newRow("density") << "density" << 20;
    QTest::newRow("spectrum") << "spectrum" << 129;
    QTest::newRow("channels") << "channels" << 256;
    QTest::newRow("heat-map") << "heat-map" << 64;
}

void ExportTest::everyPlotSavesEachFormat()
{
    QFETCH(QString, name);
    QFETCH(int, fewestRows);
    showTab(name);
    PlotFrame* plot = plotOf(name);

    const QString png = m_folder.filePath(name + QStringLiteral(".png"));
    QVERIFY(plot->saveAs(png));
    const QImage image(png);
    QCOMPARE(image.size(), plot->canvas()->size() * 2);
    QSet<QRgb> colours;
    for (int y = 0; y < image.height(); y += 3)
        for (int x = 0; x < image.width(); x += 3)
            colours.insert(image.pixel(x, y));
    QVERIFY2(colours.size() > 4, "the picture is empty");

    const QString svg = m_folder.filePath(name + QStringLiteral(".svg"));
    QVERIFY(plot->saveAs(svg));
    const auto elements = elementsOf(contentOf(svg));
    QVERIFY2(elements.value(QStringLiteral("svg")) == 1, "not well-formed");
    QVERIFY(elements.value(QStringLiteral("text")) >= 5);  // labels of the axes are letters, not pictures of them
    QVERIFY(elements.value(QStringLiteral("path")) + elements.value(QStringLiteral("polyline")) >= 5);
    QCOMPARE(elements.value(QStringLiteral("image")) > 0, name == QLatin1String("heat-map"));

    const QString csv = m_folder.filePath(name + QStringLiteral(".csv"));
    QVERIFY(plot->saveAs(csv));
    const QString text = QString::fromUtf8(contentOf(csv));
    QVERIFY2(text.startsWith(QStringLiteral("# tensor: ") + QLatin1String(kLayer)), qPrintable(text.left(200)));
    const QStringList rows = rowsOf(text);
    QVERIFY2(rows.size() >= fewestRows, qPrintable(QString::number(rows.size())));
    // Every field is a number of the C locale, or a word, never "0,5".
    int numbers = 0;
    for (const QString& field : rows.at(rows.size() / 2).split(QLatin1Char(','))) {
        bool isNumber = false;
        QLocale::c().toDouble(field, &isNumber);
        numbers += isNumber ? 1 : 0;
    }
    QVERIFY(numbers >= 2);
}

void ExportTest::keysCopyPictureAndData()
{
    QFETCH(QString, name);
    showTab(name);
    PlotFrame* plot = plotOf(name);
    plot->setFocus();
    QGuiApplication::clipboard()->clear();
    QTest::keyClick(plot, Qt::Key_C, Qt::ControlModifier);
    QVERIFY(QGuiApplication::clipboard()->mimeData()->hasImage());
    QCOMPARE(QGuiApplication::clipboard()->image().size(), plot->canvas()->size() * 2);
    QTest::keyClick(plot, Qt::Key_C, Qt::ControlModifier | Qt::ShiftModifier);
    QCOMPARE(QGuiApplication::clipboard()->text(), plot->csv());
    QVERIFY(QGuiApplication::clipboard()->text().contains(QLatin1String(kLayer)));
}

void ExportTest::theContextMenuOffersAllOfIt()
{
    showTab(QStringLiteral("channels"));
    PlotFrame* plot = plotOf(QStringLiteral("channels"));
    QMenu menu;
    plot->fillContextMenu(menu);
    QStringList texts;
    for (const QAction* action : menu.actions())
        if (!action->isSeparator())
            texts += action->text();
    QCOMPARE(
        texts,
        (QStringList{QStringLiteral("Copy image"), QStringLiteral("Copy data"), QStringLiteral("Save as PNG…"),
                     QStringLiteral("Save as SVG…"), QStringLiteral("Save as CSV…"), QStringLiteral("Reset zoom")}));
    QGuiApplication::clipboard()->clear();
    menu.actions().at(1)->trigger();
    QCOMPARE(QGuiApplication::clipboard()->text(), plot->csv());
}

void ExportTest::aFileThatCannotBeWrittenIsSaid()
{
    showTab(QStringLiteral("spectrum"));
    PlotFrame* plot = plotOf(QStringLiteral("spectrum"));
    QSignalSpy failed(plot, &PlotFrame::saveFailed);
    QVERIFY(!plot->saveAs(m_folder.filePath(QStringLiteral("missing/folder/plot.svg"))));
    QCOMPARE(failed.count(), 1);
}

void ExportTest::statisticsKeepFullPrecisionInEveryLocale()
{
    const TensorStats& stats = m_session->values(*m_session->current())->stats;
    const QString csv = m_window->inspectPage()->statistics()->asCsv();
    QVERIFY(csv.startsWith(QStringLiteral("# tensor: ") + QLatin1String(kLayer)));
    QHash<QString, QString> found;
    for (const QString& row : rowsOf(csv))
        found[row.section(QLatin1Char(','), 0, 0)] = row.section(QLatin1Char(','), 1);
    QCOMPARE(QLocale::c().toDouble(found.value(QStringLiteral("mean"))), stats.mean);
    QCOMPARE(QLocale::c().toDouble(found.value(QStringLiteral("stddev"))), stats.stddev());
    QCOMPARE(QLocale::c().toDouble(found.value(QStringLiteral("kurtosis"))), *stats.kurtosis());
    QCOMPARE(found.value(QStringLiteral("count")).toULongLong(), static_cast<qulonglong>(stats.count));
    QCOMPARE(found.value(QStringLiteral("nan")), QStringLiteral("0"));
    QVERIFY(found.contains(QStringLiteral("outliers")) && found.contains(QStringLiteral("zeros"))
            && found.contains(QStringLiteral("inf")));
    // What is read on the screen is written as the locale does.
    QVERIFY(m_window->inspectPage()->statistics()->valueText(QStringLiteral("stddev")).contains(QLatin1Char(',')));
}

void ExportTest::theLayerTableHoldsEveryListedLayer()
{
    auto* table = m_window->layerPanel()->tree()->findChild<ui::TableExport*>();
    QVERIFY(table != nullptr);
    const QString all = table->exportable().csv();
    QCOMPARE(rowsOf(all).size(), static_cast<qsizetype>(m_session->checkpoint()->tensors().size()));
    for (const QString& row : rowsOf(all))
        if (row.startsWith(QLatin1String(kLayer))) {
            const QStringList fields = row.split(QLatin1Char(','));
            QCOMPARE(fields.at(1), QStringLiteral("2"));
            QCOMPARE(QLocale::c().toDouble(fields.at(8)), m_session->shownError(*m_session->current())->value);
            QCOMPARE(fields.at(10).toULongLong(),
                     static_cast<qulonglong>(m_session->plannedBytes(*m_session->current())));
        }
    m_window->layerPanel()->filterField()->setText(QStringLiteral("role:down"));
    QCOMPARE(rowsOf(table->exportable().csv()).size(), qsizetype{4});
    m_window->layerPanel()->filterField()->clear();
    for (const char* suffix : {"png", "svg", "csv"}) {
        const QString path = m_folder.filePath(QStringLiteral("layers.") + QLatin1String(suffix));
        QVERIFY(ui::saveExported(table->exportable(), path));
    }
    QCOMPARE(QImage(m_folder.filePath(QStringLiteral("layers.png"))).size(),
             m_window->layerPanel()->tree()->size() * 2);
    QVERIFY(elementsOf(contentOf(m_folder.filePath(QStringLiteral("layers.svg")))).value(QStringLiteral("text")) > 10);
}

void ExportTest::theTablesOfThePlanHoldItsChanges()
{
    const std::size_t tensor = *m_session->current();
    m_session->setRank({tensor}, 5);
    m_window->showPage(ui::MainWindow::Plan);
    const auto csvOf = [](const QWidget* widget) {
        const auto* table = widget->findChild<ui::TableExport*>();
        return table != nullptr ? table->exportable().csv() : QString();
    };
    const ui::PlanDiff* changes = m_window->planPage()->findChild<ui::PlanDiff*>();
    QVERIFY(changes != nullptr);
    QTRY_COMPARE(rowsOf(csvOf(changes->table())).size(), qsizetype{1});
    const QString change = rowsOf(csvOf(changes->table())).front();
    QVERIFY2(change.startsWith(QStringLiteral("2,down_proj,4,32 → 5,-")), qPrintable(change));
    // The adapter loses 27 of 32 rank vectors: rows and columns in F16.
    const auto& shape = m_session->tensor(tensor).shape;
    QCOMPARE(change.section(QLatin1Char(','), -1).toDouble(), -27.0 * 2 * static_cast<double>(shape[0] + shape[1]));
    QVERIFY(csvOf(changes->fallbackTable()).startsWith(QStringLiteral("tensor,added_bytes,")));
    const auto* rules = m_window->planPage()->findChild<ui::RulesPanel*>();
    QVERIFY(rules != nullptr && csvOf(rules->table()).startsWith(QStringLiteral("pattern,bits,rank,layers\n")));
    QCOMPARE(rowsOf(csvOf(rules->table())).size(), static_cast<qsizetype>(rules->table()->model()->rowCount()));
    const auto* map = m_window->findChild<ui::ModelMap*>();
    QVERIFY(map != nullptr);
    QCOMPARE(rowsOf(csvOf(map)).size(), static_cast<qsizetype>(map->view().rows.size()));
    const QString path = m_folder.filePath(QStringLiteral("map.svg"));
    QVERIFY(ui::saveExported(map->findChild<ui::TableExport*>()->exportable(), path));
    QVERIFY(!elementsOf(contentOf(path)).isEmpty());
    m_session->undoStack().undo();
    m_window->showPage(ui::MainWindow::Inspect);
}

void ExportTest::aTableSaysWhereItWasSaved()
{
    const auto* message = m_window->findChild<ui::ElidedLabel*>(QStringLiteral("messageText"));
    auto* table = m_window->layerPanel()->tree()->findChild<ui::TableExport*>();
    QVERIFY(message != nullptr && table != nullptr);
    emit table->saved(QStringLiteral("/there/layers.csv"));
    QCOMPARE(message->text(), QStringLiteral("✓ Saved /there/layers.csv"));
    emit table->saveFailed(QStringLiteral("/there/layers.csv"));
    QVERIFY2(message->text().startsWith(QStringLiteral("▲ /there/layers.csv")), qPrintable(message->text()));
}

void ExportTest::theRunTableHoldsWhatTheRunMeasured()
{
    m_window->runPage()->setOutput(m_folder.filePath(QStringLiteral("run.gguf")));
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    QTest::keyClick(m_window.get(), Qt::Key_F5);
    QVERIFY(finished.wait(60000));
    auto* table = m_window->runPage()->table()->findChild<ui::TableExport*>();
    QVERIFY(table != nullptr);
    const QStringList rows = rowsOf(table->exportable().csv());
    const auto& results = m_window->runController().lastResult()->tensors;
    QCOMPARE(rows.size(), static_cast<qsizetype>(results.size()));
    for (qsizetype i = 0; i < rows.size(); ++i) {
        const TensorResult& result = results[static_cast<std::size_t>(i)];
        QVERIFY(rows.at(i).startsWith(QString::fromStdString(result.name) + QLatin1Char(',')));
        if (result.weightError)
            QCOMPARE(QLocale::c().toDouble(rows.at(i).split(QLatin1Char(',')).at(5)), *result.weightError);
    }
    m_window->showPage(ui::MainWindow::Inspect);
}

void ExportTest::selectedRowsAreCopiedAsTheyAreRead()
{
    QTreeView* tree = m_window->layerPanel()->tree();
    m_window->layerPanel()->focusTree();
    QGuiApplication::clipboard()->clear();
    QTest::keyClick(tree, Qt::Key_C, Qt::ControlModifier);
    const QString copied = QGuiApplication::clipboard()->text();
    QCOMPARE(copied.count(QLatin1Char('\n')), qsizetype{1});
    QVERIFY2(copied.startsWith(QStringLiteral("down_proj\t")), qPrintable(copied));
    QTest::keyClick(tree, Qt::Key_C, Qt::ControlModifier | Qt::ShiftModifier);
    QVERIFY(QGuiApplication::clipboard()->text().startsWith(QStringLiteral("tensor,block,role")));
}

void ExportTest::fieldsWithCommasAndQuotesAreQuoted()
{
    QCOMPARE(ui::csvField(QStringLiteral("plain")), QStringLiteral("plain"));
    QCOMPARE(ui::csvField(QStringLiteral("a,b")), QStringLiteral("\"a,b\""));
    QCOMPARE(ui::csvField(QStringLiteral("say \"x\"")), QStringLiteral("\"say \"\"x\"\"\""));
    QCOMPARE(ui::csvNumber(0.1).toDouble(), 0.1);
    QCOMPARE(ui::csvNumber(std::nan("")), QString());
    QCOMPARE(ui::fileNameOf(QStringLiteral("../a b/c:d")), QStringLiteral("a-b-c-d"));
}

QTEST_MAIN(ExportTest)
#include "tst_export.moc"
