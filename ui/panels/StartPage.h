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
    /// @param mayGrow  a file that is still being written, as a download: offered to be looked at again.
    void showFailure(const QString& path, const QString& text, bool mayGrow);
    void showOpening(const QString& path, double fraction, const QString& what);
    void showIdle();
    [[nodiscard]] QString message() const;
    [[nodiscard]] QPushButton* sampleButton() const { return m_sample; }
    [[nodiscard]] QPushButton* recheckButton() const { return m_recheck; }

signals:
    void openFileRequested();
    void openFolderRequested();
    void sampleRequested();
    void tourRequested();
    void pathChosen(const QString& path);
    void cancelRequested();

private:
    [[nodiscard]] QWidget* buildSample();
    [[nodiscard]] QWidget* buildMessage();

    QVBoxLayout* m_recent = nullptr;
    QLabel* m_recentHint = nullptr;
    QLabel* m_message = nullptr;
    QPushButton* m_sample = nullptr;
    QPushButton* m_cancel = nullptr;
    QPushButton* m_recheck = nullptr;
    QString m_failedPath;
};

}  // namespace sigmascope::ui
