// SPDX-License-Identifier: GPL-3.0-or-later
// Quantized checkpoints that lie: what cannot be read is told and listed as it is stored, and hides nothing else.
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "hostile/Hostile.h"
#include "support/PackedFolder.h"

#include <cmath>
#include <fstream>
#include <functional>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

using Change = std::function<void(PackedFolder&)>;

struct Lie {
    const char* name;
    PackedFolder (*folder)();
    Change change;
    ErrorCode code;
    std::vector<std::string> fragments;
    bool isWhole = false;  ///< no layer can be read, not only module a
};

std::string gptqConfig(const std::string& more)
{
    return R"({"quant_method":"gptq",)" + more + "}";
}

std::vector<Lie> liesAboutGptq()
{
    const auto config = [](const std::string& text) {
        return [text](PackedFolder& folder) { folder.config = text; };
    };
    return {
        {"no scales", gptqFolder, [](PackedFolder& f) { f.remove("a.scales"); }, ErrorCode::MissingTensor, {"model.safetensors", "a.qweight", "at byte", "a.scales", "found none"}},
        {"no zero points", gptqFolder, [](PackedFolder& f) { f.remove("a.qzeros"); }, ErrorCode::MissingTensor, {"a.qweight", "a.qzeros"}},
        {"scales of another group size", gptqFolder,
         [](PackedFolder& f) { f["a.scales"] = {"a.scales", "F16", {4, 8}, numbers(32, kHalfF16)}; }, ErrorCode::ShapeMismatch,
         {"a.scales", "at byte", "[2, 8]", "[4, 8]", "groups of 8"}},
        {"scales of integers", gptqFolder, [](PackedFolder& f) { f["a.scales"] = {"a.scales", "I32", {2, 8}, numbers<std::int32_t>(16, 1)}; },
         ErrorCode::UnsupportedType, {"a.scales", "F16", "I32"}},
        {"codes of bytes", gptqFolder, [](PackedFolder& f) { f["a.qweight"].dtype = "U8"; f["a.qweight"].shape = {8, 8}; },
         ErrorCode::UnsupportedType, {"a.qweight", "I32", "U8"}},
        {"codes in one dimension", gptqFolder, [](PackedFolder& f) { f["a.qweight"].shape = {16}; }, ErrorCode::ShapeMismatch, {"a.qweight", "[16]"}},
        {"codes without rows", gptqFolder, [](PackedFolder& f) { f["a.qweight"] = {"a.qweight", "I32", {0, 8}, {}}; },
         ErrorCode::ShapeMismatch, {"a.qweight", "[0, 8]"}},
        {"more indices than codes", gptqFolder, [](PackedFolder& f) { f["a.g_idx"] = {"a.g_idx", "I32", {24}, numbers<std::int32_t>(24, 0)}; },
         ErrorCode::ShapeMismatch, {"a.qweight", "[3, 8]", "[2, 8]", "24 inputs"}},
        {"zero points of other outputs", gptqFolder, [](PackedFolder& f) { f["a.qzeros"] = {"a.qzeros", "I32", {2, 3}, numbers<std::uint32_t>(6, 0)}; },
         ErrorCode::ShapeMismatch, {"a.qzeros", "[2, 1]", "[2, 3]"}},
        {"weight beside its codes", gptqFolder, [](PackedFolder& f) { f.tensors.push_back({"a.weight", "F16", {8, 16}, numbers(128, kHalfF16)}); },
         ErrorCode::DuplicateName, {"a.weight", "a.qweight"}},
        {"group size 0", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":0)")), ErrorCode::InvalidMetadata,
         {"config.json", "group_size", "-1 or more than 0", "found 0"}, true},
        {"group size -5", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":-5)")), ErrorCode::InvalidMetadata, {"group_size", "found -5"}, true},
        {"group size of text", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":"8")")), ErrorCode::InvalidMetadata, {"group_size", "whole number"}, true},
        {"group size past all numbers", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":18446744073709551615)")), ErrorCode::InvalidMetadata,
         {"group_size"}, true},
        {"group size of fractions", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":8.5)")), ErrorCode::InvalidMetadata, {"group_size", "8.5"}, true},
        {"5 bits", gptqFolder, config(gptqConfig(R"("bits":5,"group_size":8)")), ErrorCode::InvalidMetadata, {"bits", "2, 3, 4 or 8", "found 5"}, true},
        {"8 bits by the config only", gptqFolder, config(gptqConfig(R"("bits":8,"group_size":8)")), ErrorCode::ShapeMismatch, {"a.qweight", "[4, 8]", "[2, 8]"}, true},
        {"group size that does not divide", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":5)")), ErrorCode::ShapeMismatch,
         {"a.scales", "[4, 8]", "groups of 5"}, true},
        {"another method", gptqFolder, config(R"({"quant_method":"bitsandbytes"})"), ErrorCode::InvalidMetadata, {"quant_method", "gptq", "bitsandbytes"}, true},
        {"AWQ by the config", gptqFolder, config(R"({"quant_method":"awq","bits":4,"group_size":8})"), ErrorCode::ShapeMismatch, {"AWQ", "a.scales"}, true},
        {"marlin", gptqFolder, config(gptqConfig(R"("bits":4,"group_size":8,"checkpoint_format":"marlin")")), ErrorCode::UnsupportedVersion,
         {"checkpoint_format", "marlin"}, true},
        {"config of a list", gptqFolder, config("[1]"), ErrorCode::InvalidMetadata, {"quantization_config", "an object", "[1]"}, true},
        {"config without a method", gptqFolder, config(R"({"bits":4})"), ErrorCode::InvalidMetadata, {"quant_method", "found none"}, true},
    };
}

std::vector<Lie> otherLies()
{
    const auto state = [](const std::string& json) { return [json](PackedFolder& folder) { setState(folder, "a", json); }; };
    return {
        {"AWQ without scales", awqFolder, [](PackedFolder& f) { f.remove("a.scales"); }, ErrorCode::MissingTensor, {"AWQ", "a.scales"}},
        {"AWQ gemv", awqFolder, [](PackedFolder& f) { f.config = R"({"quant_method":"awq","bits":4,"version":"gemv"})"; },
         ErrorCode::UnsupportedVersion, {"version", "gemm", "gemv"}, true},
        {"AWQ of 8 bits", awqFolder, [](PackedFolder& f) { f.config = R"({"quant_method":"awq","bits":8})"; }, ErrorCode::InvalidMetadata, {"bits", "found 8"}, true},
        {"AWQ scales of other outputs", awqFolder, [](PackedFolder& f) { f["a.scales"] = {"a.scales", "F16", {2, 9}, numbers(18, kHalfF16)}; },
         ErrorCode::ShapeMismatch, {"a.scales", "[2, 8]", "[2, 9]"}},
        {"shape missing", compressedFolder, [](PackedFolder& f) { f.remove("a.weight_shape"); }, ErrorCode::MissingTensor, {"a.weight_packed", "a.weight_shape"}},
        {"shape of more columns", compressedFolder,
         [](PackedFolder& f) { f["a.weight_shape"].data = le<std::int64_t>(8) + le<std::int64_t>(std::int64_t{1} << 62); }, ErrorCode::ShapeMismatch,
         {"a.weight_shape", "[8, 2] words", "4611686018427387904"}},
        {"shape negative", compressedFolder, [](PackedFolder& f) { f["a.weight_shape"].data = le<std::int64_t>(-8) + le<std::int64_t>(16); },
         ErrorCode::ShapeMismatch, {"a.weight_shape", "-8"}},
        {"shape of more rows", compressedFolder, [](PackedFolder& f) { f["a.weight_shape"].data = le<std::int64_t>(9) + le<std::int64_t>(16); },
         ErrorCode::ShapeMismatch, {"a.weight_shape"}},
        {"8 bits by the config", compressedFolder,
         [](PackedFolder& f) { f.config = R"({"quant_method":"compressed-tensors","config_groups":{"g":{"weights":{"num_bits":8}}}})"; },
         ErrorCode::ShapeMismatch, {"a.weight_packed", "8 bits"}, true},
        {"bits 0", compressedFolder, [](PackedFolder& f) { f.config = R"({"quant_method":"compressed-tensors","config_groups":{"g":{"weights":{"num_bits":0}}}})"; },
         ErrorCode::InvalidMetadata, {"num_bits", "found 0"}, true},
        {"group 0", compressedFolder,
         [](PackedFolder& f) { f.config = R"({"quant_method":"compressed-tensors","config_groups":{"g":{"weights":{"num_bits":4,"group_size":0}}}})"; },
         ErrorCode::InvalidMetadata, {"group_size", "found 0"}, true},
        {"groups that are none", compressedFolder, [](PackedFolder& f) { f.config = R"({"quant_method":"compressed-tensors","config_groups":[]})"; },
         ErrorCode::InvalidMetadata, {"config_groups"}, true},
        {"zero point missing", compressedFolder,
         [](PackedFolder& f) { f.config = R"({"quant_method":"compressed-tensors","config_groups":{"g":{"weights":{"num_bits":4,"group_size":8,"symmetric":false}}}})"; },
         ErrorCode::MissingTensor, {"weight_zero_point", "not symmetric"}, true},
        {"zero points along the rows", compressedFolder,
         [](PackedFolder& f) { f.tensors.push_back({"a.weight_zero_point", "I32", {8, 1}, numbers<std::uint32_t>(8, 0)}); }, ErrorCode::ShapeMismatch,
         {"a.weight_zero_point", "[1, 2]", "[8, 1]"}},
        {"scales of another group", compressedFolder, [](PackedFolder& f) { f["a.weight_scale"] = {"a.weight_scale", "F16", {8, 4}, numbers(32, kHalfF16)}; },
         ErrorCode::ShapeMismatch, {"a.weight_scale", "group of 8", "[8, 4]"}},
        {"scales of no block", scaledFolder, [](PackedFolder& f) { f["a.weight_scale"] = {"a.weight_scale", "F16", {3, 2}, numbers(6, kHalfF16)}; },
         ErrorCode::ShapeMismatch, {"a.weight_scale", "[3, 2]"}},
        {"SCB of fewer rows", rowScaledFolder, [](PackedFolder& f) { f["a.SCB"] = {"a.SCB", "F32", {7}, numbers(7, 1.0F)}; }, ErrorCode::ShapeMismatch,
         {"a.SCB", "[8]", "[7]"}},
        {"state of no JSON", blockFolder, state("{\"shape\":[8,16]"), ErrorCode::MalformedHeader, {"a.weight.quant_state", "JSON"}},
        {"state with NaN", blockFolder, state(R"({"shape":[8,16],"blocksize":64,"nested_blocksize":2,"nested_offset":NaN})"), ErrorCode::MalformedHeader, {"JSON"}},
        {"state of a list", blockFolder, state("[]"), ErrorCode::MalformedHeader, {"a JSON object, found []"}},
        {"state nested deep", blockFolder, state(std::string(5000, '[') + std::string(5000, ']')), ErrorCode::MalformedHeader, {"deeper"}},
        {"state without shape", blockFolder, state(R"({"blocksize":64})"), ErrorCode::InvalidMetadata, {"shape", "found none"}},
        {"state of a larger shape", blockFolder, state(R"({"shape":[8,4096],"blocksize":64,"nested_blocksize":2,"nested_offset":0})"), ErrorCode::ShapeMismatch,
         {"a.weight", "[8, 4096]", "64 bytes"}},
        {"state of a shape that wraps", blockFolder,
         state(R"({"shape":[4294967296,4294967328],"blocksize":64,"nested_blocksize":2,"nested_offset":0})"), ErrorCode::ShapeMismatch, {"a.weight"}},
        {"block size 0", blockFolder, state(R"({"shape":[8,16],"blocksize":0,"nested_blocksize":2,"nested_offset":0})"), ErrorCode::InvalidMetadata, {"blocksize", "found 0"}},
        {"block size of another", blockFolder, state(R"({"shape":[8,16],"blocksize":32,"nested_blocksize":2,"nested_offset":0})"), ErrorCode::ShapeMismatch,
         {"a.weight.absmax", "[4]", "[2]"}},
        {"nested block size missing", blockFolder, state(R"({"shape":[8,16],"blocksize":64})"), ErrorCode::InvalidMetadata, {"nested_blocksize", "found none"}},
        {"nested offset past all floats", blockFolder, state(R"({"shape":[8,16],"blocksize":64,"nested_blocksize":2,"nested_offset":1e300})"),
         ErrorCode::InvalidMetadata, {"nested_offset", "finite"}},
        {"table of 15", blockFolder, [](PackedFolder& f) { f["a.weight.quant_map"] = {"a.weight.quant_map", "F32", {15}, numbers(15, 1.0F)}; },
         ErrorCode::ShapeMismatch, {"quant_map", "[16]", "[15]"}},
        {"no magnitudes", blockFolder, [](PackedFolder& f) { f.remove("a.weight.absmax"); }, ErrorCode::MissingTensor, {"a.weight", "absmax"}},
        {"no state", blockFolder, [](PackedFolder& f) { f.remove("a.weight.quant_state.bitsandbytes__nf4"); }, ErrorCode::MissingTensor, {"a.weight", "quant_state"}},
        {"NVFP4 without scales", nvFp4Folder, [](PackedFolder& f) { f.remove("a.weight_scale"); }, ErrorCode::MissingTensor, {"a.weight_packed", "a.weight_scale"}},
        {"NVFP4 without the scale of the whole", nvFp4Folder, [](PackedFolder& f) { f.remove("a.weight_global_scale"); }, ErrorCode::MissingTensor,
         {"a.weight_packed", "a.weight_global_scale"}},
        {"NVFP4 with a scale of the whole by row", nvFp4Folder,
         [](PackedFolder& f) { f["a.weight_global_scale"] = {"a.weight_global_scale", "F32", {8}, numbers(8, 1.0F)}; }, ErrorCode::ShapeMismatch,
         {"a.weight_global_scale", "one value", "[8]"}},
        {"NVFP4 with half a group", nvFp4Folder, [](PackedFolder& f) { f["a.weight_packed"].shape = {16, 4}; }, ErrorCode::ShapeMismatch,
         {"a.weight_packed", "groups of 16", "[16, 4]"}},
        {"NVFP4 with scales of other groups", nvFp4Folder, [](PackedFolder& f) { f["a.weight_scale"].shape = {4, 2}; }, ErrorCode::ShapeMismatch,
         {"a.weight_scale", "[8, 1]", "[4, 2]"}},
        {"NVFP4 with scales of another type", nvFp4Folder, [](PackedFolder& f) { f["a.weight_scale"].dtype = "I8"; }, ErrorCode::UnsupportedType,
         {"a.weight_scale", "F8_E4M3", "I8"}},
        {"NVFP4 codes of one dimension", nvFp4Folder, [](PackedFolder& f) { f["a.weight_packed"].shape = {64}; }, ErrorCode::ShapeMismatch, {"a.weight_packed", "[64]"}},
        {"NVFP4 of no rows", nvFp4Folder, [](PackedFolder& f) { f["a.weight_packed"] = {"a.weight_packed", "U8", {0, 8}, {}}; }, ErrorCode::ShapeMismatch,
         {"a.weight_packed", "[0, 8]"}},
        {"NVFP4 for smoothed inputs", nvFp4Folder, [](PackedFolder& f) { f.tensors.push_back({"a.pre_quant_scale", "F16", {16}, numbers(16, kHalfF16)}); },
         ErrorCode::UnsupportedVersion, {"a.pre_quant_scale", "not read"}},
        {"int8 for smoothed inputs", scaledFolder, [](PackedFolder& f) { f.tensors.push_back({"a.pre_quant_scale", "F16", {16}, numbers(16, kHalfF16)}); },
         ErrorCode::UnsupportedVersion, {"a.pre_quant_scale", "not read"}},
        {"experts with blocks of 8 bytes", mxFp4ExpertsFolder, [](PackedFolder& f) { f["a_blocks"].shape = {1, 8, 2, 8}; }, ErrorCode::ShapeMismatch,
         {"a_blocks", "[1, 8, 2, 8]"}},
        {"experts of three dimensions", mxFp4ExpertsFolder, [](PackedFolder& f) { f["a_blocks"].shape = {8, 1, 16}; }, ErrorCode::ShapeMismatch, {"a_blocks", "[8, 1, 16]"}},
        {"experts' scales of other outputs", mxFp4ExpertsFolder, [](PackedFolder& f) { f["a_scales"].shape = {1, 4, 2}; }, ErrorCode::ShapeMismatch,
         {"a_scales", "[1, 8, 1]", "[1, 4, 2]"}},
        {"experts' scales of floats", mxFp4ExpertsFolder, [](PackedFolder& f) { f["a_scales"] = {"a_scales", "F16", {1, 8, 1}, numbers(8, kHalfF16)}; },
         ErrorCode::UnsupportedType, {"a_scales", "F16"}},
        {"HQQ", compressedFolder, [](PackedFolder& f) { f.config = R"({"quant_method":"hqq","quant_config":{"weight_quant_params":{"nbits":4}}})"; },
         ErrorCode::UnsupportedVersion, {"quant_method", "'hqq'", "not read"}, true},
        {"Marlin within compressed-tensors", compressedFolder, [](PackedFolder& f) { f.config = R"({"quant_method":"compressed-tensors","format":"marlin-24"})"; },
         ErrorCode::UnsupportedVersion, {"format", "'marlin-24'"}, true},
        {"no nested table", blockFolder, [](PackedFolder& f) { f.remove("a.weight.nested_quant_map"); }, ErrorCode::MissingTensor, {"nested_quant_map"}},
    };
}

}  // namespace

class TestHostilePacked : public QObject {
    Q_OBJECT

    static void expectLiesTold(const std::vector<Lie>& lies)
    {
        for (const Lie& lie : lies) {
            const Folder folder;
            PackedFolder packed = lie.folder();
            lie.change(packed);
            packed.write(folder.path());
            qInfo("%s", lie.name);
            expectWarned(folder.path(), lie.code, lie.fragments);
            if (QTest::currentTestFailed())
                return;
            const auto opened = Checkpoint::open(folder.path());
            std::size_t readable = 0;
            for (std::size_t i = 0; i < (*opened)->tensors().size(); ++i) {
                if ((*opened)->packed(i) == nullptr)
                    continue;
                ++readable;
                QVERIFY((*opened)->tensors()[i].name.starts_with("b"));
                QVERIFY((*opened)->view(i));
            }
            QVERIFY2(readable == (lie.isWhole ? 0U : 1U), lie.name);
            // Whoever exports must not take this for an ordinary model.
            QVERIFY2((*opened)->config().contains("quantization_config"), lie.name);
        }
    }

private slots:
    void foldersAsTheyShouldBeOpenClean()
    {
        for (const auto make : {gptqFolder, awqFolder, compressedFolder, blockFolder, rowScaledFolder, scaledFolder, nvFp4Folder,
                                mxFp4ExpertsFolder}) {
            const Folder folder;
            make().write(folder.path());
            const auto opened = openedClean(folder.path());
            QVERIFY(opened);
            QCOMPARE(opened->tensors().size(), std::size_t{2});
        }
    }

    void liesAboutGptqAreToldAndTheOtherLayerReads() { expectLiesTold(liesAboutGptq()); }
    void liesAboutOtherLayoutsAreToldAndTheOtherLayerReads() { expectLiesTold(otherLies()); }

    void aMissingConfigIsToldAndTheShapesAreBelieved()
    {
        for (const auto make : {gptqFolder, awqFolder, compressedFolder, blockFolder, rowScaledFolder, scaledFolder}) {
            const Folder folder;
            PackedFolder packed = make();
            packed.config.clear();
            packed.write(folder.path());
            expectWarned(folder.path(), ErrorCode::InvalidMetadata, {"config.json", "quantization_config", "found none"});
            const auto opened = Checkpoint::open(folder.path());
            QVERIFY(opened);
            QCOMPARE((*opened)->tensors().size(), std::size_t{2});
            std::vector<float> row(16);
            QVERIFY((*opened)->readPackedRows(1, 2, 1, row));
            for (std::size_t i = 0; i < row.size(); ++i)
                QCOMPARE(row[i], valueOfSum(2, i));
        }
    }

    void aWeightPackedTwiceIsListedOnce()
    {
        const Folder folder;
        PackedFolder packed = gptqFolder();
        for (const auto& part : compressedFolder().tensors)
            if (part.name.starts_with("a."))
                packed.tensors.push_back(part);
        packed.config.clear();
        packed.write(folder.path());
        expectWarned(folder.path(), ErrorCode::DuplicateName, {"a.weight_packed", "packs 'a.weight' a second time"});
        const auto opened = Checkpoint::open(folder.path());
        QVERIFY(opened);
        std::size_t named = 0;
        for (const TensorInfo& tensor : (*opened)->tensors())
            named += tensor.name == "a.weight" ? 1 : 0;
        QCOMPARE(named, std::size_t{1});
    }

    void codesThatNoLayoutKnowsKeepTheModelFromBeingTakenForPlain()
    {
        for (const auto& [name, dtype] : {std::pair("experts.gate_up_proj", "F8_E4M3"), std::pair("c.weight_packed", "U8")}) {
            const Folder folder;
            PackedFolder packed = gptqFolder();
            packed.tensors.push_back({name, dtype, {2, 8}, std::string(16, '\1')});
            packed.write(folder.path());
            const auto opened = Checkpoint::open(folder.path());
            QVERIFY(opened);
            QVERIFY((*opened)->hasPacked());
            QVERIFY2((*opened)->config().contains("quantization_config"), name);
        }
    }

    void aBrokenOlderConfigIsToldInsteadOfGuessed()
    {
        const Folder folder;
        PackedFolder packed = gptqFolder();
        packed.config.clear();
        packed.write(folder.path());
        folder.write("quantize_config.json", "{\"bits\":4,\"checkpoint_format\":\"gptq_v2\"");
        expectWarned(folder.path(), ErrorCode::MalformedHeader, {"quantize_config.json", "as they are stored"});
        const auto opened = Checkpoint::open(folder.path());
        QVERIFY(opened);
        QVERIFY(!(*opened)->hasPacked());
    }

    void anIndexOfNoGroupIsNamedWhereItStands()
    {
        for (const std::int32_t index : {2, -1, 2147483647}) {
            const Folder folder;
            PackedFolder packed = gptqFolder();
            packed["a.g_idx"].data.replace(12, 4, le(index));
            packed.write(folder.path());
            const auto opened = openedClean(folder.path());  // headers only are read
            QVERIFY(opened);
            const auto view = opened->view(0);
            QVERIFY(!view);
            expectError(view.error(), ErrorCode::InvalidNumber,
                        {"model.safetensors", "a.g_idx", "at byte", "column 3", "0 to 1", "found " + std::to_string(index)});
            std::vector<float> row(16);
            const Status read = opened->readPackedRows(0, 0, 1, row);
            QVERIFY(!read);
            expectError(read.error(), ErrorCode::InvalidNumber, {"a.g_idx"});
            QVERIFY(opened->view(1));
        }
    }

    void aScaleOfTheWholeThatCannotBeIsNamed()
    {
        for (const float scale : {0.0F, std::nanf(""), INFINITY}) {
            const Folder folder;
            PackedFolder packed = nvFp4Folder();
            packed["a.weight_global_scale"].data = le(scale);
            packed.write(folder.path());
            const auto opened = openedClean(folder.path());
            QVERIFY(opened);
            const auto view = opened->view(0);
            QVERIFY(!view);
            expectError(view.error(), ErrorCode::InvalidNumber, {"model.safetensors", "a.weight_global_scale", "at byte", "finite scale"});
            QVERIFY(opened->view(1));
        }
    }

    void floatsThatAreNamedBlocksAreNoCodes()
    {
        const Folder folder;
        PackedFolder packed = gptqFolder();
        packed.tensors.push_back({"c.res_blocks", "F16", {16}, numbers(16, kHalfF16)});
        packed.write(folder.path());
        const auto opened = openedClean(folder.path());
        QVERIFY(opened);
        QVERIFY(!opened->config().contains("quantization_config"));
    }

    void codesUnderNamesThatAMethodDoesNotHaveAreTold()
    {
        const Folder folder;  // Marlin of older vLLM and AutoGPTQ
        PackedFolder packed{.config = R"({"quant_method":"gptq","bits":4,"group_size":8,"checkpoint_format":"marlin"})"};
        packed.tensors.push_back({"a.B", "I32", {1, 16}, numbers<std::uint32_t>(16, 7)});
        packed.tensors.push_back({"a.s", "F16", {2, 8}, numbers(16, kHalfF16)});
        packed.write(folder.path());
        expectWarned(folder.path(), ErrorCode::UnsupportedVersion, {"quant_method", "'gptq', checkpoint_format 'marlin'", "as they are stored"});
    }

    /// Whoever loads such a model holds its matrices turned: no copy of decoded values may pass for it.
    void decodedStacksAreSeenAndNotCopied()
    {
        const Folder folder;
        mxFp4ExpertsFolder().write(folder.path());
        const auto opened = openedClean(folder.path());
        QVERIFY(opened);
        QVERIFY(opened->tensors()[0].shape == (Shape{1, 8, 32}));
        const auto view = opened->view(0);
        QVERIFY(view && view->shape == (Shape{1, 8, 32}));
        const auto* values = reinterpret_cast<const float*>(view->bytes.data());
        QCOMPARE(values[32 + 6], 2 * 6.0F);  // output 1, input 6: code 7
        QCOMPARE(values[32 + 8], 2 * -0.5F);  // code 9
        QVERIFY(opened->config().contains("quantization_config"));
    }

    void scalesThatAreNoNumbersAreCountedAsTheyDecode()
    {
        const Folder folder;
        PackedFolder packed = blockFolder();
        packed["a.weight.nested_absmax"].data = le(std::nanf(""));
        packed.write(folder.path());
        const auto opened = openedClean(folder.path());
        QVERIFY(opened);
        std::vector<float> values(128);
        QVERIFY(opened->readPackedRows(0, 0, 8, values));
        for (const float value : values)
            QVERIFY(std::isnan(value));
        QVERIFY(opened->readPackedRows(1, 0, 8, values));
        for (const float value : values)
            QVERIFY(std::isfinite(value));
    }

    void aFileCutShortAtAnyByteNeverCrashes()
    {
        for (const auto make : {gptqFolder, compressedFolder, blockFolder}) {
            const Folder folder;
            make().write(folder.path());
            const std::filesystem::path path = folder.path() / "model.safetensors";
            std::ifstream file(path, std::ios::binary);
            const std::string whole((std::istreambuf_iterator<char>(file)), {});
            for (std::size_t size = 0; size < whole.size(); size += 7) {
                folder.write("model.safetensors", whole.substr(0, size));
                QVERIFY(!Checkpoint::open(folder.path()));
            }
        }
    }

    void aShardCutShortTakesItsLayerOnly()
    {
        const Folder folder;
        const PackedFolder whole = gptqFolder();
        std::string map;
        for (const std::string module : {"a", "b"}) {
            PackedFolder one{.config = whole.config};
            for (const auto& stored : whole.tensors)
                if (stored.name.starts_with(module)) {
                    one.tensors.push_back(stored);
                    map += (map.empty() ? "\"" : ",\"") + stored.name + "\":\"" + module + ".safetensors\"";
                }
            one.write(folder.path());
            std::filesystem::rename(folder.path() / "model.safetensors", folder.path() / (module + ".safetensors"));
        }
        folder.write("model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
        std::filesystem::resize_file(folder.path() / "a.safetensors", std::filesystem::file_size(folder.path() / "a.safetensors") - 40);
        const auto opened = Checkpoint::open(folder.path());
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        QVERIFY((*opened)->isIncomplete());
        QVERIFY(!(*opened)->find("a.weight"));
        const auto other = (*opened)->find("b.weight");
        QVERIFY(other);
        QVERIFY((*opened)->view(*other));
    }

    void aFileThatChangesUnderItIsNoticed()
    {
        const Folder folder;
        gptqFolder().write(folder.path());
        const auto opened = openedClean(folder.path());
        QVERIFY(opened);
        std::filesystem::resize_file(folder.path() / "model.safetensors", 100);
        const Status same = opened->checkUnchanged(1);
        QVERIFY(!same);
        QVERIFY(same.error().code == ErrorCode::FileChanged || same.error().code == ErrorCode::FileBroken);
    }
};

QTEST_GUILESS_MAIN(TestHostilePacked)
#include "tst_hostile_packed.moc"
