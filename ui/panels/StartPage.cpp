// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/StartPage.h"

#include "ui/Theme.h"
#include "ui/panels/StartParts.h"
#include "ui/session/Settings.h"
#include "ui/widgets/Look.h"

#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

QLabel* pageTitle(const QString& words)
{
    auto* title = new QLabel(words);
    title->setFont(ui::font(FontRole::PageTitle));
    return title;
}

}  // namespace

StartPage::StartPage(bool hasSample, QWidget* parent)
    : QWidget(parent)
    , m_recent(new QVBoxLayout)
    , m_recentHint(caption({}, this))
    , m_message(new QLabel)
    , m_cancel(new QPushButton(tr("Cancel")))
    , m_recheck(new QPushButton(tr("Re-check")))
{
    auto* zone = new DropZone;
    auto* hint = new QLabel(tr("Headers only: nothing is loaded until you look at a layer"));
    setTextLevel(hint, TextLevel::Label);
    QWidget* sample = buildSample();
    sample->setVisible(hasSample);
    auto* open = new QVBoxLayout;
    open->setSpacing(px(4));
    open->addWidget(pageTitle(tr("Open a model")));
    open->addWidget(hint);
    open->addSpacing(px(12));
    open->addWidget(zone);
    open->addSpacing(px(12));
    open->addWidget(buildMessage());
    open->addWidget(sample);
    open->addStretch(1);

    m_recent->setSpacing(0);
    auto* recent = new QVBoxLayout;
    recent->setSpacing(px(4));
    recent->addWidget(pageTitle(tr("Recent")));
    recent->addWidget(m_recentHint);
    recent->addSpacing(px(12));
    recent->addLayout(m_recent);
    recent->addStretch(1);

    auto* columns = new QHBoxLayout(this);
    columns->setContentsMargins(px(64), px(56), px(64), px(24));
    columns->setSpacing(px(56));
    columns->addLayout(open, 1);
    columns->addLayout(recent, 1);

    connect(zone, &DropZone::openFileRequested, this, &StartPage::openFileRequested);
    connect(zone, &DropZone::openFolderRequested, this, &StartPage::openFolderRequested);
    connect(m_cancel, &QPushButton::clicked, this, &StartPage::cancelRequested);
    connect(m_recheck, &QPushButton::clicked, this, [this] { emit pathChosen(m_failedPath); });
    setBackgroundRole(QPalette::Base);
    setAutoFillBackground(true);
    showIdle();
    refreshRecent();
}

QWidget* StartPage::buildSample()
{
    auto* strip = new QWidget;
    auto* button = m_sample = new QPushButton(tr("Open sample"), strip);  // before the tour in the Tab order
    button->setObjectName(QStringLiteral("sample"));
    auto* tour = new QToolButton(strip);
    tour->setObjectName(QStringLiteral("tour"));
    tour->setText(tr("Guided tour in five steps"));
    tour->setFocusPolicy(Qt::StrongFocus);
    auto* words = new QVBoxLayout;
    words->setSpacing(px(2));
    auto* what = caption(tr("A real llama of 4 million weights in BF16, with its calibration"), this);
    what->setWordWrap(true);
    words->addWidget(sectionTitle(tr("Sample model"), this));
    words->addWidget(what);
    words->addWidget(tour, 0, Qt::AlignLeft);
    auto* row = new QHBoxLayout;
    row->setSpacing(px(12));
    row->addLayout(words, 1);
    row->addWidget(button);
    auto* column = new QVBoxLayout(strip);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(px(8));
    column->addWidget(hairline(this));
    column->addLayout(row);
    column->addWidget(hairline(this));
    connect(button, &QPushButton::clicked, this, &StartPage::sampleRequested);
    connect(tour, &QToolButton::clicked, this, &StartPage::tourRequested);
    return strip;
}

QWidget* StartPage::buildMessage()
{
    m_message->setWordWrap(true);
    m_message->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_cancel->setObjectName(QStringLiteral("cancelOpen"));
    m_recheck->setObjectName(QStringLiteral("recheck"));
    m_recheck->setToolTip(tr("Looks at the file again: a download may have gone on"));
    auto* area = new QWidget;
    auto* row = new QHBoxLayout(area);
    row->setContentsMargins(0, 0, 0, px(8));
    row->setSpacing(px(12));
    row->addWidget(m_message, 1);
    row->addWidget(m_recheck, 0, Qt::AlignTop);
    row->addWidget(m_cancel, 0, Qt::AlignTop);
    return area;
}

void StartPage::refreshRecent()
{
    while (QLayoutItem* item = m_recent->takeAt(0)) {
        item->widget()->hide();
        item->widget()->deleteLater();  // its own signal may be what brought us here
        delete item;
    }
    const QStringList files = Settings::recentFiles();
    m_recentHint->setText(files.isEmpty() ? tr("Models you open are listed here")
                                          : tr("Enter opens · Delete takes off the list, never off the disk"));
    for (const QString& path : files) {
        auto* row = new RecentRow(path, this);
        m_recent->addWidget(row);
        connect(row, &RecentRow::clicked, this, [this, path] { emit pathChosen(path); });
        connect(row, &RecentRow::removeRequested, this, [this, path] {
            Settings::removeRecentFile(path);
            refreshRecent();
        });
    }
}

void StartPage::showFailure(const QString& path, const QString& text, bool mayGrow)
{
    m_failedPath = path;
    m_message->setText(QStringLiteral("✕ ") + text);
    m_cancel->hide();
    m_recheck->setVisible(mayGrow);
}

void StartPage::showOpening(const QString& path, double fraction, const QString& what)
{
    const QString name = QFileInfo(path).fileName();
    m_message->setText(what.isEmpty() ? tr("Opening %1…").arg(name)
                                      : tr("Opening %1: %2, %3 %").arg(name, what).arg(qRound(100 * fraction)));
    m_recheck->hide();
    m_cancel->show();
}

void StartPage::showIdle()
{
    m_message->clear();
    m_cancel->hide();
    m_recheck->hide();
}

QString StartPage::message() const
{
    return m_message->text();
}

}  // namespace sigmascope::ui
