// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/LayerFilter.h"

#include "ui/models/LayerTreeModel.h"

#include <QRegularExpression>

#include <algorithm>

namespace sigmascope::ui {

LayerFilter::LayerFilter(LayerTreeModel& model, QObject* parent)
    : QSortFilterProxyModel(parent)
    , m_model(model)
{
    setSourceModel(&model);
    setRecursiveFilteringEnabled(true);
    setSortRole(SortRole);
    setDynamicSortFilter(false);  // a row must not jump away under the user's hand while a figure changes
}

std::optional<QString> LayerFilter::setText(const QString& text)
{
    std::vector<Term> terms;
    const QStringList words = text.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts);
    for (const QString& word : words) {
        const auto term = parsed(word);
        if (!term)
            return word;
        terms.push_back(*term);
    }
    m_terms = std::move(terms);
    invalidateFilter();
    return std::nullopt;
}

std::optional<LayerFilter::Term> LayerFilter::parsed(const QString& word)
{
    if (word == QLatin1String("pinned"))
        return Term{.kind = Kind::Pinned};
    if (word == QLatin1String("changed"))
        return Term{.kind = Kind::Changed};
    if (word == QLatin1String("warn"))
        return Term{.kind = Kind::Warn};
    if (word.startsWith(QLatin1String("role:")))
        return word.size() > 5 ? std::optional(Term{.kind = Kind::Role, .text = word.mid(5)}) : std::nullopt;
    static const QRegularExpression comparison(QStringLiteral("^(bits|rank|error)(<=|>=|<|>|=)(.*)$"));
    const auto match = comparison.match(word);
    if (!match.hasMatch())
        return Term{.kind = Kind::Text, .text = word};
    QString digits = match.captured(3);
    const bool isPercent = digits.endsWith(QLatin1Char('%'));
    if (isPercent)
        digits.chop(1);
    bool isNumber = false;
    const double value = digits.toDouble(&isNumber);
    if (!isNumber)
        return std::nullopt;
    const QString what = match.captured(1);
    const QString sign = match.captured(2);
    Term term;
    term.kind = what == QLatin1String("bits") ? Kind::Bits : what == QLatin1String("rank") ? Kind::Rank : Kind::Error;
    term.comparison = sign == QLatin1String("<")    ? Comparison::Less
        : sign == QLatin1String("<=")               ? Comparison::LessEqual
        : sign == QLatin1String("=")                ? Comparison::Equal
        : sign == QLatin1String(">=")               ? Comparison::GreaterEqual
                                                    : Comparison::Greater;
    term.value = term.kind == Kind::Error ? value / 100 : value;  // errors are typed in percent, with or without the sign
    return term;
}

bool LayerFilter::holds(const Term& term, const QModelIndex& index) const
{
    const auto compare = [&term](double value) {
        switch (term.comparison) {
        case Comparison::Less: return value < term.value;
        case Comparison::LessEqual: return value <= term.value;
        case Comparison::Equal: return value == term.value;
        case Comparison::GreaterEqual: return value >= term.value;
        case Comparison::Greater: return value > term.value;
        }
        return false;
    };
    const auto tensor = m_model.tensorAt(index);
    switch (term.kind) {
    case Kind::Text: return m_model.data(index, Qt::ToolTipRole).toString().contains(term.text, Qt::CaseInsensitive);
    case Kind::Role: return tensor && m_model.data(index, NameRole).toString().contains(term.text, Qt::CaseInsensitive);
    case Kind::Bits: return tensor && compare(m_model.data(index, BitsRole).toDouble());
    case Kind::Rank: return tensor && m_model.data(index, IsPlannedRole).toBool() && compare(m_model.data(index, RankRole).toDouble());
    case Kind::Error: {
        const QVariant error = m_model.data(index, ErrorRole);
        return tensor && error.isValid() && compare(error.toDouble());
    }
    case Kind::Pinned: return tensor && m_model.data(index, PinnedRole).toBool();
    case Kind::Changed: return tensor && m_model.isChanged(*tensor);
    case Kind::Warn: return tensor && !m_model.data(index, WarningRole).toString().isEmpty();
    }
    return false;
}

bool LayerFilter::filterAcceptsRow(int row, const QModelIndex& parent) const
{
    const QModelIndex index = m_model.index(row, 0, parent);
    return std::ranges::all_of(m_terms, [&](const Term& term) { return holds(term, index); });
}

bool LayerFilter::lessThan(const QModelIndex& left, const QModelIndex& right) const
{
    const QVariant a = left.data(SortRole);
    const QVariant b = right.data(SortRole);
    if (a.userType() == QMetaType::QString || b.userType() == QMetaType::QString)
        return QString::localeAwareCompare(a.toString(), b.toString()) < 0;
    return a.toDouble() < b.toDouble();
}

}  // namespace sigmascope::ui
