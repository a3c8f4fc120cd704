// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ExportOptions.h"

#include "core/plan/TargetGrids.h"
#include "ui/Theme.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <QToolButton>

#include <array>
#include <cmath>

namespace sigmascope::ui {

namespace {

constexpr Bytes kGigabyte = 1'000'000'000;
constexpr Bytes kFolderDefault = 5 * kGigabyte;  // as Hugging Face cuts
constexpr std::array kOffered{2 * kGigabyte, 4 * kGigabyte, 5 * kGigabyte, 10 * kGigabyte, 50 * kGigabyte};
constexpr double kLargest = 1e18;

QLabel* rowLabel(const QString& words)
{
    auto* made = new QLabel(words);
    setTextLevel(made, TextLevel::Label);
    return made;
}

/// Short, and read back by parsedSize() as the same size.
QString sizeText(Bytes bytes)
{
    const auto in = [bytes](double unit, const char* name) {
        return QLocale().toString(static_cast<double>(bytes) / unit, 'g', 12) + QChar(0x202f) + QLatin1String(name);
    };
    return bytes >= kGigabyte ? in(1e9, "GB") : bytes >= 1'000'000 ? in(1e6, "MB") : in(1e3, "kB");
}

}  // namespace

ExportOptions::ExportOptions(Session& session, ExportChoice& choice, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_choice(choice)
{
    build();
    connect(m_size->lineEdit(), &QLineEdit::editingFinished, this, [this] { sizeEdited(m_size->currentText()); });
    connect(m_size, &QComboBox::textActivated, this, &ExportOptions::sizeEdited);
    connect(m_tensors, &QSpinBox::valueChanged, this, [this](int tensors) {
        ExportSplit split = m_choice.split();
        split.ggufTensors = static_cast<std::uint32_t>(tensors);
        m_choice.setSplit(split);
    });
    connect(m_choose, &QPushButton::clicked, this, &ExportOptions::chooseTemplate);
    connect(m_drop, &QToolButton::clicked, &m_session, &Session::dropTemplate);
    connect(&m_choice, &ExportChoice::changed, this, &ExportOptions::refresh);
    connect(m_factors, &SegmentedControl::valueChosen, this, &ExportOptions::setFactors);
    connect(&m_session, &Session::closed, this, &ExportOptions::refresh);
    connect(&m_session, &Session::opened, this, &ExportOptions::refresh);
    connect(&m_choice, &ExportChoice::offersChanged, this, &ExportOptions::refreshFactors);
    connect(&m_session, &Session::templateChanged, this, [this] {
        m_message->hide();
        refresh();
    });
    connect(&m_session, &Session::templateRefused, this, [this](const QString& why) {
        m_message->setText(QStringLiteral("✕ ") + why);
        m_message->show();
    });
    refresh();
}

void ExportOptions::build()
{
    auto* grid = new QGridLayout(this);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(px(8));
    grid->setVerticalSpacing(px(6));
    m_factors = new SegmentedControl;
    m_factors->setAccessibleName(tr("Type of the factors"));
    m_size = new QComboBox;
    m_size->setObjectName(QStringLiteral("splitSize"));
    m_size->setEditable(true);
    m_size->setInsertPolicy(QComboBox::NoInsert);
    m_size->setCompleter(nullptr);
    m_size->setAccessibleName(tr("Largest size of one file"));
    m_tensors = new QSpinBox;
    m_tensors->setObjectName(QStringLiteral("splitTensors"));
    m_tensors->setRange(0, 1 << 20);
    m_tensors->setSpecialValueText(tr("no limit"));
    m_tensors->setGroupSeparatorShown(true);
    m_tensors->setKeyboardTracking(false);
    m_tensors->setAccessibleName(tr("Most tensors in one file"));
    m_tensors->setToolTip(tr("A model with more comes in several files, which llama.cpp finds from the first"));
    m_metadata = new ElidedLabel;
    m_metadata->setElideMode(Qt::ElideMiddle);
    m_choose = new QPushButton(tr("Template…"));
    m_choose->setObjectName(QStringLiteral("chooseTemplate"));
    m_choose->setToolTip(tr("A GGUF of the same model that metadata and tokenizer are taken from"));
    m_drop = new QToolButton;
    m_drop->setObjectName(QStringLiteral("dropTemplate"));
    m_drop->setText(QStringLiteral("×"));
    m_drop->setAutoRaise(true);
    m_drop->setToolTip(tr("Take metadata and tokenizer from the model again"));
    m_drop->setAccessibleName(m_drop->toolTip());
    m_metadataRow = new QWidget;
    auto* metadata = new QHBoxLayout(m_metadataRow);
    metadata->setContentsMargins(0, 0, 0, 0);
    metadata->setSpacing(px(6));
    metadata->addWidget(m_metadata, 1);
    metadata->addWidget(m_drop);
    metadata->addWidget(m_choose);
    m_message = new QLabel;
    m_message->setWordWrap(true);
    m_message->setTextFormat(Qt::PlainText);
    m_message->setMinimumWidth(1);  // a long path does not widen the column
    m_message->setFont(ui::font(FontRole::Caption));
    m_message->hide();
    grid->addWidget(m_factorsLabel = rowLabel(tr("Factors")), 0, 0);
    grid->addWidget(m_factors, 0, 1);
    grid->addWidget(rowLabel(tr("Largest file")), 1, 0);
    grid->addWidget(m_size, 1, 1);
    grid->addWidget(m_tensorsLabel = rowLabel(tr("Tensors a file")), 2, 0);
    grid->addWidget(m_tensors, 2, 1);
    grid->addWidget(m_metadataLabel = rowLabel(tr("Metadata")), 3, 0);
    grid->addWidget(m_metadataRow, 3, 1);
    grid->addWidget(m_message, 4, 0, 1, 2);
    grid->setColumnMinimumWidth(0, px(86));
    grid->setColumnStretch(1, 1);
}

void ExportOptions::refresh()
{
    const bool isGguf = m_choice.target() == QLatin1String("gguf");
    const Bytes limit = isGguf ? m_choice.split().ggufBytes : m_choice.split().folderBytes;
    m_size->clear();
    if (isGguf)
        m_size->addItem(tr("no limit"));
    for (const Bytes offered : kOffered)
        m_size->addItem(sizeText(offered));
    m_size->setEditText(limit == 0 ? tr("no limit") : sizeText(limit));
    m_size->setToolTip(isGguf ? tr("A larger model comes in several files, NAME-00001-of-00002.gguf and so on")
                              : tr("A larger model comes in several files with an index, as Hugging Face cuts them"));
    setBadEdge(m_size, false);
    m_tensors->setValue(static_cast<int>(m_choice.split().ggufTensors));
    for (QWidget* part : {static_cast<QWidget*>(m_tensorsLabel), static_cast<QWidget*>(m_tensors),
                          static_cast<QWidget*>(m_metadataLabel), m_metadataRow})
        part->setVisible(isGguf);
    const auto& found = m_session.templateGguf();
    m_metadata->setText(found ? fromPath(found->path().filename()) : tr("from the model"));
    m_metadata->setToolTip(found ? fromPath(found->path()) : QString());
    setTextLevel(m_metadata, found ? TextLevel::Text : TextLevel::Hint);
    m_drop->setVisible(found != nullptr);
    if (!isGguf || !m_session.isOpen())
        m_message->hide();
    setEnabled(m_session.isOpen());
    refreshFactors();
}

std::vector<std::size_t> ExportOptions::corrected() const
{
    std::vector<std::size_t> layers;
    for (std::size_t i = 0; m_session.isOpen() && i < m_session.plan().layers.size(); ++i) {
        if (!m_session.layer(i).keep && m_session.layer(i).rank > 0)
            layers.push_back(i);
    }
    return layers;
}

void ExportOptions::refreshFactors()
{
    const QString target = m_choice.target();
    const std::vector<std::size_t> layers = corrected();
    const bool isStored = !layers.empty() && m_choice.exporter().holdsCodes;  // else they are added to the weights
    m_factorsLabel->setVisible(isStored);
    m_factors->setVisible(isStored);
    if (!isStored)
        return;
    const bool isGguf = target == QLatin1String("gguf");
    const bool isPeft = needsFusedAlike(target.toStdString());
    m_factors->setSegments({{8, isGguf ? QStringLiteral("Q8_0") : QStringLiteral("INT8"), !isPeft,
                             isPeft       ? tr("A PEFT adapter holds factors of 16 or 32 bits")
                                 : isGguf ? tr("Where rank and row length are multiples of 32; F16 elsewhere")
                                          : QString()},
                            {16, QStringLiteral("F16"), true, {}},
                            {32, QStringLiteral("F32"), true, {}}});
    std::optional<int> common = factorBits(m_session.layer(layers.front()).factors);
    for (const std::size_t layer : layers) {
        if (factorBits(m_session.layer(layer).factors) != common)
            common.reset();
    }
    m_factors->setValue(common);
}

void ExportOptions::setFactors(int bits)
{
    const FactorType eight = m_choice.target() == QLatin1String("gguf") ? FactorType::Q8_0 : FactorType::I8;
    m_session.setFactors(corrected(), bits == 8 ? eight : bits == 32 ? FactorType::F32 : FactorType::F16);
    refreshFactors();
}

std::optional<Bytes> ExportOptions::parsedSize(const QString& text)
{
    QString number = text.trimmed();
    if (number.isEmpty() || number == tr("no limit"))
        return 0;
    double unit = 1e9;
    constexpr std::array<std::pair<const char*, double>, 5> kUnits{
        {{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"G", 1e9}, {"M", 1e6}}};
    for (const auto& [name, value] : kUnits) {
        if (number.endsWith(QLatin1String(name), Qt::CaseInsensitive)) {
            unit = value;
            number.chop(static_cast<qsizetype>(qstrlen(name)));
            break;
        }
    }
    bool isNumber = false;
    const double value = QLocale().toDouble(number.trimmed(), &isNumber) * unit;
    if (!isNumber || !(value >= 1) || value > kLargest)
        return std::nullopt;
    return static_cast<Bytes>(std::llround(value));
}

void ExportOptions::sizeEdited(const QString& text)
{
    const auto bytes = parsedSize(text);
    setBadEdge(m_size, !bytes.has_value());
    if (!bytes) {
        m_size->setToolTip(tr("“%1” is no size: expected one such as 2 GB or 500 MB").arg(text));
        return;
    }
    ExportSplit split = m_choice.split();
    if (m_choice.target() == QLatin1String("gguf"))
        split.ggufBytes = *bytes;
    else
        split.folderBytes = *bytes == 0 ? kFolderDefault : *bytes;
    if (split == m_choice.split())
        refresh();  // as we write it
    m_choice.setSplit(split);
}

void ExportOptions::chooseTemplate()
{
    auto* dialog = new QFileDialog(this, tr("Metadata and tokenizer from"), QFileInfo(m_session.path()).absolutePath());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilter(tr("GGUF model (*.gguf)"));
    connect(dialog, &QFileDialog::fileSelected, &m_session, &Session::importTemplate);
    dialog->open();
}

QString ExportOptions::metadata() const
{
    return m_metadata->text();
}

QString ExportOptions::message() const
{
    return m_message->isHidden() ? QString() : m_message->text();
}

}  // namespace sigmascope::ui
