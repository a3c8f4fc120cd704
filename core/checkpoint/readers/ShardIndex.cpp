// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/ShardIndex.h"

#include "core/base/Utf8.h"
#include "core/checkpoint/readers/JsonScanner.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr Bytes kMaxIndex = 1'000'000'000;
constexpr std::size_t kMaxShards = 65'000;  // what one process can map

/// Why a weight_map value is no bare file name; empty if it is one.
std::string_view whyUnsafe(std::string_view name)
{
    if (name.empty() || name == "." || name == "..")
        return "it is no file name";
    if (name.find('\0') != std::string_view::npos)
        return "it holds a NUL character";
    if (name.find_first_of("/\\") != std::string_view::npos)
        return "it is a path, not a bare file name";
    if (name.size() >= 2 && name[1] == ':')
        return "it names a drive";
    return {};
}

class IndexReader {
public:
    IndexReader(const MappedFile& file, Findings& findings) : m_file(file), m_name(file.path().native()), m_findings(findings) {}

    [[nodiscard]] Result<ShardIndex> read();

private:
    [[nodiscard]] Status readMembers(JsonScanner& scanner);
    [[nodiscard]] Status readWeightMap(JsonScanner& scanner);
    [[nodiscard]] Status readMetadata(JsonScanner& scanner);
    [[nodiscard]] Result<std::uint32_t> shardNumber(std::string_view name, std::string_view tensor, std::uint64_t at);
    [[nodiscard]] std::string_view kept(std::string_view text);
    void sortFiles();

    const MappedFile& m_file;
    std::string m_name;
    Findings& m_findings;
    std::string_view m_text;
    ShardIndex m_index;
    std::unordered_map<std::string, std::uint32_t> m_numbers;
    std::string m_scratch;
};

/// A key that had escapes lives in the scanner only; one without lies in the file.
std::string_view IndexReader::kept(std::string_view text)
{
    const bool inFile = text.data() >= m_text.data() && text.data() + text.size() <= m_text.data() + m_text.size();
    return inFile ? text : std::string_view(m_index.unescaped.emplace_back(text));
}

Result<std::uint32_t> IndexReader::shardNumber(std::string_view name, std::string_view tensor, std::uint64_t at)
{
    // Neighbours mostly share a shard.
    if (!m_index.entries.empty() && m_index.files[m_index.entries.back().shard] == name)
        return m_index.entries.back().shard;
    const auto [it, isNew] = m_numbers.try_emplace(std::string(name), static_cast<std::uint32_t>(m_index.files.size()));
    if (!isNew)
        return it->second;
    if (const std::string_view why = whyUnsafe(name); !why.empty())
        return fail(ErrorCode::UnsafePath, Where{m_name, std::string(tensor), at},
                    "weight_map names the file '" + escaped(name) + "': " + std::string(why));
    if (m_index.files.size() >= kMaxShards)
        return fail(ErrorCode::MalformedHeader, Where{m_name, {}, at}, "weight_map names more than 65,000 files");
    m_index.files.emplace_back(name);
    return it->second;
}

Status IndexReader::readWeightMap(JsonScanner& scanner)
{
    return scanner.object([&](std::string_view key, std::uint64_t at) -> Status {
        const std::string_view tensor = kept(key);
        scanner.setSubject(tensor);
        const auto value = scanner.string(m_scratch);
        if (!value)
            return passOn(value);
        const auto shard = shardNumber(*value, tensor, at);
        if (!shard)
            return passOn(shard);
        scanner.setSubject({});
        m_index.entries.push_back({tensor, *shard, at});
        return {};
    });
}

Status IndexReader::readMetadata(JsonScanner& scanner)
{
    if (scanner.peek() != '{')
        return scanner.skip();
    return scanner.object([&](std::string_view key, std::uint64_t at) -> Status {
        if (key != "total_size")
            return scanner.skip();
        JsonScanner attempt = scanner;
        if (const auto total = attempt.unsignedInteger(); total)
            m_index.totalSize = *total;
        else if (const Status tolerated =
                     m_findings.odd(ErrorCode::InvalidMetadata, Where{m_name, {}, at}, "total_size is no plain integer");
                 !tolerated)
            return tolerated;
        return scanner.skip();
    });
}

Status IndexReader::readMembers(JsonScanner& scanner)
{
    std::unordered_set<std::string> seen;
    Status read = scanner.object([&](std::string_view key, std::uint64_t at) -> Status {
        if (seen.size() > 1000)
            return scanner.failHere(ErrorCode::MalformedHeader, "not a shard index: too many members");
        if (!seen.emplace(key).second)
            return scanner.failAt(ErrorCode::DuplicateName, at, "the member '" + escaped(key) + "' is given twice");
        if (key == "weight_map")
            return readWeightMap(scanner);
        return key == "metadata" ? readMetadata(scanner) : scanner.skip();
    });
    if (read && !seen.contains("weight_map"))
        return scanner.failAt(ErrorCode::MalformedHeader, 0, "not a shard index: it has no weight_map");
    return read ? scanner.end() : read;
}

/// By name, so that shard numbers do not depend on the order of the map.
void IndexReader::sortFiles()
{
    std::vector<std::uint32_t> order(m_index.files.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, {}, [&](std::uint32_t i) -> const std::string& { return m_index.files[i]; });
    std::vector<std::uint32_t> newNumber(order.size());
    std::vector<std::string> sorted;
    sorted.reserve(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        newNumber[order[i]] = static_cast<std::uint32_t>(i);
        sorted.push_back(std::move(m_index.files[order[i]]));
    }
    m_index.files = std::move(sorted);
    for (ShardIndex::Entry& entry : m_index.entries)
        entry.shard = newNumber[entry.shard];
}

Result<ShardIndex> IndexReader::read()
{
    const auto bytes = m_file.bytes();
    if (bytes.size() > kMaxIndex)
        return fail(ErrorCode::HeaderTooLarge, Where{m_name, {}, 0}, "the index is over the limit of 1 GB");
    m_text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    if (const auto bad = firstInvalidUtf8(m_text))
        return fail(ErrorCode::InvalidUtf8, Where{m_name, {}, bad}, "the index is not valid UTF-8");
    JsonScanner scanner(m_text, m_name, 0);
    if (const Status read = readMembers(scanner); !read)
        return passOn(read);
    std::unordered_set<std::string_view> seen;
    seen.reserve(m_index.entries.size());
    for (const ShardIndex::Entry& entry : m_index.entries) {
        if (!seen.insert(entry.tensor).second)
            return fail(ErrorCode::DuplicateName, Where{m_name, std::string(entry.tensor), entry.offset},
                        "is in the weight_map twice");
    }
    sortFiles();
    return std::move(m_index);
}

}  // namespace

Result<ShardIndex> readShardIndex(const MappedFile& file, Findings& findings)
{
    Result<ShardIndex> index = IndexReader(file, findings).read();
    if (file.isBroken())
        return fail(ErrorCode::FileBroken, Where{file.path().native(), {}, {}}, "the file was truncated while it was read");
    return index;
}

Status refuseLinkOutOf(const std::filesystem::path& folder, const std::string& name)
{
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::path path = folder / name;
    if (!fs::is_symlink(path, error))
        return {};
    const fs::path target = fs::canonical(path, error);
    if (error)
        return {};  // dangling: the shard is missing
    const fs::path home = fs::canonical(folder, error);
    const fs::path targetFolder = target.parent_path();
    const auto [rest, unused] = std::mismatch(home.begin(), home.end(), targetFolder.begin(), targetFolder.end());
    if (!error && rest == home.end())
        return {};
    const bool isCache = home.parent_path().filename() == "snapshots"
        && targetFolder == home.parent_path().parent_path() / "blobs";
    if (!error && isCache)
        return {};
    return fail(ErrorCode::UnsafePath, Where{path.native(), {}, {}},
                "it is a link that leaves the model's folder, to '" + escaped(target.native(), 4096) + "'");
}

}  // namespace sigmascope
