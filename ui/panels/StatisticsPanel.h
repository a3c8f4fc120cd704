// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>

#include <vector>

class QGridLayout;
class QLabel;

namespace sigmascope::ui {

class Session;

/// Exact numbers of the current tensor: extremes, moments, counts, storage.
class StatisticsPanel : public QWidget {
    Q_OBJECT

public:
    explicit StatisticsPanel(Session& session, QWidget* parent = nullptr);

    void refresh();
    /// Shown text of a row ("min", "kurtosis", "nan"), for tests.
    [[nodiscard]] QString valueText(const QString& key) const;
    /// All rows as CSV, full precision, the same in every locale.
    [[nodiscard]] QString asCsv() const;

private:
    struct Row {
        QString key;
        QLabel* name = nullptr;
        QLabel* value = nullptr;
        QString plain{};  ///< full precision, the same in every locale; empty while unknown
    };
    void addSection(QGridLayout* grid, const QString& title, int column);
    void addRow(QGridLayout* grid, const QString& key, const QString& name, int column, const QString& explanation = {});
    [[nodiscard]] QString subject() const;
    void set(const char* key, const QString& text, const QString& plain);

    Session& m_session;
    std::vector<Row> m_rows;
    QLabel* m_message = nullptr;
    QWidget* m_table = nullptr;
    QLabel* m_footer = nullptr;
};

}  // namespace sigmascope::ui
