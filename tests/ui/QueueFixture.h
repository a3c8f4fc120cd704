// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A studio whose runs a test holds in its hand: layers pass one by one, or fail.
#include "StudioFixture.h"

#include "core/checkpoint/Checkpoint.h"
#include "ui/models/RunTableModel.h"
#include "ui/panels/QueueTable.h"
#include "ui/panels/RunPage.h"
#include "ui/session/RunController.h"
#include "ui/session/Text.h"

#include <QCryptographicHash>
#include <QPushButton>
#include <QSignalSpy>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

namespace sigmascope::test {

/// Who may pass: encodes wait while there are no tickets. SIZE_MAX: all may.
struct Gate {
    std::atomic<std::size_t> tickets = SIZE_MAX;
    std::atomic<std::uint64_t> failingRows = 0;  ///< matrices with so many rows find no memory …
    std::atomic<int> failures = 0;  ///< … so often

    void close() { tickets = 0; }
    void open() { tickets = SIZE_MAX; }
    void letPass(std::size_t count) { tickets += count; }
    void wait(const JobContext& job)
    {
        while (!job.cancelled()) {
            std::size_t left = tickets;
            if (left == SIZE_MAX || (left > 0 && tickets.compare_exchange_strong(left, left - 1)))
                return;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
};

/// The reference behind a gate.
class GatedBackend final : public ComputeBackend {
public:
    explicit GatedBackend(Gate& gate)
        : m_gate(gate)
    {
    }
    DeviceInfo device() const override { return m_cpu->device(); }
    Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        return m_cpu->statistics(view, job);
    }
    Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                  std::span<std::byte> out, const JobContext& job) override
    {
        m_gate.wait(job);
        if (rows == m_gate.failingRows && m_gate.failures-- > 0)
            throw std::bad_alloc();
        return m_cpu->encode(type, weights, rows, cols, out, job);
    }
    bool supports(Op op, DType type) const override { return m_cpu->supports(op, type); }
    std::string deviceFor(Op op, DType type) const override { return m_cpu->deviceFor(op, type); }

private:
    Gate& m_gate;
    std::unique_ptr<ComputeBackend> m_cpu = makeCpuBackend();
};

class QueueFixture : public QObject {
protected:
    void prepare()
    {
        isolateSettings(m_folder);
        ui::installFonts();
        ui::applyTheme(*qApp, ui::Appearance::Dark);
    }
    [[nodiscard]] bool openStudio(QSize size = {1440, 900})
    {
        m_gate.open();
        m_gate.failures = 0;
        m_session = std::make_unique<ui::Session>(
            [this](std::string_view) -> Result<std::unique_ptr<ComputeBackend>> {
                return std::make_unique<GatedBackend>(m_gate);
            },
            std::vector<DeviceInfo>{makeCpuBackend()->device()});
        m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
        m_window->resize(size);
        m_window->show();
        if (!QTest::qWaitForWindowExposed(m_window.get()))
            return false;
        if (!m_session->setDevice(QStringLiteral("cpu")))
            return false;
        m_window->openSample();
        return QTest::qWaitFor([this] { return m_session->isOpen(); }, 30000);
    }
    void closeStudio()
    {
        m_gate.open();
        m_window.reset();
        m_session.reset();
    }
    [[nodiscard]] ui::RunPage& page() const { return *m_window->runPage(); }
    [[nodiscard]] ui::QueueTable& queue() const { return *page().queue(); }
    [[nodiscard]] ui::RunController& run() const { return m_window->runController(); }
    void click(QWidget* widget) const { QTest::mouseClick(widget, Qt::LeftButton); }
    [[nodiscard]] QString cell(int row, int column) const
    {
        return queue().model()->index(row, column).data().toString().trimmed();
    }
    [[nodiscard]] QString state(int row) const { return cell(row, ui::RunTableModel::State); }
    [[nodiscard]] int rowsIn(ui::QueueState wanted) const
    {
        int count = 0;
        for (int row = 0; row < queue().model()->rowCount(); ++row)
            count
                += queue().model()->index(row, 0).data(ui::QueueStateRole).toInt() == static_cast<int>(wanted) ? 1 : 0;
        return count;
    }
    /// First row that still waits.
    [[nodiscard]] int firstWaiting() const
    {
        int row = 0;
        while (row < queue().model()->rowCount() && state(row) != QStringLiteral("queued"))
            ++row;
        return row;
    }
    [[nodiscard]] QPoint middleOf(int row) const
    {
        return queue().visualRect(queue().model()->index(row, ui::RunTableModel::Layer)).center();
    }
    void press(const QPoint& at) const { QTest::mousePress(queue().viewport(), Qt::LeftButton, {}, at); }
    void release(const QPoint& at) const { QTest::mouseRelease(queue().viewport(), Qt::LeftButton, {}, at); }
    void move(const QPoint& to) const
    {
        QMouseEvent event(QEvent::MouseMove, to, queue().viewport()->mapToGlobal(to), Qt::NoButton, Qt::LeftButton, {});
        QCoreApplication::sendEvent(queue().viewport(), &event);
    }
    void drag(const QPoint& from, const QPoint& to) const
    {
        press(from);
        for (int step = 1; step <= 6; ++step)
            move(from + (to - from) * step / 6);
    }
    [[nodiscard]] QString at(const QString& name) const { return m_folder.filePath(name); }
    /// Starts with the first coded layer held at the gate.
    [[nodiscard]] bool startHeld(const QString& output)
    {
        m_window->showPage(ui::MainWindow::Run);
        page().setOutput(output);
        m_gate.close();
        click(page().startButton());
        return QTest::qWaitFor(
            [this] {
                return rowsIn(ui::QueueState::Running) == 1
                    && cell(firstWaiting() - 1, ui::RunTableModel::PlanText) != QStringLiteral("kept");
            },
            20000);
    }
    [[nodiscard]] static QByteArray digest(const QString& path)
    {
        QFile file(path);
        return file.open(QIODevice::ReadOnly) ? QCryptographicHash::hash(file.readAll(), QCryptographicHash::Sha256)
                                              : QByteArray();
    }
    /// Model and adapter of a run that nobody touched; written once.
    [[nodiscard]] bool writeUndisturbed()
    {
        if (QFile::exists(at(QStringLiteral("undisturbed.gguf"))))
            return true;
        m_window->showPage(ui::MainWindow::Run);
        page().setOutput(at(QStringLiteral("undisturbed.gguf")));
        QSignalSpy finished(&run(), &ui::RunController::finished);
        click(page().startButton());
        return finished.wait(60000);
    }
    [[nodiscard]] bool isLikeUndisturbed(const QString& stem) const
    {
        const QByteArray model = digest(at(QStringLiteral("undisturbed.gguf")));
        const QByteArray adapter = digest(at(QStringLiteral("undisturbed-lora.gguf")));
        return !model.isEmpty() && !adapter.isEmpty() && digest(at(stem + QStringLiteral(".gguf"))) == model
            && digest(at(stem + QStringLiteral("-lora.gguf"))) == adapter;
    }
    void keepPicture(const QString& name) const
    {
        const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
        QVERIFY(QDir().mkpath(folder.path()));
        QTest::qWait(100);
        QVERIFY(m_window->grab().save(
            folder.filePath(QStringLiteral("%1-%2.png").arg(name).arg(qApp->devicePixelRatio()))));
    }

    QTemporaryDir m_folder;
    Gate m_gate;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

}  // namespace sigmascope::test
