// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QRadioButton>
#include <QString>
#include <QStyledItemDelegate>
#include <QTextEdit>
#include <QWidget>

class QLabel;

namespace sigmascope::ui {

class ElidedLabel;
enum class ExportFit;

/// One target of the export: name, container, size and how much of the plan it carries. A radio button, drawn as a
/// card.
class ExportCard : public QRadioButton {
    Q_OBJECT

public:
    explicit ExportCard(const QString& title, QWidget* parent = nullptr);
    void show(const QString& container, const QString& size, ExportFit fit, const QString& verdict);
    using QRadioButton::show;
    [[nodiscard]] QString verdict() const { return m_verdict; }
    [[nodiscard]] QString sizeText() const { return m_size; }
    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    [[nodiscard]] bool hitButton(const QPoint& at) const override { return rect().contains(at); }

private:
    QString m_container, m_size, m_verdict;
    ExportFit m_fit{};
};

/// A command to be copied: as high as its lines, which break anywhere where a name is longer than one.
class CommandText : public QTextEdit {
    Q_OBJECT

public:
    explicit CommandText(QWidget* parent = nullptr);

private:
    void fit();
};

/// A glyph, what was looked at, and what was found.
class CheckRow : public QWidget {
    Q_OBJECT

public:
    enum class State { Pending, Passed, Notable, Failed };

    explicit CheckRow(const QString& title, QWidget* parent = nullptr);
    void show(State state, const QString& found);
    using QWidget::show;
    [[nodiscard]] State state() const { return m_state; }
    [[nodiscard]] QString found() const;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QLabel* m_title;
    ElidedLabel* m_found;
    State m_state = State::Pending;
};

/// Cells of the export table: two lines in the first column, else a glyph and a few words; the chosen column on `alt`.
class ExportMatrixDelegate : public QStyledItemDelegate {
    Q_OBJECT

public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
    [[nodiscard]] QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
};

/// ✓ ▲ ✕ of a fit; a dash for nothing.
void paintFit(QPainter& painter, const QRect& rect, ExportFit fit);

}  // namespace sigmascope::ui
