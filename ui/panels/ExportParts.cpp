// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ExportParts.h"

#include "ui/Theme.h"
#include "ui/models/ExportMatrixModel.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/LayerDelegate.h"
#include "ui/widgets/Look.h"

#include <QAbstractTextDocumentLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QTextDocument>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

namespace {

constexpr int kGlyph = 13;

QString elided(const QFont& font, const QString& text, int width)
{
    return QFontMetrics(font).elidedText(text, Qt::ElideRight, width);
}

/// On one line where they fit, else smaller on two.
void paintWords(QPainter& painter, const QRect& rect, const QString& text)
{
    const QFont body = ui::font(FontRole::Body);
    if (QFontMetrics(body).horizontalAdvance(text) <= rect.width()) {
        painter.setFont(body);
        painter.drawText(rect, Qt::AlignLeft | Qt::AlignVCenter, text);
        return;
    }
    const QFont small = ui::font(FontRole::Caption);
    const QFontMetrics metrics(small);
    qsizetype cut = text.size();
    while (cut > 0 && metrics.horizontalAdvance(text.left(cut)) > rect.width())
        cut = text.lastIndexOf(QLatin1Char(' '), cut - 1);
    constexpr qsizetype kAlone = 2;  // "1" does not stand on a line of its own
    if (cut > 0 && cut < text.size() && text.size() - cut - 1 <= kAlone && text.lastIndexOf(QLatin1Char(' '), cut - 1) > 0)
        cut = text.lastIndexOf(QLatin1Char(' '), cut - 1);
    painter.setFont(small);
    if (cut <= 0 || cut == text.size()) {  // one long word, or small enough
        painter.drawText(rect, Qt::AlignLeft | Qt::AlignVCenter, elided(small, text, rect.width()));
        return;
    }
    const int half = rect.height() / 2;
    painter.drawText(QRect(rect.left(), rect.top(), rect.width(), half), Qt::AlignLeft | Qt::AlignBottom,
                     text.left(cut));
    painter.drawText(QRect(rect.left(), rect.top() + half, rect.width(), rect.height() - half),
                     Qt::AlignLeft | Qt::AlignTop, elided(small, text.mid(cut + 1), rect.width()));
}

}  // namespace

void paintFit(QPainter& painter, const QRect& rect, ExportFit fit)
{
    switch (fit) {
    case ExportFit::AsPlanned:
        paintVerdict(painter, rect, Verdict::Better);
        return;
    case ExportFit::Changed:
        paintVerdict(painter, rect, Verdict::Changed);
        return;
    case ExportFit::Lost:
        paintVerdict(painter, rect, Verdict::Worse);
        return;
    case ExportFit::Nothing:
        break;
    }
    painter.fillRect(QRect(rect.left() + rect.width() / 4, rect.center().y(), rect.width() / 2, std::max(1, px(1.3))),
                     Theme::current().tx3);
}

ExportCard::ExportCard(const QString& title, QWidget* parent)
    : QRadioButton(title, parent)
{
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void ExportCard::show(const QString& container, const QString& size, ExportFit fit, const QString& verdict)
{
    m_container = container;
    m_size = size;
    m_fit = fit;
    m_verdict = verdict;
    setToolTip(verdict);
    setAccessibleDescription(QStringList{container, size, verdict}.join(QStringLiteral(", ")));
    update();
}

QSize ExportCard::sizeHint() const
{
    return {px(300), px(80)};
}

QSize ExportCard::minimumSizeHint() const
{
    return {px(200), px(80)};
}

void ExportCard::paintEvent(QPaintEvent* /*event*/)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const bool isStrong = isChecked() || hasFocus();
    const double pen = isStrong ? 2 : 1;
    painter.setPen(QPen(hasFocus()         ? theme.acc
                            : isChecked()  ? theme.accbg
                            : underMouse() ? theme.edge
                                           : theme.line,
                        pen));
    painter.setBrush(isChecked() ? theme.sel : theme.panel);
    painter.drawRoundedRect(QRectF(rect()).adjusted(pen / 2, pen / 2, -pen / 2, -pen / 2), 4, 4);

    const int left = px(16);
    const QRectF ring(left, px(12), px(14), px(14));
    painter.setPen(QPen(isChecked() ? theme.accbg : theme.edge, isChecked() ? ring.width() * 0.32 : 1.3));
    painter.setBrush(theme.base);
    const double inset = isChecked() ? ring.width() * 0.16 : 0.6;
    painter.drawEllipse(ring.adjusted(inset, inset, -inset, -inset));

    const int text = left + px(22);
    const int right = width() - px(14);
    const QFont mono = ui::font(FontRole::Mono);
    const int sizeWidth = QFontMetrics(mono).horizontalAdvance(m_size);
    painter.setPen(theme.tx);
    painter.setFont(mono);
    painter.drawText(QRect(right - sizeWidth, px(9), sizeWidth + 1, px(20)), Qt::AlignRight | Qt::AlignVCenter,
                     m_size);
    const QFont strong = ui::font(FontRole::KeyFigure);
    painter.setFont(strong);
    painter.drawText(QRect(text, px(9), right - sizeWidth - text - px(8), px(20)), Qt::AlignLeft | Qt::AlignVCenter,
                     elided(strong, this->text(), right - sizeWidth - text - px(8)));
    const QFont caption = ui::font(FontRole::Caption);
    painter.setFont(caption);
    painter.setPen(theme.tx2);
    painter.drawText(QRect(text, px(30), right - text, px(18)), Qt::AlignLeft | Qt::AlignVCenter,
                     elided(caption, m_container, right - text));
    if (m_verdict.isEmpty())
        return;
    paintFit(painter, QRect(text, px(55), px(kGlyph), px(kGlyph)), m_fit);
    const QFont body = ui::font(FontRole::Body);
    painter.setFont(body);
    painter.setPen(theme.tx);
    const int words = text + px(20);
    painter.drawText(QRect(words, px(51), right - words, px(20)), Qt::AlignLeft | Qt::AlignVCenter,
                     elided(body, m_verdict, right - words));
}

CommandText::CommandText(QWidget* parent)
    : QTextEdit(parent)
{
    setReadOnly(true);
    setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    setTabChangesFocus(true);
    setFont(ui::font(FontRole::Mono));
    setFrameShape(QFrame::NoFrame);
    setWordWrapMode(QTextOption::WrapAtWordBoundaryOrAnywhere);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    viewport()->setBackgroundRole(QPalette::Window);
    document()->setDocumentMargin(px(12));
    connect(document()->documentLayout(), &QAbstractTextDocumentLayout::documentSizeChanged, this, &CommandText::fit);
    fit();
}

void CommandText::fit()
{
    setFixedHeight(static_cast<int>(std::ceil(document()->size().height())));
}

CheckRow::CheckRow(const QString& title, QWidget* parent)
    : QWidget(parent)
    , m_title(new QLabel(title))
    , m_found(new ElidedLabel)
{
    m_found->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_found->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_found, TextLevel::Label);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(px(20), 0, 0, 0);
    row->setSpacing(px(8));
    row->addWidget(m_title);
    row->addWidget(m_found, 1);
    setFixedHeight(px(24));
}

void CheckRow::show(State state, const QString& found)
{
    m_state = state;
    m_found->setText(found);
    setAccessibleName(m_title->text() + QLatin1String(": ") + found);
    update();
}

QString CheckRow::found() const
{
    return m_found->text();
}

void CheckRow::paintEvent(QPaintEvent* /*event*/)
{
    QPainter painter(this);
    const QRect glyph(0, height() / 2 - px(kGlyph) / 2, px(kGlyph), px(kGlyph));
    switch (m_state) {
    case State::Passed:
        paintFit(painter, glyph, ExportFit::AsPlanned);
        return;
    case State::Notable:
        paintFit(painter, glyph, ExportFit::Changed);
        return;
    case State::Failed:
        paintFit(painter, glyph, ExportFit::Lost);
        return;
    case State::Pending:
        break;
    }
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(Theme::current().tx2, 1.3));
    painter.drawEllipse(QRectF(glyph).adjusted(2, 2, -2, -2));
}

void ExportMatrixDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    const Theme& theme = Theme::current();
    const bool isSelected = option.state.testFlag(QStyle::State_Selected);
    const bool hasFocus
        = option.state.testFlag(QStyle::State_Active) && option.widget != nullptr && option.widget->hasFocus();
    painter->save();
    painter->setClipRect(option.rect);
    painter->fillRect(option.rect,
                      isSelected                                  ? (hasFocus ? theme.sel : theme.seln)
                          : index.data(ExportChosenRole).toBool() ? theme.alt
                                                                  : theme.base);
    painter->fillRect(QRect(option.rect.left(), option.rect.bottom(), option.rect.width(), 1), theme.line);
    const QRect rect = option.rect.adjusted(px(6), 0, -px(6), -1);
    const QString text = index.data().toString();
    if (index.column() == 0) {
        const QFont body = ui::font(FontRole::Body);
        const QFont caption = ui::font(FontRole::Caption);
        const int half = rect.height() / 2;
        painter->setFont(body);
        painter->setPen(theme.tx);
        painter->drawText(QRect(rect.left(), rect.top(), rect.width(), half), Qt::AlignLeft | Qt::AlignBottom,
                          elided(body, text, rect.width()));
        painter->setFont(caption);
        painter->setPen(isSelected ? theme.tx2 : theme.tx3);
        painter->drawText(QRect(rect.left(), rect.top() + half, rect.width(), rect.height() - half),
                          Qt::AlignLeft | Qt::AlignTop,
                          elided(caption, index.data(ExportDetailRole).toString(), rect.width()));
    } else {
        const auto fit = static_cast<ExportFit>(index.data(ExportFitRole).toInt());
        paintFit(*painter, QRect(rect.left(), rect.center().y() - px(kGlyph) / 2, px(kGlyph), px(kGlyph)), fit);
        painter->setPen(fit == ExportFit::Nothing ? theme.tx2 : theme.tx);
        paintWords(*painter, rect.adjusted(px(kGlyph + 7), 0, 0, 0), text);
    }
    painter->restore();
}

QSize ExportMatrixDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    return {QStyledItemDelegate::sizeHint(option, index).width(), px(38)};
}

}  // namespace sigmascope::ui
