// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/ProjectFile.h"

#include "core/base/AtomicFile.h"
#include "core/base/Checksum.h"
#include "core/base/Hdf5.h"
#include "core/base/MappedFile.h"
#include "core/base/Utf8.h"
#include "core/solve/Solver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

constexpr std::string_view kMagic = "SGMSESS\n";
constexpr std::uint32_t kContainer = 2; // of the block before the HDF5 file
constexpr std::uint64_t kFileSchema = 1; // of what the HDF5 file holds
constexpr std::size_t kBlock = 512; // HDF5 looks for itself at 0, 512, 1024, …
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kSizeAt = 16;
constexpr std::size_t kChecksumAt = 24;
constexpr Bytes kMostBytes = 1'000'000'000;
constexpr const char* kRecipe = "/plan/recipe";

template <class Value> void put(std::span<std::byte> block, std::size_t at, Value value)
{
    std::memcpy(block.data() + at, &value, sizeof value);
}

template <class Value> Value get(std::span<const std::byte> block, std::size_t at)
{
    Value value{};
    std::memcpy(&value, block.data() + at, sizeof value);
    return value;
}

std::uint64_t checksumOf(std::span<const std::byte> bytes)
{
    Checksum sum;
    sum.add(bytes);
    return sum.value();
}

/// Texts must come back as they were: HDF5 fills them up with zeros, and h5py reads UTF-8.
std::string stored(const std::string& text)
{
    std::string plain = firstInvalidUtf8(text) ? escaped(text, text.size() * 4 + 1) : text;
    std::ranges::replace(plain, '\0', ' ');
    return plain;
}

/// Plans of layers, column by column.
struct PlanColumns {
    std::vector<std::uint8_t> keep, pinned;
    std::vector<std::string> preset, grid, factors, metric, solver;
    std::vector<std::uint32_t> rank;

    void add(const LayerPlan& plan)
    {
        keep.push_back(plan.keep ? 1 : 0);
        pinned.push_back(plan.pinned ? 1 : 0);
        preset.push_back(stored(plan.preset));
        grid.push_back(stored(plan.grid));
        factors.emplace_back(factorName(plan.factors));
        metric.emplace_back(id(plan.metric));
        solver.push_back(stored(plan.solver));
        rank.push_back(plan.rank);
    }
    void write(Hdf5Writer& file, const std::string& at) const
    {
        file.column(at + "keep", std::span(keep));
        file.column(at + "preset", std::span(preset));
        file.column(at + "grid", std::span(grid));
        file.column(at + "rank", std::span(rank));
        file.column(at + "factors", std::span(factors));
        file.column(at + "metric", std::span(metric));
        file.column(at + "solver", std::span(solver));
        file.column(at + "pinned", std::span(pinned));
    }
};

/// Reads columns of one group; the first thing wrong is kept.
class ColumnReader
{
public:
    ColumnReader(const Hdf5Reader& file, std::string group)
        : m_file(file)
        , m_group(std::move(group))
    {
    }
    [[nodiscard]] Status status() const { return m_error ? Status(tl::unexpected<Error>(*m_error)) : Status(); }
    [[nodiscard]] std::size_t count() const { return m_count.value_or(0); }

    std::vector<double> doubles(const char* name) { return taken(name, m_file.doubles(m_group + name)); }
    /// NaN throughout where an earlier version wrote no such column.
    std::vector<double> laterDoubles(const char* name)
    {
        auto column = m_file.doubles(m_group + name);
        return column ? taken(name, std::move(column))
                      : std::vector<double>(count(), std::numeric_limits<double>::quiet_NaN());
    }
    std::vector<std::uint32_t> numbers(const char* name) { return taken(name, m_file.numbers(m_group + name)); }
    std::vector<std::uint8_t> bytes(const char* name) { return taken(name, m_file.bytes(m_group + name)); }
    std::vector<std::string> texts(const char* name) { return taken(name, m_file.texts(m_group + name)); }
    void refuse(std::string detail)
    {
        if (!m_error)
            m_error = Error{ErrorCode::MalformedHeader, std::move(detail)};
    }

private:
    template <class Value>
    std::vector<Value> taken(const char* name, Result<std::vector<Value>> column)
    {
        if (!column) {
            if (!m_error)
                m_error = column.error();
        } else if (!m_count) {
            m_count = column->size();
        } else if (*m_count != column->size()) {
            refuse(fmt::format("the column '{}{}' has {} rows, others have {}", m_group, name, column->size(), *m_count));
        }
        return column && !m_error ? std::move(*column) : std::vector<Value>(m_count.value_or(0));
    }

    const Hdf5Reader& m_file;
    std::string m_group;
    std::optional<std::size_t> m_count;
    std::optional<Error> m_error;
};

std::vector<LayerPlan> readPlans(ColumnReader& reader)
{
    const auto keep = reader.bytes("keep");
    const auto preset = reader.texts("preset");
    const auto grid = reader.texts("grid");
    const auto rank = reader.numbers("rank");
    const auto factors = reader.texts("factors");
    const auto metric = reader.texts("metric");
    const auto solver = reader.texts("solver");
    const auto pinned = reader.bytes("pinned");
    std::vector<LayerPlan> plans;
    if (!reader.status())
        return plans;
    for (std::size_t i = 0; i < keep.size(); ++i) {
        const auto type = std::ranges::find(kFactorTypes, factors[i], factorName);
        const auto kind = metricFromId(metric[i]);
        if (type == std::end(kFactorTypes) || !kind || findSolver(solver[i]) == nullptr || (keep[i] == 0 && !findGrid(grid[i]))) {
            reader.refuse(fmt::format("row {} of the plan names a grid, factors, metric or solver that this version lacks: '{}', '{}', '{}', '{}'",
                                      i, escaped(grid[i], 80), escaped(factors[i], 80), escaped(metric[i], 80),
                                      escaped(solver[i], 80)));
            break;
        }
        plans.push_back({.keep = keep[i] != 0, .preset = preset[i], .grid = grid[i], .rank = rank[i], .factors = *type,
                         .metric = *kind, .solver = solver[i], .pinned = pinned[i] != 0});
    }
    return plans;
}

double orNan(std::optional<double> value)
{
    return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

std::optional<double> orNothing(double value)
{
    return std::isnan(value) ? std::nullopt : std::optional(value);
}

void writeResults(Hdf5Writer& file, const std::vector<ProjectFile::MeasuredLayer>& results)
{
    PlanColumns plans;
    std::vector<std::string> name, grid, preset, method, device, fallback;
    std::vector<double> bits, published, weight, metric, weight0, metric0, gain, seconds;
    std::vector<std::uint32_t> rank;
    for (const auto& [result, plan] : results) {
        plans.add(plan);
        name.push_back(stored(result.name));
        grid.push_back(stored(result.grid));
        preset.push_back(stored(result.preset));
        method.push_back(stored(result.method));
        device.push_back(stored(result.device));
        fallback.push_back(stored(result.fallback));
        bits.push_back(result.bitsPerWeight);
        published.push_back(result.publishedBits);
        weight.push_back(orNan(result.weightError));
        metric.push_back(orNan(result.metricError));
        weight0.push_back(orNan(result.weightErrorRank0));
        metric0.push_back(orNan(result.metricErrorRank0));
        gain.push_back(orNan(result.searchGain));
        seconds.push_back(result.seconds);
        rank.push_back(result.rank);
    }
    const std::string at = "/results/";
    file.group("/results");
    file.column(at + "name", std::span(std::as_const(name)));
    file.column(at + "preset", std::span(std::as_const(preset)));
    file.column(at + "grid", std::span(std::as_const(grid)));
    file.column(at + "method", std::span(std::as_const(method)));
    file.column(at + "rank", std::span(std::as_const(rank)));
    file.column(at + "bits_per_weight", std::span(std::as_const(bits)));
    file.column(at + "published_bits", std::span(std::as_const(published)));
    file.column(at + "weight_rel_error", std::span(std::as_const(weight)));
    file.column(at + "metric_rel_error", std::span(std::as_const(metric)));
    file.column(at + "weight_rel_error_rank0", std::span(std::as_const(weight0)));
    file.column(at + "metric_rel_error_rank0", std::span(std::as_const(metric0)));
    file.column(at + "search_gain", std::span(std::as_const(gain)));
    file.column(at + "seconds", std::span(std::as_const(seconds)));
    file.column(at + "device", std::span(std::as_const(device)));
    file.column(at + "fallback", std::span(std::as_const(fallback)));
    file.group("/results/plan");
    plans.write(file, "/results/plan/");
}

Result<std::vector<ProjectFile::MeasuredLayer>> readResults(const Hdf5Reader& file)
{
    ColumnReader reader(file, "/results/");
    ColumnReader planReader(file, "/results/plan/");
    const auto plans = readPlans(planReader);
    const auto name = reader.texts("name");
    const auto preset = reader.texts("preset");
    const auto grid = reader.texts("grid");
    const auto method = reader.texts("method");
    const auto rank = reader.numbers("rank");
    const auto bits = reader.doubles("bits_per_weight");
    const auto published = reader.doubles("published_bits");
    const auto weight = reader.doubles("weight_rel_error");
    const auto metric = reader.doubles("metric_rel_error");
    const auto weight0 = reader.doubles("weight_rel_error_rank0");
    const auto metric0 = reader.doubles("metric_rel_error_rank0");
    const auto gain = reader.laterDoubles("search_gain");
    const auto seconds = reader.doubles("seconds");
    const auto device = reader.texts("device");
    const auto fallback = reader.texts("fallback");
    if (reader.status() && planReader.status() && planReader.count() != reader.count())
        reader.refuse("/results and /results/plan differ in length");
    for (const Status& read : {reader.status(), planReader.status()}) {
        if (!read)
            return passOn(read);
    }
    std::vector<ProjectFile::MeasuredLayer> results;
    for (std::size_t i = 0; i < name.size(); ++i) {
        TensorResult result{.name = name[i], .preset = preset[i], .grid = grid[i], .method = method[i]};
        result.bitsPerWeight = bits[i];
        result.publishedBits = published[i];
        result.rank = rank[i];
        result.weightError = orNothing(weight[i]);
        result.metricError = orNothing(metric[i]);
        result.weightErrorRank0 = orNothing(weight0[i]);
        result.metricErrorRank0 = orNothing(metric0[i]);
        result.searchGain = orNothing(gain[i]);
        result.seconds = seconds[i];
        result.device = device[i];
        result.fallback = fallback[i];
        results.push_back({std::move(result), plans[i]});
    }
    return results;
}

void writeBytes(Hdf5Writer& file, const std::string& path, const std::string& text)
{
    const auto* first = reinterpret_cast<const std::uint8_t*>(text.data());
    file.column(path, std::span<const std::uint8_t>(first, text.size()));
}

Result<std::string> readBytes(const Hdf5Reader& file, const std::string& path)
{
    const auto bytes = file.bytes(path);
    if (!bytes)
        return passOn(bytes);
    return std::string(bytes->begin(), bytes->end());
}

/// Nothing in files that were written before rules were saved.
Result<std::optional<Recipe>> readRecipe(const Hdf5Reader& file)
{
    const auto text = readBytes(file, kRecipe);
    if (!text && text.error().code == ErrorCode::MissingTensor)
        return std::optional<Recipe>();
    if (!text)
        return passOn(text);
    auto recipe = parseRecipe(*text, kRecipe);
    if (!recipe)
        return passOn(recipe);
    return std::optional(std::move(*recipe));
}

/// The block before the HDF5 file, checked against it.
Status checkBlock(std::span<const std::byte> bytes)
{
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kMagic.size()));
    if (start != kMagic.substr(0, start.size()) || start.empty())
        return fail(ErrorCode::WrongMagic, "not a session file: expected the magic \"SGMSESS\"");
    if (bytes.size() < kBlock)
        return fail(ErrorCode::Truncated, fmt::format("the file is incomplete, {} of at least {} bytes", bytes.size(), kBlock));
    const auto version = get<std::uint32_t>(bytes, kVersionAt);
    if (version != kContainer)
        return fail(ErrorCode::UnsupportedVersion,
                    fmt::format("version {} of the file, this program reads {}: it was written by {} one, or is damaged",
                                version, kContainer, version > kContainer ? "a newer" : "an older"));
    const auto size = get<std::uint64_t>(bytes, kSizeAt);
    if (size != bytes.size() - kBlock)
        return fail(size > bytes.size() - kBlock ? ErrorCode::Truncated : ErrorCode::UncoveredBytes,
                    fmt::format("{} bytes follow the first block, expected {}", bytes.size() - kBlock, size));
    const auto isZero = [&](std::size_t begin, std::size_t end) {
        return std::ranges::all_of(bytes.subspan(begin, end - begin), [](std::byte byte) { return byte == std::byte{0}; });
    };
    if (!isZero(kVersionAt + 4, kSizeAt) || !isZero(kChecksumAt + 8, kBlock))
        return fail(ErrorCode::MalformedHeader, "the first block holds more than this version knows: the file is damaged");
    const auto expected = get<std::uint64_t>(bytes, kChecksumAt);
    if (const auto found = checksumOf(bytes.subspan(kBlock)); found != expected)
        return fail(ErrorCode::MalformedHeader, fmt::format("the checksum is {:016x}, expected {:016x}: the file is damaged, or another "
                                                            "program wrote to it", found, expected));
    return {};
}

Result<ProjectFile> readProject(const Hdf5Reader& file)
{
    const auto schema = file.number("/", "schema");
    if (!schema)
        return passOn(schema);
    if (*schema != kFileSchema)
        return fail(ErrorCode::UnsupportedVersion, fmt::format("schema {}, this program reads {}", *schema, kFileSchema));
    ProjectFile project;
    const auto program = file.text("/", "program");
    const auto checkpoint = readBytes(file, "/model/path");
    const auto calibration = readBytes(file, "/model/calibration");
    const auto fingerprint = file.text("/model", "fingerprint");
    const auto target = file.text("/plan", "target");
    const auto seed = file.number("/plan", "seed");
    const auto view = readBytes(file, "/view");
    for (const auto* text : {&program, &checkpoint, &calibration, &fingerprint, &target, &view}) {
        if (!*text)
            return passOn(*text);
    }
    if (!seed)
        return passOn(seed);
    ColumnReader reader(file, "/plan/");
    project.tensors = reader.texts("name");
    project.plan = {.target = *target, .seed = *seed, .layers = readPlans(reader)};
    if (const Status read = reader.status(); !read)
        return passOn(read);
    auto recipe = readRecipe(file);
    if (!recipe)
        return passOn(recipe);
    auto results = readResults(file);
    if (!results)
        return passOn(results);
    project.program = *program;
    project.checkpoint = *checkpoint;
    project.calibration = *calibration;
    project.fingerprint = *fingerprint;
    project.view = *view;
    project.recipe = std::move(*recipe);
    project.results = std::move(*results);
    return project;
}

} // namespace

std::string structureOf(const Checkpoint& checkpoint)
{
    Checksum sum;
    const auto add = [&sum](std::string_view text) {
        const std::uint64_t size = text.size();
        sum.add(std::as_bytes(std::span(&size, 1)));
        sum.add(std::as_bytes(std::span(text.data(), text.size())));
    };
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        add(tensor.name);
        add(tensor.typeName());
        add(toString(tensor.shape));
        add(fmt::format("{} {} {}", tensor.shard, tensor.offset, tensor.bytes));
    }
    for (std::size_t i = 0; i < checkpoint.shardCount(); ++i)
        add(checkpoint.shard(i) == nullptr ? std::string("missing") : fmt::format("{}", checkpoint.shard(i)->bytes().size()));
    return fmt::format("{:016x}", sum.value());
}

Result<std::vector<std::byte>> encodeProject(const ProjectFile& project)
{
    if (project.tensors.size() != project.plan.layers.size())
        return fail(ErrorCode::InvalidOption, fmt::format("{} names for {} layers", project.tensors.size(), project.plan.layers.size()));
    Hdf5Writer file;
    file.attribute("/", "schema", kFileSchema);
    file.attribute("/", "program", SIGMASCOPE_VERSION);
    file.group("/model");
    writeBytes(file, "/model/path", project.checkpoint.native());
    writeBytes(file, "/model/calibration", project.calibration.native());
    file.attribute("/model", "fingerprint", stored(project.fingerprint));
    file.group("/plan");
    file.attribute("/plan", "target", stored(project.plan.target));
    file.attribute("/plan", "seed", project.plan.seed);
    std::vector<std::string> names;
    PlanColumns plans;
    for (std::size_t i = 0; i < project.tensors.size(); ++i) {
        names.push_back(stored(project.tensors[i]));
        plans.add(project.plan.layers[i]);
    }
    file.column("/plan/name", std::span(std::as_const(names)));
    plans.write(file, "/plan/");
    if (project.recipe)
        writeBytes(file, kRecipe, dumpJson(toJson(*project.recipe)));
    writeResults(file, project.results);
    writeBytes(file, "/view", project.view);
    const auto image = file.finish();
    if (!image)
        return passOn(image);
    std::vector<std::byte> bytes(kBlock);
    std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
    put(std::span(bytes), kVersionAt, kContainer);
    put(std::span(bytes), kSizeAt, static_cast<std::uint64_t>(image->size()));
    put(std::span(bytes), kChecksumAt, checksumOf(*image));
    bytes.insert(bytes.end(), image->begin(), image->end());
    return bytes;
}

Result<ProjectFile> decodeProject(std::span<const std::byte> bytes, const std::string& name)
{
    const Where where{name, {}, {}};
    if (const Status good = checkBlock(bytes); !good)
        return fail(good.error().code, where, good.error().detail);
    const auto file = Hdf5Reader::open(bytes.subspan(kBlock));
    if (!file)
        return fail(file.error().code, where, file.error().detail);
    auto project = readProject(*file);
    if (!project)
        return fail(project.error().code == ErrorCode::MissingTensor ? ErrorCode::MalformedHeader : project.error().code, where,
                    project.error().detail);
    return project;
}

Status saveProject(const ProjectFile& project, const std::filesystem::path& path, FileSystem& system)
{
    const auto bytes = encodeProject(project);
    if (!bytes)
        return passOn(bytes);
    auto file = AtomicFile::create(path, bytes->size(), true, system);
    if (!file)
        return passOn(file);
    if (Status written = (*file)->write(*bytes); !written)
        return written;
    return (*file)->commit();
}

Result<ProjectFile> loadProject(const std::filesystem::path& path)
{
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    if ((*file)->bytes().size() > kMostBytes)
        return fail(ErrorCode::HeaderTooLarge, Where{path.native(), {}, {}}, "a session file is at most 1 GB");
    // A copy: what is checked is what is read.
    const std::vector<std::byte> bytes((*file)->bytes().begin(), (*file)->bytes().end());
    if (const Status same = (*file)->checkUnchanged(); !same)
        return passOn(same);
    return decodeProject(bytes, path.native());
}

} // namespace sigmascope
