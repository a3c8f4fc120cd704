// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstdint>
#include <filesystem>

namespace sigmascope {

/// A file of ours opened for reading and writing, with an exclusive lock that the system takes back when the process
/// ends, however it ends. A second process, or a second LockedFile in this one, is refused with OutputBusy.
///
/// Where the file system knows no locks (some network mounts) it is open without one.
class LockedFile {
public:
    enum class Mode {
        OpenExisting,  ///< NotFound if there is none
        OpenOrCreate,  ///< what stands there is taken up, else an empty file is made
        CreateAnew,    ///< what stands there is unlinked (other hard links keep it) unless it is in use
    };
    /// @param path  never followed if it is a link. NotRegularFile, PermissionDenied, OutputBusy, WriteFailed.
    [[nodiscard]] static Result<LockedFile> open(const std::filesystem::path& path, Mode mode);

    LockedFile() = default;
    LockedFile(LockedFile&& other) noexcept;
    LockedFile& operator=(LockedFile&& other) noexcept;
    ~LockedFile();

    [[nodiscard]] int descriptor() const { return m_fd; }
    [[nodiscard]] bool isOpen() const { return m_fd >= 0; }
    /// This call made the file.
    [[nodiscard]] bool isNew() const { return m_isNew; }

private:
    int m_fd = -1;
    bool m_isNew = false;
};

}  // namespace sigmascope
