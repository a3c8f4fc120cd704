// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QList>
#include <QString>

#include <vector>

class QAction;
class QLabel;
class QLineEdit;
class QMenuBar;

namespace sigmascope::ui {

struct Shortcut {
    QString keys;  ///< as the user's keyboard names them, alternatives joined by " · "
    QString what;
};

struct ShortcutGroup {
    QString title;
    QList<Shortcut> entries;
};

/// Every action of the menus that has a key, one group a menu; submenus are part of their menu.
[[nodiscard]] QList<ShortcutGroup> shortcutsOf(const QMenuBar& menus);
/// Actions outside the menus.
[[nodiscard]] ShortcutGroup shortcutsOf(const QString& title, const QList<QAction*>& actions);
/// Keys of plots, Equalizer, model map and tables: theirs while they have the focus, so no action stands for them.
[[nodiscard]] QList<ShortcutGroup> focusShortcuts();

/// All keys on one page, in groups, two columns of them; the field on top narrows the list. Not modal.
class ShortcutSheet : public QDialog {
    Q_OBJECT

public:
    explicit ShortcutSheet(const QList<ShortcutGroup>& groups, QWidget* parent = nullptr);

    [[nodiscard]] QLineEdit* filterField() const { return m_filter; }
    /// What is listed under the filter, "keys: what" a line.
    [[nodiscard]] QStringList shown() const;

private:
    struct Row {
        Shortcut entry;
        QLabel* what = nullptr;
        QLabel* keys = nullptr;
    };
    struct Section {
        QString title;
        QWidget* widget = nullptr;
        std::vector<Row> rows;
    };

    [[nodiscard]] Section buildSection(const ShortcutGroup& group);
    void narrow(const QString& words);
    [[nodiscard]] static bool matches(const Section& section, const Row& row, const QString& words);

    QLineEdit* m_filter = nullptr;
    QLabel* m_none = nullptr;
    std::vector<Section> m_sections;
};

}  // namespace sigmascope::ui
