// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <Qt>

namespace sigmascope::ui {

/// Where a number comes from. Exact = counted bytes; never coloured, never a pill.
enum class Source { None, Exact, Measured, Estimated, Assumed };

/// Columns of the layer tree, in order. Those from Shape on are hidden by default.
enum LayerColumn {
    LayerName,
    LayerPips,
    LayerBits,
    LayerRank,
    LayerError,
    LayerMiB,
    LayerShape,
    LayerDType,
    LayerPlanText,
    LayerColumnCount,
};

/// What LayerDelegate reads of an index (any column) beside Qt::DisplayRole, which holds the formatted text of a cell.
enum LayerRole {
    NameRole = Qt::UserRole + 1, ///< QString: "down_proj", "Block 12"
    BitsRole,                    ///< double, planned bits of the codes (16 when kept); weight-averaged for a block
    RankRole,                    ///< double
    ErrorRole,                   ///< double, relative (0.022 = 2.2 %); invalid QVariant while unknown
    ErrorSourceRole,             ///< int of ui::Source (Measured, Estimated, …)
    BytesRole,                   ///< qulonglong
    PinnedRole,                  ///< bool: a pin follows the name
    WarningRole,                 ///< QString: why; empty = none. A warning glyph follows the name
    FailureRole,                 ///< QString: why; empty = none. A failure glyph stands before the name
    IsBlockRole,                 ///< bool: a block row, shown in tx2
    IsPlannedRole,               ///< bool: false for tensors outside the plan (norms, embeddings): no pips, no rank
    FlashRole,                   ///< bool: changed by a job just now, ground is seln for 600 ms
    SortRole,                    ///< numeric or text key of the index' own column
    TensorIndexRole,             ///< int, tensor index in the checkpoint; -1 for a block
};

}  // namespace sigmascope::ui
