#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a sentence reach the user untranslated? check_literals.py SOURCE_DIR: prints every suspicious literal, exits 1.

Suspicious is a literal with words in it that is handed to something the user sees, and any literal outside tr() that
reads like a sentence. check_literals.py --self-test plants some.
"""
import pathlib
import re
import sys

SHOWN = re.compile(
    r"\b(?:setText|setToolTip|setStatusTip|setWhatsThis|setWindowTitle|setPlaceholderText|setAccessibleName|"
    r"setAccessibleDescription|setPrefix|setSuffix|setSpecialValueText|setHeaderLabels|setNameFilters?|addItem|addAction|"
    r"addTab|addMenu|addLegend|raiseMessage|messageRaised|showMessage|showEmpty|showLoading|showStale|setReadout|setHint|"
    r"QLabel|QPushButton|QCheckBox|QRadioButton|QAction|QDockWidget|QGroupBox|ElidedLabel|DockTitle|"
    r"sectionTitle|caption|formLabel|drawText|QUndoCommand|push)\(\s*(?:[^;\"]*?)"
    r"(?:QStringLiteral\(|QLatin1String\(|QString\(|u)?\"((?:[^\"\\]|\\.)*)\"")
LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
TRANSLATED = re.compile(r"(?:\btr|\btranslate|QT_TR_NOOP|QT_TRANSLATE_NOOP)\(\s*(?:\"[^\"]*\",\s*)*$")
WORD = re.compile(r"[A-Za-zÀ-ž]{2,}")
SENTENCE = re.compile(r"[A-Za-zÀ-ž]{2,},? [A-Za-zÀ-ž]{2,}")
# Written to files or for machines: headers of CSV and their units, the report, markup, names of fonts, patterns.
NOT_SHOWN = re.compile(r"^#|squared_error|in weights|input_rms|channels; |W and input|row\\\\column|statistic,value|"
                       r"<svg|<span|<br/>|color-mix|JetBrains|DejaVu|Noto Sans|^:/|\.safetensors|none: plain metric")


def joined(code):
    """Literals that the compiler joins are one sentence."""
    parts, end = [], 0
    for match in LITERAL.finditer(code):
        between = code[end:match.start()]
        if parts and not between.strip():
            parts[-1] = parts[-1][:-1] + match.group(0)[1:]
        else:
            parts += [between, match.group(0)]
        end = match.end()
    return "".join(parts) + code[end:]


def statements(text):
    """Statements on one line, without comments."""
    number, start, held = 0, 0, ""
    for line in text.splitlines():
        number += 1
        code = re.sub(r"(?<![:\"])//.*$", "", line)
        if not held:
            start = number
        held += (" " if held else "") + code.strip()
        if held and not held.endswith((";", "{", "}", "public:", "private:")) and not held.startswith("#") and len(held) < 2000:
            continue
        yield start, joined(held)
        held = ""
    if held:
        yield start, joined(held)


def findings(path, text):
    for number, code in statements(text):
        # Details of errors are technical English by design: the code before them is what gets translated.
        if code.startswith("#") or "ErrorCode::" in code:
            continue
        for match in LITERAL.finditer(code):
            words = re.sub(r"%\d|\\n", " ", match.group(1))
            before = code[:match.start()]
            if TRANSLATED.search(before) or NOT_SHOWN.search(match.group(1)) or not WORD.search(words):
                continue
            opened = re.search(r"(\w+)\(\s*(?:QStringLiteral\(|QLatin1String\(|QString\(|u)?$", before)
            isShown = bool(SHOWN.match(code[opened.start():])) if opened else False
            if isShown or SENTENCE.search(words):
                yield f"{path}:{number}: “{match.group(1)}” is not translated"


def self_test():
    planted = [
        'label->setText(QStringLiteral("Over budget"));',
        'auto* button = new QPushButton(QStringLiteral("Stop"));',
        'box->setToolTip("Opens a file");',
        'return QStringLiteral("nothing to show");',
        'field->setAccessibleName(\n    QStringLiteral("Name"));',
    ]
    sound = [
        'label->setText(tr("Over budget"));',
        'name->setObjectName(QStringLiteral("recheckOpen"));',
        'return tr("%1 of %2",\n          "first of all");',
        'plot->setText(QStringLiteral("%1 · %2").arg(a, b));',
        '// QStringLiteral("only a comment here")',
        'return tr("The first half "\n          "and the second half");',
        'return fail(ErrorCode::NotFound, "no model is open");',
    ]
    missed = [code for code in planted if not list(findings("f.cpp", code))]
    wrong = [code for code in sound if list(findings("f.cpp", code))]
    for code in missed:
        print(f"self-test: not found: {code}")
    for code in wrong:
        print(f"self-test: found though it is sound: {code}")
    return 1 if missed or wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1])
    found, files = [], 0
    for path in sorted([*(root / "ui").rglob("*.cpp"), *(root / "ui").rglob("*.h"), root / "app/main.cpp"]):
        files += 1
        found += findings(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    print("\n".join(found) if found else f"{files} files: every sentence is translated")
    return 1 if found or files < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
