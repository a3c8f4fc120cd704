// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Notes.h"

#include "core/base/Result.h"

#include <fmt/format.h>

#include <algorithm>

namespace sigmascope::cli
{

std::string linesOf(const std::vector<PlanNote>& notes)
{
    constexpr std::size_t kNamed = 3; // one line each up to here
    struct Said {
        std::string what;
        std::vector<std::string> names;
    };
    std::vector<Said> all;
    for (const auto& [name, what] : notes) {
        auto said = std::ranges::find(all, what, &Said::what);
        if (said == all.end())
            said = all.insert(all.end(), Said{what, {}});
        said->names.push_back(escaped(name));
    }
    std::string text;
    for (const Said& said : all) {
        if (said.names.size() > kNamed) {
            text += fmt::format("  {} tensors, {} first: {}\n", said.names.size(), said.names.front(), said.what);
            continue;
        }
        for (const std::string& name : said.names)
            text += fmt::format("  {}: {}\n", name, said.what);
    }
    return text;
}

} // namespace sigmascope::cli
