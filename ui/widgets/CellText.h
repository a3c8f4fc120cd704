// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/Theme.h"

#include <QCache>
#include <QFontMetrics>
#include <QStaticText>
#include <QString>

#include <map>

class QPainter;
class QRect;

namespace sigmascope::ui {

/// One-line words of table cells, elided and shaped once: a table whose rows all change paints them again within a
/// frame. Right-aligned or left-aligned, centred in height.
class CellText {
public:
    /// In the painter's pen.
    void paint(QPainter& painter, const QRect& rect, bool isRight, FontRole role, const QString& text);

private:
    struct Key {
        QString text;
        int width = 0;
        FontRole role = FontRole::Body;
        friend bool operator==(const Key&, const Key&) = default;
        friend size_t qHash(const Key& key, size_t seed)
        {
            return qHashMulti(seed, key.text, key.width, static_cast<int>(key.role));
        }
    };
    struct Shaped {
        QStaticText text;
        double advance = 0;
    };
    struct Face {
        QFont font;
        QFontMetrics metrics;
    };
    const Face& face(FontRole role);

    QFont m_base;  // of the application, of which the faces are made
    std::map<FontRole, Face> m_faces;
    QCache<Key, Shaped> m_shaped{4096};
};

}  // namespace sigmascope::ui
