// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDir>
#include <QFileInfo>
#include <QString>

#include <cstdint>
#include <filesystem>
#include <system_error>

namespace sigmascope::test {

/// Template for a QTemporaryDir, in memory where there is such a place with @p needed bytes: runs flush each step to the
/// disk, and tests that repeat them by the hundred would wait for nothing else.
inline QString scratch(std::uintmax_t needed = std::uintmax_t{32} << 20)
{
    const QString memory = QStringLiteral("/dev/shm");
    std::error_code error;
    const auto space = std::filesystem::space(memory.toStdString(), error);
    const bool isUsable = !error && space.available > needed && QFileInfo(memory).isWritable();
    return (isUsable ? memory : QDir::tempPath()) + QStringLiteral("/sigmascope-XXXXXX");
}

}  // namespace sigmascope::test
