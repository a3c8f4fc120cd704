// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QImage>
#include <QObject>
#include <QString>

#include <functional>

class QAbstractItemView;
class QMenu;
class QSvgGenerator;
class QWidget;

namespace sigmascope::ui {

/// What a plot or a table gives away.
struct Exportable {
    QString name;  ///< proposed file name, without suffix
    std::function<QImage()> image;  ///< as seen, twice as dense
    std::function<void(QSvgGenerator&)> drawing;  ///< as seen, as vectors; its device is set
    std::function<QString()> csv;  ///< all data, full precision, the same in every locale
};

/// Letters, digits, points and dashes only, so that it can be part of a file name.
[[nodiscard]] QString fileNameOf(const QString& text);

/// Bytes of a file in the format of a suffix: png, svg or csv.
[[nodiscard]] QByteArray exportedBytes(const Exportable& what, const QString& suffix);
/// Writes by the suffix of the path, whole or not at all. False if the file could not be written.
[[nodiscard]] bool saveExported(const Exportable& what, const QString& path);
/// Asks for a name. Nothing if the user gave up; else the path and whether it was written.
struct SaveOutcome {
    QString path;
    bool isWritten = false;
};
[[nodiscard]] SaveOutcome saveExportedByDialog(QWidget* parent, const Exportable& what, const QString& suffix);
void copyExportedImage(const Exportable& what);
void copyExportedData(const Exportable& what);

/// A widget as it is drawn, for Exportable.
[[nodiscard]] QImage imageOf(QWidget& widget);
void drawOf(QWidget& widget, QSvgGenerator& generator);

/// Gives a table or a panel its context menu and keys: Ctrl+C (rows of a table, else the picture), Ctrl+Shift+C (data
/// as CSV), Copy image, Save as PNG, SVG, CSV. Lives as long as the widget.
class TableExport : public QObject {
    Q_OBJECT

public:
    /// @param name  of the proposed file, asked each time.
    TableExport(QWidget* widget, std::function<QString()> name, std::function<QString()> csv);

    [[nodiscard]] Exportable exportable() const;
    /// Selected rows of a table as the user reads them, tabs between; empty for other widgets.
    [[nodiscard]] QString selectedRows() const;

signals:
    void saved(const QString& path);
    void saveFailed(const QString& path);

private:
    void copy();

    QWidget* m_widget;
    QAbstractItemView* m_view;
    std::function<QString()> m_name, m_csv;
};

}  // namespace sigmascope::ui
