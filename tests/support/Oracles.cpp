// SPDX-License-Identifier: GPL-3.0-or-later
#include "support/Oracles.h"

#include <QProcess>
#include <QStringList>

#include <dlfcn.h>

#include <array>
#include <cstdlib>

namespace sigmascope {

namespace fs = std::filesystem;

fs::path oracleFolder()
{
    if (const char* folder = std::getenv("SIGMASCOPE_ORACLES"); folder != nullptr && *folder != '\0')
        return folder;
    return fs::path(SIGMASCOPE_SOURCE_DIR) / "build" / "oracles";
}

std::optional<std::string> runPython(const std::vector<std::string>& arguments, std::string& problem)
{
    const fs::path python = oracleFolder() / "venv" / "bin" / "python";
    QStringList list;
    for (const std::string& argument : arguments)
        list << QString::fromStdString(argument);
    QProcess process;
    process.start(QString::fromStdString(python.string()), list);
    if (!process.waitForStarted() || !process.waitForFinished(120000) || process.exitCode() != 0) {
        problem = python.string() + ": " + process.errorString().toStdString() + "\n"
                  + process.readAllStandardError().toStdString() + "\nrun tests/interop/setup.sh and set SIGMASCOPE_ORACLES";
        return std::nullopt;
    }
    return process.readAllStandardOutput().toStdString();
}

namespace {

// llama.h of the version that setup.sh pins: plain C structures, passed and returned by value.

struct ModelParams {
    void* devices;
    const void* tensorBuftOverrides;
    std::int32_t gpuLayers;
    std::int32_t splitMode;
    std::int32_t loadMode;
    std::int32_t lazyMode;
    std::int32_t mainGpu;
    const float* tensorSplit;
    bool (*progress)(float, void*);
    void* progressUserData;
    const void* kvOverrides;
    bool vocabOnly;
    bool checkTensors;
    bool useExtraBuffers;
    bool noHost;
    bool noAlloc;
    bool loadMtp;
};

struct ContextParams {
    std::uint32_t context;
    std::uint32_t batch;
    std::uint32_t microBatch;
    std::uint32_t sequences;
    std::uint32_t recurrentSnapshots;
    std::uint32_t outputs;
    std::uint32_t outputsPerSequence;
    std::int32_t threads;
    std::int32_t threadsBatch;
    std::int32_t contextType;
    std::int32_t ropeScalingType;
    std::int32_t poolingType;
    std::int32_t attentionType;
    std::int32_t flashAttention;
    float ropeBase;
    float ropeScale;
    float yarnExt;
    float yarnAttention;
    float yarnBetaFast;
    float yarnBetaSlow;
    std::uint32_t yarnOriginalContext;
    float defragThreshold;
    bool (*evalCallback)(void*, bool, void*);
    void* evalUserData;
    std::int32_t typeK;
    std::int32_t typeV;
    bool (*abortCallback)(void*);
    void* abortData;
    bool embeddings;
    bool offloadKqv;
    bool noPerf;
    bool opOffload;
    bool swaFull;
    bool kvUnified;
    void* samplers;
    std::size_t samplerCount;
    void* otherContext;
};

struct Batch {
    std::int32_t tokenCount;
    std::int32_t* token;
    float* embedding;
    std::int32_t* position;
    std::int32_t* sequenceCount;
    std::int32_t** sequence;
    std::int8_t* logits;
};

struct TypeTraits {
    const char* name;
    std::int64_t blockSize;
    std::int64_t interleave;
    std::size_t typeSize;
    bool isQuantized;
    void (*toFloat)(const void*, float*, std::int64_t);
    void (*fromFloat)(const float*, void*, std::int64_t);
};

constexpr std::int32_t kFlashAttentionOff = 0;
constexpr std::int32_t kGgmlF32 = 0;

std::string g_log;  // llama.cpp logs through one process-wide callback

void collectLog(int level, const char* text, void*)
{
    constexpr int kWarning = 3;
    if (level >= kWarning)
        g_log += text;
}

}  // namespace

struct LlamaLibrary::Functions {
    std::size_t (*quantizeChunk)(int, const float*, void*, std::int64_t, std::int64_t, std::int64_t, const float*) = nullptr;
    const TypeTraits* (*typeTraits)(int) = nullptr;
    void (*loadBackends)(const char*) = nullptr;
    void (*backendInit)() = nullptr;
    void (*setLog)(void (*)(int, const char*, void*), void*) = nullptr;
    ModelParams (*modelDefaults)() = nullptr;
    ContextParams (*contextDefaults)() = nullptr;
    void* (*loadModel)(const char*, ModelParams) = nullptr;
    void (*freeModel)(void*) = nullptr;
    void* (*makeContext)(void*, ContextParams) = nullptr;
    void (*freeContext)(void*) = nullptr;
    const void* (*vocabulary)(const void*) = nullptr;
    std::int32_t (*vocabularySize)(const void*) = nullptr;
    std::int32_t (*tokenize)(const void*, const char*, std::int32_t, std::int32_t*, std::int32_t, bool, bool) = nullptr;
    void* (*loadAdapter)(void*, const char*) = nullptr;
    std::int32_t (*setAdapters)(void*, void**, std::size_t, float*) = nullptr;
    std::int32_t (*decode)(void*, Batch) = nullptr;
    float* (*logits)(void*, std::int32_t) = nullptr;
};

namespace {

template <class Function>
bool resolve(const std::vector<void*>& handles, const char* name, Function*& function, std::string& problem)
{
    for (void* handle : handles) {
        if (void* symbol = dlsym(handle, name)) {
            function = reinterpret_cast<Function*>(symbol);
            return true;
        }
    }
    problem = std::string("llama.cpp's libraries lack ") + name;
    return false;
}

fs::path libraryFolder()
{
    return oracleFolder() / "node_modules" / "@node-llama-cpp" / "linux-x64" / "bins" / "linux-x64";
}

/// A structure declared wrongly would show in values that must be the documented defaults.
bool defaultsAreAsDeclared(const ModelParams& model, const ContextParams& context)
{
    return model.splitMode == 1 && model.loadMode == -1 && model.lazyMode == 1 && model.tensorSplit == nullptr && !model.vocabOnly
           && model.useExtraBuffers && !model.noAlloc && context.context == 512 && context.batch == 2048 && context.microBatch == 512
           && context.yarnExt < 0 && context.yarnBetaFast < 0 && context.defragThreshold < 0 && context.typeK == 1 && context.typeV == 1
           && context.abortCallback == nullptr && !context.embeddings && context.offloadKqv && context.opOffload
           && context.samplers == nullptr && context.samplerCount == 0 && context.otherContext == nullptr;
}

}  // namespace

LlamaLibrary::LlamaLibrary() : m_functions(std::make_unique<Functions>()) {}

LlamaLibrary::~LlamaLibrary() = default;  // the libraries keep threads and atexit handlers: they stay loaded

std::unique_ptr<LlamaLibrary> LlamaLibrary::open(std::string& problem)
{
    auto library = std::unique_ptr<LlamaLibrary>(new LlamaLibrary);
    const fs::path folder = libraryFolder();
    for (const char* name : {"libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"}) {
        void* handle = dlopen((folder / name).c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (handle == nullptr) {
            problem = std::string(dlerror()) + "\nrun tests/interop/setup.sh and set SIGMASCOPE_ORACLES to its folder";
            return nullptr;
        }
        library->m_handles.push_back(handle);
    }
    Functions& f = *library->m_functions;
    const std::vector<void*>& handles = library->m_handles;
    const bool resolved = resolve(handles, "ggml_quantize_chunk", f.quantizeChunk, problem)
                          && resolve(handles, "ggml_get_type_traits", f.typeTraits, problem)
                          && resolve(handles, "ggml_backend_load_all_from_path", f.loadBackends, problem)
                          && resolve(handles, "llama_backend_init", f.backendInit, problem)
                          && resolve(handles, "llama_log_set", f.setLog, problem)
                          && resolve(handles, "llama_model_default_params", f.modelDefaults, problem)
                          && resolve(handles, "llama_context_default_params", f.contextDefaults, problem)
                          && resolve(handles, "llama_model_load_from_file", f.loadModel, problem)
                          && resolve(handles, "llama_model_free", f.freeModel, problem)
                          && resolve(handles, "llama_init_from_model", f.makeContext, problem)
                          && resolve(handles, "llama_free", f.freeContext, problem)
                          && resolve(handles, "llama_model_get_vocab", f.vocabulary, problem)
                          && resolve(handles, "llama_vocab_n_tokens", f.vocabularySize, problem)
                          && resolve(handles, "llama_tokenize", f.tokenize, problem)
                          && resolve(handles, "llama_adapter_lora_init", f.loadAdapter, problem)
                          && resolve(handles, "llama_set_adapters_lora", f.setAdapters, problem)
                          && resolve(handles, "llama_decode", f.decode, problem)
                          && resolve(handles, "llama_get_logits_ith", f.logits, problem);
    if (!resolved)
        return nullptr;
    f.setLog(collectLog, nullptr);
    f.loadBackends(folder.c_str());
    f.backendInit();
    if (!defaultsAreAsDeclared(f.modelDefaults(), f.contextDefaults())) {
        problem = "llama.cpp's parameter structures are not those of the pinned version";
        return nullptr;
    }
    return library;
}

std::vector<std::byte> LlamaLibrary::quantize(DType type, std::span<const float> values, std::int64_t rows, std::int64_t cols,
                                              std::span<const float> importance) const
{
    std::vector<std::byte> out(*checkedByteSize(type, std::array{static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols)}));
    m_functions->quantizeChunk(info(type).ggmlId, values.data(), out.data(), 0, rows, cols,
                               importance.empty() ? nullptr : importance.data());
    return out;
}

std::vector<float> LlamaLibrary::toFloat(DType type, std::span<const std::byte> bytes, std::int64_t count) const
{
    std::vector<float> out(static_cast<std::size_t>(count));
    m_functions->typeTraits(info(type).ggmlId)->toFloat(bytes.data(), out.data(), count);
    return out;
}

namespace {

/// Frees in reverse order of construction, whatever way the test leaves.
struct Freed {
    void* object = nullptr;
    void (*release)(void*) = nullptr;
    ~Freed()
    {
        if (object != nullptr)
            release(object);
    }
};

}  // namespace

std::optional<LlamaLibrary::Run> LlamaLibrary::evaluate(const fs::path& modelPath, const fs::path& adapterPath,
                                                        std::span<const std::int32_t> tokens, std::string& problem) const
{
    const Functions& f = *m_functions;
    g_log.clear();
    const auto refused = [&](const char* what) {
        problem = std::string(what) + ": " + g_log;
        return std::nullopt;
    };
    ModelParams modelParams = f.modelDefaults();
    modelParams.gpuLayers = 0;
    modelParams.checkTensors = true;
    modelParams.useExtraBuffers = false;  // repacked weights would take another path than the adapter
    const Freed model{f.loadModel(modelPath.c_str(), modelParams), f.freeModel};
    if (model.object == nullptr)
        return refused("the model is refused");
    ContextParams params = f.contextDefaults();
    params.context = params.batch = params.microBatch = static_cast<std::uint32_t>(tokens.size());
    params.threads = params.threadsBatch = 1;
    params.flashAttention = kFlashAttentionOff;
    params.typeK = params.typeV = kGgmlF32;
    const Freed context{f.makeContext(model.object, params), f.freeContext};
    if (context.object == nullptr)
        return refused("no context");
    if (!adapterPath.empty()) {
        void* adapter = f.loadAdapter(model.object, adapterPath.c_str());  // freed with its model
        float scale = 1;
        if (adapter == nullptr || f.setAdapters(context.object, &adapter, 1, &scale) != 0)
            return refused("the adapter is refused");
    }

    std::vector<std::int32_t> ids(tokens.begin(), tokens.end());
    std::vector<std::int32_t> positions(ids.size());
    std::vector<std::int32_t> counts(ids.size(), 1);
    std::int32_t sequence = 0;
    std::vector<std::int32_t*> sequences(ids.size(), &sequence);
    std::vector<std::int8_t> wanted(ids.size(), 1);
    for (std::size_t i = 0; i < positions.size(); ++i)
        positions[i] = static_cast<std::int32_t>(i);
    const Batch batch{static_cast<std::int32_t>(ids.size()), ids.data(), nullptr, positions.data(), counts.data(), sequences.data(),
                      wanted.data()};
    if (f.decode(context.object, batch) != 0)
        return refused("decoding fails");

    Run run;
    run.vocabulary = static_cast<std::size_t>(f.vocabularySize(f.vocabulary(model.object)));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const float* row = f.logits(context.object, static_cast<std::int32_t>(i));
        if (row == nullptr)
            return refused("a position has no logits");
        run.logits.insert(run.logits.end(), row, row + run.vocabulary);
    }
    return run;
}

std::optional<std::vector<std::int32_t>> LlamaLibrary::tokenize(const fs::path& modelPath, std::string_view text,
                                                                std::string& problem, bool special) const
{
    const Functions& f = *m_functions;
    g_log.clear();
    ModelParams params = f.modelDefaults();
    params.gpuLayers = 0;
    params.vocabOnly = true;
    const Freed model{f.loadModel(modelPath.c_str(), params), f.freeModel};
    if (model.object == nullptr) {
        problem = "the vocabulary is refused: " + g_log;
        return std::nullopt;
    }
    std::vector<std::int32_t> ids(text.size() + 8);
    const std::int32_t count = f.tokenize(f.vocabulary(model.object), text.data(), static_cast<std::int32_t>(text.size()), ids.data(),
                                          static_cast<std::int32_t>(ids.size()), true, special);
    if (count < 0) {
        problem = "tokenizing fails: " + g_log;
        return std::nullopt;
    }
    ids.resize(static_cast<std::size_t>(count));
    return ids;
}

}  // namespace sigmascope
