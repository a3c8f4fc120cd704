// SPDX-License-Identifier: GPL-3.0-or-later
// What the Quantize page is made of.

#include "ui/Theme.h"
#include "ui/panels/RunPage.h"
#include "ui/session/RunController.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/ProgressLine.h"

#include <QCheckBox>
#include <QClipboard>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QVBoxLayout>

namespace sigmascope::ui {

void RunPage::buildTitle(QVBoxLayout* head)
{
    auto* title = new QLabel(tr("Quantize"));
    title->setFont(ui::font(FontRole::PageTitle));
    m_target = new ElidedLabel;
    m_target->setElideMode(Qt::ElideMiddle);
    setTextLevel(m_target, TextLevel::Label);
    auto* change = new QPushButton(tr("Change"));
    change->setObjectName(QStringLiteral("changeExport"));
    change->setToolTip(tr("Choose what is written, and where, on the Export page"));
    auto* row = new QHBoxLayout;
    row->setSpacing(px(12));
    row->addWidget(title);
    row->addWidget(m_target, 1);
    row->addWidget(change);
    head->addLayout(row);
    connect(change, &QPushButton::clicked, this, &RunPage::exportPageRequested);
}

void RunPage::buildAction(QVBoxLayout* head)
{
    m_summary = new QLabel;
    m_summary->setFont(ui::font(FontRole::BodyStrong));
    m_detail = new ElidedLabel;
    m_detail->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    setTextLevel(m_detail, TextLevel::Label);
    m_resume = new QCheckBox;
    m_resume->setObjectName(QStringLiteral("resume"));
    m_resume->setToolTip(
        tr("Finished layers lie beside the output. Without the tick they are thrown away and the run begins anew"));
    m_resume->setChecked(true);
    m_resume->hide();
    m_pause = new QPushButton(tr("Pause"));
    m_pause->setObjectName(QStringLiteral("pause"));
    m_pause->setToolTip(tr("The run waits once the present layer is done; the files will be the same"));
    m_start = new QPushButton;
    m_start->setObjectName(QStringLiteral("start"));
    auto* row = new QHBoxLayout;
    row->setSpacing(px(8));
    row->addWidget(m_summary);
    row->addSpacing(px(4));
    row->addWidget(m_detail, 1);
    row->addWidget(m_resume);
    row->addWidget(m_pause);
    row->addWidget(m_start);
    head->addLayout(row);
    m_progress = new ProgressLine;
    m_progress->setRange(0, 1000);
    m_progress->setTextVisible(false);
    m_progress->setFixedHeight(px(6));
    m_progress->setAccessibleName(tr("Progress of the run"));
    head->addWidget(m_progress);
    m_message = new QLabel;
    m_message->setWordWrap(true);
    m_message->setTextInteractionFlags(Qt::TextSelectableByMouse);
    head->addWidget(m_message);
    connect(m_pause, &QPushButton::clicked, this, [this] { m_run.isPaused() ? m_run.resume() : m_run.pause(); });
    connect(m_start, &QPushButton::clicked, this, [this] {
        if (m_run.isRunning())
            m_run.cancel();
        else
            startOrExplain();
    });
}

void RunPage::buildCommand(QVBoxLayout* head)
{
    m_commandRow = new QWidget;
    m_command = new QLineEdit;
    m_command->setReadOnly(true);
    m_command->setFont(ui::font(FontRole::Mono));
    m_command->setAccessibleName(tr("Command that loads the files"));
    auto* label = new QLabel(tr("Load with"));
    setTextLevel(label, TextLevel::Label);
    auto* copy = new QPushButton(tr("Copy"));
    copy->setObjectName(QStringLiteral("copyLoad"));
    copy->setAccessibleName(tr("Copy the command"));
    auto* row = new QHBoxLayout(m_commandRow);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(px(8));
    row->addWidget(label);
    row->addWidget(m_command, 1);
    row->addWidget(copy);
    m_commandRow->hide();
    head->addWidget(m_commandRow);
    connect(copy, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(m_command->text()); });
}

QWidget* RunPage::buildFailure()
{
    m_failure = new QWidget;
    m_failure->setAutoFillBackground(true);
    m_failure->setBackgroundRole(QPalette::Window);
    m_failedLayer = new QLabel;
    m_failedLayer->setFont(ui::font(FontRole::BodyStrong));
    m_failedWhy = new ElidedLabel;
    m_retry = new QPushButton(tr("Try again"));
    m_retry->setObjectName(QStringLiteral("retry"));
    auto* row = new QHBoxLayout;
    row->setContentsMargins(px(24), px(8), px(24), px(8));
    row->setSpacing(px(12));
    row->addWidget(m_failedLayer);
    row->addWidget(m_failedWhy, 1);
    row->addWidget(m_retry);
    auto* column = new QVBoxLayout(m_failure);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(hairline(m_failure));
    column->addLayout(row);
    m_failure->hide();
    connect(m_retry, &QPushButton::clicked, this, &RunPage::tryAgain);
    return m_failure;
}

}  // namespace sigmascope::ui
