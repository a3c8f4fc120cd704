// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Journal.h"

#include "core/base/Checksum.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <sys/stat.h>

namespace sigmascope
{

namespace
{

constexpr int kJournalSchema = 2; // 1 had another checksum
/// A million tensors write some 300 MB.
constexpr Bytes kLargest = Bytes{1} << 30;
constexpr std::size_t kSumLength = 16;

std::uint64_t sumOf(std::string_view text)
{
    Checksum sum;
    sum.add(std::as_bytes(std::span(text.data(), text.size())));
    return sum.value();
}

/// The JSON of a line without its newline; absent unless its checksum is right.
std::optional<Json> recordOf(std::string_view line, std::string_view file)
{
    if (line.size() < kSumLength + 1 || line[kSumLength] != ' ')
        return std::nullopt;
    const std::string_view text = line.substr(kSumLength + 1);
    if (line.substr(0, kSumLength) != hex(sumOf(text)))
        return std::nullopt;
    auto json = parseJson(text, file);
    return json ? std::optional(std::move(*json)) : std::nullopt;
}

/// A first line that names another schema than this version writes, whatever was summed up then, and how.
bool isOfAnotherSchema(std::string_view line)
{
    const std::string_view text = line.substr(std::min(line.size(), kSumLength + 1));
    return text.starts_with("{\"sigmascope_journal\":")
        && !text.starts_with(fmt::format("{{\"sigmascope_journal\":{},", kJournalSchema));
}

Json orNull(std::optional<double> value)
{
    return value ? Json(*value) : Json();
}

std::optional<double> numberIn(const Json& json, const char* key)
{
    const auto found = json.find(key);
    return found != json.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

Json toJson(const TensorResult& result)
{
    Json json;
    json["preset"] = result.preset;
    json["grid"] = result.grid;
    json["method"] = result.method;
    json["bits"] = result.bitsPerWeight;
    json["published_bits"] = result.publishedBits;
    json["rank"] = result.rank;
    json["weight_error"] = orNull(result.weightError);
    json["metric_error"] = orNull(result.metricError);
    json["weight_error_rank0"] = orNull(result.weightErrorRank0);
    json["metric_error_rank0"] = orNull(result.metricErrorRank0);
    json["search_gain"] = orNull(result.searchGain);
    json["seconds"] = result.seconds;
    json["device"] = result.device;
    json["fallback"] = result.fallback;
    return json;
}

TensorResult resultFrom(const Json& json, std::size_t tensor)
{
    TensorResult result{.tensor = tensor,
                        .preset = textIn(json, "preset"),
                        .grid = textIn(json, "grid"),
                        .method = textIn(json, "method"),
                        .bitsPerWeight = numberIn(json, "bits").value_or(0),
                        .publishedBits = numberIn(json, "published_bits").value_or(0),
                        .weightError = numberIn(json, "weight_error"),
                        .metricError = numberIn(json, "metric_error"),
                        .weightErrorRank0 = numberIn(json, "weight_error_rank0"),
                        .metricErrorRank0 = numberIn(json, "metric_error_rank0"),
                        .seconds = numberIn(json, "seconds").value_or(0),
                        .device = textIn(json, "device"),
                        .fallback = textIn(json, "fallback"),
                        .searchGain = numberIn(json, "search_gain"),
                        .resumed = true};
    const double rank = numberIn(json, "rank").value_or(0);
    result.rank = rank >= 0 && rank <= std::numeric_limits<std::uint32_t>::max() ? static_cast<std::uint32_t>(rank) : 0;
    return result;
}

Json toJson(const JournaledLayer& layer)
{
    Json json;
    json["tensor"] = hex(layer.tensor);
    json["ranges"] = Json::array();
    for (const WrittenRange& range : layer.receipt.ranges)
        json["ranges"].push_back(
            Json::array({hex(range.output), hex(range.begin), hex(range.end), hex(range.checksum)}));
    json["note"] = layer.receipt.note;
    json["result"] = toJson(layer.result);
    return json;
}

std::optional<JournaledLayer> layerFrom(const Json& json)
{
    const auto tensor = json.contains("tensor") ? fromHex(json["tensor"]) : std::nullopt;
    if (!tensor || !json.contains("ranges") || !json["ranges"].is_array() || !json.contains("result")
        || !json["result"].is_object())
        return std::nullopt;
    JournaledLayer layer{.tensor = static_cast<std::size_t>(*tensor)};
    for (const Json& range : json["ranges"]) {
        if (!range.is_array() || range.size() != 4)
            return std::nullopt;
        const auto output = fromHex(range[0]);
        const auto begin = fromHex(range[1]);
        const auto end = fromHex(range[2]);
        const auto checksum = fromHex(range[3]);
        if (!output || !begin || !end || !checksum || *begin > *end)
            return std::nullopt;
        layer.receipt.ranges.push_back({static_cast<std::size_t>(*output), *begin, *end, *checksum});
    }
    layer.receipt.note = textIn(json, "note");
    layer.result = resultFrom(json["result"], layer.tensor);
    return layer;
}

} // namespace

Journal::Journal(Journal&& other) noexcept
    : m_path(std::exchange(other.m_path, {}))
    , m_system(other.m_system)
    , m_file(std::move(other.m_file))
    , m_earlier(std::move(other.m_earlier))
    , m_end(other.m_end)
    , m_layers(other.m_layers)
    , m_isTorn(other.m_isTorn)
    , m_isRead(other.m_isRead)
{
}

Journal::~Journal()
{
    if (m_isRead && m_layers == 0)
        remove();
}

void Journal::remove()
{
    if (!m_path.empty() && m_file.isOpen())
        m_system->remove(m_path.c_str());
    m_path.clear();
}

tl::unexpected<Error> Journal::failErrno(const char* what, int error) const
{
    if (error == ECANCELED)
        return cancelledError();
    return fail(codeOfErrno(error, ErrorCode::WriteFailed), {.file = m_path.string()},
                fmt::format("{}: {}", what, textOfErrno(error)));
}

Result<Journal> Journal::open(const std::filesystem::path& output, FileSystem& system)
{
    Journal journal;
    journal.m_system = &system;
    const std::filesystem::path path = journalPathFor(output);
    auto file = LockedFile::open(path, LockedFile::Mode::OpenOrCreate);
    if (!file) {
        if (file.error().code == ErrorCode::OutputBusy)
            return fail(ErrorCode::OutputBusy, {.file = output.string()},
                        "another process is writing it (" + escaped(path.filename().string()) + " is locked)");
        return passOn(std::move(file));
    }
    journal.m_file = std::move(*file);
    journal.m_path = path;
    if (const Status read = journal.read(); !read)
        return passOn(read);
    journal.m_isRead = true;
    return journal;
}

Status Journal::read()
{
    struct stat status{};
    if (::fstat(m_file.descriptor(), &status) != 0)
        return failErrno("cannot be examined", errno);
    const auto size = static_cast<Bytes>(status.st_size);
    if (size > kLargest)
        return fail(ErrorCode::MalformedHeader, {.file = m_path.string()},
                    fmt::format("{} bytes are more than a journal can have", size));
    std::string text(static_cast<std::size_t>(size), '\0');
    if (const int error = readFully(*m_system, m_file.descriptor(), std::as_writable_bytes(std::span(text)), 0);
        error != 0)
        return failErrno("cannot be read", error);
    EarlierRun earlier;
    bool hasHead = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos)
            break;
        const std::string_view line = std::string_view(text).substr(at, end - at);
        const auto record = recordOf(line, m_path.string());
        if (!hasHead) {
            const bool isOurs = record && record->is_object() && record->contains("sigmascope_journal");
            if (!isOurs && !isOfAnotherSchema(line))
                return fail(ErrorCode::MalformedHeader, {.file = m_path.string()},
                            "is no journal of an earlier run; remove it to go on");
            auto fingerprint = isOurs && (*record)["sigmascope_journal"] == kJournalSchema && record->contains("run")
                ? fingerprintFrom((*record)["run"])
                : std::nullopt;
            if (!fingerprint)
                return fail(ErrorCode::UnsupportedVersion, {.file = m_path.string()},
                            "is the journal of a run by another version of this program, which alone can resume it; "
                            "remove it to begin anew");
            earlier.fingerprint = std::move(*fingerprint);
            hasHead = true;
        } else if (!record || !record->is_object()) {
            break;
        } else if (record->contains("placing") && (*record)["placing"].is_array()) {
            earlier.placing.clear();
            for (const Json& inode : (*record)["placing"])
                earlier.placing.push_back(fromHex(inode).value_or(0));
        } else if (auto layer = layerFrom(*record);
                   layer && layer->tensor < earlier.fingerprint.tensors.size()) {
            earlier.layers.insert_or_assign(layer->tensor, std::move(*layer));
        }
        at = end + 1;
        m_end = at;
    }
    m_isTorn = m_end != size;
    m_layers = earlier.layers.size();
    if (m_layers > 0)
        m_earlier = std::move(earlier);
    return {};
}

Status Journal::clear()
{
    if (m_system->truncate(m_file.descriptor(), 0) != 0)
        return failErrno("cannot be begun anew", errno);
    m_end = 0;
    m_isTorn = false;
    m_layers = 0;
    m_earlier.reset();
    return {};
}

Status Journal::begin(const RunFingerprint& fingerprint)
{
    if (Status cleared = clear(); !cleared)
        return cleared;
    Json head;
    head["sigmascope_journal"] = kJournalSchema;
    head["run"] = toJson(fingerprint);
    if (Status written = append(head); !written)
        return written;
    return sync();
}

Status Journal::append(const Json& record)
{
    // What a crash tore apart, or wrote behind a line that it lost, must not be read again.
    if (m_isTorn && m_system->truncate(m_file.descriptor(), m_end) != 0)
        return failErrno("cannot be cut back to its last whole line", errno);
    m_isTorn = false;
    const std::string text = dumpJson(record);
    const std::string line = hex(sumOf(text)) + ' ' + text + '\n';
    Bytes at = m_end;
    if (const int error
        = writeFully(*m_system, m_file.descriptor(), std::as_bytes(std::span(line.data(), line.size())), at);
        error != 0) {
        auto failed = failErrno("cannot note what is finished", error);
        if (failed.value().code == ErrorCode::NoSpace)
            failed.value().detail += fmt::format("; {} bytes are needed, {} are free", line.size(),
                                                 freeBytesIn(m_path.has_parent_path() ? m_path.parent_path() : "."));
        return failed;
    }
    m_end = at;
    return {};
}

Status Journal::add(const JournaledLayer& layer)
{
    if (Status written = append(toJson(layer)); !written)
        return written;
    ++m_layers;
    return {};
}

Status Journal::addPlacing(const std::vector<std::uint64_t>& inodes)
{
    Json record;
    record["placing"] = Json::array();
    for (const std::uint64_t inode : inodes)
        record["placing"].push_back(hex(inode));
    return append(record);
}

Status Journal::sync(const std::stop_token& stop)
{
    const int error = syncFully(*m_system, m_file.descriptor(), stop);
    return error == 0 ? Status() : failErrno("cannot be flushed to the disk", error);
}

Result<std::optional<UnfinishedRun>> unfinishedRunAt(const std::filesystem::path& output)
{
    std::error_code error;
    if (!std::filesystem::exists(journalPathFor(output), error))
        return std::optional<UnfinishedRun>();
    const auto journal = Journal::open(output);
    if (!journal)
        return passOn(journal);
    if (!journal->earlier())
        return std::optional<UnfinishedRun>();
    return std::optional(UnfinishedRun{.journal = journal->path(),
                                       .finished = journal->earlier()->layers.size(),
                                       .planned = journal->earlier()->fingerprint.tensors.size()});
}

} // namespace sigmascope
