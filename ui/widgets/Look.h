// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>

class QAbstractButton;
class QFrame;
class QLabel;

namespace sigmascope::ui {

class ElidedLabel;

/// Fills a button with accbg; a screen has one of these.
void makePrimary(QAbstractButton* button);
/// For a button that is the primary one only at times.
void setPrimary(QAbstractButton* button, bool isPrimary);
/// Text levels of labels; they follow a change of theme.
enum class TextLevel { Text, Label, Hint };
void setTextLevel(QWidget* label, TextLevel level);
/// Section title, semi-bold.
[[nodiscard]] QLabel* sectionTitle(const QString& text, QWidget* parent = nullptr);
/// Caption: 0.88 in tx3.
[[nodiscard]] QLabel* caption(const QString& text, QWidget* parent = nullptr);
/// One 1 px line between regions.
[[nodiscard]] QFrame* hairline(QWidget* parent = nullptr);
/// Red edge of a field whose text is wrong.
void setBadEdge(QWidget* field, bool isBad);

/// Title of a dock: name semi-bold, caption beside it, a few words right. 28 high.
class DockTitle : public QWidget {
    Q_OBJECT

public:
    explicit DockTitle(const QString& title, QWidget* parent = nullptr);
    void setCaption(const QString& text);
    void setRight(const QString& text);
    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QLabel* m_title = nullptr;
    ElidedLabel* m_caption = nullptr;
    QLabel* m_right = nullptr;
};

}  // namespace sigmascope::ui
