// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/StartPage.h"

#include "ui/Theme.h"
#include "ui/session/Settings.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"

#include <QDir>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

QPushButton* wideButton(const QString& words, const QString& hint)
{
    auto* button = new QPushButton(words);
    button->setToolTip(hint);
    button->setFixedWidth(px(220));
    return button;
}

}  // namespace

StartPage::StartPage(bool hasSample, QWidget* parent)
    : QWidget(parent)
    , m_recent(new QVBoxLayout)
    , m_message(new QLabel)
    , m_cancel(new QPushButton(tr("Cancel")))
{
    auto* title = new QLabel(tr("Open a model"));
    title->setFont(ui::font(FontRole::PageTitle));
    auto* sample = wideButton(tr("Open the sample model"), tr("A real 4-million-weight llama with its calibration"));
    sample->setObjectName(QStringLiteral("sample"));
    sample->setVisible(hasSample);
    makePrimary(sample);
    auto* file = wideButton(tr("Open file…"), tr("safetensors, an index of shards, or GGUF. Ctrl+O"));
    auto* folder = wideButton(tr("Open folder…"), tr("A Hugging Face model folder. Ctrl+Shift+O"));
    auto* drop = caption(tr("Or drop a file or folder anywhere in this window"), this);
    m_message->setWordWrap(true);
    m_cancel->hide();

    auto* open = new QVBoxLayout;
    open->setSpacing(px(8));
    open->addWidget(title);
    open->addSpacing(px(8));
    open->addWidget(sample, 0, Qt::AlignLeft);
    open->addWidget(file, 0, Qt::AlignLeft);
    open->addWidget(folder, 0, Qt::AlignLeft);
    open->addSpacing(px(4));
    open->addWidget(drop);
    open->addSpacing(px(16));
    open->addWidget(m_message);
    open->addWidget(m_cancel, 0, Qt::AlignLeft);
    open->addStretch(1);

    auto* recentTitle = new QLabel(tr("Recent"));
    recentTitle->setFont(ui::font(FontRole::PageTitle));
    m_recent->setSpacing(px(2));
    auto* recent = new QVBoxLayout;
    recent->setSpacing(px(8));
    recent->addWidget(recentTitle);
    recent->addSpacing(px(8));
    recent->addLayout(m_recent);
    recent->addStretch(1);

    auto* columns = new QHBoxLayout(this);
    columns->setContentsMargins(px(64), px(56), px(64), px(24));
    columns->setSpacing(px(64));
    columns->addLayout(open, 2);
    columns->addLayout(recent, 3);

    connect(sample, &QPushButton::clicked, this, &StartPage::sampleRequested);
    connect(file, &QPushButton::clicked, this, &StartPage::openFileRequested);
    connect(folder, &QPushButton::clicked, this, &StartPage::openFolderRequested);
    connect(m_cancel, &QPushButton::clicked, this, &StartPage::cancelRequested);
    setBackgroundRole(QPalette::Base);
    setAutoFillBackground(true);
    refreshRecent();
}

void StartPage::refreshRecent()
{
    while (QLayoutItem* item = m_recent->takeAt(0)) {
        delete item->widget();
        delete item;
    }
    const QStringList files = Settings::recentFiles();
    if (files.isEmpty())
        m_recent->addWidget(caption(tr("Models you open are listed here"), this));
    for (const QString& path : files) {
        const QFileInfo file(path);
        const bool exists = file.exists();
        auto* row = new QWidget;
        auto* layout = new QHBoxLayout(row);
        layout->setContentsMargins(0, 0, 0, 0);
        layout->setSpacing(px(12));
        auto* name = new QPushButton;
        name->setFlat(true);
        name->setStyleSheet(QStringLiteral("text-align: left; border: none; padding: 2px 0;"));
        name->setText(exists ? file.fileName() : QStringLiteral("▲ ") + file.fileName());
        name->setMinimumWidth(px(180));
        name->setEnabled(exists);
        auto* where = new ElidedLabel(exists ? QDir::toNativeSeparators(file.absolutePath()) : tr("no longer at %1").arg(QDir::toNativeSeparators(file.absolutePath())));
        where->setElideMode(Qt::ElideMiddle);
        setTextLevel(where, TextLevel::Hint);
        layout->addWidget(name);
        layout->addWidget(where, 1);
        connect(name, &QPushButton::clicked, this, [this, path] { emit pathChosen(path); });
        m_recent->addWidget(row);
    }
}

void StartPage::showFailure(const QString& text)
{
    m_message->setText(QStringLiteral("✕ ") + text);
    m_cancel->hide();
}

void StartPage::showOpening(const QString& path, double fraction, const QString& what)
{
    const QString name = QFileInfo(path).fileName();
    m_message->setText(what.isEmpty() ? tr("Opening %1…").arg(name)
                                      : tr("Opening %1: %2, %3 %").arg(name, what).arg(qRound(100 * fraction)));
    m_cancel->show();
}

void StartPage::showIdle()
{
    m_message->clear();
    m_cancel->hide();
}

QString StartPage::message() const
{
    return m_message->text();
}

}  // namespace sigmascope::ui
