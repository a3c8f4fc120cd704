// SPDX-License-Identifier: GPL-3.0-or-later
// What a filter's words mean, and which tensors they let through.
#include "ui/models/LayerFilter.h"
#include "ui/models/LayerTreeModel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QHash>
#include <QRegularExpression>

#include <algorithm>
#include <cstring>

namespace sigmascope::ui {

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
    term.comparison = sign == QLatin1String("<") ? Comparison::Less
        : sign == QLatin1String("<=")            ? Comparison::LessEqual
        : sign == QLatin1String("=")             ? Comparison::Equal
        : sign == QLatin1String(">=")            ? Comparison::GreaterEqual
                                                 : Comparison::Greater;
    term.value
        = term.kind == Kind::Error ? value / 100 : value;  // errors are typed in percent, with or without the sign
    return term;
}

/// Which tensors every term lets through.
std::vector<char> LayerFilter::matches() const
{
    std::vector<char> isIn(m_model.tensorCount(), 1);
    for (const Term& term : m_terms)
        applyTerm(term, isIn);
    return isIn;
}

/// Which tensors' names hold a text, in whatever case.
std::vector<char> LayerFilter::namesWith(const QString& words) const
{
    const std::string needle = words.toLower().toStdString();
    const auto search = m_model.searchIndex();
    const std::string& text = search->text;
    const std::vector<std::uint32_t>& starts = search->starts;
    std::vector<char> found(m_model.tensorCount(), 0);
    std::size_t tensor = 0;
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at < end;) {
        const auto* hit
            = static_cast<const char*>(memmem(at, static_cast<std::size_t>(end - at), needle.data(), needle.size()));
        if (hit == nullptr)
            break;
        const auto offset = static_cast<std::uint32_t>(hit - text.data());
        // The name it lies in: near the last one when hits are dense, far ahead when they are not.
        if (tensor + 8 < starts.size() && starts[tensor + 8] <= offset)
            tensor = static_cast<std::size_t>(
                         std::upper_bound(starts.begin() + static_cast<std::ptrdiff_t>(tensor), starts.end(), offset)
                         - starts.begin())
                - 1;
        while (tensor + 1 < starts.size() && starts[tensor + 1] <= offset)
            ++tensor;
        found[tensor] = 1;
        if (tensor + 1 == starts.size())
            break;
        at = text.data() + starts[tensor + 1];
    }
    return found;
}

void LayerFilter::applyText(const Term& term, std::vector<char>& isIn) const
{
    std::vector<char> found = namesWith(term.text);
    // The name of a block stands for all of it.
    for (int row = 0; row < m_model.rowCount(); ++row)
        if (m_model.blockOfTop(row) >= 0
            && LayerTreeModel::tr("Block %1").arg(m_model.blockOfTop(row)).contains(term.text, Qt::CaseInsensitive))
            for (const std::size_t member : m_model.membersOfTop(row))
                found[member] = 1;
    for (std::size_t i = 0; i < isIn.size(); ++i)
        isIn[i] = static_cast<char>(isIn[i] & found[i]);
}

/// Roles are few, tensors many: the name of each role is looked at once. A tensor without one goes by its own name.
void LayerFilter::applyRole(const Term& term, std::vector<char>& isIn) const
{
    const ModelTopology& topology = m_model.session().topology();
    const std::vector<char> named = namesWith(term.text);
    QHash<int, bool> known;
    for (std::size_t i = 0; i < isIn.size(); ++i) {
        const TensorPlace& place = topology.place(i);
        if (isIn[i] == 0 || place.role == Role::Other) {
            isIn[i] = static_cast<char>(isIn[i] & named[i]);
            continue;
        }
        const int key = roleKey(place);
        auto found = known.constFind(key);
        if (found == known.constEnd())
            found = known.insert(key, layerShortName(place, QString()).contains(term.text, Qt::CaseInsensitive));
        isIn[i] = *found ? 1 : 0;
    }
}

void LayerFilter::applyTerm(const Term& term, std::vector<char>& isIn) const
{
    const auto compare = [&term](double value) {
        switch (term.comparison) {
        case Comparison::Less:
            return value < term.value;
        case Comparison::LessEqual:
            return value <= term.value;
        case Comparison::Equal:
            return value == term.value;
        case Comparison::GreaterEqual:
            return value >= term.value;
        case Comparison::Greater:
            return value > term.value;
        }
        return false;
    };
    const auto narrow = [&isIn](const auto& holds) {
        for (std::size_t i = 0; i < isIn.size(); ++i)
            if (isIn[i] != 0)
                isIn[i] = holds(i) ? 1 : 0;
    };
    switch (term.kind) {
    case Kind::Text:
        return applyText(term, isIn);
    case Kind::Role:
        return applyRole(term, isIn);
    case Kind::Bits:
        return narrow([&](std::size_t i) { return compare(m_model.plannedBits(i)); });
    case Kind::Rank:
        return narrow([&](std::size_t i) {
            const LayerPlan& plan = m_model.session().layer(i);
            return !plan.keep && compare(plan.rank);
        });
    case Kind::Error:
        return narrow([&](std::size_t i) {
            const double error = m_model.shownError(i);
            return error >= 0 && compare(error);
        });
    case Kind::Pinned:
        return narrow([&](std::size_t i) { return m_model.session().layer(i).pinned; });
    case Kind::Changed:
        return narrow([&](std::size_t i) { return m_model.isChanged(i); });
    case Kind::Warn:
        return narrow([&](std::size_t i) { return m_model.figures(i).hasWarning; });
    }
}

}  // namespace sigmascope::ui
