// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/ReportFile.h"

#include "core/base/AtomicFile.h"
#include "core/base/Sha256.h"

#include <QBuffer>
#include <QHash>
#include <QImage>
#include <QMarginsF>
#include <QPageSize>
#include <QPainter>
#include <QPdfWriter>
#include <QRegularExpression>
#include <QSvgRenderer>
#include <QTextDocument>
#include <QUrl>

#include <array>
#include <utility>

namespace sigmascope::ui {

namespace {

/// Qt's rich text knows neither CSS variables nor SVG: paper gets the light colours and the charts as pictures.
constexpr std::array<std::pair<const char*, const char*>, 10> kPaper{{{"base", "#ffffff"},
                                                                      {"panel", "#f6f7f8"},
                                                                      {"line", "#d5d9dd"},
                                                                      {"grid", "#e2e5e8"},
                                                                      {"tx", "#1b1f24"},
                                                                      {"tx2", "#454d56"},
                                                                      {"es", "#0068b0"},
                                                                      {"e", "#b85c00"},
                                                                      {"q", "#13855f"},
                                                                      {"lr", "#8f3070"}}};
constexpr double kChartScale = 3;       ///< pixels per unit of a chart: 300 dots an inch on A4
constexpr int kPageUnits = 720;         ///< width of the text in layout units

QString chartStyle()
{
    return QStringLiteral("<style>.grid{stroke:#e2e5e8}.tick{fill:#454d56;font-size:11px;text-anchor:end}.e{fill:#b85c00}"
                          ".es{fill:none;stroke:#0068b0;stroke-width:1.5}.bits{fill:#13855f}.rank{fill:#8f3070}</style>");
}

QImage drawn(const QString& svg)
{
    QString whole = svg;
    whole.insert(whole.indexOf(u'>') + 1, chartStyle());
    whole.replace(0, 4, QStringLiteral("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    QSvgRenderer renderer(whole.toUtf8());
    QImage image((renderer.defaultSize().toSizeF() * kChartScale).toSize(), QImage::Format_RGB32);
    image.fill(Qt::white);
    QPainter painter(&image);
    renderer.render(&painter);
    return image;
}

/// Colours spelled out, and mixed where the page lets the browser mix them.
QString withPaperColours(QString html)
{
    static const QRegularExpression mix(QStringLiteral("color-mix\\(in srgb,var\\(--e\\) (\\d+)%,transparent\\)"));
    for (auto match = mix.match(html); match.hasMatch(); match = mix.match(html, match.capturedStart())) {
        const int share = match.captured(1).toInt();
        const auto blend = [share](int over) { return 255 + (over - 255) * share / 100; };
        html.replace(match.capturedStart(), match.capturedLength(), QColor(blend(0xb8), blend(0x5c), blend(0x00)).name());
    }
    for (const auto& [name, colour] : kPaper)
        html.replace(QStringLiteral("var(--%1)").arg(QLatin1String(name)), QLatin1String(colour));
    return html;
}

QByteArray pdfOf(const ReportInput& input)
{
    QString html = withPaperColours(QString::fromStdString(htmlReport(input)));
    QTextDocument document;
    static const QRegularExpression chart(QStringLiteral("<svg.*?</svg>"), QRegularExpression::DotMatchesEverythingOption);
    int count = 0;
    for (auto match = chart.match(html); match.hasMatch(); match = chart.match(html, match.capturedStart() + 1)) {
        const QString name = QStringLiteral("chart%1").arg(count++);
        document.addResource(QTextDocument::ImageResource, QUrl(name), drawn(match.captured()));
        html.replace(match.capturedStart(), match.capturedLength(),
                     QStringLiteral("<br/><img src=\"%1\" width=\"%2\"/>").arg(name).arg(kPageUnits));
    }
    // The page's rules for screens would be half understood; these few are understood whole.
    static const QRegularExpression style(QStringLiteral("<style>.*?</style>"), QRegularExpression::DotMatchesEverythingOption);
    html.remove(style);
    document.setDefaultStyleSheet(QStringLiteral("body{font-family:Inter;font-size:8pt}h1{font-size:16pt}h2{font-size:11pt}"
                                                 "td,th{padding-right:8px;font-size:7pt}td.n,th.n{text-align:right}"
                                                 "td.m,pre{font-family:'JetBrains Mono';font-size:6pt}p{color:#454d56}"));
    document.setHtml(html);

    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    QPdfWriter writer(&buffer);
    writer.setTitle(QString::fromStdString(input.model));
    writer.setCreator(QStringLiteral("Sigmascope"));
    writer.setPageSize(QPageSize(QPageSize::A4));
    writer.setPageMargins(QMarginsF(15, 15, 15, 15), QPageLayout::Millimeter);
    QPainter painter(&writer);
    const double scale = static_cast<double>(writer.width()) / kPageUnits;
    const QSizeF page(kPageUnits, writer.height() / scale);
    document.setDocumentMargin(0);
    document.setPageSize(page);
    for (int i = 0; i < document.pageCount(); ++i) {
        if (i > 0)
            writer.newPage();
        painter.save();
        painter.scale(scale, scale);
        painter.translate(0, -i * page.height());
        document.drawContents(&painter, QRectF(QPointF(0, i * page.height()), page));
        painter.restore();
    }
    painter.end();
    return bytes;
}

Status addHashes(ReportInput& input, const JobContext& job)
{
    input.sha256.clear();
    for (const OutputFile& output : input.run.outputs) {
        job.report(0, output.path.filename().string());
        std::error_code error;
        const auto size = std::filesystem::file_size(output.path, error);
        if (error || size != output.bytes)
            return fail(ErrorCode::FileChanged, {.file = output.path.string()},
                        error ? error.message()
                              : "expected " + std::to_string(output.bytes) + " bytes as the run wrote, found " + std::to_string(size));
        auto hash = sha256OfFile(output.path, job);
        if (!hash)
            return passOn(hash);
        input.sha256.push_back(std::move(*hash));
    }
    return {};
}

}  // namespace

Status writeReport(ReportInput input, const std::filesystem::path& path, const JobContext& job)
{
    if (const Status hashed = addHashes(input, job); !hashed)
        return passOn(hashed);
    QByteArray bytes;
    if (QString::fromStdString(path.extension().string()).compare(QLatin1String(".pdf"), Qt::CaseInsensitive) == 0)
        bytes = pdfOf(input);
    else
        bytes = QByteArray::fromStdString(htmlReport(input));
    auto file = AtomicFile::create(path, static_cast<Bytes>(bytes.size()), true);
    if (!file)
        return passOn(file);
    if (const Status written = (*file)->write(std::as_bytes(std::span(bytes.constData(), static_cast<std::size_t>(bytes.size())))); !written)
        return passOn(written);
    return (*file)->commit();
}

}  // namespace sigmascope::ui
