// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/StatisticsPanel.h"

#include "ui/Theme.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"

#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

namespace {

/// Figures to read off, not to compare at a glance: six significant digits.
QString exact(double value)
{
    return QLocale().toString(value, 'g', 6).replace(QLatin1Char('-'), QChar(0x2212));
}

QString count(std::uint64_t value)
{
    return QLocale().toString(static_cast<qulonglong>(value));
}

}  // namespace

StatisticsPanel::StatisticsPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_message(new QLabel(this))
    , m_table(new QWidget(this))
    , m_footer(caption({}, this))
{
    setTextLevel(m_message, TextLevel::Label);
    m_message->setAlignment(Qt::AlignCenter);
    m_message->setWordWrap(true);
    auto* grid = new QGridLayout(m_table);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(px(12));
    grid->setVerticalSpacing(px(6));
    grid->setColumnMinimumWidth(2, px(40));
    addSection(grid, tr("Extremes and moments"), 0);
    addRow(grid, QStringLiteral("min"), tr("Minimum"), 0);
    addRow(grid, QStringLiteral("max"), tr("Maximum"), 0);
    addRow(grid, QStringLiteral("mean"), tr("Mean"), 0);
    addRow(grid, QStringLiteral("stddev"), tr("Standard deviation"), 0, tr("Of the population: divided by n"));
    addRow(grid, QStringLiteral("kurtosis"), tr("Kurtosis"), 0, tr("m4 / m2²: 3 for a Gaussian, more for heavy tails"));
    addRow(grid, QStringLiteral("median"), tr("Median"), 0);
    addRow(grid, QStringLiteral("norm"), tr("Frobenius norm"), 0);
    addSection(grid, tr("Counts"), 3);
    addRow(grid, QStringLiteral("count"), tr("Weights"), 3);
    addRow(grid, QStringLiteral("outliers"), tr("Beyond 6 σ"), 3, tr("Values further than six standard deviations from the mean"));
    addRow(grid, QStringLiteral("zeros"), tr("Zeros"), 3);
    addRow(grid, QStringLiteral("subnormal"), tr("Subnormal"), 3);
    addRow(grid, QStringLiteral("nan"), tr("NaN"), 3);
    addRow(grid, QStringLiteral("inf"), tr("Infinite"), 3);
    addRow(grid, QStringLiteral("first"), tr("First not finite"), 3, tr("Row and column of the first NaN or infinity"));
    grid->setColumnStretch(5, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(px(24), px(20), px(24), px(16));
    layout->addWidget(m_table);
    layout->addWidget(m_message, 1);
    layout->addStretch(1);
    layout->addWidget(m_footer);
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(tr("Statistics"));
    new TableExport(this, [this] { return subject() + QStringLiteral("-statistics"); }, [this] { return asCsv(); });
    setBackgroundRole(QPalette::Base);
    setAutoFillBackground(true);
    refresh();
}

void StatisticsPanel::addSection(QGridLayout* grid, const QString& title, int column)
{
    grid->addWidget(sectionTitle(title, m_table), 0, column, 1, 2);
}

void StatisticsPanel::addRow(QGridLayout* grid, const QString& key, const QString& name, int column, const QString& explanation)
{
    Row row{key, new QLabel(name, m_table), new QLabel(m_table)};
    setTextLevel(row.name, TextLevel::Label);
    row.value->setFont(ui::font(FontRole::Mono));
    row.value->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    row.value->setTextInteractionFlags(Qt::TextSelectableByMouse);
    row.value->setMinimumWidth(px(150));
    row.name->setToolTip(explanation);
    const auto sameColumn = std::ranges::count_if(m_rows, [&](const Row& other) {
        int r = 0;
        int c = 0;
        int unused = 0;
        grid->getItemPosition(grid->indexOf(other.name), &r, &c, &unused, &unused);
        return c == column;
    });
    grid->addWidget(row.name, static_cast<int>(sameColumn) + 1, column);
    grid->addWidget(row.value, static_cast<int>(sameColumn) + 1, column + 1);
    m_rows.push_back(row);
}

void StatisticsPanel::set(const char* key, const QString& text, const QString& plain)
{
    Row& row = *std::ranges::find(m_rows, QLatin1String(key), &Row::key);
    row.value->setText(text);
    row.plain = plain;
}

QString StatisticsPanel::subject() const
{
    return m_session.isOpen() && m_session.current() ? QString::fromStdString(m_session.tensor(*m_session.current()).name) : QString();
}

QString StatisticsPanel::valueText(const QString& key) const
{
    return std::ranges::find(m_rows, key, &Row::key)->value->text();
}

QString StatisticsPanel::asCsv() const
{
    QString name = subject();
    QString csv = QStringLiteral("# tensor: %1\n# units: weights, but for kurtosis and counts\nstatistic,value\n")
                      .arg(name.replace(QLatin1Char('\n'), QLatin1Char(' ')));
    for (const Row& row : m_rows)
        csv += row.key + QLatin1Char(',') + row.plain + QLatin1Char('\n');
    return csv;
}

void StatisticsPanel::refresh()
{
    const auto current = m_session.isOpen() ? m_session.current() : std::nullopt;
    const ValueAnalysis* values = current ? m_session.values(*current) : nullptr;
    m_table->setVisible(values != nullptr);
    m_footer->setVisible(values != nullptr);
    m_message->setVisible(values == nullptr);
    if (values == nullptr) {
        const auto& error = m_session.analysisError();
        m_message->setText(!current      ? tr("Select a layer to see its statistics")
                               : error ? textOf(*error)
                                       : tr("Counting…"));
        return;
    }
    const TensorStats& stats = values->stats;
    const bool any = stats.finite > 0;
    const QString none = QStringLiteral("–");
    const auto number = [&](const char* key, std::optional<double> value) {
        set(key, value ? exact(*value) : none, value ? csvNumber(*value) : QString());
    };
    const auto ofAny = [any](double value) { return any ? std::optional(value) : std::nullopt; };
    const auto whole = [&](const char* key, std::uint64_t value) { set(key, count(value), QString::number(value)); };
    number("min", ofAny(stats.min));
    number("max", ofAny(stats.max));
    number("mean", ofAny(stats.mean));
    number("stddev", any ? std::optional(stats.stddev()) : std::nullopt);
    number("kurtosis", stats.kurtosis());
    number("median", ofAny(values->median));
    // Wider types are counted by the upper half of their bits: their median is known to one part in 128.
    if (any && !values->codes->exactCodes)
        set("median", tr("about %1").arg(number3(values->median)), csvNumber(values->median));
    number("norm", any ? std::optional(std::sqrt(stats.energy())) : std::nullopt);
    whole("count", stats.count);
    whole("outliers", values->outliers);
    whole("zeros", stats.zeros);
    whole("subnormal", stats.subnormal);
    whole("nan", stats.nan);
    whole("inf", stats.inf);
    const Shape& shape = m_session.tensor(*current).shape;
    const std::uint64_t cols = shape.empty() ? 1 : shape.back();
    set("first", stats.firstNonFinite && cols > 0
                     ? tr("row %1, column %2").arg(count(*stats.firstNonFinite / cols), count(*stats.firstNonFinite % cols))
                     : none,
        stats.firstNonFinite ? QString::number(*stats.firstNonFinite) : QString());
    m_footer->setText(tr("Exact, over all values. Sums in double precision; counted on %1.").arg(QString::fromStdString(values->device)));
}

}  // namespace sigmascope::ui
