#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may include whom. check_includes.py SOURCE_DIR: prints every violation, exits 1 if there is one.

check_includes.py --self-test: plants violations in memory and fails unless each is found.
"""
import pathlib
import re
import sys

BASE = {"core/base"}
TENSOR = BASE | {"core/tensor"}
COMPUTE = TENSOR | {"core/compute"}
CHECKPOINT = TENSOR | {"core/checkpoint"}
CALIBRATION = COMPUTE | CHECKPOINT | {"core/calibration"}
GRID = COMPUTE | {"core/grid"}
METHOD = GRID | CALIBRATION
PLAN = METHOD | {"core/solve", "core/lowrank", "core/plan"}
CORE = PLAN | {"core/model", "core/analysis", "core/export", "core/project"}
LOOK = {"ui", "ui/text", "ui/widgets"}

# folder -> folders it may include besides itself; arrows point down
LAYERS = {
    "core/base": set(),
    "core/tensor": BASE,
    "core/checkpoint": TENSOR,
    "core/compute": TENSOR,
    "core/analysis": COMPUTE,
    "core/calibration": CALIBRATION,
    "core/grid": COMPUTE,
    "core/solve": METHOD,
    "core/lowrank": METHOD,
    "core/plan": PLAN,
    "core/model": CALIBRATION,
    "core/export": PLAN | {"core/model"},
    "core/project": CORE,
    "gpu": COMPUTE,
    "ui/text": BASE,  # numbers as they are read: no widget, so that sessions may use it
    "ui/session": CORE | {"ui/text"},
    "ui/models": CORE | {"ui", "ui/text", "ui/session"},
    "ui/widgets": {"ui", "ui/text", "ui/models"},
    "ui/plots": {"core/compute", "core/analysis", "core/lowrank"} | LOOK,
    "ui/panels": CORE | LOOK | {"ui/session", "ui/models", "ui/plots"},
    "ui": CORE | LOOK | {"ui/session", "ui/models", "ui/plots", "ui/panels"},
    "app": None,  # the composition root may include everything …
}
NEVER_INCLUDED = {"app"}  # … and is included by nobody else

# third-party header -> files that may name it (prefixes)
DOORS = {
    r"Eigen/": ["core/tensor/Matrix.h"],
    r"hdf5|H5public": ["core/base/Hdf5"],
    r"nlohmann/": ["core/base/Json."],
    r"openssl/": ["core/base/Sha256.cpp"],
    r"cblas|lapacke": ["core/tensor/Blas.cpp"],
    r"sentencepiece": ["core/model/TokenizerSpm.cpp"],
    r"CLI/": ["app/cli/"],
    r"vulkan/|volk": ["gpu/Vulkan."],
    r"qcustomplot": ["ui/plots/"],
}
QT_FREE = ("core/", "gpu/", "app/cli/", "app/Composition")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def folder_of(path):
    """The layer a file belongs to: the longest known folder above it."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in LAYERS:
            return "/".join(parts)
        parts.pop()
    return None


def violations(path, text):
    layer = folder_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        own, system = match.groups()
        target = own or system
        where = f"{path}:{number}: "
        if own and folder_of(own):
            other = folder_of(own)
            allowed = LAYERS[layer]
            if other in NEVER_INCLUDED and layer != other:
                yield f"{where}{own} belongs to the composition root, which nobody includes"
            elif allowed is not None and other != layer and other not in allowed:
                yield f"{where}{layer} may not include {other} ({own})"
        for pattern, doors in DOORS.items():
            if re.match(pattern, target, re.IGNORECASE) and not any(path.startswith(d) for d in doors):
                yield f"{where}<{target}> has one door: {', '.join(doors)}"
        if system and re.match(r"Q[A-Z]|Qt", system) and path.startswith(QT_FREE):
            yield f"{where}<{system}>: no Qt here"


def self_test():
    planted = {
        "core/base/Result.h": '#include "core/tensor/DType.h"\n',
        "core/grid/Grid.cpp": '#include "core/lowrank/Spectrum.h"\n',
        "core/lowrank/Spectrum.cpp": "#include <Eigen/Dense>\n",
        "core/export/X.cpp": "#include <QString>\n",
        "ui/panels/Y.cpp": "#include <qcustomplot.h>\n",
        "ui/session/S.cpp": '#include "gpu/Device.h"\n',
        "gpu/B.cpp": '#include "core/grid/Grid.h"\n',
        "ui/MainWindow.cpp": '#include "app/Composition.h"\n',
        "core/plan/P.cpp": "#include <nlohmann/json.hpp>\n",
    }
    missed = [path for path, text in planted.items() if not list(violations(path, text))]
    fine = list(violations("core/lowrank/Spectrum.cpp", '#include "core/tensor/Blas.h"\n#include <vector>\n'))
    for path in missed:
        print(f"self-test: the violation planted in {path} was not found")
    for line in fine:
        print(f"self-test: found a violation where there is none: {line}")
    return 1 if missed or fine else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1])
    found, files = [], 0
    for top in ("app", "core", "gpu", "ui"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".inl"):
                continue
            files += 1
            found += violations(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    print("\n".join(found) if found else f"{files} files obey the layers and the doors")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
