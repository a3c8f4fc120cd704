// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QLabel;
class QPushButton;
class QVBoxLayout;

namespace sigmascope::ui {

/// Open left, recent right, no welcome text.
class StartPage : public QWidget {
    Q_OBJECT

public:
    explicit StartPage(bool hasSample, QWidget* parent = nullptr);

    /// Lists what was opened lately; a file that is gone stays listed and says so.
    void refreshRecent();
    void showFailure(const QString& text);
    void showOpening(const QString& path, double fraction, const QString& what);
    void showIdle();
    [[nodiscard]] QString message() const;

signals:
    void openFileRequested();
    void openFolderRequested();
    void sampleRequested();
    void pathChosen(const QString& path);
    void cancelRequested();

private:
    QVBoxLayout* m_recent = nullptr;
    QLabel* m_message = nullptr;
    QPushButton* m_cancel = nullptr;
};

}  // namespace sigmascope::ui
