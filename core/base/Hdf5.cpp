// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Hdf5.h"

#include <hdf5.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::size_t kImageStep = std::size_t{1} << 20U;

/// The library has one lock of its own at best; ours holds for every build of it.
std::mutex& libraryMutex()
{
    static std::mutex mutex;
    return mutex;
}

/// One call into the library at a time, and no error stack on stderr.
class Quiet {
public:
    Quiet() : m_lock(libraryMutex())
    {
        H5Eget_auto2(H5E_DEFAULT, &m_print, &m_data);
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    }
    ~Quiet() { H5Eset_auto2(H5E_DEFAULT, m_print, m_data); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

private:
    std::scoped_lock<std::mutex> m_lock;
    H5E_auto2_t m_print = nullptr;
    void* m_data = nullptr;
};

/// A handle, closed by the function of its kind. Destroyed under the library's mutex.
class Handle {
public:
    using Close = herr_t (*)(hid_t);
    Handle() = default;
    Handle(hid_t id, Close close) : m_id(id), m_close(close) {}
    Handle(Handle&& other) noexcept : m_id(std::exchange(other.m_id, -1)), m_close(other.m_close) {}
    Handle& operator=(Handle&& other) noexcept
    {
        std::swap(m_id, other.m_id);
        std::swap(m_close, other.m_close);
        return *this;
    }
    ~Handle() { reset(); }
    void reset()
    {
        if (m_id >= 0)
            m_close(m_id);
        m_id = -1;
    }
    [[nodiscard]] bool isValid() const { return m_id >= 0; }
    operator hid_t() const { return m_id; }  // NOLINT(google-explicit-constructor): what the C functions take

private:
    hid_t m_id = -1;
    Close m_close = nullptr;
};

Handle textType(std::size_t length)
{
    Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type, std::max<std::size_t>(length, 1));
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

Handle noTimes(hid_t listClass)
{
    Handle list(H5Pcreate(listClass), H5Pclose);
    H5Pset_obj_track_times(list, false);
    return list;
}

}  // namespace

struct Hdf5Writer::State {
    Handle file;
    std::optional<std::string> failed;

    void need(bool good, std::string_view object)
    {
        if (!good && !failed)
            failed = std::string(object);
    }
    void writeColumn(const std::string& path, hid_t fileType, hid_t memoryType, std::size_t count, const void* values)
    {
        if (failed)
            return;
        const hsize_t size = count;
        const Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
        const Handle list = noTimes(H5P_DATASET_CREATE);
        const Handle data(H5Dcreate2(file, path.c_str(), fileType, space, H5P_DEFAULT, list, H5P_DEFAULT), H5Dclose);
        need(data.isValid() && (count == 0 || H5Dwrite(data, memoryType, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0), path);
    }
    void writeAttribute(const std::string& group, const char* name, hid_t fileType, hid_t memoryType, const void* value)
    {
        if (failed)
            return;
        const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
        const Handle attribute(H5Acreate_by_name(file, group.c_str(), name, fileType, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
        need(attribute.isValid() && H5Awrite(attribute, memoryType, value) >= 0, group + '@' + name);
    }
};

Hdf5Writer::Hdf5Writer() : m_state(std::make_unique<State>())
{
    const Quiet quiet;
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_fapl_core(access, kImageStep, false);
    m_state->file = Handle(H5Fcreate("sigmascope", H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    m_state->need(m_state->file.isValid(), "/");
}

Hdf5Writer::~Hdf5Writer()
{
    const Quiet quiet;
    m_state.reset();
}

void Hdf5Writer::group(const std::string& path)
{
    const Quiet quiet;
    if (m_state->failed)
        return;
    const Handle list = noTimes(H5P_GROUP_CREATE);
    const Handle made(H5Gcreate2(m_state->file, path.c_str(), H5P_DEFAULT, list, H5P_DEFAULT), H5Gclose);
    m_state->need(made.isValid(), path);
}

void Hdf5Writer::attribute(const std::string& group, const char* name, std::uint64_t value)
{
    const Quiet quiet;
    m_state->writeAttribute(group, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}

void Hdf5Writer::attribute(const std::string& group, const char* name, std::string_view value)
{
    const Quiet quiet;
    const Handle type = textType(value.size());
    const std::string text = value.empty() ? std::string(1, '\0') : std::string(value);
    m_state->writeAttribute(group, name, type, type, text.data());
}

void Hdf5Writer::column(const std::string& path, std::span<const double> values)
{
    const Quiet quiet;
    m_state->writeColumn(path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.size(), values.data());
}

void Hdf5Writer::column(const std::string& path, std::span<const std::uint32_t> values)
{
    const Quiet quiet;
    m_state->writeColumn(path, H5T_STD_U32LE, H5T_NATIVE_UINT32, values.size(), values.data());
}

void Hdf5Writer::column(const std::string& path, std::span<const std::uint8_t> values)
{
    const Quiet quiet;
    m_state->writeColumn(path, H5T_STD_U8LE, H5T_NATIVE_UINT8, values.size(), values.data());
}

void Hdf5Writer::column(const std::string& path, std::span<const std::string> values)
{
    const Quiet quiet;
    std::size_t longest = 1;
    for (const std::string& value : values)
        longest = std::max(longest, value.size());
    std::string table(longest * values.size(), '\0');
    for (std::size_t i = 0; i < values.size(); ++i)
        std::memcpy(table.data() + i * longest, values[i].data(), values[i].size());
    const Handle type = textType(longest);
    m_state->writeColumn(path, type, type, values.size(), table.data());
}

Result<std::vector<std::byte>> Hdf5Writer::finish()
{
    const Quiet quiet;
    std::vector<std::byte> image;
    if (!m_state->failed) {
        m_state->need(H5Fflush(m_state->file, H5F_SCOPE_GLOBAL) >= 0, "/");
        const ssize_t size = H5Fget_file_image(m_state->file, nullptr, 0);
        image.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        m_state->need(size > 0 && H5Fget_file_image(m_state->file, image.data(), image.size()) == size, "/");
    }
    if (m_state->failed)
        return fail(ErrorCode::WriteFailed, "HDF5: the object '" + escaped(*m_state->failed) + "' cannot be written");
    return image;
}

struct Hdf5Reader::State {
    std::size_t imageBytes = 0;
    Handle file;

    [[nodiscard]] static tl::unexpected<Error> wrong(const std::string& object, std::string_view what)
    {
        return fail(ErrorCode::MalformedHeader, "HDF5 object '" + escaped(object) + "' " + std::string(what));
    }

    [[nodiscard]] Result<Handle> attribute(const std::string& group, const char* name) const
    {
        const std::string object = group + '@' + name;
        if (H5Aexists_by_name(file, group.c_str(), name, H5P_DEFAULT) <= 0)
            return fail(ErrorCode::MissingTensor, "HDF5 object '" + escaped(object) + "' is missing");
        Handle opened(H5Aopen_by_name(file, group.c_str(), name, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
        const Handle space(opened.isValid() ? H5Aget_space(opened) : -1, H5Sclose);
        if (!space.isValid() || H5Sget_simple_extent_type(space) != H5S_SCALAR || H5Aget_storage_size(opened) > imageBytes)
            return wrong(object, "is no single value");
        return opened;
    }

    struct Column {
        Handle data;
        Handle type;
        std::size_t count = 0;
    };
    /// One dimension, stored in one piece, and no larger than the file.
    [[nodiscard]] Result<Column> column(const std::string& path) const
    {
        if (H5Lexists(file, path.c_str(), H5P_DEFAULT) <= 0)
            return fail(ErrorCode::MissingTensor, "HDF5 object '" + escaped(path) + "' is missing");
        Column column;
        column.data = Handle(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose);
        if (!column.data.isValid())
            return wrong(path, "is no dataset");
        column.type = Handle(H5Dget_type(column.data), H5Tclose);
        const Handle space(H5Dget_space(column.data), H5Sclose);
        const Handle list(H5Dget_create_plist(column.data), H5Pclose);
        hsize_t count = 0;
        if (!column.type.isValid() || !space.isValid() || !list.isValid() || H5Sget_simple_extent_ndims(space) != 1
            || H5Sget_simple_extent_dims(space, &count, nullptr) != 1)
            return wrong(path, "is no column");
        const H5D_layout_t layout = H5Pget_layout(list);
        if ((layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) || H5Pget_external_count(list) != 0)
            return wrong(path, "is not stored in one piece");
        const auto bytes = checkedMul(count, H5Tget_size(column.type));
        if (!bytes || *bytes > imageBytes)
            return wrong(path, "is larger than the file");
        column.count = static_cast<std::size_t>(count);
        return column;
    }

    template <class Value>
    [[nodiscard]] Result<std::vector<Value>> values(const std::string& path, hid_t fileType, hid_t memoryType) const
    {
        const auto found = column(path);
        if (!found)
            return passOn(found);
        if (H5Tequal(found->type, fileType) <= 0)
            return wrong(path, "is of another type");
        std::vector<Value> out(found->count);
        if (!out.empty() && H5Dread(found->data, memoryType, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0)
            return wrong(path, "cannot be read");
        return out;
    }

    /// Length of a fixed text; nothing for any other type.
    [[nodiscard]] std::optional<std::size_t> textLength(hid_t type) const
    {
        if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0)
            return std::nullopt;
        const std::size_t length = H5Tget_size(type);
        return length == 0 || length > imageBytes ? std::nullopt : std::optional(length);
    }
};

Hdf5Reader::Hdf5Reader(std::unique_ptr<State> state) : m_state(std::move(state)) {}
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;

Hdf5Reader::~Hdf5Reader()
{
    if (!m_state)
        return;
    const Quiet quiet;
    m_state.reset();
}

Result<Hdf5Reader> Hdf5Reader::open(std::span<const std::byte> image)
{
    const Quiet quiet;
    auto state = std::make_unique<State>();
    state->imageBytes = image.size();
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_fapl_core(access, kImageStep, false);
    // The library copies the image, and does not write to it.
    if (image.empty() || H5Pset_file_image(access, const_cast<std::byte*>(image.data()), image.size()) < 0)
        return fail(ErrorCode::MalformedHeader, "not an HDF5 file");
    state->file = Handle(H5Fopen("sigmascope", H5F_ACC_RDONLY, access), H5Fclose);
    if (!state->file.isValid())
        return fail(ErrorCode::MalformedHeader, "not an HDF5 file");
    return Hdf5Reader(std::move(state));
}

Result<std::uint64_t> Hdf5Reader::number(const std::string& group, const char* name) const
{
    const Quiet quiet;
    const auto attribute = m_state->attribute(group, name);
    if (!attribute)
        return passOn(attribute);
    const Handle type(H5Aget_type(*attribute), H5Tclose);
    std::uint64_t value = 0;
    if (!type.isValid() || H5Tequal(type, H5T_STD_U64LE) <= 0 || H5Aread(*attribute, H5T_NATIVE_UINT64, &value) < 0)
        return State::wrong(group + '@' + name, "is no whole number");
    return value;
}

Result<std::string> Hdf5Reader::text(const std::string& group, const char* name) const
{
    const Quiet quiet;
    const auto attribute = m_state->attribute(group, name);
    if (!attribute)
        return passOn(attribute);
    const Handle type(H5Aget_type(*attribute), H5Tclose);
    const auto length = type.isValid() ? m_state->textLength(type) : std::nullopt;
    if (!length)
        return State::wrong(group + '@' + name, "is no text of fixed length");
    std::string value(*length, '\0');
    const Handle memory = textType(*length);
    if (H5Aread(*attribute, memory, value.data()) < 0)
        return State::wrong(group + '@' + name, "cannot be read");
    value.resize(std::min(value.find('\0'), value.size()));
    return value;
}

Result<std::vector<double>> Hdf5Reader::doubles(const std::string& path) const
{
    const Quiet quiet;
    return m_state->values<double>(path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE);
}

Result<std::vector<std::uint32_t>> Hdf5Reader::numbers(const std::string& path) const
{
    const Quiet quiet;
    return m_state->values<std::uint32_t>(path, H5T_STD_U32LE, H5T_NATIVE_UINT32);
}

Result<std::vector<std::uint8_t>> Hdf5Reader::bytes(const std::string& path) const
{
    const Quiet quiet;
    return m_state->values<std::uint8_t>(path, H5T_STD_U8LE, H5T_NATIVE_UINT8);
}

Result<std::vector<std::string>> Hdf5Reader::texts(const std::string& path) const
{
    const Quiet quiet;
    const auto found = m_state->column(path);
    if (!found)
        return passOn(found);
    const auto length = m_state->textLength(found->type);
    if (!length)
        return State::wrong(path, "holds no texts of fixed length");
    std::string table(*length * found->count, '\0');
    const Handle memory = textType(*length);
    if (found->count > 0 && H5Dread(found->data, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, table.data()) < 0)
        return State::wrong(path, "cannot be read");
    std::vector<std::string> values;
    values.reserve(found->count);
    for (std::size_t i = 0; i < found->count; ++i) {
        std::string value = table.substr(i * *length, *length);
        value.resize(std::min(value.find('\0'), value.size()));
        values.push_back(std::move(value));
    }
    return values;
}

}  // namespace sigmascope
