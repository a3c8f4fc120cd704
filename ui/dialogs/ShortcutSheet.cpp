// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/dialogs/ShortcutSheet.h"

#include "ui/Theme.h"
#include "ui/widgets/Look.h"

#include <QAction>
#include <QGridLayout>
#include <QKeySequence>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMenuBar>
#include <QScrollArea>
#include <QScrollBar>
#include <QVBoxLayout>

#include <algorithm>

namespace sigmascope::ui {

namespace {

QString joined(const QList<QKeySequence>& keys)
{
    QStringList names;
    for (const QKeySequence& key : keys)
        names << key.toString(QKeySequence::NativeText);
    return names.join(QStringLiteral(" · "));
}

/// A menu's text without its mnemonic and the "…" of a dialog.
QString plainText(QString text)
{
    return text.remove(QLatin1Char('&')).remove(QStringLiteral("…"));
}

void collect(const QList<QAction*>& actions, const QString& prefix, QList<Shortcut>& found)
{
    for (const QAction* action : actions) {
        if (const QMenu* menu = action->menu<QMenu*>())
            collect(menu->actions(), plainText(action->text()) + QStringLiteral(": "), found);
        else if (!action->shortcuts().isEmpty())
            found.append({joined(action->shortcuts()), prefix + plainText(action->text())});
    }
}

/// The names that Qt gives the keys, in the user's language.
QString key(const char* portable)
{
    return QKeySequence(QString::fromLatin1(portable), QKeySequence::PortableText).toString(QKeySequence::NativeText);
}

}  // namespace

QList<ShortcutGroup> shortcutsOf(const QMenuBar& menus)
{
    QList<ShortcutGroup> groups;
    for (const QAction* menu : menus.actions()) {
        if (menu->menu<QMenu*>() == nullptr)
            continue;
        ShortcutGroup group = shortcutsOf(plainText(menu->text()), menu->menu<QMenu*>()->actions());
        if (!group.entries.isEmpty())
            groups.append(group);
    }
    return groups;
}

ShortcutGroup shortcutsOf(const QString& title, const QList<QAction*>& actions)
{
    ShortcutGroup group{title, {}};
    collect(actions, {}, group.entries);
    return group;
}

QList<ShortcutGroup> focusShortcuts()
{
    const QString arrows = QStringLiteral("← →");
    const QString shiftArrows = key("Shift+Left") + QStringLiteral(" · ") + key("Shift+Right");
    const QString controlArrows = key("Ctrl+Left") + QStringLiteral(" · ") + key("Ctrl+Right");
    const QString ends = key("Home") + QStringLiteral(" · ") + key("End");
    QList<ShortcutGroup> groups;
    groups.append({ShortcutSheet::tr("In a plot"),
                   {{arrows, ShortcutSheet::tr("Rank, or cursor, by 1")},
                    {shiftArrows, ShortcutSheet::tr("By 8")},
                    {ends, ShortcutSheet::tr("To the first · to the last")},
                    {key("L"), ShortcutSheet::tr("Logarithmic · linear")},
                    {key("0"), ShortcutSheet::tr("Reset the zoom")},
                    {key("Ctrl+C"), ShortcutSheet::tr("Copy the picture")},
                    {key("Ctrl+Shift+C"), ShortcutSheet::tr("Copy the data as CSV")},
                    {key("Esc"), ShortcutSheet::tr("Give up a drag · cancel what loads")},
                    {ShortcutSheet::tr("Wheel"), ShortcutSheet::tr("Zoom at the pointer")},
                    {ShortcutSheet::tr("Drag"), ShortcutSheet::tr("Move the view, or the handle under the pointer")},
                    {ShortcutSheet::tr("Double-click"), ShortcutSheet::tr("Reset the zoom")}}});
    groups.append({ShortcutSheet::tr("In the Equalizer"),
                   {{arrows, ShortcutSheet::tr("Previous · next layer")},
                    {shiftArrows, ShortcutSheet::tr("Extend the range")},
                    {controlArrows, ShortcutSheet::tr("Previous · next block")},
                    {ends, ShortcutSheet::tr("First · last layer")},
                    {QStringLiteral("↑ ↓"), ShortcutSheet::tr("More · fewer bits")},
                    {QStringLiteral("+ · −"), ShortcutSheet::tr("Rank up · down")},
                    {key("Space"), ShortcutSheet::tr("Pin · unpin")}}});
    groups.append({ShortcutSheet::tr("In the heat map and the model map"),
                   {{QStringLiteral("← → ↑ ↓"), ShortcutSheet::tr("Move the cursor")},
                    {key("PgUp") + QStringLiteral(" · ") + key("PgDown"), ShortcutSheet::tr("Zoom in · out at the cursor")}}});
    groups.append({ShortcutSheet::tr("In lists"),
                   {{key("Return"), ShortcutSheet::tr("Open a recent model · apply a preset · edit a rule")},
                    {key("Del"), ShortcutSheet::tr("Take a recent model off the list · remove a rule")},
                    {key("Alt+Up") + QStringLiteral(" · ") + key("Alt+Down"), ShortcutSheet::tr("Move a rule up · down")},
                    {key("Ctrl+C"), ShortcutSheet::tr("Copy the selected rows")}}});
    return groups;
}

ShortcutSheet::ShortcutSheet(const QList<ShortcutGroup>& groups, QWidget* parent)
    : QDialog(parent)
    , m_filter(new QLineEdit)
    , m_none(caption(tr("No key does that"), this))
{
    setWindowTitle(tr("Keyboard shortcuts"));
    setAttribute(Qt::WA_DeleteOnClose);
    m_filter->setPlaceholderText(tr("Filter: a key or a word"));
    m_filter->setAccessibleName(tr("Filter of the shortcuts"));
    m_filter->setClearButtonEnabled(true);
    connect(m_filter, &QLineEdit::textChanged, this, &ShortcutSheet::narrow);

    auto* content = new QWidget;
    content->setBackgroundRole(QPalette::Base);
    content->setAutoFillBackground(true);
    auto* columns = new QHBoxLayout(content);
    columns->setContentsMargins(px(16), px(12), px(16), px(16));
    columns->setSpacing(px(40));
    qsizetype total = 0, placed = 0;
    for (const ShortcutGroup& group : groups)
        total += group.entries.size() + 2;
    QVBoxLayout* halves[2] = {new QVBoxLayout, new QVBoxLayout};
    for (const ShortcutGroup& group : groups) {
        // Reading order goes down the first column, then down the second.
        const std::size_t half = 2 * placed < total ? 0 : 1;
        placed += group.entries.size() + 2;
        m_sections.push_back(buildSection(group));
        halves[half]->addWidget(m_sections.back().widget);
    }
    for (QVBoxLayout* half : halves) {
        half->setSpacing(px(16));
        half->addStretch(1);
        columns->addLayout(half, 1);
    }
    auto* area = new QScrollArea;
    area->setWidgetResizable(true);
    area->setFrameShape(QFrame::NoFrame);
    area->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    area->setAccessibleName(tr("Keyboard shortcuts"));
    area->setWidget(content);
    // Never narrower than its words: nothing is cut and nothing scrolls sideways.
    area->setMinimumWidth(content->minimumSizeHint().width() + area->verticalScrollBar()->sizeHint().width());

    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(16), px(12), px(16), px(10));
    head->setSpacing(px(12));
    head->addWidget(m_filter, 1);
    head->addWidget(m_none);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(head);
    layout->addWidget(hairline(this));
    layout->addWidget(area, 1);
    m_none->hide();
    resize(std::max(px(760), minimumSizeHint().width()), px(640));
}

ShortcutSheet::Section ShortcutSheet::buildSection(const ShortcutGroup& group)
{
    Section section{group.title, new QWidget, {}};
    auto* grid = new QGridLayout(section.widget);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(px(16));
    grid->setVerticalSpacing(px(4));
    grid->setColumnStretch(0, 1);
    grid->addWidget(sectionTitle(group.title), 0, 0, 1, 2);
    int row = 1;
    for (const Shortcut& entry : group.entries) {
        auto* what = new QLabel(entry.what);
        auto* keys = new QLabel(entry.keys);
        keys->setFont(ui::font(FontRole::Mono));
        setTextLevel(keys, TextLevel::Label);
        grid->addWidget(what, row, 0);
        grid->addWidget(keys, row, 1, Qt::AlignRight | Qt::AlignVCenter);
        section.rows.push_back({entry, what, keys});
        ++row;
    }
    return section;
}

bool ShortcutSheet::matches(const Section& section, const Row& row, const QString& words)
{
    return row.entry.what.contains(words, Qt::CaseInsensitive) || row.entry.keys.contains(words, Qt::CaseInsensitive)
        || section.title.contains(words, Qt::CaseInsensitive);
}

void ShortcutSheet::narrow(const QString& words)
{
    bool isAnyShown = false;
    for (const Section& section : m_sections) {
        bool isSectionShown = false;
        for (const Row& row : section.rows) {
            const bool isShown = matches(section, row, words.trimmed());
            row.what->setVisible(isShown);
            row.keys->setVisible(isShown);
            isSectionShown = isSectionShown || isShown;
        }
        section.widget->setVisible(isSectionShown);
        isAnyShown = isAnyShown || isSectionShown;
    }
    m_none->setVisible(!isAnyShown);
}

QStringList ShortcutSheet::shown() const
{
    QStringList lines;
    for (const Section& section : m_sections) {
        for (const Row& row : section.rows) {
            if (matches(section, row, m_filter->text().trimmed()))
                lines << row.entry.keys + QStringLiteral(": ") + row.entry.what;
        }
    }
    return lines;
}

}  // namespace sigmascope::ui
