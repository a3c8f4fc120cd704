// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "support/FileBuilders.h"

#include <QtTest>

#include <initializer_list>
#include <string>
#include <string_view>

namespace sigmascope::test {

/// A folder that is gone after the test.
class Folder {
public:
    Folder() { QVERIFY(m_dir.isValid()); }
    [[nodiscard]] std::filesystem::path path() const { return m_dir.path().toStdString(); }
    std::filesystem::path write(std::string_view name, std::string_view bytes) const { return writeFile(path() / name, bytes); }

private:
    QTemporaryDir m_dir;
};

/// Fails the test unless @p error has that code and its text holds every fragment.
inline void expectError(const Error& error, ErrorCode code, const std::vector<std::string>& fragments)
{
    const std::string found = std::string(id(error.code)) + ": " + error.detail;
    QVERIFY2(error.code == code, ("expected " + std::string(id(code)) + ", found " + found).c_str());
    for (const std::string& fragment : fragments)
        QVERIFY2(error.detail.find(fragment) != std::string::npos, ("no \"" + fragment + "\" in: " + found).c_str());
}

inline void expectRefused(const std::filesystem::path& path, ErrorCode code, std::vector<std::string> fragments,
                          OpenOptions options = {})
{
    const auto opened = Checkpoint::open(path, options);
    QVERIFY2(!opened, "opened what should be refused");
    expectError(opened.error(), code, fragments);
}

/// Lenient mode opens it with a warning of that code and text, strict mode refuses it with the same.
inline void expectWarned(const std::filesystem::path& path, ErrorCode code, const std::vector<std::string>& fragments)
{
    const auto opened = Checkpoint::open(path);
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    bool found = false;
    std::string all;
    for (const CheckpointWarning& warning : (*opened)->warnings()) {
        bool fits = warning.code == code;
        for (const std::string& fragment : fragments)
            fits = fits && warning.detail.find(fragment) != std::string::npos;
        found = found || fits;
        all += std::string(id(warning.code)) + ": " + warning.detail + "\n";
    }
    QVERIFY2(found, ("no such warning among:\n" + all).c_str());
    expectRefused(path, code, fragments, {.strict = true});
}

/// Opens without any warning, strict too; null (and a failed test) if it does not.
inline std::shared_ptr<const Checkpoint> openedClean(const std::filesystem::path& path)
{
    const auto strict = Checkpoint::open(path, {.strict = true});
    if (!strict)
        QTest::qFail(strict.error().detail.c_str(), __FILE__, __LINE__);
    return strict ? *strict : nullptr;
}

}  // namespace sigmascope::test
