// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/ComputeBackend.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace sigmascope {

/// How fast devices did the same piece of work, kept between runs in a small text file: a line a device and driver. A
/// file that is missing, damaged or cannot be written is done without.
class DeviceSpeeds {
public:
    /// @param file  empty: nothing is kept.
    explicit DeviceSpeeds(std::filesystem::path file);

    /// Pieces of work a second; nothing for a device, or a driver of it, that was never measured.
    [[nodiscard]] std::optional<double> of(const DeviceInfo& device) const;
    void remember(const DeviceInfo& device, double speed);

private:
    std::filesystem::path m_file;
    std::map<std::string, double> m_speeds;
};

/// Index of the device that "auto" takes: of those that are usable and not software the first kind (discrete,
/// integrated, virtual); of several of that kind the fastest. -1 if there is none.
/// @param devices  best first, as listVulkanDevices() gives them.
/// @param speedOf  asked only where there is a choice; nothing: the device could not do the work.
[[nodiscard]] int chooseDevice(std::span<const DeviceInfo> devices,
                               const std::function<std::optional<double>(std::size_t)>& speedOf);

/// Pieces of work a second: coding and sketching a matrix of 512 by 1024, upload included. Takes some 0.1 s.
[[nodiscard]] std::optional<double> measureVulkanDevice(int index);

}  // namespace sigmascope
