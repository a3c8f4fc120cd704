// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QLabel;
class QStandardItemModel;
class QTreeView;

namespace sigmascope::ui {

class ChannelAnalysis;
class ChannelsPlot;
class Session;
struct ChannelResult;

/// The Channels tab: the plot, and beside it the channels that stand out. Computes while it is visible.
class ChannelsPanel : public QWidget {
    Q_OBJECT

public:
    explicit ChannelsPanel(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] ChannelsPlot* plot() const { return m_plot; }
    [[nodiscard]] QTreeView* list() const { return m_list; }
    [[nodiscard]] ChannelAnalysis* analysis() const { return m_analysis; }

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    void buildList();
    void refresh();
    void refreshList();
    [[nodiscard]] QString listAsCsv() const;

    Session& m_session;
    ChannelAnalysis* m_analysis = nullptr;
    ChannelsPlot* m_plot = nullptr;
    QWidget* m_side = nullptr;
    QTreeView* m_list = nullptr;
    QStandardItemModel* m_model = nullptr;
    QLabel* m_none = nullptr;
    const ChannelResult* m_shown = nullptr;
};

}  // namespace sigmascope::ui
