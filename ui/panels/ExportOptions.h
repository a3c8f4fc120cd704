// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Units.h"

#include <QWidget>

#include <cstddef>
#include <optional>
#include <vector>

class QComboBox;
class QLabel;
class QPushButton;
class QSpinBox;
class QToolButton;

namespace sigmascope::ui {

class ElidedLabel;
class ExportChoice;
class SegmentedControl;
class Session;

/// How the chosen target's files are made: the type of the correction's factors, the largest size of one file and, for
/// a GGUF, how many tensors it may hold and where its metadata comes from. Rows that mean nothing to the target or the
/// plan are not there.
class ExportOptions : public QWidget {
    Q_OBJECT

public:
    ExportOptions(Session& session, ExportChoice& choice, QWidget* parent = nullptr);

    /// Of all corrected layers, by the bits of a value.
    [[nodiscard]] SegmentedControl* factorChoice() const { return m_factors; }
    [[nodiscard]] QComboBox* sizeField() const { return m_size; }
    [[nodiscard]] QSpinBox* tensorsField() const { return m_tensors; }
    [[nodiscard]] QToolButton* dropTemplateButton() const { return m_drop; }
    /// As it is read: "from the model", or a file's name.
    [[nodiscard]] QString metadata() const;
    /// Why the template that was chosen last is not used; empty if it is.
    [[nodiscard]] QString message() const;

    /// "2 GB", "500 MB", "1.5" (GB); 0 for "no limit" and nothing. Absent for what is no size.
    [[nodiscard]] static std::optional<Bytes> parsedSize(const QString& text);

private:
    void build();
    void refresh();
    void refreshFactors();
    void setFactors(int bits);
    [[nodiscard]] std::vector<std::size_t> corrected() const;
    void sizeEdited(const QString& text);
    void chooseTemplate();

    Session& m_session;
    ExportChoice& m_choice;
    QComboBox* m_size = nullptr;
    QLabel *m_factorsLabel = nullptr, *m_tensorsLabel = nullptr, *m_metadataLabel = nullptr;
    SegmentedControl* m_factors = nullptr;
    QSpinBox* m_tensors = nullptr;
    QWidget* m_metadataRow = nullptr;
    ElidedLabel* m_metadata = nullptr;
    QPushButton* m_choose = nullptr;
    QToolButton* m_drop = nullptr;
    QLabel* m_message = nullptr;
};

}  // namespace sigmascope::ui
