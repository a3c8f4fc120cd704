// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QList>
#include <QString>
#include <QWidget>

#include <optional>

class QButtonGroup;
class QHBoxLayout;
class QLabel;
class QToolButton;

namespace sigmascope::ui {

/// One value of a segmented control. A value the grid or the runtime cannot do stays visible, disabled, with the
/// reason.
struct Segment {
    int value = 0;
    QString text;
    bool isEnabled = true;
    QString reason; ///< tooltip; says what would enable it when disabled
    friend bool operator==(const Segment&, const Segment&) = default;
};

/// One of many, or any of many, with shared edges. Arrow keys move, digits choose.
/// Setters never emit; the signals are the user's wishes only.
class SegmentedControl : public QWidget {
    Q_OBJECT

public:
    enum class Mode { OneOfMany, AnyOfMany };

    explicit SegmentedControl(Mode mode = Mode::OneOfMany, QWidget* parent = nullptr);

    /// The same segments again cost nothing: they may be set in every frame of a drag.
    void setSegments(const QList<Segment>& segments);
    /// Nothing = mixed selection: nothing is checked.
    void setValue(std::optional<int> value);
    [[nodiscard]] std::optional<int> value() const;
    void setValues(const QList<int>& values);
    [[nodiscard]] QList<int> values() const;
    /// Counts of a mixed selection, below the segments: "3 × 10, 4 × 24, 5 × 1". Empty hides the line.
    void setMixedText(const QString& text);
    /// The button of a value, for tests; null when there is none.
    [[nodiscard]] QToolButton* button(int value) const;

signals:
    void valueChosen(int value);
    void valuesChosen(const QList<int>& values);

protected:
    void keyPressEvent(QKeyEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void clicked(int value);
    void moveBy(int step);
    bool chooseDigit(const QString& digit);

    Mode m_mode;
    QList<Segment> m_segments;
    QButtonGroup* m_group = nullptr;
    QHBoxLayout* m_row = nullptr;
    QLabel* m_mixed = nullptr;
};

}  // namespace sigmascope::ui
