// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QProcessEnvironment>
#include <QStringList>

#include <filesystem>
#include <map>
#include <string>

namespace sigmascope::test
{

/// What one call of the built program left behind.
struct CliRun {
    int exitCode = -1;
    bool crashed = true;
    QByteArray out;
    QByteArray err;

    [[nodiscard]] QJsonObject json() const { return QJsonDocument::fromJson(out).object(); }
};

inline QString cliPath()
{
    return QStringLiteral(SIGMASCOPE_CLI);
}

inline QProcessEnvironment cliEnvironment(const std::map<QString, QString>& extra = {})
{
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    for (const auto& [name, value] : extra)
        environment.insert(name, value);
    return environment;
}

inline CliRun runProgram(const QString& program, const QStringList& arguments,
                         const std::map<QString, QString>& environment = {})
{
    QProcess process;
    process.setProcessEnvironment(cliEnvironment(environment));
    process.start(program, arguments);
    CliRun run;
    if (!process.waitForStarted() || !process.waitForFinished(240'000))
        return run;
    run.crashed = process.exitStatus() != QProcess::NormalExit;
    run.exitCode = process.exitCode();
    run.out = process.readAllStandardOutput();
    run.err = process.readAllStandardError();
    return run;
}

inline CliRun cli(const QStringList& arguments, const std::map<QString, QString>& environment = {})
{
    return runProgram(cliPath(), arguments, environment);
}

inline QString sampleFolder()
{
    return QStringLiteral(SIGMASCOPE_SOURCE_DIR "/resources/sample");
}

inline QString sampleImatrix()
{
    return sampleFolder() + QStringLiteral("/imatrix.gguf");
}

inline QString qpath(const std::filesystem::path& path)
{
    return QString::fromStdString(path.string());
}

/// A copy of the sample's folder that a test may change.
inline void copySample(const std::filesystem::path& to)
{
    std::filesystem::copy(sampleFolder().toStdString(), to, std::filesystem::copy_options::recursive);
}

/// The element of `tensors` with this name; empty if there is none.
inline QJsonObject tensorNamed(const QJsonObject& object, const QString& name)
{
    for (const QJsonValue& tensor : object[QStringLiteral("tensors")].toArray()) {
        if (tensor.toObject()[QStringLiteral("name")].toString() == name)
            return tensor.toObject();
    }
    return {};
}

} // namespace sigmascope::test
