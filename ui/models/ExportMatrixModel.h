// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/ExportChoice.h"

#include <QAbstractTableModel>
#include <QString>

#include <vector>

namespace sigmascope::ui {

class Session;

/// What the export table's delegate reads beside Qt::DisplayRole.
enum ExportRole {
    ExportFitRole = Qt::UserRole + 201,  ///< int of ExportFit
    ExportDetailRole,  ///< QString: second line of the first column
    ExportChosenRole,  ///< bool: of the chosen target's column
};

/// How well a part of the plan comes over.
enum class ExportFit { Nothing, AsPlanned, Changed, Lost };

/// Names of a target as the user reads them.
[[nodiscard]] QString runtimeTitle(const ExporterRow& exporter);
[[nodiscard]] QString containerTitle(const ExportOffer& offer);
/// One line: how much of the plan it carries.
[[nodiscard]] QString verdictText(const ExportOffer& offer);
[[nodiscard]] ExportFit verdictFit(const ExportOffer& offer);
/// Why a target does not carry the plan as it is, what matters most first; at most @p count sentences.
[[nodiscard]] QStringList reasonsOf(const ExportOffer& offer, int count);

/// Parts of the plan by targets: what each makes of it, in a few words, with the reason as tooltip.
class ExportMatrixModel : public QAbstractTableModel {
    Q_OBJECT

public:
    explicit ExportMatrixModel(Session& session, QObject* parent = nullptr);

    void show(const std::vector<ExportOffer>& offers, const QString& chosen);
    [[nodiscard]] QString asCsv() const;

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Cell {
        QString text{}, tip{};
        ExportFit fit = ExportFit::Nothing;
    };
    struct Row {
        QString title, detail;
        std::vector<Cell> cells;
    };
    [[nodiscard]] QString detailOf(PlanPart part) const;

    Session& m_session;
    std::vector<QString> m_targets;
    int m_chosen = -1;
    std::vector<Row> m_rows;
};

}  // namespace sigmascope::ui
