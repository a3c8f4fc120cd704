// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <memory>
#include <stop_token>
#include <string>

namespace CLI
{
class App;
}

namespace sigmascope::cli
{

/// One word of the command line: declares its options on construction, then runs.
class Verb
{
public:
    virtual ~Verb() = default;
    [[nodiscard]] virtual const CLI::App& command() const = 0;
    /// What goes to standard output: a table, or one JSON object.
    [[nodiscard]] virtual Result<std::string> run(const std::stop_token& stop) = 0;
    /// Of a run that had something to say: a verdict may be bad.
    [[nodiscard]] virtual int exitCode() const { return 0; }
};

[[nodiscard]] std::unique_ptr<Verb> makeInspect(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makePlan(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makeQuantize(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makeCompare(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makeVerify(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makeReport(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makeDevices(CLI::App& root);
[[nodiscard]] std::unique_ptr<Verb> makeMethods(CLI::App& root);

} // namespace sigmascope::cli
