// SPDX-License-Identifier: GPL-3.0-or-later
//
// A GGUF of every type the library knows, K- and IQ-types among them, run through the pipeline as it is: the reference
// GGUF library finds the same names, types, shapes and bytes in the copy.
#include "core/project/Pipeline.h"
#include "support/FileBuilders.h"
#include "support/Oracles.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

#include <fstream>
#include <iterator>
#include <random>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

namespace {

struct Stored {
    std::string name;
    const DTypeInfo* type;
    std::string bytes;
};

/// [2 x two blocks] of each type, any bits.
std::vector<Stored> everyType()
{
    std::mt19937 bits(5);
    std::vector<Stored> tensors;
    for (const DTypeInfo& type : allDTypes()) {
        // The library does not know the newest type, and has a size of its own for one that is never stored.
        if (type.ggmlId < 0 || type.dtype == DType::Q2_0 || type.dtype == DType::Q8_1)
            continue;
        std::string bytes(4 * type.blockBits / 8, '\0');
        for (char& byte : bytes)
            byte = static_cast<char>(bits());
        tensors.push_back({"blk.0." + std::string(type.name) + ".weight", &type, std::move(bytes)});
    }
    return tensors;
}

std::string fileOf(const std::vector<Stored>& tensors)
{
    GgufBytes file;
    file.text("general.architecture", "llama");
    for (const Stored& tensor : tensors) {
        file.tensor(tensor.name, {2ULL * tensor.type->blockElements, 2},
                    static_cast<std::uint32_t>(tensor.type->ggmlId), file.data.size());
        file.data += tensor.bytes;
        file.data.resize((file.data.size() + 31) / 32 * 32, '\0');
    }
    return file.bytes();
}

}  // namespace

class TestGgufCopy : public QObject {
    Q_OBJECT

private slots:
    void everyTypeComesOutAsItWentIn()
    {
        const QTemporaryDir folder;
        const fs::path in = folder.filePath("in.gguf").toStdString();
        const fs::path out = folder.filePath("out.gguf").toStdString();
        const std::vector<Stored> tensors = everyType();
        writeFile(in, fileOf(tensors));
        const auto opened = Checkpoint::open(in, {.strict = true});
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        ExportRequest request;
        request.checkpoint = *opened;
        request.plan.layers.resize(tensors.size());
        request.output = out;
        const auto result = quantize(request, *findExporter("gguf"), *makeCpuBackend(), {}, {});
        QVERIFY2(result, result ? "" : result.error().detail.c_str());

        const fs::path raw = folder.filePath("raw").toStdString();
        std::string problem;
        const auto listing = runPython(
            {SIGMASCOPE_SOURCE_DIR "/tests/interop/gguf_oracle.py", "raw", out.string(), raw.string()}, problem);
        QVERIFY2(listing, problem.c_str());
        const QJsonArray found = QJsonDocument::fromJson(QByteArray::fromStdString(*listing))[u"tensors"].toArray();
        QCOMPARE(static_cast<std::size_t>(found.size()), tensors.size());
        std::ifstream stream(raw, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
        std::size_t at = 0;
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            const QJsonObject tensor = found[static_cast<qsizetype>(i)].toObject();
            QCOMPARE(tensor[u"name"].toString().toStdString(), tensors[i].name);
            QCOMPARE(tensor[u"type"].toString().toStdString(), std::string(tensors[i].type->name));
            QCOMPARE(tensor[u"shape"].toArray(),
                     (QJsonArray{2, static_cast<qint64>(2 * tensors[i].type->blockElements)}));
            QVERIFY2(bytes.substr(at, tensors[i].bytes.size()) == tensors[i].bytes, tensors[i].name.c_str());
            at += tensors[i].bytes.size();
        }
        QCOMPARE(at, bytes.size());
    }
};

QTEST_GUILESS_MAIN(TestGgufCopy)
#include "tst_gguf_copy.moc"
