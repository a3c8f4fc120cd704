// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/Exportable.h"

#include <QAbstractItemView>
#include <QAction>
#include <QBuffer>
#include <QClipboard>
#include <QFileDialog>
#include <QFileInfo>
#include <QGuiApplication>
#include <QHeaderView>
#include <QPainter>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QTableView>
#include <QTreeView>

#include <algorithm>

namespace sigmascope::ui {

QString fileNameOf(const QString& text)
{
    QString name;
    for (const QChar c : text) {
        const bool isPlain = c.unicode() < 128
            && (c.isLetterOrNumber() || c == QLatin1Char('.') || c == QLatin1Char('-') || c == QLatin1Char('_'));
        if (isPlain || !name.endsWith(QLatin1Char('-')))
            name += isPlain ? c : QLatin1Char('-');
    }
    while (name.startsWith(QLatin1Char('.')) || name.startsWith(QLatin1Char('-')))
        name.remove(0, 1);
    return name.left(120);
}

QByteArray exportedBytes(const Exportable& what, const QString& suffix)
{
    if (suffix == QLatin1String("csv"))
        return what.csv().toUtf8();
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (suffix == QLatin1String("svg")) {
        QSvgGenerator generator;
        generator.setOutputDevice(&buffer);
        generator.setTitle(what.name);
        what.drawing(generator);
    } else {
        what.image().save(&buffer, "PNG");
    }
    return bytes;
}

bool saveExported(const Exportable& what, const QString& path)
{
    const QByteArray bytes = exportedBytes(what, QFileInfo(path).suffix().toLower());
    QSaveFile file(path);
    return file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit();
}

SaveOutcome saveExportedByDialog(QWidget* parent, const Exportable& what, const QString& suffix)
{
    const QString proposed = (what.name.isEmpty() ? QStringLiteral("plot") : what.name) + QLatin1Char('.') + suffix;
    QString path = QFileDialog::getSaveFileName(parent, QObject::tr("Save as %1").arg(suffix.toUpper()), proposed,
                                                QStringLiteral("%1 (*.%2)").arg(suffix.toUpper(), suffix));
    if (path.isEmpty())
        return {};
    if (!path.endsWith(QLatin1Char('.') + suffix, Qt::CaseInsensitive))
        path += QLatin1Char('.') + suffix;
    return {path, saveExported(what, path)};
}

void copyExportedImage(const Exportable& what)
{
    QGuiApplication::clipboard()->setImage(what.image());
}

void copyExportedData(const Exportable& what)
{
    QGuiApplication::clipboard()->setText(what.csv());
}

QImage imageOf(QWidget& widget)
{
    QImage image(widget.size() * 2, QImage::Format_RGB32);
    image.setDevicePixelRatio(2);
    image.fill(widget.palette().color(QPalette::Base));
    widget.render(&image);
    image.setDevicePixelRatio(1);  // a file of twice the pixels
    return image;
}

void drawOf(QWidget& widget, QSvgGenerator& generator)
{
    generator.setSize(widget.size());
    generator.setViewBox(widget.rect());
    QPainter painter(&generator);
    widget.render(&painter);
}

TableExport::TableExport(QWidget* widget, std::function<QString()> name, std::function<QString()> csv)
    : QObject(widget)
    , m_widget(widget)
    , m_view(qobject_cast<QAbstractItemView*>(widget))
    , m_name(std::move(name))
    , m_csv(std::move(csv))
{
    const auto add = [this](const QString& text, const QKeySequence& key, const std::function<void()>& run) {
        auto* action = new QAction(text, m_widget);
        action->setShortcut(key);
        action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
        connect(action, &QAction::triggered, this, run);
        m_widget->addAction(action);
    };
    const auto separate = [this] {
        auto* line = new QAction(m_widget);
        line->setSeparator(true);
        m_widget->addAction(line);
    };
    if (!m_widget->actions().isEmpty())
        separate();
    add(m_view != nullptr ? tr("Copy rows") : tr("Copy image"), QKeySequence(QKeySequence::Copy), [this] { copy(); });
    add(tr("Copy data"), QKeySequence(tr("Ctrl+Shift+C")), [this] { copyExportedData(exportable()); });
    if (m_view != nullptr)
        add(tr("Copy image"), {}, [this] { copyExportedImage(exportable()); });
    separate();
    for (const QString& suffix : {QStringLiteral("png"), QStringLiteral("svg"), QStringLiteral("csv")})
        add(tr("Save as %1…").arg(suffix.toUpper()), {}, [this, suffix] {
            const SaveOutcome outcome = saveExportedByDialog(m_widget, exportable(), suffix);
            if (!outcome.path.isEmpty())
                outcome.isWritten ? emit saved(outcome.path) : emit saveFailed(outcome.path);
        });
    m_widget->setContextMenuPolicy(Qt::ActionsContextMenu);
}

Exportable TableExport::exportable() const
{
    // The headers belong to the picture, so the whole view is drawn, not its viewport.
    return {.name = fileNameOf(m_name()),
            .image = [this] { return imageOf(*m_widget); },
            .drawing = [this](QSvgGenerator& generator) { drawOf(*m_widget, generator); },
            .csv = m_csv};
}

QString TableExport::selectedRows() const
{
    if (m_view == nullptr || m_view->selectionModel() == nullptr)
        return {};
    const QHeaderView* header = nullptr;
    if (const auto* tree = qobject_cast<QTreeView*>(m_view))
        header = tree->header();
    else if (const auto* table = qobject_cast<QTableView*>(m_view))
        header = table->horizontalHeader();
    if (header == nullptr)
        return {};
    QModelIndexList rows = m_view->selectionModel()->selectedRows(0);
    std::ranges::sort(rows, [](const QModelIndex& a, const QModelIndex& b) {
        const auto path = [](QModelIndex index) {
            std::vector<int> steps;
            for (; index.isValid(); index = index.parent())
                steps.insert(steps.begin(), index.row());
            return steps;
        };
        return path(a) < path(b);
    });
    QString text;
    for (const QModelIndex& row : std::as_const(rows)) {
        QStringList cells;
        for (int visual = 0; visual < header->count(); ++visual) {
            const int column = header->logicalIndex(visual);
            const QString cell = row.siblingAtColumn(column).data().toString();
            if (!header->isSectionHidden(column)
                && (!cell.isEmpty() || !m_view->model()->headerData(column, Qt::Horizontal).toString().isEmpty()))
                cells += cell;
        }
        text += cells.join(QLatin1Char('\t')) + QLatin1Char('\n');
    }
    return text;
}

void TableExport::copy()
{
    if (m_view == nullptr)
        return copyExportedImage(exportable());
    const QString rows = selectedRows();
    if (!rows.isEmpty())
        QGuiApplication::clipboard()->setText(rows);
}

}  // namespace sigmascope::ui
