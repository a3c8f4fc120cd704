// SPDX-License-Identifier: GPL-3.0-or-later
#include "Hostile.h"

#include <QtTest>

// reliability 59-66: where a GGUF's tensors lie, and files cut short.

using namespace sigmascope;
using namespace sigmascope::test;

class TestHostileGgufLayout : public QObject {
    Q_OBJECT

private slots:
    void unalignedOffsetWarns();
    void offsetPastTheEndIsRefused();
    void offsetThatWrapsIsRefused();
    void overlapIsRefused();
    void outOfOrderOpens();
    void holeWarns();
    void bytesAfterTheLastTensorWarn();
    void paddingThatIsNotZeroOpens();
    void longNameWarns();
    void duplicateNameIsRefused();
    void cutAtEveryByteNeverCrashes();
    void cutInTheDataMarksTheTensorsPastTheEnd();
    void scalesThatAreNotFiniteAreNoMatterOfTheContainer();
};

namespace {

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ8_0 = 8;

}  // namespace

void TestHostileGgufLayout::unalignedOffsetWarns()  // 59
{
    GgufBytes file;
    file.tensor("a", {8}, kF32, 0).tensor("b", {2}, kF32, 33).withData(41);
    const Folder folder;
    expectWarned(folder.write("a.gguf", file.bytes()), ErrorCode::BadAlignment, {"a.gguf", "tensor 'b'", "offset 33", "32", "at byte"});
}

void TestHostileGgufLayout::offsetPastTheEndIsRefused()  // 60
{
    GgufBytes file;
    file.tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 1 << 20).withData(64);
    const Folder folder;
    expectRefused(folder.write("a.gguf", file.bytes()), ErrorCode::RangeOutOfFile,
                  {"a.gguf", "tensor 'b'", "at byte " + std::to_string(file.dataStart() + (1 << 20)), std::to_string(file.bytes().size())});
}

void TestHostileGgufLayout::offsetThatWrapsIsRefused()  // 60
{
    const Folder folder;
    for (const std::uint64_t offset : {~0ULL, ~0ULL - 31, ~0ULL - 200}) {
        GgufBytes file;
        file.tensor("b", {8}, kF32, offset).withData(64);
        expectRefused(folder.write("a.gguf", file.bytes()), ErrorCode::RangeOutOfFile, {"a.gguf", "tensor 'b'", "at byte"});
    }
}

void TestHostileGgufLayout::overlapIsRefused()  // 61
{
    GgufBytes file;
    file.tensor("a", {16}, kF32, 0).tensor("b", {8}, kF32, 32).withData(64);
    const Folder folder;
    expectRefused(folder.write("a.gguf", file.bytes()), ErrorCode::Overlap,
                  {"a.gguf", "tensor 'b'", "tensor 'a' by 32", "at byte " + std::to_string(file.dataStart() + 32)});
}

void TestHostileGgufLayout::outOfOrderOpens()  // 62
{
    GgufBytes file;
    file.tensor("late", {8}, kF32, 32).tensor("early", {8}, kF32, 0).withData(32);
    file.data += std::string(32, '\x02');
    const Folder folder;
    const auto opened = openedClean(folder.write("a.gguf", file.bytes()));
    QVERIFY(opened);
    QVERIFY(opened->view(*opened->find("late"))->bytes[0] == std::byte{2});
    QVERIFY(opened->view(*opened->find("early"))->bytes[0] == std::byte{1});
}

void TestHostileGgufLayout::holeWarns()
{
    GgufBytes file;
    file.tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 64).withData(96);
    const Folder folder;
    expectWarned(folder.write("a.gguf", file.bytes()), ErrorCode::Hole, {"a.gguf", "tensor 'b'", "hole of 32 bytes", "at byte"});
}

void TestHostileGgufLayout::bytesAfterTheLastTensorWarn()
{
    GgufBytes file;
    file.tensor("a", {8}, kF32, 0).withData(40);
    const Folder folder;
    expectWarned(folder.write("a.gguf", file.bytes()), ErrorCode::UncoveredBytes, {"a.gguf", "8 bytes follow", "at byte"});
}

void TestHostileGgufLayout::paddingThatIsNotZeroOpens()  // 63
{
    GgufBytes file;
    file.padding = '\xee';
    file.tensor("w", {2}, kF32, 0).withData(32);
    const Folder folder;
    QVERIFY(openedClean(folder.write("a.gguf", file.bytes())));
}

void TestHostileGgufLayout::longNameWarns()  // 64
{
    GgufBytes file;
    file.tensor(std::string(63, 'n'), {8}, kF32, 0).withData(32);
    const Folder folder;
    QVERIFY(openedClean(folder.write("fits.gguf", file.bytes())));
    GgufBytes longer;
    longer.tensor(std::string(64, 'n'), {8}, kF32, 0).withData(32);
    expectWarned(folder.write("long.gguf", longer.bytes()), ErrorCode::MalformedHeader,
                 {"long.gguf", "tensor '" + std::string(64, 'n'), "64 bytes", "at byte 24"});
}

void TestHostileGgufLayout::duplicateNameIsRefused()  // 64
{
    GgufBytes file;
    file.tensor("w", {8}, kF32, 0).tensor("w", {8}, kF32, 32).withData(64);
    const Folder folder;
    expectRefused(folder.write("a.gguf", file.bytes()), ErrorCode::DuplicateName, {"a.gguf", "tensor 'w'", "twice", "at byte 57"});
}

void TestHostileGgufLayout::cutAtEveryByteNeverCrashes()  // 65
{
    GgufBytes file;
    file.text("general.architecture", "llama").u32("general.alignment", 32).key("tokens", 9, le(8U) + le(2ULL) + ggufString("a") + ggufString("bc"));
    file.key("flags", 9, le(7U) + le(2ULL) + std::string("\0\x01", 2));
    for (std::uint64_t i = 0; i < 6; ++i)
        file.tensor("blk." + std::to_string(i) + ".attn_q.weight", {32, 8}, kQ8_0, i * 288);  // 272 bytes, padded
    file.withData(6 * 288);
    const std::string whole = file.bytes();
    QVERIFY(whole.size() > 2000 && whole.size() < 4096);
    const Folder folder;
    const std::size_t headerEnd = file.header().size();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto opened = Checkpoint::open(folder.write("cut.gguf", whole.substr(0, size)));
        QCOMPARE(opened.has_value(), size >= headerEnd);
        if (!opened) {
            const ErrorCode code = opened.error().code;
            QVERIFY2(code == ErrorCode::Truncated || code == ErrorCode::MalformedHeader, opened.error().detail.c_str());
            QVERIFY2(opened.error().detail.find("cut.gguf: ") != std::string::npos, opened.error().detail.c_str());
            QVERIFY2(opened.error().detail.find("at byte ") != std::string::npos, opened.error().detail.c_str());
            continue;
        }
        QCOMPARE((*opened)->tensors().size(), 6U);
        for (std::size_t t = 0; t < 6; ++t) {
            const TensorInfo& tensor = (*opened)->tensors()[t];
            const bool whollyThere = tensor.offset + tensor.bytes <= size;
            QCOMPARE(tensor.state == TensorState::Ok, whollyThere);
            QCOMPARE((*opened)->view(t).has_value(), whollyThere);
        }
    }
    QVERIFY(openedClean(folder.write("whole.gguf", whole)));
}

void TestHostileGgufLayout::cutInTheDataMarksTheTensorsPastTheEnd()  // 66
{
    GgufBytes file;
    file.tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 32).tensor("c", {8}, kF32, 64).withData(96);
    const std::string cut = file.bytes().substr(0, file.dataStart() + 40);
    const Folder folder;
    const auto path = folder.write("a.gguf", cut);
    expectWarned(path, ErrorCode::Truncated,
                 {"a.gguf", "tensor 'b'", "at byte " + std::to_string(file.dataStart() + 32), "incomplete",
                  std::to_string(cut.size()) + " of " + std::to_string(file.bytes().size()) + " bytes", "2 tensors"});
    const auto opened = Checkpoint::open(path);
    QVERIFY(opened);
    QVERIFY((*opened)->view(0));
    QVERIFY((*opened)->isIncomplete());
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
        QCOMPARE((*opened)->tensors()[i].state, TensorState::Truncated);
        const auto view = (*opened)->view(i);
        QVERIFY(!view);
        expectError(view.error(), ErrorCode::Truncated, {i == 1 ? "tensor 'b'" : "tensor 'c'", "at byte", std::to_string(cut.size())});
    }
    folder.write("a.gguf", file.bytes());  // 41: the download ends, the user asks again
    const auto whole = openedClean(path);
    QVERIFY(whole && !whole->isIncomplete());
}

void TestHostileGgufLayout::scalesThatAreNotFiniteAreNoMatterOfTheContainer()
{
    GgufBytes file;
    file.tensor("w", {32}, kQ8_0, 0);
    file.data = std::string("\xff\x7f", 2) + std::string(62, '\x01');
    const Folder folder;
    QVERIFY(openedClean(folder.write("a.gguf", file.bytes())));
}

QTEST_APPLESS_MAIN(TestHostileGgufLayout)
#include "tst_hostile_gguf_layout.moc"
