// SPDX-License-Identifier: GPL-3.0-or-later
// What a plot gives away: picture, vectors, data; and its context menu.
#include "ui/plots/PlotFrame.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"

#include <QFileInfo>
#include <QMenu>
#include <QSvgGenerator>

#include <qcustomplot.h>

namespace sigmascope::ui {

void PlotFrame::setSubject(const QString& subject)
{
    m_subject = subject;
}

QString PlotFrame::csv() const
{
    if (m_subject.isEmpty())
        return dataAsCsv();
    // Comment lines first, as pandas, R and gnuplot skip them when told so.
    QString subject = m_subject;
    subject.replace(QLatin1Char('\n'), QLatin1Char(' '));
    QString text = QStringLiteral("# tensor: %1\n# plot: %2\n").arg(subject, plotTitle());
    if (const QString units = dataUnits(); !units.isEmpty())
        text += QStringLiteral("# units: %1\n").arg(units);
    return text + dataAsCsv();
}

Exportable PlotFrame::exportable() const
{
    const QString name = m_subject.isEmpty() ? QString() : m_subject + QLatin1Char('-');
    return {.name = fileNameOf(name + plotTitle()),
            .image = [this] { return image(); },
            .drawing =
                [this](QSvgGenerator& generator) {
                    generator.setSize(m_plot->size());
                    generator.setViewBox(m_plot->rect());
                    QCPPainter painter;
                    painter.begin(&generator);
                    painter.setMode(QCPPainter::pmVectorized);
                    m_plot->toPainter(&painter, m_plot->width(), m_plot->height());
                    painter.end();
                },
            .csv = [this] { return csv(); }};
}

QString PlotFrame::plotTitle() const
{
    return m_title.isEmpty() ? QStringLiteral("plot") : m_title;
}

QImage PlotFrame::image() const
{
    return m_plot->toPixmap(m_plot->width(), m_plot->height(), 2.0).toImage();
}

void PlotFrame::copyImage()
{
    copyExportedImage(exportable());
}

void PlotFrame::copyData()
{
    copyExportedData(exportable());
}

bool PlotFrame::saveAs(const QString& path)
{
    const bool done = saveExported(exportable(), path);
    m_note->setText(done ? tr("Saved %1").arg(QFileInfo(path).fileName()) : tr("✕ Could not write %1").arg(path));
    if (!done)
        emit saveFailed(path);
    return done;
}

void PlotFrame::saveWithDialog(const QString& suffix)
{
    const SaveOutcome outcome = saveExportedByDialog(this, exportable(), suffix);
    if (outcome.path.isEmpty())
        return;
    m_note->setText(outcome.isWritten ? tr("Saved %1").arg(QFileInfo(outcome.path).fileName())
                                      : tr("✕ Could not write %1").arg(outcome.path));
    if (!outcome.isWritten)
        emit saveFailed(outcome.path);
}

void PlotFrame::fillContextMenu(QMenu& menu)
{
    const auto add = [&](const QString& text, const QKeySequence& key, const std::function<void()>& run) {
        QAction* action = menu.addAction(text);
        // Shown beside the entry; the key itself comes to keyPressEvent().
        action->setShortcut(key);
        action->setShortcutContext(Qt::WidgetShortcut);
        connect(action, &QAction::triggered, this, run);
    };
    add(tr("Copy image"), QKeySequence(QKeySequence::Copy), [this] { copyImage(); });
    add(tr("Copy data"), QKeySequence(tr("Ctrl+Shift+C")), [this] { copyData(); });
    menu.addSeparator();
    for (const QString& suffix : {QStringLiteral("png"), QStringLiteral("svg"), QStringLiteral("csv")})
        add(tr("Save as %1…").arg(suffix.toUpper()), {}, [this, suffix] { saveWithDialog(suffix); });
    menu.addSeparator();
    add(tr("Reset zoom"), QKeySequence(Qt::Key_0), [this] { resetZoom(); });
}

void PlotFrame::openContextMenu(const QPoint& globalPosition)
{
    QMenu menu(this);
    fillContextMenu(menu);
    menu.exec(globalPosition);
}

}  // namespace sigmascope::ui
