#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Are the translations complete? check_translations.py LUPDATE SOURCE_DIR: prints every fault, exits 1 if there is one.

Compares resources/i18n/*.ts with what lupdate finds in the sources now: a sentence that is missing, left over or
unfinished, placeholders that differ, a plural form too few. check_translations.py --self-test plants such faults.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

PLURAL_FORMS = 2  # English and German alike
PLACEHOLDER = re.compile(r"%L?(\d+)")
SHORTCUT = re.compile(r"(?:(?:Ctrl|Alt|Shift)\+)+.|F\d+|Space|[+=_-]|[A-Z]|(?:(?:Ctrl|Alt|Shift)\+)+Tab|Shift\+F\d")


def messages(root):
    """(context, source, comment) -> message element"""
    found = {}
    for context in root.iter("context"):
        for message in context.iter("message"):
            key = (context.findtext("name"), message.findtext("source"), message.findtext("comment") or "")
            found[key] = message
    return found


def texts(message):
    translation = message.find("translation")
    if translation is None:
        return []
    if message.get("numerus") == "yes":
        return [form.text or "" for form in translation.iter("numerusform")]
    return [translation.text or ""]


def faults(name, key, message):
    context, source, _ = key
    where = f"{name}: {context}: “{source}”: "
    translation = message.find("translation")
    forms = texts(message)
    if translation is None or translation.get("type") in ("unfinished", "vanished", "obsolete"):
        yield f"{where}not translated, or marked unfinished"
        return
    if message.get("numerus") == "yes" and len(forms) != PLURAL_FORMS:
        yield f"{where}{len(forms)} plural forms, {PLURAL_FORMS} expected"
    for form in forms:
        if not form.strip() and source.strip():
            yield f"{where}empty"
            continue
        if sorted(set(PLACEHOLDER.findall(form))) != sorted(set(PLACEHOLDER.findall(source))):
            yield f"{where}placeholders differ in “{form}”"
        if source.endswith("…") != form.endswith("…"):
            yield f"{where}“…” says that a dialog follows: “{form}”"
        if (source[:1] == " ", source[-1:] == " ") != (form[:1] == " ", form[-1:] == " "):
            yield f"{where}space at an end differs: “{form}”"
        if SHORTCUT.fullmatch(source) and source != form:
            yield f"{where}a key, to be left as it is: “{form}”"
        if re.search(r"\(s\)", form):
            yield f"{where}a plural form is written out: “{form}”"


def compare(name, wanted, kept):
    found = []
    for key in wanted.keys() - kept.keys():
        found.append(f"{name}: {key[0]}: “{key[1]}”: in the sources, not in the file (run the target update_translations)")
    for key in kept.keys() - wanted.keys():
        found.append(f"{name}: {key[0]}: “{key[1]}”: no longer in the sources (run the target update_translations)")
    for key in wanted.keys() & kept.keys():
        found += faults(name, key, kept[key])
    return sorted(found)


def extract(lupdate, root, extra):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "now_de.ts"
        command = [lupdate, "-silent", "-locations", "none", "-no-obsolete", "-I", str(root), "-extensions", "cpp,h", *extra,
                   str(root / "ui"), str(root / "app/main.cpp"), "-ts", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return messages(ET.parse(out).getroot())


def self_test():
    def ts(body):
        return messages(ET.fromstring(f"<TS><context><name>c</name>{body}</context></TS>"))

    def plain(source, translation, kind=""):
        return f"<message><source>{source}</source><translation{kind}>{translation}</translation></message>"

    source = ts(plain("Open %1", "", ' type="unfinished"'))
    plural = ts('<message numerus="yes"><source>%n layer(s)</source><translation><numerusform>%n Schicht</numerusform>'
                "</translation></message>")
    planted = {
        "missing": (source, ts("")),
        "left over": (ts(""), source),
        "unfinished": (source, source),
        "empty": (source, ts(plain("Open %1", ""))),
        "placeholder": (source, ts(plain("Open %1", "Öffnen"))),
        "plural": (plural, plural),
        "dots": (ts(plain("Open…", "")), ts(plain("Open…", "Öffnen"))),
        "key": (ts(plain("Ctrl+O", "")), ts(plain("Ctrl+O", "Strg+O"))),
    }
    missed = [name for name, (wanted, kept) in planted.items() if not compare("t", wanted, kept)]
    fine = compare("t", source, ts(plain("Open %1", "%1 öffnen")))
    for name in missed:
        print(f"self-test: the planted fault “{name}” was not found")
    for line in fine:
        print(f"self-test: found a fault where there is none: {line}")
    return 1 if missed or fine else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    lupdate, root = sys.argv[1], pathlib.Path(sys.argv[2])
    found, count = [], 0
    for language, extra in (("de", []), ("en", ["-pluralonly"])):
        name = f"sigmascope_{language}.ts"
        wanted = extract(lupdate, root, extra)
        count += len(wanted)
        found += compare(name, wanted, messages(ET.parse(root / "resources/i18n" / name).getroot()))
    print("\n".join(found) if found else f"{count} sentences are translated")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
