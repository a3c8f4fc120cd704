// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/VulkanBackend.h"

#include <QtTest>

#include <memory>

/// The device every parity test runs on: the software one, so that results do not depend on the machine.
/// -1 if there is none, which fails the test.
inline int softwareDevice()
{
    const auto devices = sigmascope::listVulkanDevices();
    for (std::size_t i = 0; i < devices.size(); ++i)
        if (devices[i].kind == "software" && devices[i].usable)
            return static_cast<int>(i);
    return -1;
}

/// A backend on it under the validation layer; null if it cannot be made.
inline std::unique_ptr<sigmascope::ComputeBackend> validatedBackend(const sigmascope::VulkanLimits& limits = {})
{
    qputenv("SIGMASCOPE_VK_VALIDATION", "1");
    sigmascope::VulkanLimits quiet = limits;
    if (!quiet.cacheFolder)
        quiet.cacheFolder.emplace();  // the user's own cache is none of a test's business
    auto backend = sigmascope::makeVulkanBackend(softwareDevice(), quiet);
    if (!backend) {
        qWarning("%s", backend.error().detail.c_str());
        return nullptr;
    }
    return std::move(*backend);
}

/// What the layer said, one message a line; also that it is missing.
inline QString validationMessages(const sigmascope::ComputeBackend& backend)
{
    QString all;
    for (const std::string& message : backend.diagnostics())
        all += QString::fromStdString(message) + QLatin1Char('\n');
    return all;
}
