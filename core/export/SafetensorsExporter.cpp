// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/MappedFile.h"
#include "core/export/ReplacedFiles.h"
#include "core/export/SafetensorsModel.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 20U;
constexpr std::string_view kBf16Note = "bf16:";

std::span<const std::byte> bytesOf(const std::string& text)
{
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// Beside what every exporter refuses: another model in the folder would be mixed up with this one.
Status checkFolder(const ExportRequest& request, const SafetensorsDesign& design)
{
    if (!design.isFolder)
        return {};
    if (isSameFile(design.folder, request.checkpoint->folder()))
        return fail(ErrorCode::OutputIsInput, Where{design.folder.string(), {}, {}}, "is the folder of the model that is read");
    const bool continues = request.journaled && request.journaled->takeUp;
    for (const std::string_view name : {kSafetensorsIndex, kSafetensorsWhole}) {
        std::error_code error;
        if (!request.overwrite && !continues && fs::exists(fs::symlink_status(design.folder / name, error)))
            return fail(ErrorCode::WouldOverwrite, Where{(design.folder / name).string(), {}, {}}, "exists already");
    }
    return {};
}

std::vector<fs::path> inputsOf(const ExportRequest& request, const SafetensorsDesign& design)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    std::vector<fs::path> inputs{checkpoint.path(), checkpoint.folder() / "config.json", checkpoint.folder() / kSafetensorsIndex};
    for (std::size_t i = 0; i < checkpoint.shardCount(); ++i)
        inputs.push_back(checkpoint.shardPath(i));
    for (const SideFile& side : design.sides) {
        if (!side.source.empty())
            inputs.push_back(side.source);
    }
    return inputs;
}

}  // namespace

SafetensorsExporter::MadeFolder::~MadeFolder()
{
    std::error_code ignored;
    if (m_made)
        fs::remove(m_path, ignored);  // fails, as it should, if anything is in it
}

Status SafetensorsExporter::MadeFolder::make()
{
    std::error_code error;
    const fs::file_status found = fs::status(m_path, error);
    if (fs::is_directory(found))
        return {};
    if (fs::exists(found))
        return fail(ErrorCode::NotRegularFile, Where{m_path.string(), {}, {}},
                    "is a file; the model becomes a folder, or one file if its name ends in .safetensors");
    m_made = fs::create_directory(m_path, error);
    if (!error)
        return {};
    const ErrorCode code = error == std::errc::permission_denied || error == std::errc::read_only_file_system ? ErrorCode::PermissionDenied
        : error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory              ? ErrorCode::NotFound
                                                                                                             : ErrorCode::WriteFailed;
    return fail(code, Where{m_path.string(), {}, {}}, "the folder cannot be made: " + error.message());
}

tl::unexpected<Error> SafetensorsExporter::failAt(std::size_t tensor, std::string_view what) const
{
    return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), checkpoint().tensors()[tensor].name, {}}, what);
}

Status SafetensorsExporter::open()
{
    if (Status possible = checkFolder(m_request, m_design); !possible)
        return possible;
    const std::vector<fs::path> inputs = inputsOf(m_request, m_design);
    if (Status possible = checkOutputs(m_request, m_design.estimate.outputs, inputs); !possible)
        return possible;
    for (const fs::path& obsolete : obsoleteFiles()) {
        if (std::ranges::any_of(inputs, [&](const fs::path& input) { return isSameFile(obsolete, input); }))
            return fail(ErrorCode::OutputIsInput, Where{obsolete.string(), {}, {}}, "is an input and would have to go");
    }
    if (Status made = m_design.isFolder ? m_folder.make() : Status{}; !made)
        return made;
    if (Status made = m_design.hasAdapter ? m_adapterFolder.make() : Status{}; !made)
        return made;
    const auto isTemplate = [](const SideFile& side) { return side.name.starts_with(kTemplatesFolder); };
    if (std::ranges::any_of(m_design.sides, isTemplate))
        if (Status made = m_templatesFolder.make(); !made)
            return made;
    FileSystem& system = m_request.system == nullptr ? FileSystem::real() : *m_request.system;
    if (Status opened = openSides(system); !opened)
        return opened;
    for (std::size_t i = 0; i < m_design.layouts.size(); ++i) {
        auto file = SafetensorsWriter::create(m_design.paths[i], m_design.layouts[i], fileOptionsOf(m_request, outputOf(i)), system);
        if (!file)
            return passOn(std::move(file));
        m_writers.push_back(std::move(*file));
    }
    Position at;
    std::size_t inAdapter = 0;
    for (const SafetensorsItem& item : m_design.items) {
        if (at.tensor == m_design.layouts[at.file].tensors.size())
            at = {at.file + 1, 0};
        m_positions.push_back(at);
        m_adapterPositions.push_back(inAdapter);
        at.tensor += item.specs.size();
        inAdapter += item.adapter.size();
    }
    m_itemOf.assign(checkpoint().tensors().size(), SIZE_MAX);
    for (std::size_t i = 0; i < m_design.order.size(); ++i)
        m_itemOf[m_design.order[i]] = i;
    m_hasCome.resize(m_design.order.size());
    return {};
}

Status SafetensorsExporter::moveTo(std::size_t tensor)
{
    const std::size_t item = tensor < m_itemOf.size() ? m_itemOf[tensor] : SIZE_MAX;
    if (item == SIZE_MAX)
        return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), {}, {}},
                    fmt::format("tensor {} is not part of the model", tensor));
    if (m_hasCome[item])
        return failAt(tensor, "comes a second time");
    m_next = item;
    m_file = m_positions[item].file;
    return m_writers[m_file].tensors().seek(m_positions[item].tensor);
}

Status SafetensorsExporter::turnToAdapter()
{
    m_file = m_writers.size() - 1;
    return m_writers[m_file].tensors().seek(m_adapterPositions[m_next]);
}

SafetensorsExporter::Position SafetensorsExporter::positionOf(std::size_t item, std::size_t spec) const
{
    const std::size_t own = m_design.items[item].specs.size();
    if (spec < own)
        return {m_positions[item].file, m_positions[item].tensor + spec};
    return {m_writers.size() - 1, m_adapterPositions[item] + spec - own};
}

void SafetensorsExporter::noteCome()
{
    m_last = m_next;
    m_hasCome[m_next] = true;
}

Status SafetensorsExporter::openSides(FileSystem& system)
{
    std::vector<std::size_t> outputs(m_design.sides.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
        outputs[i] = i;
    if (!m_design.index.empty())
        outputs.push_back(m_design.estimate.outputs.size() - 1);
    for (const std::size_t output : outputs) {
        const OutputFile& file = m_design.estimate.outputs[output];
        auto opened = AtomicFile::create(file.path, file.bytes, fileOptionsOf(m_request, output), system);
        if (!opened)
            return passOn(std::move(opened));
        m_sides.push_back(std::move(*opened));
    }
    return {};
}

Status SafetensorsExporter::append(std::span<const std::byte> bytes, const JobContext& job)
{
    for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
        if (job.cancelled())
            return cancelledError();
        if (Status written = m_writers[m_file].tensors().append(bytes.subspan(at, std::min(kPiece, bytes.size() - at)));
            !written)
            return written;
    }
    return {};
}

Status SafetensorsExporter::makeBf16(std::size_t spec)
{
    m_isBf16[spec] = true;
    const Position at = positionOf(m_next, spec);
    return m_writers[at.file].makeBf16(at.tensor);
}

Status SafetensorsExporter::add(const QuantizedLayer& layer, const JobContext& job)
{
    if (Status moved = moveTo(layer.tensor); !moved)
        return moved;
    const bool keep = m_request.plan.layers[layer.tensor].keep;
    if (layer.quantized.has_value() == keep)
        return failAt(layer.tensor, keep ? "was quantized although the plan keeps it" : "was kept although the plan quantizes it");
    const SafetensorsItem& item = m_design.items[m_next];
    m_isBf16.assign(specCount(m_next), false);
    Status written = write(layer, item, job);
    // A page that vanished makes write(2) fail too: what happened to the input is the better message.
    if (const Status same = checkpoint().checkUnchanged(layer.tensor); !same)
        return same;
    if (!written)
        return written;
    const Position& at = m_positions[m_next];
    if (m_writers[at.file].tensors().next() < at.tensor + item.specs.size()
        || (!item.adapter.empty() && m_writers.back().tensors().next() < m_adapterPositions[m_next] + item.adapter.size()))
        return failAt(layer.tensor, "fills less than was planned");
    noteCome();
    return {};
}

LayerReceipt SafetensorsExporter::receipt() const
{
    LayerReceipt receipt;
    if (!m_last)
        return receipt;
    for (std::size_t i = 0; i < specCount(*m_last); ++i) {
        const Position at = positionOf(*m_last, i);
        const TensorFile& file = m_writers[at.file].tensors();
        const auto& place = file.places()[at.tensor];
        receipt.ranges.push_back({outputOf(at.file), place.begin, place.begin + place.size, file.checksum(at.tensor).value_or(0)});
    }
    for (std::size_t i = 0; i < m_isBf16.size(); ++i) {
        if (m_isBf16[i])
            receipt.note += fmt::format("{}{}", receipt.note.empty() ? kBf16Note : ",", i);
    }
    return receipt;
}

Status SafetensorsExporter::takeUp(std::size_t tensor, const LayerReceipt& receipt, const JobContext& job)
{
    if (Status moved = moveTo(tensor); !moved)
        return moved;
    const std::size_t count = specCount(m_next);
    if (receipt.ranges.size() != count)
        return failAt(tensor, "the journal speaks of other stored tensors");
    std::vector<bool> isBf16(count, false);
    std::string note;
    for (std::size_t i = 0; i < count; ++i) {
        const Position at = positionOf(m_next, i);
        const TensorFile& file = m_writers[at.file].tensors();
        const std::string digit = fmt::format("{}{}", note.empty() ? kBf16Note : ",", i);
        isBf16[i] = m_design.layouts[at.file].tensors[at.tensor].dtype == DType::F16 && std::string_view(receipt.note).substr(note.size()).starts_with(digit);
        note += isBf16[i] ? digit : std::string();
        const auto& place = file.places()[at.tensor];
        const WrittenRange expected{outputOf(at.file), place.begin, place.begin + place.size, receipt.ranges[i].checksum};
        if (!(receipt.ranges[i] == expected))
            return failAt(tensor, "the journal speaks of another place");
        const auto found = file.file().checksum(place.begin, place.begin + place.size, job);
        if (!found)
            return passOn(found);
        if (*found != expected.checksum)
            return failAt(tensor, "what an earlier run wrote is not what its journal says");
    }
    if (note != receipt.note)
        return failAt(tensor, "the journal's note is not understood");
    m_isBf16 = std::move(isBf16);
    for (std::size_t i = 0; i < count; ++i) {
        if (i == m_design.items[m_next].specs.size()) {
            if (Status turned = turnToAdapter(); !turned)
                return turned;
        }
        const Position at = positionOf(m_next, i);
        TensorFile& file = m_writers[at.file].tensors();
        if (file.next() > at.tensor)
            continue;  // without bytes: passed already
        if (Status taken = file.takeUp(receipt.ranges[i].checksum, job); !taken)
            return taken;
        if (Status typed = m_isBf16[i] ? makeBf16(i) : Status{}; !typed)
            return typed;
    }
    noteCome();
    return {};
}

std::uint64_t SafetensorsExporter::layoutChecksum() const
{
    Checksum sum;
    for (std::size_t i = 0; i < m_design.layouts.size(); ++i) {
        sum.add(bytesOf(m_design.paths[i].filename().string()));
        sum.add(bytesOf(m_design.layouts[i].header));
    }
    for (const SideFile& side : m_design.sides)
        sum.add(bytesOf(fmt::format("{}\n{}\n{}", side.name, side.bytes, side.text)));
    sum.add(bytesOf(m_design.index));
    return sum.value();
}

Status SafetensorsExporter::writeSide(std::size_t side)
{
    AtomicFile& file = *m_sides[side];
    const bool isIndex = side == m_design.sides.size();
    std::unique_ptr<const MappedFile> source;
    std::span<const std::byte> content = bytesOf(isIndex ? m_design.index : m_design.sides[side].text);
    if (!isIndex && !m_design.sides[side].source.empty()) {
        auto opened = MappedFile::open(m_design.sides[side].source);
        if (!opened)
            return passOn(std::move(opened));
        source = std::move(*opened);
        content = source->bytes();
        if (content.size() != m_design.sides[side].bytes)
            return fail(ErrorCode::FileChanged, Where{source->path().string(), {}, {}},
                        fmt::format("had {} bytes when the export began, has {}", m_design.sides[side].bytes, content.size()));
    }
    Checksum sum;
    sum.add(content);
    Status written = file.position() == 0 ? file.write(content) : Status{};
    if (const Status same = source ? source->checkUnchanged() : Status{}; !same)
        return same;
    if (!written)
        return written;
    const auto found = file.checksum(0, content.size());
    if (!found)
        return passOn(found);
    if (*found != sum.value())
        return fail(ErrorCode::VerifyFailed, Where{file.target().string(), {}, {}}, "the bytes read back are not those that were written");
    return {};
}

Status SafetensorsExporter::verify(const JobContext& job)
{
    if (const auto missing = std::ranges::find(m_hasCome, false); missing != m_hasCome.end())
        return failAt(m_design.order[static_cast<std::size_t>(missing - m_hasCome.begin())], "is missing: the export ends before it");
    for (SafetensorsWriter& writer : m_writers) {
        if (Status verified = writer.verify(job); !verified)
            return verified;
    }
    for (std::size_t i = 0; i < m_sides.size(); ++i) {
        if (job.cancelled())
            return cancelledError();
        if (Status written = writeSide(i); !written)
            return written;
    }
    return {};
}

std::vector<AtomicFile*> SafetensorsExporter::files()
{
    std::vector<AtomicFile*> all;
    for (std::size_t i = 0; i < m_design.sides.size() && i < m_sides.size(); ++i)
        all.push_back(m_sides[i].get());
    for (SafetensorsWriter& writer : m_writers)
        all.push_back(&writer.tensors().file());
    if (m_sides.size() > m_design.sides.size())
        all.push_back(m_sides.back().get());
    return all;
}

std::vector<fs::path> SafetensorsExporter::obsoleteFiles() const
{
    if (!m_design.isFolder || !m_request.overwrite)
        return {};
    const bool takesUp = m_request.journaled && m_request.journaled->takeUp;
    return obsoleteFolderFiles(m_design.folder, m_design.estimate.outputs, takesUp);
}

}  // namespace sigmascope
