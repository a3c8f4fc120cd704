// SPDX-License-Identifier: GPL-3.0-or-later
// Run once for every value of SIGMASCOPE_SIMD: the variable lowers the level, and never raises it.
#include "core/compute/ComputeBackend.h"
#include "core/compute/Kernels.h"

#include <QTest>

#include <string_view>
#include <vector>

using namespace sigmascope;

class TestSimdLevel : public QObject {
    Q_OBJECT

private slots:
    void theEnvironmentLowersTheLevelAndNeverRaisesIt()
    {
        const std::string wanted = qEnvironmentVariable("SIGMASCOPE_SIMD").toStdString();
        std::vector<std::string_view> usable;
        for (const kernels::KernelTable* table : usableKernelTables())
            usable.emplace_back(table->level);
        const bool known = std::ranges::find(usable, wanted) != usable.end();
        QCOMPARE(simdLevel(), known ? std::string_view(wanted) : usable.back());
    }

    void theLevelIsReadOnce()
    {
        const std::string before(simdLevel());
        qputenv("SIGMASCOPE_SIMD", before == "scalar" ? "avx2" : "scalar");
        QCOMPARE(simdLevel(), std::string_view(before));
    }
};

QTEST_APPLESS_MAIN(TestSimdLevel)
#include "tst_simd_level.moc"
