// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only.

#include <qcustomplot.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace sigmascope::ui {

/// Labels where a block of layers begins, as many as there is room for.
class GroupTicker : public QCPAxisTicker {
public:
    void setGroups(const std::vector<std::pair<int, QString>>& groups) { m_groups = groups; }
    void generate(const QCPRange& range, const QLocale&, QChar, int, QVector<double>& ticks, QVector<double>* subTicks,
                  QVector<QString>* tickLabels) override
    {
        std::vector<std::pair<int, QString>> seen;
        std::ranges::copy_if(m_groups, std::back_inserter(seen), [&](const auto& group) { return range.contains(group.first); });
        const std::size_t step = (seen.size() + kMostLabels - 1) / kMostLabels;
        ticks.clear();
        QVector<QString> labels;
        QVector<double> minor;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            if (i % step != 0) {
                minor.append(seen[i].first);
                continue;
            }
            ticks.append(seen[i].first);
            labels.append(seen[i].second);
        }
        if (subTicks != nullptr)
            *subTicks = minor;
        if (tickLabels != nullptr)
            *tickLabels = labels;
    }

private:
    static constexpr std::size_t kMostLabels = 12;
    std::vector<std::pair<int, QString>> m_groups;
};

}  // namespace sigmascope::ui
