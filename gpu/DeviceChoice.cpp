// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/DeviceChoice.h"

#include "core/base/AtomicFile.h"
#include "core/base/Random.h"

#include "gpu/PipelineCache.h"
#include "gpu/VulkanBackend.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <vector>

namespace sigmascope {

namespace {

constexpr std::string_view kHeader = "sigmascope device speeds 1\n";
constexpr std::uintmax_t kLargestFile = 64 << 10;

/// On one line whatever a driver calls itself.
std::string keyOf(const DeviceInfo& device)
{
    return escaped(fmt::format("{} | {} | {} | {}", device.kind, device.memoryBytes, device.name, device.driver), 400);
}

std::string textOf(const std::filesystem::path& path)
{
    std::error_code failed;
    const bool isFile = std::filesystem::is_regular_file(path, failed);
    if (!isFile || std::filesystem::file_size(path, failed) > kLargestFile || failed)
        return {};
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// One piece of work: codes with their error sums, then a sketch of what they leave.
bool work(ComputeBackend& backend, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols)
{
    constexpr std::uint64_t kVectors = 32;
    const CodeFormat format{.groups = {4, 32, false}};
    std::vector<std::byte> codes(rows * format.rowBytes(cols));
    if (!backend.encodeMeasured(format, weights, rows, cols, {}, codes, {}))
        return false;
    const auto products = backend.products({weights, rows, cols, format, codes}, {});
    std::vector<float> sketch(kVectors * cols);
    return products && (*products)->timesRows(weights.first(kVectors * rows), kVectors, sketch, {}).has_value();
}

}  // namespace

DeviceSpeeds::DeviceSpeeds(std::filesystem::path file) : m_file(std::move(file))
{
    const std::string text = textOf(m_file);
    if (!text.starts_with(kHeader))
        return;
    for (std::size_t at = kHeader.size(); at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        const std::size_t space = line.find(' ');
        double speed = 0;
        if (space == std::string_view::npos)
            continue;
        const std::string_view number = line.substr(0, space);
        const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), speed);
        if (error == std::errc() && stop == number.data() + number.size() && std::isfinite(speed) && speed > 0)
            m_speeds.insert_or_assign(std::string(line.substr(space + 1)), speed);
    }
}

std::optional<double> DeviceSpeeds::of(const DeviceInfo& device) const
{
    const auto found = m_speeds.find(keyOf(device));
    return found == m_speeds.end() ? std::nullopt : std::optional(found->second);
}

void DeviceSpeeds::remember(const DeviceInfo& device, double speed)
{
    m_speeds.insert_or_assign(keyOf(device), speed);
    if (m_file.empty())
        return;
    std::string text(kHeader);
    for (const auto& [key, known] : m_speeds)
        text += fmt::format("{} {}\n", known, key);
    std::error_code failed;
    std::filesystem::create_directories(m_file.parent_path(), failed);
    if (failed)
        return;
    auto file = AtomicFile::create(m_file, text.size(), true);
    if (file && (*file)->write(std::as_bytes(std::span(text.data(), text.size()))))
        static_cast<void>((*file)->commit());  // without it the next start measures again
}

int chooseDevice(std::span<const DeviceInfo> devices, const std::function<std::optional<double>(std::size_t)>& speedOf)
{
    std::vector<std::size_t> candidates;
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const bool isWorse = !candidates.empty() && devices[i].kind != devices[candidates.front()].kind;
        if (devices[i].usable && devices[i].kind != "software" && !isWorse)
            candidates.push_back(i);
    }
    if (candidates.empty())
        return -1;
    std::size_t best = candidates.front();
    double most = 0;
    for (const std::size_t i : candidates) {
        const double speed = candidates.size() == 1 ? 0 : speedOf(i).value_or(0);
        if (speed > most) {
            most = speed;
            best = i;
        }
    }
    return static_cast<int>(best);
}

std::optional<double> measureVulkanDevice(int index)
{
    constexpr std::uint64_t kRows = 512;
    constexpr std::uint64_t kCols = 1024;
    constexpr int kRounds = 3;
    const auto backend = makeVulkanBackend(index);
    std::vector<float> weights(kRows * kCols);
    fillNormal<float>(1, weights, 0.02);
    if (!backend || !work(**backend, weights, kRows, kCols))  // the first one compiles
        return std::nullopt;
    double shortest = 0;
    for (int i = 0; i < kRounds; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        if (!work(**backend, weights, kRows, kCols))
            return std::nullopt;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        shortest = i == 0 ? seconds : std::min(shortest, seconds);
    }
    return 1 / std::max(shortest, 1e-9);
}

int bestVulkanDevice()
{
    const auto devices = listVulkanDevices();
    const auto folder = gpu::cacheFolder();
    std::optional<DeviceSpeeds> speeds;
    return chooseDevice(devices, [&](std::size_t i) -> std::optional<double> {
        if (!speeds)
            speeds.emplace(folder.empty() ? folder : folder / "device-speeds");
        if (const auto known = speeds->of(devices[i]))
            return known;
        const auto measured = measureVulkanDevice(static_cast<int>(i));
        if (measured)
            speeds->remember(devices[i], *measured);
        return measured;
    });
}

}  // namespace sigmascope
