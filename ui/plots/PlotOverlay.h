// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <QWidget>

namespace sigmascope::ui {

/// Sentence, loading bar or failure over a plot; transparent to the mouse but for its link.
class PlotOverlay : public QWidget {
    Q_OBJECT

public:
    explicit PlotOverlay(QWidget* parent);

    void showSentence(const QString& text);
    /// Appears after 150 ms, so that quick work does not flicker.
    void showLoading(const QString& what);
    void setProgress(double share);
    void showFailure(const QString& what, const QString& where, const QString& link);
    void clear();
    [[nodiscard]] QString text() const;
    /// The link under a point of this widget.
    [[nodiscard]] bool isOverLink(const QPoint& position) const { return m_linkRect.contains(position); }
    /// Middle of the area that the sentence is centred in: the plot's axis rects.
    void setArea(const QRect& area);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    enum class Kind { None, Sentence, Loading, Failure };
    void set(Kind kind, const QString& first, const QString& second, const QString& link);

    Kind m_kind = Kind::None;
    QString m_first, m_second, m_link;
    double m_progress = -1;
    QRect m_area, m_linkRect;
    QTimer m_delay;
};

}  // namespace sigmascope::ui
