// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/Composition.h"
#include "app/cli/Table.h"
#include "app/cli/Verb.h"
#include "core/base/Json.h"

#include <CLI/CLI.hpp>

namespace sigmascope::cli
{

namespace
{

class Devices final : public Verb
{
public:
    explicit Devices(CLI::App& root)
        : m_app(root.add_subcommand("devices", "List the devices that can compute"))
    {
        m_app->add_flag("--json", m_json, "One JSON object instead of a table");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token&) override
    {
        const std::vector<DeviceInfo> devices = listDevices();
        return m_json ? json(devices) : table(devices);
    }

private:
    static std::string json(const std::vector<DeviceInfo>& devices)
    {
        Json list = Json::array();
        for (const DeviceInfo& device : devices) {
            Json row;
            row["id"] = device.id;
            row["name"] = device.name;
            row["kind"] = device.kind;
            row["memory_bytes"] = device.memoryBytes == 0 ? Json() : Json(device.memoryBytes);
            row["driver"] = device.driver.empty() ? Json() : Json(device.driver);
            row["usable"] = device.usable;
            row["reason"] = device.reason.empty() ? Json() : Json(device.reason);
            list.push_back(std::move(row));
        }
        Json object;
        object["devices"] = std::move(list);
        return dumpJson(object, 2) + '\n';
    }

    static std::string table(const std::vector<DeviceInfo>& devices)
    {
        Table text({{"device", Align::Left},
                    {"name", Align::Left},
                    {"kind", Align::Left},
                    {"memory"},
                    {"driver", Align::Left},
                    {"usable", Align::Left},
                    {"note", Align::Left}});
        for (const DeviceInfo& device : devices) {
            text.add({device.id, escaped(device.name), device.kind,
                      device.memoryBytes == 0 ? "–" : formatBytes(device.memoryBytes), escaped(device.driver),
                      device.usable ? "yes" : "no", escaped(device.reason)});
        }
        return text.toString();
    }

    CLI::App* m_app;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makeDevices(CLI::App& root)
{
    return std::make_unique<Devices>(root);
}

} // namespace sigmascope::cli
