// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Notes.h"

#include "core/base/Result.h"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>
#include <unordered_map>

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
    std::unordered_map<std::string_view, std::size_t> known;
    for (const auto& [name, what] : notes) {
        const std::size_t place = known.try_emplace(what, all.size()).first->second;
        if (place == all.size())
            all.push_back({what, {}});
        all[place].names.push_back(escaped(name));
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
