// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/StartParts.h"

#include "ui/Theme.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/LayerDelegate.h"

#include <QDir>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QIcon>
#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

QString kindOf(const QFileInfo& file)
{
    if (!file.exists())
        return RecentRow::tr("no longer there");
    if (file.isDir())
        return RecentRow::tr("model folder");
    return file.suffix() == QLatin1String("gguf") ? RecentRow::tr("GGUF file")
        : file.suffix() == QLatin1String("json")  ? RecentRow::tr("index of shards")
                                                  : RecentRow::tr("safetensors file");
}

}  // namespace

DropZone::DropZone(QWidget* parent)
    : QWidget(parent)
{
    auto* picture = new QLabel;
    picture->setPixmap(icon(QStringLiteral("folder")).pixmap(px(36), px(36)));
    picture->setAlignment(Qt::AlignCenter);
    auto* title = new QLabel(tr("Drop a model folder or file"));
    title->setFont(ui::font(FontRole::SectionTitle));
    title->setAlignment(Qt::AlignCenter);
    auto* formats = new QLabel(QStringLiteral(".safetensors · model.safetensors.index.json · .gguf"));
    formats->setAlignment(Qt::AlignCenter);
    setTextLevel(formats, TextLevel::Label);
    auto* file = new QPushButton(tr("Open file…"));
    file->setToolTip(tr("safetensors, an index of shards, or GGUF. Ctrl+O"));
    makePrimary(file);
    auto* folder = new QPushButton(tr("Open folder…"));
    folder->setToolTip(tr("A Hugging Face model folder. Ctrl+Shift+O"));
    auto* buttons = new QHBoxLayout;
    buttons->setSpacing(px(8));
    buttons->addStretch(1);
    buttons->addWidget(file);
    buttons->addWidget(folder);
    buttons->addStretch(1);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(px(16), px(32), px(16), px(32));
    column->setSpacing(px(8));
    column->addWidget(picture);
    column->addWidget(title);
    column->addWidget(formats);
    column->addSpacing(px(8));
    column->addLayout(buttons);
    connect(file, &QPushButton::clicked, this, &DropZone::openFileRequested);
    connect(folder, &QPushButton::clicked, this, &DropZone::openFolderRequested);
}

void DropZone::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    QPen pen(Theme::current().edge, 1);
    pen.setDashPattern({5, 4});
    painter.setPen(pen);
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
}

RecentRow::RecentRow(const QString& path, QWidget* parent)
    : QAbstractButton(parent)
    , m_path(path)
{
    const QFileInfo file(path);
    m_exists = file.exists();
    m_kind = kindOf(file);
    setText(file.fileName());
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setToolTip(QDir::toNativeSeparators(path));
    setAccessibleName(tr("%1, %2").arg(file.fileName(), m_kind));
    setAccessibleDescription(QDir::toNativeSeparators(path));
}

QSize RecentRow::sizeHint() const
{
    return {px(320), px(48)};
}

void RecentRow::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    if (underMouse() || hasFocus())
        painter.fillRect(rect(), hasFocus() ? theme.sel : theme.seln);
    painter.fillRect(QRect(0, height() - 1, width(), 1), theme.line);
    const QRect inner = rect().adjusted(px(10), px(4), -px(10), -px(5));
    const QRect first(inner.left(), inner.top(), inner.width(), inner.height() / 2);
    const QRect second = first.translated(0, inner.height() / 2);
    painter.setFont(ui::font(FontRole::BodyStrong));
    painter.setPen(m_exists ? theme.tx : theme.tx2);
    painter.drawText(first, Qt::AlignLeft | Qt::AlignVCenter,
                     painter.fontMetrics().elidedText(text(), Qt::ElideMiddle, first.width()));
    painter.setFont(ui::font(FontRole::Caption));
    painter.setPen(theme.tx2);
    const int glyph = m_exists ? 0 : px(16);
    if (!m_exists)
        paintVerdict(painter, QRectF(second.left(), second.center().y() - px(5), px(11), px(11)), Verdict::Changed);
    painter.drawText(second.adjusted(glyph, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, m_kind);
    const int taken = glyph + painter.fontMetrics().horizontalAdvance(m_kind) + px(24);
    painter.setFont(ui::font(FontRole::Mono));
    const QString where = QDir::toNativeSeparators(QFileInfo(m_path).absolutePath());
    painter.drawText(second.adjusted(taken, 0, 0, 0), Qt::AlignRight | Qt::AlignVCenter,
                     painter.fontMetrics().elidedText(where, Qt::ElideMiddle, std::max(0, second.width() - taken)));
}

void RecentRow::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Delete)
        emit removeRequested();
    else if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter)
        click();
    else
        QAbstractButton::keyPressEvent(event);
}

void RecentRow::enterEvent(QEnterEvent* event)
{
    update();
    QAbstractButton::enterEvent(event);
}

void RecentRow::leaveEvent(QEvent* event)
{
    update();
    QAbstractButton::leaveEvent(event);
}

}  // namespace sigmascope::ui
