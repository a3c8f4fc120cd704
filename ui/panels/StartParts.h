// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractButton>
#include <QWidget>

namespace sigmascope::ui {

/// Where a model may be dropped, dashed; the ways to open one by hand stand within.
class DropZone : public QWidget {
    Q_OBJECT

public:
    explicit DropZone(QWidget* parent = nullptr);

signals:
    void openFileRequested();
    void openFolderRequested();

protected:
    void paintEvent(QPaintEvent* event) override;
};

/// A model that was open before: name and kind left, path right. One that is gone stays listed and says so. Click or
/// Enter opens, Delete takes it off the list.
class RecentRow : public QAbstractButton {
    Q_OBJECT

public:
    explicit RecentRow(const QString& path, QWidget* parent = nullptr);
    [[nodiscard]] QString path() const { return m_path; }
    [[nodiscard]] QSize sizeHint() const override;

signals:
    void removeRequested();

protected:
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void enterEvent(QEnterEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    QString m_path;
    QString m_kind;
    bool m_exists = false;
};

}  // namespace sigmascope::ui
