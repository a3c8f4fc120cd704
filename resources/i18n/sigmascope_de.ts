<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de_DE" sourcelanguage="en">
<context>
    <name>QObject</name>
    <message>
        <source>Save as %1</source>
        <translation>Als %1 speichern</translation>
    </message>
</context>
<context>
    <name>main</name>
    <message>
        <source>See what quantization does to every layer of a language model.</source>
        <translation>Sehen, was Quantisierung mit jeder Schicht eines Sprachmodells macht.</translation>
    </message>
    <message>
        <source>Open the bundled sample model.</source>
        <translation>Das mitgelieferte Beispielmodell öffnen.</translation>
    </message>
    <message>
        <source>Write a picture of the window once the first layer is analysed, and leave.</source>
        <translation>Ein Bild des Fensters schreiben, sobald die erste Schicht untersucht ist, und beenden.</translation>
    </message>
    <message>
        <source>Model to open: file, index or folder.</source>
        <translation>Zu öffnendes Modell: Datei, Index oder Ordner.</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui</name>
    <message>
        <source>Not found</source>
        <translation>Nicht gefunden</translation>
    </message>
    <message>
        <source>Permission denied</source>
        <translation>Zugriff verweigert</translation>
    </message>
    <message>
        <source>Not a regular file</source>
        <translation>Keine gewöhnliche Datei</translation>
    </message>
    <message>
        <source>Reading failed</source>
        <translation>Lesen fehlgeschlagen</translation>
    </message>
    <message>
        <source>The file changed while it was open</source>
        <translation>Die Datei hat sich geändert, während sie offen war</translation>
    </message>
    <message>
        <source>The file was cut short while it was open</source>
        <translation>Die Datei wurde gekürzt, während sie offen war</translation>
    </message>
    <message>
        <source>Not a model file</source>
        <translation>Keine Modelldatei</translation>
    </message>
    <message>
        <source>Unsupported version of the format</source>
        <translation>Nicht unterstützte Version des Formats</translation>
    </message>
    <message>
        <source>The file is cut short</source>
        <translation>Die Datei ist abgeschnitten</translation>
    </message>
    <message>
        <source>The header is too large</source>
        <translation>Der Kopf ist zu groß</translation>
    </message>
    <message>
        <source>The header is malformed</source>
        <translation>Der Kopf ist fehlerhaft</translation>
    </message>
    <message>
        <source>Text is not valid UTF-8</source>
        <translation>Text ist kein gültiges UTF-8</translation>
    </message>
    <message>
        <source>Not a valid number</source>
        <translation>Keine gültige Zahl</translation>
    </message>
    <message>
        <source>A name occurs twice</source>
        <translation>Ein Name kommt zweimal vor</translation>
    </message>
    <message>
        <source>Unknown data type</source>
        <translation>Unbekannter Datentyp</translation>
    </message>
    <message>
        <source>Data type cannot be decoded</source>
        <translation>Datentyp kann nicht gelesen werden</translation>
    </message>
    <message>
        <source>Shape and size disagree</source>
        <translation>Form und Größe widersprechen sich</translation>
    </message>
    <message>
        <source>A size is out of range</source>
        <translation>Eine Größe liegt außerhalb des Bereichs</translation>
    </message>
    <message>
        <source>Data lies outside the file</source>
        <translation>Daten liegen außerhalb der Datei</translation>
    </message>
    <message>
        <source>Tensors overlap</source>
        <translation>Tensoren überlappen sich</translation>
    </message>
    <message>
        <source>Bytes between tensors belong to none</source>
        <translation>Bytes zwischen Tensoren gehören zu keinem</translation>
    </message>
    <message>
        <source>Bytes after the last tensor</source>
        <translation>Bytes nach dem letzten Tensor</translation>
    </message>
    <message>
        <source>Bad alignment</source>
        <translation>Falsche Ausrichtung</translation>
    </message>
    <message>
        <source>The index names a file outside the folder</source>
        <translation>Der Index nennt eine Datei außerhalb des Ordners</translation>
    </message>
    <message>
        <source>A part of the model is missing</source>
        <translation>Ein Teil des Modells fehlt</translation>
    </message>
    <message>
        <source>A tensor is missing</source>
        <translation>Ein Tensor fehlt</translation>
    </message>
    <message>
        <source>Parts of the model disagree</source>
        <translation>Teile des Modells widersprechen sich</translation>
    </message>
    <message>
        <source>Invalid metadata</source>
        <translation>Ungültige Metadaten</translation>
    </message>
    <message>
        <source>Values that are not finite</source>
        <translation>Werte, die nicht endlich sind</translation>
    </message>
    <message>
        <source>A scale does not fit its storage</source>
        <translation>Eine Skala passt nicht in ihren Speicher</translation>
    </message>
    <message>
        <source>Unusable calibration</source>
        <translation>Unbrauchbare Kalibrierung</translation>
    </message>
    <message>
        <source>Invalid option</source>
        <translation>Ungültige Option</translation>
    </message>
    <message>
        <source>Invalid recipe</source>
        <translation>Ungültiges Rezept</translation>
    </message>
    <message>
        <source>The target cannot carry this plan</source>
        <translation>Das Ziel kann diesen Plan nicht aufnehmen</translation>
    </message>
    <message>
        <source>The file exists</source>
        <translation>Die Datei existiert</translation>
    </message>
    <message>
        <source>The output is one of the inputs</source>
        <translation>Die Ausgabe ist eine der Eingaben</translation>
    </message>
    <message>
        <source>Another run is writing there</source>
        <translation>Ein anderer Lauf schreibt dorthin</translation>
    </message>
    <message>
        <source>An unfinished run lies there</source>
        <translation>Dort liegt ein unvollendeter Lauf</translation>
    </message>
    <message>
        <source>The unfinished run is not of this job</source>
        <translation>Der unvollendete Lauf gehört nicht zu diesem Auftrag</translation>
    </message>
    <message>
        <source>Not enough space</source>
        <translation>Nicht genug Platz</translation>
    </message>
    <message>
        <source>Writing failed</source>
        <translation>Schreiben fehlgeschlagen</translation>
    </message>
    <message>
        <source>The written file is not what was meant</source>
        <translation>Die geschriebene Datei ist nicht, was gemeint war</translation>
    </message>
    <message>
        <source>The device is not available</source>
        <translation>Das Gerät ist nicht verfügbar</translation>
    </message>
    <message>
        <source>The device failed</source>
        <translation>Das Gerät hat versagt</translation>
    </message>
    <message>
        <source>The computation did not converge</source>
        <translation>Die Rechnung ist nicht konvergiert</translation>
    </message>
    <message>
        <source>Out of memory</source>
        <translation>Kein Speicher mehr</translation>
    </message>
    <message>
        <source>Some layers failed</source>
        <translation>Einige Schichten sind gescheitert</translation>
    </message>
    <message>
        <source>Cancelled</source>
        <translation>Abgebrochen</translation>
    </message>
    <message>
        <source>Unexpected error</source>
        <translation>Unerwarteter Fehler</translation>
    </message>
    <message>
        <source>%1: %2</source>
        <comment>error title, detail</comment>
        <translation>%1: %2</translation>
    </message>
    <message>
        <source>other</source>
        <comment>role</comment>
        <translation>andere</translation>
    </message>
    <message>
        <source>Plain (no activations)</source>
        <translation>Schlicht (ohne Aktivierungen)</translation>
    </message>
    <message>
        <source>Activation RMS</source>
        <translation>RMS der Aktivierungen</translation>
    </message>
    <message>
        <source>LQER mean magnitude</source>
        <translation>LQER, mittlerer Betrag</translation>
    </message>
    <message>
        <source>%1 (bias)</source>
        <translation>%1 (Bias)</translation>
    </message>
    <message>
        <source>Block %1 · %2</source>
        <translation>Block %1 · %2</translation>
    </message>
    <message>
        <source>scalar</source>
        <translation>Skalar</translation>
    </message>
    <message>
        <source>about %1 s left</source>
        <translation>noch etwa %1 s</translation>
    </message>
    <message>
        <source>about %1 min left</source>
        <translation>noch etwa %1 min</translation>
    </message>
    <message>
        <source>about %1 h left</source>
        <translation>noch etwa %1 h</translation>
    </message>
    <message>
        <source>Quantized layers</source>
        <translation>Quantisierte Schichten</translation>
    </message>
    <message>
        <source>Factors</source>
        <translation>Faktoren</translation>
    </message>
    <message>
        <source>Kept tensors</source>
        <translation>Unverändert</translation>
    </message>
    <message>
        <source>Tokenizer</source>
        <translation>Tokenizer</translation>
    </message>
    <message>
        <source>Recipe and seed</source>
        <translation>Rezept und Startwert</translation>
    </message>
    <message>
        <source>None in this plan</source>
        <translation>Keine in diesem Plan</translation>
    </message>
    <message>
        <source>As stored</source>
        <translation>Wie gespeichert</translation>
    </message>
    <message>
        <source>Exact codes</source>
        <translation>Genaue Codes</translation>
    </message>
    <message>
        <source>As planned</source>
        <translation>Wie geplant</translation>
    </message>
    <message>
        <source>Adapter, scale 1</source>
        <translation>Adapter, Faktor 1</translation>
    </message>
    <message>
        <source>Stored beside the codes</source>
        <translation>Neben den Codes</translation>
    </message>
    <message>
        <source>Inside the file</source>
        <translation>In der Datei</translation>
    </message>
    <message>
        <source>Copied beside</source>
        <translation>Daneben kopiert</translation>
    </message>
    <message>
        <source>Norms as F32</source>
        <translation>Normen als F32</translation>
    </message>
    <message>
        <source>1 layer widened</source>
        <translation>1 Schicht verbreitert</translation>
    </message>
    <message>
        <source>%1 layers widened</source>
        <translation>%1 Schichten verbreitert</translation>
    </message>
    <message>
        <source>Decoded to BF16</source>
        <translation>Als BF16 dekodiert</translation>
    </message>
    <message>
        <source>Not needed</source>
        <translation>Nicht nötig</translation>
    </message>
    <message>
        <source>Added to the weights</source>
        <translation>In den Gewichten</translation>
    </message>
    <message>
        <source>Not written</source>
        <translation>Nicht geschrieben</translation>
    </message>
    <message>
        <source>1 layer not possible</source>
        <translation>1 Schicht unmöglich</translation>
    </message>
    <message>
        <source>%1 layers not possible</source>
        <translation>%1 Schichten unmöglich</translation>
    </message>
    <message>
        <source>%1 × %2</source>
        <comment>grid or type, how many</comment>
        <translation>%1 × %2</translation>
    </message>
    <message>
        <source>Research</source>
        <translation>Forschung</translation>
    </message>
    <message>
        <source>GGUF + LoRA adapter</source>
        <translation>GGUF + LoRA-Adapter</translation>
    </message>
    <message>
        <source>GGUF</source>
        <translation>GGUF</translation>
    </message>
    <message>
        <source>Safetensors container</source>
        <translation>Safetensors-Container</translation>
    </message>
    <message>
        <source>BF16 safetensors, dequantized</source>
        <translation>BF16-Safetensors, dequantisiert</translation>
    </message>
    <message>
        <source>cannot carry this plan</source>
        <translation>kann diesen Plan nicht tragen</translation>
    </message>
    <message>
        <source>decoded again, as large as BF16</source>
        <translation>wieder dekodiert, so groß wie BF16</translation>
    </message>
    <message>
        <source>1 change</source>
        <translation>1 Änderung</translation>
    </message>
    <message>
        <source>%1 changes</source>
        <translation>%1 Änderungen</translation>
    </message>
    <message>
        <source>carries all, no runtime reads it</source>
        <translation>trägt alles, keine Laufzeit liest es</translation>
    </message>
    <message>
        <source>carries the whole plan</source>
        <translation>trägt den ganzen Plan</translation>
    </message>
    <message>
        <source>Correction</source>
        <translation>Korrektur</translation>
    </message>
    <message>
        <source>Safetensors + PEFT adapter</source>
        <translation>Safetensors + PEFT-Adapter</translation>
    </message>
    <message>
        <source>Safetensors, quantized</source>
        <translation>Safetensors, quantisiert</translation>
    </message>
    <message>
        <source>%1 mixture</source>
        <comment>preset</comment>
        <translation>%1, Mischung</translation>
    </message>
    <message>
        <source>%1 everywhere</source>
        <comment>preset</comment>
        <translation>%1 überall</translation>
    </message>
    <message>
        <source>%1 bit</source>
        <comment>preset: L²QER, 4</comment>
        <translation>%1 Bit</translation>
    </message>
    <message>
        <source>Nearest code (RTN)</source>
        <translation>Nächster Code (RTN)</translation>
    </message>
    <message>
        <source>Clip search under the metric</source>
        <translation>Bereichssuche unter der Metrik</translation>
    </message>
    <message>
        <source>Search weighted by importances</source>
        <translation>Suche mit Gewichtung nach Wichtigkeit</translation>
    </message>
    <message>
        <source>Wider search than ggml&apos;s, never worse</source>
        <translation>Breitere Suche als die von ggml, nie schlechter</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::BudgetStrip</name>
    <message>
        <source>Over target</source>
        <translation>Über dem Ziel</translation>
    </message>
    <message>
        <source>Byte budget</source>
        <translation>Byte-Budget</translation>
    </message>
    <message>
        <source>File size %1, %2 bits per weight</source>
        <translation>Dateigröße %1, %2 Bit pro Gewicht</translation>
    </message>
    <message>
        <source>Codes + scales</source>
        <translation>Codes + Skalen</translation>
    </message>
    <message>
        <source>Factors</source>
        <translation>Faktoren</translation>
    </message>
    <message>
        <source>Embeddings, kept</source>
        <translation>Embeddings, Rest</translation>
    </message>
    <message>
        <source>File size</source>
        <translation>Dateigröße</translation>
    </message>
    <message>
        <source>of %1 target</source>
        <translation>Ziel: %1</translation>
    </message>
    <message>
        <source>Under target</source>
        <translation>Unter dem Ziel</translation>
    </message>
    <message>
        <source>Bits per weight</source>
        <translation>Bit pro Gewicht</translation>
    </message>
    <message>
        <source>bpw, all overhead</source>
        <translation>bpw, alles gezählt</translation>
    </message>
    <message>
        <source>Output error, mean</source>
        <translation>Ausgabefehler, Mittel</translation>
    </message>
    <message>
        <source>Fallbacks</source>
        <translation>Ersatz</translation>
    </message>
    <message>
        <source>of %1</source>
        <translation>von %1</translation>
    </message>
    <message>
        <source>%1 under</source>
        <translation>%1 darunter</translation>
    </message>
    <message>
        <source>bpw</source>
        <translation>bpw</translation>
    </message>
    <message>
        <source>% output error</source>
        <translation>% Ausgabefehler</translation>
    </message>
    <message>
        <source>1 fallback</source>
        <translation>1 Ersatz</translation>
    </message>
    <message>
        <source>%1 fallbacks</source>
        <translation>%1 × Ersatz</translation>
    </message>
    <message>
        <source>Codes and scales %1</source>
        <translation>Codes und Skalen %1</translation>
    </message>
    <message>
        <source>Low-rank factors %1</source>
        <translation>Niedrigrang-Faktoren %1</translation>
    </message>
    <message>
        <source>Kept as they are %1</source>
        <translation>Unverändert %1</translation>
    </message>
    <message>
        <source>%1 of memory at %2 tokens: weights and F16 keys and values</source>
        <translation>%1 Speicher bei %2 Token: Gewichte sowie Schlüssel und Werte in F16</translation>
    </message>
    <message>
        <source>%1 bits per weight, all overhead</source>
        <translation>%1 Bit pro Gewicht, alles gezählt</translation>
    </message>
    <message>
        <source>Context length, tokens</source>
        <translation>Kontextlänge, Token</translation>
    </message>
    <message>
        <source>Memory at this many tokens: the weights as planned and F16 keys and values, without a runtime&apos;s own buffers</source>
        <translation>Speicher bei so vielen Token: die Gewichte wie geplant und F16-Schlüssel und -Werte, ohne eigene Puffer einer Laufzeit</translation>
    </message>
    <message>
        <source>Memory at</source>
        <comment>so many tokens</comment>
        <translation>Speicher bei</translation>
    </message>
    <message>
        <source>tokens</source>
        <translation>Token</translation>
    </message>
    <message>
        <source>Over target %1</source>
        <translation>%1 über dem Ziel</translation>
    </message>
    <message>
        <source>Under target %1</source>
        <translation>%1 unter dem Ziel</translation>
    </message>
    <message>
        <source>% weight error</source>
        <translation>% Gewichtsfehler</translation>
    </message>
    <message>
        <source>Weight error, mean</source>
        <translation>Gewichtsfehler, Mittel</translation>
    </message>
    <message>
        <source>%1 of memory at %2 tokens</source>
        <comment>compact strip</comment>
        <translation>%1 Speicher bei %2 Token</translation>
    </message>
    <message>
        <source>%1: %2 over the planned layers, %3</source>
        <comment>error, mean: 6.5 %, measured</comment>
        <translation>%1: %2 über die geplanten Schichten, %3</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ChannelsPanel</name>
    <message>
        <source>Outlier channels</source>
        <translation>Ausreißerkanäle</translation>
    </message>
    <message>
        <source>Channel</source>
        <translation>Kanal</translation>
    </message>
    <message>
        <source>× median</source>
        <translation>× Median</translation>
    </message>
    <message>
        <source>of</source>
        <translation>von</translation>
    </message>
    <message>
        <source>Select a layer to see its channels</source>
        <translation>Eine Schicht wählen, um ihre Kanäle zu sehen</translation>
    </message>
    <message>
        <source>Open a model to see its channels</source>
        <translation>Ein Modell öffnen, um Kanäle zu sehen</translation>
    </message>
    <message>
        <source>Channels</source>
        <translation>Kanäle</translation>
    </message>
    <message>
        <source>Cancelled. Select the layer again to look at its channels</source>
        <translation>Abgebrochen. Die Schicht noch einmal wählen, um ihre Kanäle zu sehen</translation>
    </message>
    <message>
        <source>plain metric</source>
        <translation>schlichte Metrik</translation>
    </message>
    <message>
        <source>Values that are not finite have no error</source>
        <translation>Werte, die nicht endlich sind, haben keinen Fehler</translation>
    </message>
    <message>
        <source>This layer is kept as it is: no error to show</source>
        <translation>Diese Schicht bleibt unverändert: kein Fehler zu zeigen</translation>
    </message>
    <message>
        <source>exact, without %1 not finite</source>
        <translation>exakt, ohne %1 nicht endliche</translation>
    </message>
    <message>
        <source>for the kept layer</source>
        <translation>für die unveränderte Schicht</translation>
    </message>
    <message>
        <source>for %1</source>
        <translation>für %1</translation>
    </message>
    <message>
        <source>None: no channel stands far above the others.</source>
        <translation>Keine: kein Kanal ragt weit über die anderen hinaus.</translation>
    </message>
    <message>
        <source>The first %1 of %2</source>
        <translation>Die ersten %1 von %2</translation>
    </message>
    <message>
        <source>At least three times the median, and more than five robust standard deviations above it on a log scale. Such channels decide the scales of the groups they fall in. Of W: the weights; of S: the inputs&apos; size.</source>
        <translation>Mindestens das Dreifache des Medians und auf logarithmischer Skala mehr als fünf robuste Standardabweichungen darüber. Solche Kanäle bestimmen die Skalen der Gruppen, in die sie fallen. Von W: die Gewichte; von S: die Größe der Eingaben.</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ChannelsPlot</name>
    <message>
        <source>RMS of the input, from calibration</source>
        <translation>RMS der Eingabe, aus der Kalibrierung</translation>
    </message>
    <message>
        <source>Weight magnitude</source>
        <translation>Betrag der Gewichte</translation>
    </message>
    <message>
        <source>Input RMS</source>
        <translation>RMS der Eingabe</translation>
    </message>
    <message>
        <source>, by largest weight</source>
        <translation>, nach größtem Gewicht</translation>
    </message>
    <message>
        <source>Input channel, column of W</source>
        <translation>Eingabekanal, Spalte von W</translation>
    </message>
    <message>
        <source>Output channel, row of W</source>
        <translation>Ausgabekanal, Zeile von W</translation>
    </message>
    <message>
        <source>channel %1</source>
        <translation>Kanal %1</translation>
    </message>
    <message>
        <source>largest</source>
        <translation>größter</translation>
    </message>
    <message>
        <source>RMS</source>
        <translation>RMS</translation>
    </message>
    <message>
        <source>input %1</source>
        <translation>Eingabe %1</translation>
    </message>
    <message>
        <source>input ×%1</source>
        <translation>Eingabe ×%1</translation>
    </message>
    <message>
        <source>W ×%1</source>
        <translation>W ×%1</translation>
    </message>
    <message>
        <source>Channels</source>
        <translation>Kanäle</translation>
    </message>
    <message>
        <source>← → next channel, Shift by 8</source>
        <translation>← → nächster Kanal, mit Umschalt um 8</translation>
    </message>
    <message>
        <source>Select a layer to see its channels</source>
        <translation>Eine Schicht wählen, um ihre Kanäle zu sehen</translation>
    </message>
    <message>
        <source>Largest magnitude and root of the mean square of a channel&apos;s weights.</source>
        <translation>Größter Betrag und quadratisches Mittel der Gewichte eines Kanals.</translation>
    </message>
    <message>
        <source>W largest</source>
        <translation>W größtes</translation>
    </message>
    <message>
        <source>W RMS</source>
        <translation>W RMS</translation>
    </message>
    <message>
        <source>E RMS</source>
        <translation>E RMS</translation>
    </message>
    <message>
        <source>E·S RMS</source>
        <translation>E·S RMS</translation>
    </message>
    <message>
        <source>Side of the matrix</source>
        <translation>Seite der Matrix</translation>
    </message>
    <message>
        <source>Inputs</source>
        <translation>Eingänge</translation>
    </message>
    <message>
        <source>Columns of W: one for each input feature</source>
        <translation>Spalten von W: eine je Eingabemerkmal</translation>
    </message>
    <message>
        <source>Outputs</source>
        <translation>Ausgänge</translation>
    </message>
    <message>
        <source>Rows of W: one for each output feature</source>
        <translation>Zeilen von W: eine je Ausgabemerkmal</translation>
    </message>
    <message>
        <source>In order</source>
        <translation>Der Reihe nach</translation>
    </message>
    <message>
        <source>By size</source>
        <translation>Nach Größe</translation>
    </message>
    <message>
        <source>Channels as they are stored, or by their largest weight</source>
        <translation>Kanäle, wie sie gespeichert sind, oder nach ihrem größten Gewicht</translation>
    </message>
    <message>
        <source>Order of the channels</source>
        <translation>Reihenfolge der Kanäle</translation>
    </message>
    <message>
        <source>Root of the mean square of E = W − Q, what the grid leaves.</source>
        <translation>Quadratisches Mittel von E = W − Q: was das Raster übrig lässt.</translation>
    </message>
    <message>
        <source>E·S: %1</source>
        <translation>E·S: %1</translation>
    </message>
    <message>
        <source>Root of the mean square of E·S, the error weighted by the calibrated size of each input.</source>
        <translation>Quadratisches Mittel von E·S, dem mit der kalibrierten Größe jeder Eingabe gewichteten Fehler.</translation>
    </message>
    <message>
        <source>This layer has no channels</source>
        <translation>Diese Schicht hat keine Kanäle</translation>
    </message>
    <message>
        <source>No weight is finite and other than 0: nothing to draw</source>
        <translation>Kein Gewicht ist endlich und von 0 verschieden: nichts zu zeichnen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::CompareModel</name>
    <message>
        <source>only in B</source>
        <translation>nur in B</translation>
    </message>
    <message>
        <source>only in A</source>
        <translation>nur in A</translation>
    </message>
    <message>
        <source>not compared</source>
        <translation>nicht verglichen</translation>
    </message>
    <message>
        <source>same bytes</source>
        <translation>gleiche Bytes</translation>
    </message>
    <message>
        <source>same values</source>
        <translation>gleiche Werte</translation>
    </message>
    <message>
        <source>differs</source>
        <translation>verschieden</translation>
    </message>
    <message>
        <source>better</source>
        <comment>error of B</comment>
        <translation>besser</translation>
    </message>
    <message>
        <source>no difference</source>
        <translation>kein Unterschied</translation>
    </message>
    <message>
        <source>changed</source>
        <comment>planned otherwise, same error</comment>
        <translation>geändert</translation>
    </message>
    <message>
        <source>worse</source>
        <comment>error of B</comment>
        <translation>schlechter</translation>
    </message>
    <message>
        <source>%1
Show in Inspect</source>
        <translation>%1
In „Ansehen“ zeigen</translation>
    </message>
    <message>
        <source>Error of B over that of A, less 1: above 0, B is worse</source>
        <translation>Fehler von B durch den von A, weniger 1: über 0 ist B schlechter</translation>
    </message>
    <message>
        <source>‖A − B‖ / ‖A‖ over the decoded weights</source>
        <translation>‖A − B‖ / ‖A‖ über die dekodierten Gewichte</translation>
    </message>
    <message>
        <source>Largest difference of any weight, in weight units</source>
        <translation>Größter Unterschied eines Gewichts, in Gewichtseinheiten</translation>
    </message>
    <message>
        <source>Verdict</source>
        <translation>Urteil</translation>
    </message>
    <message>
        <source>Layer</source>
        <translation>Schicht</translation>
    </message>
    <message>
        <source>Error A %</source>
        <translation>Fehler A %</translation>
    </message>
    <message>
        <source>Error B %</source>
        <translation>Fehler B %</translation>
    </message>
    <message>
        <source>B to A %</source>
        <translation>B zu A %</translation>
    </message>
    <message>
        <source>Difference %</source>
        <translation>Unterschied %</translation>
    </message>
    <message>
        <source>Largest</source>
        <translation>Größter</translation>
    </message>
    <message>
        <source>Grid A</source>
        <translation>Raster A</translation>
    </message>
    <message>
        <source>Type A</source>
        <translation>Typ A</translation>
    </message>
    <message>
        <source>Grid B</source>
        <translation>Raster B</translation>
    </message>
    <message>
        <source>Type B</source>
        <translation>Typ B</translation>
    </message>
    <message>
        <source>Bits A</source>
        <translation>Bit A</translation>
    </message>
    <message>
        <source>Bits B</source>
        <translation>Bit B</translation>
    </message>
    <message>
        <source>Rank A</source>
        <translation>Rang A</translation>
    </message>
    <message>
        <source>Rank B</source>
        <translation>Rang B</translation>
    </message>
    <message>
        <source>MiB A</source>
        <translation>MiB A</translation>
    </message>
    <message>
        <source>MiB B</source>
        <translation>MiB B</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Anmerkung</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ComparePage</name>
    <message>
        <source>A, looked at</source>
        <translation>A, betrachtet</translation>
    </message>
    <message>
        <source>B, compared with A</source>
        <translation>B, mit A verglichen</translation>
    </message>
    <message>
        <source>Choose a run or a model</source>
        <translation>Einen Lauf oder ein Modell wählen</translation>
    </message>
    <message>
        <source>Swap A and B</source>
        <translation>A und B tauschen</translation>
    </message>
    <message>
        <source>Error that runs are compared by</source>
        <translation>Fehler, nach dem Läufe verglichen werden</translation>
    </message>
    <message>
        <source>Layers of A and B, worst first</source>
        <translation>Schichten von A und B, die schlechtesten zuerst</translation>
    </message>
    <message>
        <source>%1 could not be written</source>
        <translation>%1 konnte nicht geschrieben werden</translation>
    </message>
    <message>
        <source>Session file…</source>
        <translation>Sitzungsdatei…</translation>
    </message>
    <message>
        <source>Model file…</source>
        <translation>Modelldatei…</translation>
    </message>
    <message>
        <source>Model folder…</source>
        <translation>Modellordner…</translation>
    </message>
    <message>
        <source>Compare with a session</source>
        <translation>Mit einer Sitzung vergleichen</translation>
    </message>
    <message>
        <source>Compare with a model</source>
        <translation>Mit einem Modell vergleichen</translation>
    </message>
    <message>
        <source>Compare with a model folder</source>
        <translation>Mit einem Modellordner vergleichen</translation>
    </message>
    <message>
        <source>Sessions (*.sgms)</source>
        <translation>Sitzungen (*.sgms)</translation>
    </message>
    <message>
        <source>Models (*.safetensors *.index.json *.gguf)</source>
        <translation>Modelle (*.safetensors *.index.json *.gguf)</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>One run has finished. Run another plan, or choose a session file to compare it with</source>
        <translation>Ein Lauf ist fertig. Einen anderen Plan laufen lassen oder eine Sitzungsdatei zum Vergleich wählen</translation>
    </message>
    <message>
        <source>Choose two runs, or two models, to see where they differ</source>
        <translation>Zwei Läufe oder zwei Modelle wählen, um zu sehen, worin sie sich unterscheiden</translation>
    </message>
    <message>
        <source>Choose another run or session file to compare it with</source>
        <translation>Einen anderen Lauf oder eine Sitzungsdatei zum Vergleich wählen</translation>
    </message>
    <message>
        <source>Choose another model to compare it with</source>
        <translation>Ein anderes Modell zum Vergleich wählen</translation>
    </message>
    <message>
        <source>A run&apos;s measurements and a model&apos;s weights have no figure in common: choose two runs, or two models</source>
        <translation>Messungen eines Laufs und Gewichte eines Modells haben keine Zahl gemeinsam: zwei Läufe oder zwei Modelle wählen</translation>
    </message>
    <message>
        <source>Comparing</source>
        <translation>Vergleichen</translation>
    </message>
    <message>
        <source>Stopped. Choose A or B again to compare them</source>
        <translation>Angehalten. A oder B erneut wählen, um sie zu vergleichen</translation>
    </message>
    <message>
        <source>Output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>Both runs must have had a calibration</source>
        <translation>Beide Läufe müssen eine Kalibrierung gehabt haben</translation>
    </message>
    <message>
        <source>Weight error</source>
        <translation>Gewichtsfehler</translation>
    </message>
    <message>
        <source>Neither run measured a weight error</source>
        <translation>Kein Lauf hat einen Gewichtsfehler gemessen</translation>
    </message>
    <message>
        <source>‖A − B‖ / ‖A‖, %</source>
        <translation>‖A − B‖ / ‖A‖, %</translation>
    </message>
    <message>
        <source>Output error, %</source>
        <translation>Ausgabefehler, %</translation>
    </message>
    <message>
        <source>Weight error, %</source>
        <translation>Gewichtsfehler, %</translation>
    </message>
    <message>
        <source>exact, every weight</source>
        <translation>exakt, jedes Gewicht</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ComparePlot</name>
    <message>
        <source>Error of A and B, layer by layer</source>
        <translation>Fehler von A und B, Schicht für Schicht</translation>
    </message>
    <message>
        <source>Choose two runs, or two models, to see where they differ</source>
        <translation>Zwei Läufe oder zwei Modelle wählen, um zu sehen, worin sie sich unterscheiden</translation>
    </message>
    <message>
        <source>‖A − B‖ / ‖A‖ of every tensor that both models hold.</source>
        <translation>‖A − B‖ / ‖A‖ jedes Tensors, den beide Modelle haben.</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>Log</translation>
    </message>
    <message>
        <source>Linear</source>
        <translation>Linear</translation>
    </message>
    <message>
        <source>Scale of the error</source>
        <translation>Skala des Fehlers</translation>
    </message>
    <message>
        <source>Log shows ratios, linear shows layers without error too. L</source>
        <translation>Log zeigt Verhältnisse, linear auch Schichten ohne Fehler. L</translation>
    </message>
    <message>
        <source>← → next layer, click selects it</source>
        <translation>← → nächste Schicht, ein Klick wählt sie</translation>
    </message>
    <message>
        <source>A and B have no layer in common</source>
        <translation>A und B haben keine Schicht gemeinsam</translation>
    </message>
    <message>
        <source>No layer has an error that both measured</source>
        <translation>Keine Schicht hat einen Fehler, den beide gemessen haben</translation>
    </message>
    <message>
        <source>No layer of A or B has any error: both keep every weight</source>
        <translation>Keine Schicht von A oder B hat einen Fehler: beide lassen jedes Gewicht unverändert</translation>
    </message>
    <message>
        <source>A and B hold the same weights: nothing to draw</source>
        <translation>A und B enthalten die gleichen Gewichte: nichts zu zeichnen</translation>
    </message>
    <message>
        <source>B against A, %</source>
        <translation>B gegen A, %</translation>
    </message>
    <message>
        <source>Block, layers in depth order</source>
        <translation>Block, Schichten nach Tiefe</translation>
    </message>
    <message>
        <source>A − B %1</source>
        <translation>A − B %1</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::CompareTotals</name>
    <message>
        <source>%1 only in A</source>
        <translation>%1 nur in A</translation>
    </message>
    <message>
        <source>%1 only in B</source>
        <translation>%1 nur in B</translation>
    </message>
    <message>
        <source>Verdict</source>
        <translation>Urteil</translation>
    </message>
    <message>
        <source>Error of the layers</source>
        <translation>Fehler der Schichten</translation>
    </message>
    <message>
        <source>Bits per weight</source>
        <translation>Bit pro Gewicht</translation>
    </message>
    <message>
        <source>Size of the tensors</source>
        <translation>Größe der Tensoren</translation>
    </message>
    <message>
        <source>Totals of the comparison</source>
        <translation>Summen des Vergleichs</translation>
    </message>
    <message>
        <source>The same weights in all tensors</source>
        <translation>In allen Tensoren die gleichen Gewichte</translation>
    </message>
    <message>
        <source>%1 of %2 tensors differ</source>
        <translation>%1 von %2 Tensoren sind verschieden</translation>
    </message>
    <message>
        <source>Tensors pair by name; a Hugging Face name meets its GGUF twin</source>
        <translation>Tensoren finden sich nach Namen; ein Name von Hugging Face trifft seinen GGUF-Zwilling</translation>
    </message>
    <message>
        <source>Too few layers</source>
        <translation>Zu wenige Schichten</translation>
    </message>
    <message>
        <source>A verdict takes four layers with an error above zero in both</source>
        <translation>Ein Urteil braucht vier Schichten mit einem Fehler über null in beiden</translation>
    </message>
    <message>
        <source>error ×%1 (%2 to %3)</source>
        <translation>Fehler ×%1 (%2 bis %3)</translation>
    </message>
    <message>
        <source>Verdict over %1 layers</source>
        <translation>Urteil über %1 Schichten</translation>
    </message>
    <message>
        <source>B is better</source>
        <translation>B ist besser</translation>
    </message>
    <message>
        <source>B is worse</source>
        <translation>B ist schlechter</translation>
    </message>
    <message>
        <source>No difference shown</source>
        <translation>Kein Unterschied gezeigt</translation>
    </message>
    <message>
        <source>Geometric mean of B&apos;s error over A&apos;s, with its 95 % interval over the layers.
Better or worse is said only where the interval leaves 1 out.
%1</source>
        <translation>Geometrisches Mittel des Fehlers von B durch den von A, mit seinem 95-%-Intervall über die Schichten.
Besser oder schlechter heißt es nur, wo das Intervall die 1 auslässt.
%1</translation>
    </message>
    <message>
        <source>‖A − B‖ / ‖A‖, all tensors</source>
        <translation>‖A − B‖ / ‖A‖, alle Tensoren</translation>
    </message>
    <message>
        <source>Over all compared tensors together, decoded</source>
        <translation>Über alle verglichenen Tensoren zusammen, dekodiert</translation>
    </message>
    <message>
        <source>Root mean square over the layers that either run quantized, by their weights</source>
        <translation>Quadratisches Mittel über die Schichten, die einer der Läufe quantisiert hat, nach ihren Gewichten</translation>
    </message>
    <message>
        <source>other calibrations</source>
        <translation>andere Kalibrierungen</translation>
    </message>
    <message>
        <source>The runs weighted their errors by different calibrations: take the weight error to compare them.
%1</source>
        <translation>Die Läufe haben ihre Fehler mit verschiedenen Kalibrierungen gewichtet: zum Vergleich den Gewichtsfehler nehmen.
%1</translation>
    </message>
    <message>
        <source>Output error, mean</source>
        <translation>Ausgabefehler, Mittel</translation>
    </message>
    <message>
        <source>Weight error, mean</source>
        <translation>Gewichtsfehler, Mittel</translation>
    </message>
    <message>
        <source>The model of a session is not where it was: sizes are not known</source>
        <translation>Das Modell einer Sitzung liegt nicht mehr dort: Größen sind nicht bekannt</translation>
    </message>
    <message>
        <source>Codes, scales and stored factors of all tensors over all weights, without headers</source>
        <translation>Codes, Skalen und gespeicherte Faktoren aller Tensoren durch alle Gewichte, ohne Köpfe</translation>
    </message>
    <message>
        <source>Bytes of all tensors as stored, without headers and padding</source>
        <translation>Bytes aller Tensoren wie gespeichert, ohne Köpfe und Füllbytes</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::DensityPlot</name>
    <message>
        <source>Weights per bin</source>
        <translation>Gewichte je Klasse</translation>
    </message>
    <message>
        <source>Error share, %</source>
        <translation>Fehleranteil, %</translation>
    </message>
    <message>
        <source>Weight ÷ scale of its group</source>
        <translation>Gewicht ÷ Skala seiner Gruppe</translation>
    </message>
    <message>
        <source>Weight</source>
        <translation>Gewicht</translation>
    </message>
    <message>
        <source>Bin %1 steps, from %2 weights</source>
        <translation>Klasse %1 Stufen, aus %2 Gewichten</translation>
    </message>
    <message>
        <source>Bin %1, from %2 exact codes</source>
        <translation>Klasse %1, aus %2 exakten Codes</translation>
    </message>
    <message>
        <source>Bin %1, values resolved to one part in 128</source>
        <translation>Klasse %1, Werte auf 1/128 aufgelöst</translation>
    </message>
    <message>
        <source>%1
below</source>
        <translation>%1
darunter</translation>
    </message>
    <message>
        <source>%1
above</source>
        <translation>%1
darüber</translation>
    </message>
    <message>
        <source>median %1</source>
        <translation>Median %1</translation>
    </message>
    <message>
        <source>rounding %1</source>
        <translation>Rundung %1</translation>
    </message>
    <message>
        <source>no error: every weight lies on a level</source>
        <translation>kein Fehler: jedes Gewicht liegt auf einer Stufe</translation>
    </message>
    <message>
        <source>clipping %1</source>
        <translation>Abschneiden %1</translation>
    </message>
    <message>
        <source>Density</source>
        <translation>Dichte</translation>
    </message>
    <message>
        <source>Select a layer to see the density of its weights</source>
        <translation>Eine Schicht wählen, um die Dichte ihrer Gewichte zu sehen</translation>
    </message>
    <message>
        <source>W</source>
        <translation>W</translation>
    </message>
    <message>
        <source>Weights as stored, before quantization.</source>
        <translation>Gewichte, wie sie gespeichert sind, vor der Quantisierung.</translation>
    </message>
    <message>
        <source>After, Q + LR</source>
        <translation>Danach, Q + LR</translation>
    </message>
    <message>
        <source>Weights as the quantized layer represents them, with its correction.</source>
        <translation>Gewichte, wie die quantisierte Schicht sie darstellt, mit ihrer Korrektur.</translation>
    </message>
    <message>
        <source>Grid levels</source>
        <translation>Rasterstufen</translation>
    </message>
    <message>
        <source>Weights shown</source>
        <translation>Gezeigte Gewichte</translation>
    </message>
    <message>
        <source>row </source>
        <translation>Zeile </translation>
    </message>
    <message>
        <source>Row shown</source>
        <translation>Gezeigte Zeile</translation>
    </message>
    <message>
        <source>group </source>
        <translation>Gruppe </translation>
    </message>
    <message>
        <source>Group of the row shown</source>
        <translation>Gezeigte Gruppe der Zeile</translation>
    </message>
    <message>
        <source>÷ scale</source>
        <translation>÷ Skala</translation>
    </message>
    <message>
        <source>Unit of the weight axis</source>
        <translation>Einheit der Gewichtsachse</translation>
    </message>
    <message>
        <source>Log y</source>
        <translation>Log y</translation>
    </message>
    <message>
        <source>Linear y</source>
        <translation>Linear y</translation>
    </message>
    <message>
        <source>Scale of the count axis</source>
        <translation>Teilung der Anzahlachse</translation>
    </message>
    <message>
        <source>Rows and groups are shown over the scales of a grid. This layer has none yet.</source>
        <translation>Zeilen und Gruppen werden über den Skalen eines Rasters gezeigt. Diese Schicht hat noch keines.</translation>
    </message>
    <message>
        <source>Rows and groups are shown over their scales: choose ÷ scale.</source>
        <translation>Zeilen und Gruppen werden über ihren Skalen gezeigt: ÷ Skala wählen.</translation>
    </message>
    <message>
        <source>Tensor</source>
        <translation>Tensor</translation>
    </message>
    <message>
        <source>All weights of the layer</source>
        <translation>Alle Gewichte der Schicht</translation>
    </message>
    <message>
        <source>Row</source>
        <translation>Zeile</translation>
    </message>
    <message>
        <source>The weights of one output channel</source>
        <translation>Die Gewichte eines Ausgabekanals</translation>
    </message>
    <message>
        <source>Group</source>
        <translation>Gruppe</translation>
    </message>
    <message>
        <source>The weights that share one scale</source>
        <translation>Die Gewichte, die eine Skala teilen</translation>
    </message>
    <message>
        <source>Weight over the scale of its group: there the levels of all groups fall together</source>
        <translation>Gewicht durch die Skala seiner Gruppe: dort fallen die Stufen aller Gruppen zusammen</translation>
    </message>
    <message>
        <source>A layer that is kept has no scales to divide by</source>
        <translation>Eine unveränderte Schicht hat keine Skalen zum Teilen</translation>
    </message>
    <message>
        <source>no grid</source>
        <translation>kein Raster</translation>
    </message>
    <message>
        <source>%1 grid levels</source>
        <translation>%1 Rasterstufen</translation>
    </message>
    <message>
        <source>This layer is kept as it is.</source>
        <translation>Diese Schicht bleibt unverändert.</translation>
    </message>
    <message>
        <source>Values of the grid&apos;s codes, the same for every group.</source>
        <translation>Werte der Codes des Rasters, für jede Gruppe gleich.</translation>
    </message>
    <message>
        <source>%1 steps</source>
        <translation>%1 Stufen</translation>
    </message>
    <message>
        <source>weight %1</source>
        <translation>Gewicht %1</translation>
    </message>
    <message>
        <source>W %1</source>
        <translation>W %1</translation>
    </message>
    <message>
        <source>after %1</source>
        <translation>danach %1</translation>
    </message>
    <message>
        <source>error share %1</source>
        <translation>Fehleranteil %1</translation>
    </message>
    <message>
        <source>code %1</source>
        <translation>Code %1</translation>
    </message>
    <message>
        <source>code</source>
        <translation>Code</translation>
    </message>
    <message>
        <source>No finite value to show</source>
        <translation>Kein endlicher Wert zu zeigen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::DropZone</name>
    <message>
        <source>Drop a model folder or file</source>
        <translation>Modellordner oder Datei hier ablegen</translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation>Datei öffnen…</translation>
    </message>
    <message>
        <source>safetensors, an index of shards, or GGUF. Ctrl+O</source>
        <translation>safetensors, ein Index von Teildateien oder GGUF. Strg+O</translation>
    </message>
    <message>
        <source>Open folder…</source>
        <translation>Ordner öffnen…</translation>
    </message>
    <message>
        <source>A Hugging Face model folder. Ctrl+Shift+O</source>
        <translation>Ein Modellordner von Hugging Face. Strg+Umschalt+O</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::EqualizerLegend</name>
    <message>
        <source>%1 bits</source>
        <translation>%1 Bit</translation>
    </message>
    <message>
        <source>Bits: %1. An outline stands for a layer that is kept as stored. Error: a full bar is measured, a faint one with a cap is estimated, none is not known yet</source>
        <translation>Bit: %1. Ein Umriss steht für eine unveränderte Schicht. Fehler: ein voller Balken ist gemessen, ein blasser mit Kappe geschätzt, keiner noch nicht bekannt</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>pinned</source>
        <translation>fixiert</translation>
    </message>
    <message>
        <source>fused, moves together</source>
        <translation>verschmolzen, bewegt sich zusammen</translation>
    </message>
    <message>
        <source>fused by some runtimes</source>
        <translation>von manchen Laufzeiten verschmolzen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::EqualizerPlot</name>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Error, %</source>
        <translation>Fehler, %</translation>
    </message>
    <message>
        <source>Open a model to plan its layers</source>
        <translation>Ein Modell öffnen, um seine Schichten zu planen</translation>
    </message>
    <message>
        <source>Copy image</source>
        <translation>Bild kopieren</translation>
    </message>
    <message>
        <source>Copy data</source>
        <translation>Daten kopieren</translation>
    </message>
    <message>
        <source>Save as %1…</source>
        <translation>Als %1 speichern…</translation>
    </message>
    <message>
        <source>Reset zoom</source>
        <translation>Ausschnitt zurücksetzen</translation>
    </message>
    <message>
        <source>Equalizer</source>
        <translation>Equalizer</translation>
    </message>
    <message>
        <source>Layer %1 of %2, kept</source>
        <translation>Schicht %1 von %2, unverändert</translation>
    </message>
    <message>
        <source>Layer %1 of %2, %3 bits, rank %4</source>
        <translation>Schicht %1 von %2, %3 Bit, Rang %4</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ExportChoice</name>
    <message>
        <source>The folder %1 does not exist</source>
        <translation>Den Ordner %1 gibt es nicht</translation>
    </message>
    <message>
        <source>The folder %1 cannot be written</source>
        <translation>In den Ordner %1 kann nicht geschrieben werden</translation>
    </message>
    <message>
        <source>%1 needed, %2 free</source>
        <translation>%1 nötig, %2 frei</translation>
    </message>
    <message>
        <source>Fit the plan to %1</source>
        <translation>Plan an %1 anpassen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ExportMatrixModel</name>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>1 layer, rank %2</source>
        <translation>1 Schicht, Rang %2</translation>
    </message>
    <message>
        <source>%1 layers, rank %2</source>
        <translation>%1 Schichten, Rang %2</translation>
    </message>
    <message>
        <source>%1 layers, rank %2 to %3</source>
        <translation>%1 Schichten, Rang %2 bis %3</translation>
    </message>
    <message>
        <source>1 tensor</source>
        <translation>1 Tensor</translation>
    </message>
    <message>
        <source>from the model</source>
        <translation>aus dem Modell</translation>
    </message>
    <message>
        <source>repeats this export</source>
        <translation>wiederholt diesen Export</translation>
    </message>
    <message>
        <source>In the plan</source>
        <translation>Im Plan</translation>
    </message>
    <message>
        <source>%1 tensors</source>
        <translation>%1 Tensoren</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ExportOptions</name>
    <message>
        <source>Largest size of one file</source>
        <translation>Größe einer Datei höchstens</translation>
    </message>
    <message>
        <source>no limit</source>
        <translation>unbegrenzt</translation>
    </message>
    <message>
        <source>Most tensors in one file</source>
        <translation>Tensoren in einer Datei höchstens</translation>
    </message>
    <message>
        <source>A model with more comes in several files, which llama.cpp finds from the first</source>
        <translation>Ein Modell mit mehr kommt in mehreren Dateien, die llama.cpp von der ersten aus findet</translation>
    </message>
    <message>
        <source>Template…</source>
        <translation>Vorlage…</translation>
    </message>
    <message>
        <source>A GGUF of the same model that metadata and tokenizer are taken from</source>
        <translation>Ein GGUF desselben Modells, aus dem Metadaten und Tokenizer kommen</translation>
    </message>
    <message>
        <source>Take metadata and tokenizer from the model again</source>
        <translation>Metadaten und Tokenizer wieder aus dem Modell nehmen</translation>
    </message>
    <message>
        <source>Largest file</source>
        <translation>Größte Datei</translation>
    </message>
    <message>
        <source>Tensors a file</source>
        <translation>Tensoren je Datei</translation>
    </message>
    <message>
        <source>Metadata</source>
        <translation>Metadaten</translation>
    </message>
    <message>
        <source>A larger model comes in several files, NAME-00001-of-00002.gguf and so on</source>
        <translation>Ein größeres Modell kommt in mehreren Dateien, NAME-00001-of-00002.gguf und so weiter</translation>
    </message>
    <message>
        <source>A larger model comes in several files with an index, as Hugging Face cuts them</source>
        <translation>Ein größeres Modell kommt in mehreren Dateien mit Index, wie Hugging Face sie schneidet</translation>
    </message>
    <message>
        <source>from the model</source>
        <translation>aus dem Modell</translation>
    </message>
    <message>
        <source>“%1” is no size: expected one such as 2 GB or 500 MB</source>
        <translation>„%1“ ist keine Größe: erwartet ist eine wie 2 GB oder 500 MB</translation>
    </message>
    <message>
        <source>Metadata and tokenizer from</source>
        <translation>Metadaten und Tokenizer aus</translation>
    </message>
    <message>
        <source>GGUF model (*.gguf)</source>
        <translation>GGUF-Modell (*.gguf)</translation>
    </message>
    <message>
        <source>Type of the factors</source>
        <translation>Typ der Faktoren</translation>
    </message>
    <message>
        <source>Factors</source>
        <translation>Faktoren</translation>
    </message>
    <message>
        <source>A PEFT adapter holds factors of 16 or 32 bits</source>
        <translation>Ein PEFT-Adapter hat Faktoren mit 16 oder 32 Bit</translation>
    </message>
    <message>
        <source>Where rank and row length are multiples of 32; F16 elsewhere</source>
        <translation>Wo Rang und Zeilenlänge Vielfache von 32 sind; sonst F16</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ExportPage</name>
    <message>
        <source>low-rank correction</source>
        <translation>Niedrigrang-Korrektur</translation>
    </message>
    <message>
        <source>model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Export</source>
        <translation>Export</translation>
    </message>
    <message>
        <source>✓ as planned   ▲ changed   ✕ lost</source>
        <translation>✓ wie geplant   ▲ geändert   ✕ verloren</translation>
    </message>
    <message>
        <source>What each runtime can carry</source>
        <translation>Was jede Laufzeit tragen kann</translation>
    </message>
    <message>
        <source>Parts of the plan and what each runtime makes of them</source>
        <translation>Teile des Plans und was jede Laufzeit daraus macht</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Copy the command</source>
        <translation>Den Befehl kopieren</translation>
    </message>
    <message>
        <source>Load it</source>
        <translation>Laden</translation>
    </message>
    <message>
        <source>Command that loads the files</source>
        <translation>Befehl, der die Dateien lädt</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <source>Output</source>
        <translation>Ausgabe</translation>
    </message>
    <message>
        <source>Browse…</source>
        <translation>Wählen…</translation>
    </message>
    <message>
        <source>Checks before writing</source>
        <translation>Vor dem Schreiben geprüft</translation>
    </message>
    <message>
        <source>Plan</source>
        <translation>Plan</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>Ordner</translation>
    </message>
    <message>
        <source>Free space</source>
        <translation>Freier Platz</translation>
    </message>
    <message>
        <source>Existing files</source>
        <translation>Vorhandene Dateien</translation>
    </message>
    <message>
        <source>Unfinished run</source>
        <translation>Unvollendeter Lauf</translation>
    </message>
    <message>
        <source>After writing</source>
        <translation>Nach dem Schreiben</translation>
    </message>
    <message>
        <source>Re-read and compare</source>
        <translation>Neu lesen und vergleichen</translation>
    </message>
    <message>
        <source>Sizes as announced</source>
        <translation>Größen wie angekündigt</translation>
    </message>
    <message>
        <source>Rename into place</source>
        <translation>An den Platz umbenennen</translation>
    </message>
    <message>
        <source>%1 bits per weight, all files</source>
        <translation>%1 Bit pro Gewicht, alle Dateien</translation>
    </message>
    <message>
        <source>Open a model first</source>
        <translation>Zuerst ein Modell öffnen</translation>
    </message>
    <message>
        <source>%1: %2</source>
        <comment>runtime, reasons</comment>
        <translation>%1: %2</translation>
    </message>
    <message>
        <source>No command: nothing can be written</source>
        <translation>Kein Befehl: nichts kann geschrieben werden</translation>
    </message>
    <message>
        <source>and %1 more</source>
        <translation>und %1 weitere</translation>
    </message>
    <message>
        <source>%1 bytes, exact</source>
        <translation>%1 Bytes, genau</translation>
    </message>
    <message>
        <source>Write files</source>
        <translation>Dateien schreiben</translation>
    </message>
    <message>
        <source>every layer can be written</source>
        <translation>jede Schicht ist schreibbar</translation>
    </message>
    <message>
        <source>not for this runtime</source>
        <translation>nicht für diese Laufzeit</translation>
    </message>
    <message>
        <source>does not exist</source>
        <translation>gibt es nicht</translation>
    </message>
    <message>
        <source>cannot be written</source>
        <translation>nicht beschreibbar</translation>
    </message>
    <message>
        <source>%1, needs %2</source>
        <translation>%1, nötig %2</translation>
    </message>
    <message>
        <source>nothing is replaced</source>
        <translation>nichts wird ersetzt</translation>
    </message>
    <message>
        <source>1 replaced at the end, after asking</source>
        <translation>1 ersetzt, nach Rückfrage</translation>
    </message>
    <message>
        <source>%1 replaced at the end, after asking</source>
        <translation>%1 ersetzt, nach Rückfrage</translation>
    </message>
    <message>
        <source>%1 of %2 layers are done</source>
        <translation>%1 von %2 Schichten sind fertig</translation>
    </message>
    <message>
        <source>every tensor of every file</source>
        <translation>jeder Tensor jeder Datei</translation>
    </message>
    <message>
        <source>to the byte</source>
        <translation>aufs Byte</translation>
    </message>
    <message>
        <source>only if both pass</source>
        <translation>nur wenn beides gelingt</translation>
    </message>
    <message>
        <source>Write 1 file</source>
        <translation>1 Datei schreiben</translation>
    </message>
    <message>
        <source>Write %1 files</source>
        <translation>%1 Dateien schreiben</translation>
    </message>
    <message>
        <source>A run is under way; see Quantize</source>
        <translation>Ein Lauf ist im Gange; siehe Quantisieren</translation>
    </message>
    <message>
        <source>Write the model to</source>
        <translation>Das Modell schreiben nach</translation>
    </message>
    <message>
        <source>GGUF model (*.gguf)</source>
        <translation>GGUF-Modell (*.gguf)</translation>
    </message>
    <message>
        <source>parts of the model</source>
        <translation>Teile des Modells</translation>
    </message>
    <message>
        <source>configuration, tokenizer, index of the parts</source>
        <translation>Konfiguration, Tokenizer, Index der Teile</translation>
    </message>
    <message>
        <source>%1 of %2 layers were quantized before (%3): errors are the loss added to that</source>
        <translation>%1 von %2 Schichten waren schon quantisiert (%3): Fehler sind der Verlust, der dazukommt</translation>
    </message>
    <message>
        <source>▲ and %1 more</source>
        <translation>▲ und %1 weitere</translation>
    </message>
    <message>
        <source>Use the nearest plan</source>
        <translation>Nächsten Plan nehmen</translation>
    </message>
    <message>
        <source>Changes the plan in one step, which Ctrl+Z takes back</source>
        <translation>Ändert den Plan in einem Schritt, den Strg+Z zurücknimmt</translation>
    </message>
    <message>
        <source>kept as it is</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>no correction</source>
        <translation>ohne Korrektur</translation>
    </message>
    <message>
        <source>rank %1 in %2</source>
        <comment>correction, type of its factors</comment>
        <translation>Rang %1 in %2</translation>
    </message>
    <message>
        <source>another encoder</source>
        <translation>ein anderer Kodierer</translation>
    </message>
    <message>
        <source>%1 instead of %2, %3 bits per weight</source>
        <comment>plan, earlier plan, +0.375</comment>
        <translation>%1 statt %2, %3 Bit pro Gewicht</translation>
    </message>
    <message>
        <source>%1: %2 (%3)</source>
        <comment>layers, change of the plan, reason</comment>
        <translation>%1: %2 (%3)</translation>
    </message>
    <message>
        <source>%1 layers</source>
        <translation>%1 Schichten</translation>
    </message>
    <message>
        <source>as its siblings</source>
        <translation>wie ihre Geschwister</translation>
    </message>
    <message>
        <source>The nearest plan that %1 takes:</source>
        <translation>Der nächste Plan, den %1 annimmt:</translation>
    </message>
    <message>
        <source>and 1 more kind of change</source>
        <translation>und 1 weitere Art von Änderung</translation>
    </message>
    <message>
        <source>and %1 more kinds of change</source>
        <translation>und %1 weitere Arten von Änderungen</translation>
    </message>
    <message>
        <source>1 other file</source>
        <translation>1 weitere Datei</translation>
    </message>
    <message>
        <source>%1 other files</source>
        <translation>%1 weitere Dateien</translation>
    </message>
    <message>
        <source>%1 cannot carry this plan; the reason stands above</source>
        <translation>%1 kann diesen Plan nicht tragen; der Grund steht oben</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::FallbackModel</name>
    <message>
        <source>Layer</source>
        <translation>Schicht</translation>
    </message>
    <message>
        <source>What happens instead</source>
        <translation>Was stattdessen geschieht</translation>
    </message>
    <message>
        <source>Bytes more, or less, than what was asked would take. Exact</source>
        <translation>Bytes mehr oder weniger, als das Verlangte brauchte. Exakt</translation>
    </message>
    <message>
        <source>Cost</source>
        <translation>Kosten</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::GuidePanel</name>
    <message>
        <source>Guided tour</source>
        <translation>Rundgang</translation>
    </message>
    <message>
        <source>Leave the tour. Esc</source>
        <translation>Den Rundgang verlassen. Esc</translation>
    </message>
    <message>
        <source>Leave the tour</source>
        <translation>Den Rundgang verlassen</translation>
    </message>
    <message>
        <source>Open the sample model: the button below, or File ▸ Open the sample model</source>
        <translation>Das Beispielmodell öffnen: der Knopf unten oder Datei ▸ Beispielmodell öffnen</translation>
    </message>
    <message>
        <source>Pick another layer in the tree: its weights, error and plan are shown at once</source>
        <translation>Eine andere Schicht im Baum wählen: Gewichte, Fehler und Plan erscheinen sofort</translation>
    </message>
    <message>
        <source>Drag the marker in the Spectrum: error, size and bits follow your hand. Ctrl+Z takes it back</source>
        <translation>Den Griff im Spektrum ziehen: Fehler, Größe und Bit folgen der Hand. Strg+Z nimmt es zurück</translation>
    </message>
    <message>
        <source>Choose other bits for the layer: the error and every byte of the file are counted anew</source>
        <translation>Andere Bit für die Schicht wählen: Fehler und jedes Byte der Datei werden neu gezählt</translation>
    </message>
    <message>
        <source>Quantizing: the error of each layer appears as it finishes</source>
        <translation>Wird quantisiert: der Fehler jeder Schicht erscheint, sobald sie fertig ist</translation>
    </message>
    <message>
        <source>Quantize: F5, choose a name, start. It takes seconds on the sample</source>
        <translation>Quantisieren: F5, einen Namen wählen, starten. Beim Beispiel dauert es Sekunden</translation>
    </message>
    <message>
        <source>Done: the files are written, and the command that loads them stands on this page</source>
        <translation>Fertig: die Dateien sind geschrieben, der Befehl zum Laden steht auf dieser Seite</translation>
    </message>
    <message>
        <source>Tour</source>
        <translation>Rundgang</translation>
    </message>
    <message>
        <source>Tour, step %1 of %2</source>
        <translation>Rundgang, Schritt %1 von %2</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Skip</source>
        <translation>Überspringen</translation>
    </message>
    <message>
        <source>Go on without doing this step</source>
        <translation>Weiter, ohne diesen Schritt zu tun</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::HeatMapPanel</name>
    <message>
        <source>Select a layer to see its weights as a picture</source>
        <translation>Eine Schicht wählen, um ihre Gewichte als Bild zu sehen</translation>
    </message>
    <message>
        <source>Open a model to see its weights</source>
        <translation>Ein Modell öffnen, um seine Gewichte zu sehen</translation>
    </message>
    <message>
        <source>This layer is kept as it is: no error to show</source>
        <translation>Diese Schicht bleibt unverändert: kein Fehler zu zeigen</translation>
    </message>
    <message>
        <source>Values that are not finite have no error</source>
        <translation>Werte, die nicht endlich sind, haben keinen Fehler</translation>
    </message>
    <message>
        <source>plain metric</source>
        <translation>schlichte Metrik</translation>
    </message>
    <message>
        <source>Heat map</source>
        <translation>Heatmap</translation>
    </message>
    <message>
        <source>Cancelled. Select the layer again to see its weights as a picture</source>
        <translation>Abgebrochen. Die Schicht noch einmal wählen, um ihre Gewichte als Bild zu sehen</translation>
    </message>
    <message>
        <source>exact, %1 × %2</source>
        <translation>exakt, %1 × %2</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::HeatMapPlot</name>
    <message>
        <source>NaN</source>
        <translation>NaN</translation>
    </message>
    <message>
        <source>row %1</source>
        <translation>Zeile %1</translation>
    </message>
    <message>
        <source>rows %1–%2</source>
        <translation>Zeilen %1–%2</translation>
    </message>
    <message>
        <source>column %1</source>
        <translation>Spalte %1</translation>
    </message>
    <message>
        <source>columns %1–%2</source>
        <translation>Spalten %1–%2</translation>
    </message>
    <message>
        <source>largest %1</source>
        <translation>größter %1</translation>
    </message>
    <message>
        <source>Heat map</source>
        <translation>Heatmap</translation>
    </message>
    <message>
        <source>Wheel zooms, Ctrl rows, Shift columns</source>
        <translation>Rad zoomt, Strg Zeilen, Umschalt Spalten</translation>
    </message>
    <message>
        <source>Select a layer to see its weights as a picture</source>
        <translation>Eine Schicht wählen, um ihre Gewichte als Bild zu sehen</translation>
    </message>
    <message>
        <source>What is shown</source>
        <translation>Was gezeigt wird</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>Log</translation>
    </message>
    <message>
        <source>Linear</source>
        <translation>Linear</translation>
    </message>
    <message>
        <source>Scale of the colours</source>
        <translation>Teilung der Farben</translation>
    </message>
    <message>
        <source>Magnitude of the weights</source>
        <translation>Betrag der Gewichte</translation>
    </message>
    <message>
        <source>Magnitude of E = W − Q, what the grid leaves</source>
        <translation>Betrag von E = W − Q: was das Raster übrig lässt</translation>
    </message>
    <message>
        <source>Error weighted by the calibrated size of each input</source>
        <translation>Fehler, gewichtet mit der kalibrierten Größe jeder Eingabe</translation>
    </message>
    <message>
        <source>, largest of a cell</source>
        <translation>, größter einer Zelle</translation>
    </message>
    <message>
        <source>Input channel, column of W</source>
        <translation>Eingabekanal, Spalte von W</translation>
    </message>
    <message>
        <source>Output channel, row of W</source>
        <translation>Ausgabekanal, Zeile von W</translation>
    </message>
    <message>
        <source>Every value is 0</source>
        <translation>Jeder Wert ist 0</translation>
    </message>
    <message>
        <source>No finite value to show</source>
        <translation>Kein endlicher Wert zu zeigen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::InspectPage</name>
    <message>
        <source>Density</source>
        <translation>Dichte</translation>
    </message>
    <message>
        <source>Spectrum</source>
        <translation>Spektrum</translation>
    </message>
    <message>
        <source>Channels</source>
        <translation>Kanäle</translation>
    </message>
    <message>
        <source>Heat map</source>
        <translation>Heatmap</translation>
    </message>
    <message>
        <source>Statistics</source>
        <translation>Statistik</translation>
    </message>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>for another solver</source>
        <translation>für einen anderen Löser</translation>
    </message>
    <message>
        <source>for another metric</source>
        <translation>für eine andere Metrik</translation>
    </message>
    <message>
        <source>for %1, now %2</source>
        <translation>für %1, jetzt %2</translation>
    </message>
    <message>
        <source>Select a layer to see how its weights are distributed</source>
        <translation>Eine Schicht wählen, um die Verteilung ihrer Gewichte zu sehen</translation>
    </message>
    <message>
        <source>Open a model to see its weights</source>
        <translation>Ein Modell öffnen, um seine Gewichte zu sehen</translation>
    </message>
    <message>
        <source>Distribution</source>
        <translation>Verteilung</translation>
    </message>
    <message>
        <source>No finite value to show</source>
        <translation>Kein endlicher Wert zu zeigen</translation>
    </message>
    <message>
        <source>Levels of the median of %1 groups</source>
        <translation>Stufen des Medians von %1 Gruppen</translation>
    </message>
    <message>
        <source>exact, %1 weights</source>
        <translation>exakt, %1 Gewichte</translation>
    </message>
    <message>
        <source>bins of 1 in 128, %1 weights</source>
        <translation>Klassen von 1/128, %1 Gewichte</translation>
    </message>
    <message>
        <source>Select a layer to see its spectrum</source>
        <translation>Eine Schicht wählen, um ihr Spektrum zu sehen</translation>
    </message>
    <message>
        <source>Open a model to see its spectra</source>
        <translation>Ein Modell öffnen, um seine Spektren zu sehen</translation>
    </message>
    <message>
        <source>%1 values are not finite</source>
        <translation>%1 Werte sind nicht endlich</translation>
    </message>
    <message>
        <source>A spectrum needs numbers. The layer is copied, not quantized.</source>
        <translation>Ein Spektrum braucht Zahlen. Die Schicht wird kopiert, nicht quantisiert.</translation>
    </message>
    <message>
        <source>A vector has no spectrum. Select a matrix.</source>
        <translation>Ein Vektor hat kein Spektrum. Eine Matrix wählen.</translation>
    </message>
    <message>
        <source>plain metric</source>
        <translation>schlichte Metrik</translation>
    </message>
    <message>
        <source>exact, %1 of %1 values</source>
        <translation>exakt, %1 von %1 Werten</translation>
    </message>
    <message>
        <source>%1 of %2 values, each within 1 %</source>
        <translation>%1 von %2 Werten, jeder auf 1 % genau</translation>
    </message>
    <message>
        <source>rank %1</source>
        <translation>Rang %1</translation>
    </message>
    <message>
        <source>%1 of %2 energy</source>
        <translation>%1 der Energie von %2</translation>
    </message>
    <message>
        <source>error %1 → %2 · +%3 bpw · %4</source>
        <translation>Fehler %1 → %2 · +%3 bpw · %4</translation>
    </message>
    <message>
        <source>Views of the layer</source>
        <translation>Ansichten der Schicht</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::InspectorPanel</name>
    <message>
        <source>1 layer</source>
        <translation>1 Schicht</translation>
    </message>
    <message>
        <source>%1 layers</source>
        <translation>%1 Schichten</translation>
    </message>
    <message>
        <source>Method</source>
        <translation>Methode</translation>
    </message>
    <message>
        <source>Pinned</source>
        <translation>Fixiert</translation>
    </message>
    <message>
        <source>Presets and range gestures leave a pinned layer as it is. Space</source>
        <translation>Vorgaben und Bereichsgesten lassen eine fixierte Schicht, wie sie ist. Leertaste</translation>
    </message>
    <message>
        <source>Grid</source>
        <translation>Raster</translation>
    </message>
    <message>
        <source>Type</source>
        <translation>Typ</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Group</source>
        <translation>Gruppe</translation>
    </message>
    <message>
        <source>Low-rank correction</source>
        <translation>Niedrigrang-Korrektur</translation>
    </message>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>Factor bits</source>
        <translation>Faktor-Bit</translation>
    </message>
    <message>
        <source>Metric</source>
        <translation>Metrik</translation>
    </message>
    <message>
        <source>Nothing selected</source>
        <translation>Nichts gewählt</translation>
    </message>
    <message>
        <source>No model open</source>
        <translation>Kein Modell offen</translation>
    </message>
    <message>
        <source>Select a layer to see its plan and its error</source>
        <translation>Eine Schicht wählen, um ihren Plan und ihren Fehler zu sehen</translation>
    </message>
    <message>
        <source>%1 weights · an edit applies to all of them</source>
        <translation>%1 Gewichte · eine Änderung gilt für alle</translation>
    </message>
    <message>
        <source>%1 · %2 · %3</source>
        <translation>%1 · %2 · %3</translation>
    </message>
    <message>
        <source>mixed</source>
        <translation>gemischt</translation>
    </message>
    <message>
        <source>Kept as stored</source>
        <translation>Unverändert</translation>
    </message>
    <message>
        <source>Edited</source>
        <translation>Bearbeitet</translation>
    </message>
    <message>
        <source>None: kept</source>
        <translation>Keines: unverändert</translation>
    </message>
    <message>
        <source>No calibration: the plain metric is used. File ▸ Import calibration…</source>
        <translation>Keine Kalibrierung: die schlichte Metrik gilt. Datei ▸ Kalibrierung importieren…</translation>
    </message>
    <message>
        <source>8 bit in GGUF needs a rank and a row length that are multiples of 32</source>
        <translation>8 Bit in GGUF verlangt Rang und Zeilenlänge als Vielfache von 32</translation>
    </message>
    <message>
        <source>Solver</source>
        <translation>Löser</translation>
    </message>
    <message>
        <source>This grid leaves no range to choose. Q4_0 and INT grids do.</source>
        <translation>Dieses Raster lässt keinen Bereich zu wählen. Q4_0- und INT-Raster schon.</translation>
    </message>
    <message>
        <source>No grid of this type has %1 bits. INT grids do.</source>
        <translation>Kein Raster dieses Typs hat %1 Bit. INT-Raster haben sie.</translation>
    </message>
    <message>
        <source>Keep</source>
        <comment>leave the tensor as stored</comment>
        <translation>Lassen</translation>
    </message>
    <message>
        <source>Leaves the tensor as it is stored. M</source>
        <translation>Lässt den Tensor, wie er gespeichert ist. M</translation>
    </message>
    <message>
        <source>%1 × %2</source>
        <comment>bits × layers</comment>
        <translation>%1 × %2</translation>
    </message>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>–</source>
        <translation>–</translation>
    </message>
    <message>
        <source>whole row</source>
        <translation>ganze Zeile</translation>
    </message>
    <message>
        <source>%1 · set by the grid</source>
        <translation>%1 · vom Raster bestimmt</translation>
    </message>
    <message>
        <source>To look at: GGUF cannot carry this grid. For llama.cpp take a GGUF type.</source>
        <translation>Zum Ansehen: GGUF kann dieses Raster nicht aufnehmen. Für llama.cpp einen GGUF-Typ nehmen.</translation>
    </message>
    <message>
        <source>Result</source>
        <translation>Ergebnis</translation>
    </message>
    <message>
        <source>Output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>‖(W − Q − LR)·S‖ / ‖W·S‖ with S the activation RMS of each input channel</source>
        <translation>‖(W − Q − LR)·S‖ / ‖W·S‖ mit S, dem Aktivierungs-RMS jedes Eingabekanals</translation>
    </message>
    <message>
        <source>At rank 0</source>
        <translation>Bei Rang 0</translation>
    </message>
    <message>
        <source>The same error without the low-rank correction</source>
        <translation>Derselbe Fehler ohne die Niedrigrang-Korrektur</translation>
    </message>
    <message>
        <source>Search gain</source>
        <translation>Gewinn der Suche</translation>
    </message>
    <message>
        <source>How far the wider search left the error before correction below that of ggml&apos;s own search</source>
        <translation>Um wie viel die weitere Suche den Fehler vor der Korrektur unter den von ggmls eigener Suche gesenkt hat</translation>
    </message>
    <message>
        <source>Weight error</source>
        <translation>Gewichtsfehler</translation>
    </message>
    <message>
        <source>‖W − Q − LR‖ / ‖W‖</source>
        <translation>‖W − Q − LR‖ / ‖W‖</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Codes, scales and stored factors of this layer</source>
        <translation>Codes, Skalen und gespeicherte Faktoren dieser Schicht</translation>
    </message>
    <message>
        <source>Bits per weight</source>
        <translation>Bit pro Gewicht</translation>
    </message>
    <message>
        <source>8 · size / weights: every byte of scales and factors counts</source>
        <translation>8 · Größe / Gewichte: jedes Byte der Skalen und Faktoren zählt</translation>
    </message>
    <message>
        <source>As LQER counts</source>
        <translation>Wie LQER zählt</translation>
    </message>
    <message>
        <source>The same bits divided by weights and factor values together, as the LQER paper&apos;s tables do</source>
        <translation>Dieselben Bit geteilt durch Gewichte und Faktorwerte zusammen, wie in den Tabellen der LQER-Arbeit</translation>
    </message>
    <message>
        <source>Needs calibration: File ▸ Import calibration…</source>
        <translation>Braucht eine Kalibrierung: Datei ▸ Kalibrierung importieren…</translation>
    </message>
    <message>
        <source>Only GGUF types are searched by importances.</source>
        <translation>Nach Wichtigkeit wird nur bei GGUF-Typen gesucht.</translation>
    </message>
    <message>
        <source>To look at: %1 cannot carry this grid</source>
        <translation>Zum Ansehen: %1 kann dieses Raster nicht tragen</translation>
    </message>
    <message>
        <source>A PEFT adapter holds factors of 16 or 32 bits</source>
        <translation>Ein PEFT-Adapter hat Faktoren mit 16 oder 32 Bit</translation>
    </message>
    <message>
        <source>To look at: %1 cannot carry this grid. The Export page has the nearest plan.</source>
        <translation>Zum Ansehen: %1 kann dieses Raster nicht tragen. Die Seite Export hat den nächsten Plan.</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::LayerPanel</name>
    <message>
        <source>Filter: name, role:down, bits&lt;4, error&gt;5%</source>
        <translation>Filter: Name, role:down, bits&lt;4, error&gt;5%</translation>
    </message>
    <message>
        <source>Layer filter</source>
        <translation>Filter der Schichten</translation>
    </message>
    <message>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <source>%1 in plan · %2 other tensors</source>
        <translation>%1 im Plan · %2 andere Tensoren</translation>
    </message>
    <message>
        <source>“%1” is not understood: expected a number after bits, rank or error</source>
        <translation>„%1“ ist unverständlich: nach bits, rank oder error wird eine Zahl erwartet</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::LayerTreeModel</name>
    <message>
        <source>Block %1</source>
        <translation>Block %1</translation>
    </message>
    <message>
        <source>The file ends before this tensor does</source>
        <translation>Die Datei endet vor diesem Tensor</translation>
    </message>
    <message>
        <source>The part of the model that holds this tensor is missing</source>
        <translation>Der Teil des Modells mit diesem Tensor fehlt</translation>
    </message>
    <message>
        <source>Values that are not finite: %1. It is copied, not quantized</source>
        <translation>Werte, die nicht endlich sind: %1. Er wird kopiert, nicht quantisiert</translation>
    </message>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>Output error of the layer, weighted by the activations; weight error where there is no calibration</source>
        <translation>Ausgabefehler der Schicht, gewichtet mit den Aktivierungen; Gewichtsfehler, wo es keine Kalibrierung gibt</translation>
    </message>
    <message>
        <source>Layer</source>
        <translation>Schicht</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>Error %</source>
        <translation>Fehler %</translation>
    </message>
    <message>
        <source>MiB</source>
        <translation>MiB</translation>
    </message>
    <message>
        <source>Shape</source>
        <translation>Form</translation>
    </message>
    <message>
        <source>Type</source>
        <translation>Typ</translation>
    </message>
    <message>
        <source>Grid</source>
        <translation>Raster</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::MainWindow</name>
    <message>
        <source>Sigmascope</source>
        <translation>Sigmascope</translation>
    </message>
    <message>
        <source>Inspect</source>
        <translation>Ansehen</translation>
    </message>
    <message>
        <source>Alt+1</source>
        <translation>Alt+1</translation>
    </message>
    <message>
        <source>Plan</source>
        <translation>Planen</translation>
    </message>
    <message>
        <source>Alt+2</source>
        <translation>Alt+2</translation>
    </message>
    <message>
        <source>Quantize</source>
        <translation>Quantisieren</translation>
    </message>
    <message>
        <source>Alt+3</source>
        <translation>Alt+3</translation>
    </message>
    <message>
        <source>Dismiss</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Re-check</source>
        <translation>Erneut prüfen</translation>
    </message>
    <message>
        <source>Opens the model again: a download may have gone on. The plan starts anew</source>
        <translation>Öffnet das Modell noch einmal: ein Download kann weiter sein. Der Plan beginnt neu</translation>
    </message>
    <message>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <source>Inspector</source>
        <translation>Inspektor</translation>
    </message>
    <message>
        <source>Budget</source>
        <translation>Budget</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>Compute device</source>
        <translation>Rechengerät</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>Automatisch</translation>
    </message>
    <message>
        <source>CPU</source>
        <translation>CPU</translation>
    </message>
    <message>
        <source>%1 · Vulkan</source>
        <translation>%1 · Vulkan</translation>
    </message>
    <message>
        <source>%1 — Sigmascope</source>
        <translation>%1 — Sigmascope</translation>
    </message>
    <message>
        <source>Recipe saved as %1</source>
        <translation>Rezept gespeichert als %1</translation>
    </message>
    <message>
        <source>%1 ops on CPU</source>
        <translation>%1 Schritte auf der CPU</translation>
    </message>
    <message>
        <source>Quantizing</source>
        <translation>Quantisiert</translation>
    </message>
    <message>
        <source>%1 %</source>
        <translation>%1 %</translation>
    </message>
    <message>
        <source>Quantizing · %1</source>
        <translation>Quantisiert · %1</translation>
    </message>
    <message>
        <source>no calibration</source>
        <translation>keine Kalibrierung</translation>
    </message>
    <message>
        <source>calibration %1</source>
        <translation>Kalibrierung %1</translation>
    </message>
    <message>
        <source>%1 tensors · %2 weights · %3 · %4</source>
        <translation>%1 Tensoren · %2 Gewichte · %3 · %4</translation>
    </message>
    <message>
        <source>A run is working on the open model. Stop it before another is opened (Shift+F5)</source>
        <translation>Ein Lauf arbeitet am offenen Modell. Ihn anhalten, bevor ein anderes geöffnet wird (Umschalt+F5)</translation>
    </message>
    <message>
        <source>Open a model folder</source>
        <translation>Modellordner öffnen</translation>
    </message>
    <message>
        <source>Open a model</source>
        <translation>Modell öffnen</translation>
    </message>
    <message>
        <source>Models (*.safetensors *.index.json *.gguf)</source>
        <translation>Modelle (*.safetensors *.index.json *.gguf)</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Import an importance matrix</source>
        <translation>Importance-Matrix importieren</translation>
    </message>
    <message>
        <source>Importance matrix (*.gguf *.dat)</source>
        <translation>Importance-Matrix (*.gguf *.dat)</translation>
    </message>
    <message>
        <source>&amp;File</source>
        <translation>&amp;Datei</translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation>Datei öffnen…</translation>
    </message>
    <message>
        <source>Ctrl+O</source>
        <translation>Ctrl+O</translation>
    </message>
    <message>
        <source>Open safetensors, an index of shards, or GGUF</source>
        <translation>safetensors, einen Index von Teildateien oder GGUF öffnen</translation>
    </message>
    <message>
        <source>Open folder…</source>
        <translation>Ordner öffnen…</translation>
    </message>
    <message>
        <source>Ctrl+Shift+O</source>
        <translation>Ctrl+Shift+O</translation>
    </message>
    <message>
        <source>Open recent</source>
        <translation>Zuletzt geöffnet</translation>
    </message>
    <message>
        <source>Open the sample model</source>
        <translation>Beispielmodell öffnen</translation>
    </message>
    <message>
        <source>A real 4-million-weight llama with its calibration</source>
        <translation>Ein echtes Llama mit 4 Millionen Gewichten und seiner Kalibrierung</translation>
    </message>
    <message>
        <source>Import calibration…</source>
        <translation>Kalibrierung importieren…</translation>
    </message>
    <message>
        <source>Take activation statistics from an importance matrix of llama.cpp</source>
        <translation>Aktivierungsstatistik aus einer Importance-Matrix von llama.cpp übernehmen</translation>
    </message>
    <message>
        <source>Open recipe…</source>
        <translation>Rezept öffnen…</translation>
    </message>
    <message>
        <source>Plan the model as a recipe file says, in one undo step</source>
        <translation>Das Modell nach einer Rezeptdatei planen, in einem Schritt rückgängig zu machen</translation>
    </message>
    <message>
        <source>Save recipe as…</source>
        <translation>Rezept speichern unter…</translation>
    </message>
    <message>
        <source>Write the plan as a recipe that gives it back</source>
        <translation>Den Plan als Rezept schreiben, das ihn wiedergibt</translation>
    </message>
    <message>
        <source>Ctrl+E</source>
        <translation>Ctrl+E</translation>
    </message>
    <message>
        <source>Close model</source>
        <translation>Modell schließen</translation>
    </message>
    <message>
        <source>Ctrl+W</source>
        <translation>Ctrl+W</translation>
    </message>
    <message>
        <source>Close the model and go to the start page</source>
        <translation>Das Modell schließen und zur Startseite gehen</translation>
    </message>
    <message>
        <source>A run is working on this model. Stop it first (Shift+F5)</source>
        <translation>Ein Lauf arbeitet an diesem Modell. Ihn zuerst anhalten (Umschalt+F5)</translation>
    </message>
    <message>
        <source>Quit</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Ctrl+Q</source>
        <translation>Ctrl+Q</translation>
    </message>
    <message>
        <source>Leave Sigmascope</source>
        <translation>Sigmascope verlassen</translation>
    </message>
    <message>
        <source>&amp;Edit</source>
        <translation>&amp;Bearbeiten</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>Ctrl+Z</source>
        <translation>Ctrl+Z</translation>
    </message>
    <message>
        <source>Redo</source>
        <translation>Wiederherstellen</translation>
    </message>
    <message>
        <source>Ctrl+Shift+Z</source>
        <translation>Ctrl+Shift+Z</translation>
    </message>
    <message>
        <source>Find a layer</source>
        <translation>Schicht suchen</translation>
    </message>
    <message>
        <source>Ctrl+F</source>
        <translation>Ctrl+F</translation>
    </message>
    <message>
        <source>Filter the layers</source>
        <translation>Die Schichten filtern</translation>
    </message>
    <message>
        <source>Next region</source>
        <translation>Nächster Bereich</translation>
    </message>
    <message>
        <source>F6</source>
        <translation>F6</translation>
    </message>
    <message>
        <source>Move the focus: layers, plot, inspector</source>
        <translation>Den Fokus bewegen: Schichten, Bild, Inspektor</translation>
    </message>
    <message>
        <source>Previous region</source>
        <translation>Voriger Bereich</translation>
    </message>
    <message>
        <source>Shift+F6</source>
        <translation>Shift+F6</translation>
    </message>
    <message>
        <source>Move the focus back</source>
        <translation>Den Fokus zurück bewegen</translation>
    </message>
    <message>
        <source>&amp;View</source>
        <translation>&amp;Ansicht</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>Aussehen</translation>
    </message>
    <message>
        <source>System</source>
        <translation>System</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Reset layout</source>
        <translation>Anordnung zurücksetzen</translation>
    </message>
    <message>
        <source>Put the docks back where they were</source>
        <translation>Die Felder an ihren Platz zurückstellen</translation>
    </message>
    <message>
        <source>Next tab</source>
        <translation>Nächster Reiter</translation>
    </message>
    <message>
        <source>Ctrl+Tab</source>
        <translation>Ctrl+Tab</translation>
    </message>
    <message>
        <source>Density, Spectrum, Statistics</source>
        <translation>Dichte, Spektrum, Statistik</translation>
    </message>
    <message>
        <source>Previous tab</source>
        <translation>Voriger Reiter</translation>
    </message>
    <message>
        <source>Ctrl+Shift+Tab</source>
        <translation>Ctrl+Shift+Tab</translation>
    </message>
    <message>
        <source>&amp;Layer</source>
        <translation>&amp;Schicht</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>%1 bits</source>
        <translation>%1 Bit</translation>
    </message>
    <message>
        <source>Set the bits of the selected layers</source>
        <translation>Die Bit der gewählten Schichten setzen</translation>
    </message>
    <message>
        <source>Raise rank</source>
        <translation>Rang erhöhen</translation>
    </message>
    <message>
        <source>+</source>
        <translation>+</translation>
    </message>
    <message>
        <source>=</source>
        <translation>=</translation>
    </message>
    <message>
        <source>Rank of the selected layers up by 1</source>
        <translation>Rang der gewählten Schichten um 1 höher</translation>
    </message>
    <message>
        <source>Lower rank</source>
        <translation>Rang senken</translation>
    </message>
    <message>
        <source>-</source>
        <translation>-</translation>
    </message>
    <message>
        <source>Rank of the selected layers down by 1</source>
        <translation>Rang der gewählten Schichten um 1 tiefer</translation>
    </message>
    <message>
        <source>Raise rank by 8</source>
        <translation>Rang um 8 erhöhen</translation>
    </message>
    <message>
        <source>Shift++</source>
        <translation>Shift++</translation>
    </message>
    <message>
        <source>Rank of the selected layers up by 8</source>
        <translation>Rang der gewählten Schichten um 8 höher</translation>
    </message>
    <message>
        <source>Lower rank by 8</source>
        <translation>Rang um 8 senken</translation>
    </message>
    <message>
        <source>Shift+-</source>
        <translation>Shift+-</translation>
    </message>
    <message>
        <source>_</source>
        <translation>_</translation>
    </message>
    <message>
        <source>Rank of the selected layers down by 8</source>
        <translation>Rang der gewählten Schichten um 8 tiefer</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>Fixieren</translation>
    </message>
    <message>
        <source>Space</source>
        <translation>Space</translation>
    </message>
    <message>
        <source>Presets and range gestures leave a pinned layer as it is</source>
        <translation>Vorgaben und Bereichsgesten lassen eine fixierte Schicht, wie sie ist</translation>
    </message>
    <message>
        <source>Keep as stored</source>
        <translation>Unverändert lassen</translation>
    </message>
    <message>
        <source>M</source>
        <translation>M</translation>
    </message>
    <message>
        <source>Leave the selected layers as they are stored</source>
        <translation>Die gewählten Schichten lassen, wie sie gespeichert sind</translation>
    </message>
    <message>
        <source>&amp;Plan</source>
        <translation>&amp;Plan</translation>
    </message>
    <message>
        <source>Equalizer</source>
        <translation>Equalizer</translation>
    </message>
    <message>
        <source>Bits and rank of all layers in depth order</source>
        <translation>Bit und Rang aller Schichten in ihrer Reihenfolge</translation>
    </message>
    <message>
        <source>Apply preset</source>
        <translation>Vorgabe anwenden</translation>
    </message>
    <message>
        <source>Plan every layer but the pinned ones like this</source>
        <translation>Jede Schicht außer den fixierten so planen</translation>
    </message>
    <message>
        <source>Copy Equalizer as image</source>
        <translation>Equalizer als Bild kopieren</translation>
    </message>
    <message>
        <source>Copy the picture to the clipboard</source>
        <translation>Das Bild in die Zwischenablage kopieren</translation>
    </message>
    <message>
        <source>Copy Equalizer as CSV</source>
        <translation>Equalizer als CSV kopieren</translation>
    </message>
    <message>
        <source>Copy bits, rank and error of every layer</source>
        <translation>Bit, Rang und Fehler jeder Schicht kopieren</translation>
    </message>
    <message>
        <source>Reset zoom of the Equalizer</source>
        <translation>Ausschnitt des Equalizers zurücksetzen</translation>
    </message>
    <message>
        <source>All layers, as far as they fit</source>
        <translation>Alle Schichten, so weit sie passen</translation>
    </message>
    <message>
        <source>&amp;Run</source>
        <translation>&amp;Lauf</translation>
    </message>
    <message>
        <source>F5</source>
        <translation>F5</translation>
    </message>
    <message>
        <source>Quantize and export the model</source>
        <translation>Das Modell quantisieren und exportieren</translation>
    </message>
    <message>
        <source>Shift+F5</source>
        <translation>Shift+F5</translation>
    </message>
    <message>
        <source>Save report…</source>
        <translation>Bericht speichern…</translation>
    </message>
    <message>
        <source>Write the last run&apos;s errors, files and recipe as one HTML page or PDF</source>
        <translation>Fehler, Dateien und Rezept des letzten Laufs als eine HTML-Seite oder PDF schreiben</translation>
    </message>
    <message>
        <source>Report written: %1</source>
        <translation>Bericht geschrieben: %1</translation>
    </message>
    <message>
        <source>Save the report</source>
        <translation>Bericht speichern</translation>
    </message>
    <message>
        <source>Web page (*.html)</source>
        <translation>Webseite (*.html)</translation>
    </message>
    <message>
        <source>PDF (*.pdf)</source>
        <translation>PDF (*.pdf)</translation>
    </message>
    <message>
        <source>Open a recipe</source>
        <translation>Rezept öffnen</translation>
    </message>
    <message>
        <source>Recipes (*.json)</source>
        <translation>Rezepte (*.json)</translation>
    </message>
    <message>
        <source>Save the recipe</source>
        <translation>Rezept speichern</translation>
    </message>
    <message>
        <source>&amp;Help</source>
        <translation>&amp;Hilfe</translation>
    </message>
    <message>
        <source>Keyboard shortcuts</source>
        <translation>Tastenkürzel</translation>
    </message>
    <message>
        <source>Ctrl+?</source>
        <translation>Ctrl+?</translation>
    </message>
    <message>
        <source>All keys on one page</source>
        <translation>Alle Tasten auf einer Seite</translation>
    </message>
    <message>
        <source>Guided tour</source>
        <translation>Rundgang</translation>
    </message>
    <message>
        <source>Five steps on the sample model, from opening to the finished file</source>
        <translation>Fünf Schritte am Beispielmodell, vom Öffnen bis zur fertigen Datei</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>The language changes at the next start of the program</source>
        <translation>Die Sprache wechselt beim nächsten Start des Programms</translation>
    </message>
    <message>
        <source>Takes effect at the next start</source>
        <translation>Gilt ab dem nächsten Start</translation>
    </message>
    <message>
        <source>Steps</source>
        <translation>Schritte</translation>
    </message>
    <message>
        <source>Session saved as %1</source>
        <translation>Sitzung gespeichert als %1</translation>
    </message>
    <message>
        <source>Recover</source>
        <translation>Wiederherstellen</translation>
    </message>
    <message>
        <source>Opens the model with the plan and results of then</source>
        <translation>Öffnet das Modell mit dem Plan und den Ergebnissen von damals</translation>
    </message>
    <message>
        <source>Discard</source>
        <translation>Verwerfen</translation>
    </message>
    <message>
        <source>Deletes the copy</source>
        <translation>Löscht die Kopie</translation>
    </message>
    <message>
        <source>Open session…</source>
        <translation>Sitzung öffnen…</translation>
    </message>
    <message>
        <source>Open a model with the plan, results and view that were saved</source>
        <translation>Ein Modell mit gespeichertem Plan, Ergebnissen und Ansicht öffnen</translation>
    </message>
    <message>
        <source>Save session</source>
        <translation>Sitzung speichern</translation>
    </message>
    <message>
        <source>Ctrl+S</source>
        <translation>Ctrl+S</translation>
    </message>
    <message>
        <source>Save plan, results and view</source>
        <translation>Plan, Ergebnisse und Ansicht speichern</translation>
    </message>
    <message>
        <source>Save session as…</source>
        <translation>Sitzung speichern unter…</translation>
    </message>
    <message>
        <source>Ctrl+Shift+S</source>
        <translation>Ctrl+Shift+S</translation>
    </message>
    <message>
        <source>Save plan, results and view under another name</source>
        <translation>Plan, Ergebnisse und Ansicht unter anderem Namen speichern</translation>
    </message>
    <message>
        <source>Save the session</source>
        <translation>Sitzung speichern</translation>
    </message>
    <message>
        <source>Sessions (*.sgms)</source>
        <translation>Sitzungen (*.sgms)</translation>
    </message>
    <message>
        <source>Open a session</source>
        <translation>Sitzung öffnen</translation>
    </message>
    <message>
        <source>Sigmascope did not end as it should; a copy of the session of %1 was kept</source>
        <translation>Sigmascope wurde nicht ordentlich beendet; eine Kopie der Sitzung von %1 ist erhalten</translation>
    </message>
    <message>
        <source>Export</source>
        <translation>Export</translation>
    </message>
    <message>
        <source>Alt+6</source>
        <translation>Alt+6</translation>
    </message>
    <message>
        <source>Compare</source>
        <translation>Vergleichen</translation>
    </message>
    <message>
        <source>Alt+7</source>
        <translation>Alt+7</translation>
    </message>
    <message>
        <source>… and %1 more. A click lists them all</source>
        <translation>… und %1 weitere. Ein Klick listet alle</translation>
    </message>
    <message>
        <source>Choose for which runtime and where the model is written; once more writes it</source>
        <translation>Wählen, für welche Laufzeit und wohin das Modell geschrieben wird; noch einmal schreibt es</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>Ctrl+F5</source>
        <translation>Ctrl+F5</translation>
    </message>
    <message>
        <source>Wait once the present layer is done, or go on</source>
        <translation>Nach der jetzigen Schicht warten, oder weitermachen</translation>
    </message>
    <message>
        <source>Resume</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <source>Stop the run; finished layers are kept for it to be continued</source>
        <translation>Den Lauf stoppen; fertige Schichten bleiben, damit er fortgesetzt werden kann</translation>
    </message>
    <message>
        <source>%1 (%2)</source>
        <comment>action, its key</comment>
        <translation>%1 (%2)</translation>
    </message>
    <message>
        <source>Open next of the dropped</source>
        <translation>Nächste der abgelegten öffnen</translation>
    </message>
    <message>
        <source>Of several files dropped at once, the one whose turn it is</source>
        <translation>Von mehreren auf einmal abgelegten Dateien die, die an der Reihe ist</translation>
    </message>
    <message>
        <source>Open next</source>
        <translation>Nächste öffnen</translation>
    </message>
    <message>
        <source>None of the %1 files is a model or a session: expected safetensors, an index of shards, GGUF, or a folder</source>
        <translation>Keine der %1 Dateien ist ein Modell oder eine Sitzung: erwartet werden safetensors, ein Index von Teildateien, GGUF oder ein Ordner</translation>
    </message>
    <message>
        <source>One more was dropped and waits: %1</source>
        <translation>Eine weitere wurde abgelegt und wartet: %1</translation>
    </message>
    <message>
        <source>%1 more were dropped and wait, next %2</source>
        <translation>%1 weitere wurden abgelegt und warten, als Nächste %2</translation>
    </message>
    <message>
        <source>Quantizing · paused</source>
        <translation>Quantisiert · angehalten</translation>
    </message>
    <message>
        <source>Close Sigmascope</source>
        <translation>Sigmascope schließen</translation>
    </message>
    <message>
        <source>Stop the run and close?</source>
        <translation>Den Lauf stoppen und schließen?</translation>
    </message>
    <message>
        <source>No model is written. Finished layers are kept beside the output, and the run can be continued.</source>
        <translation>Es wird kein Modell geschrieben. Fertige Schichten bleiben neben der Ausgabe, und der Lauf kann fortgesetzt werden.</translation>
    </message>
    <message>
        <source>Stop and close</source>
        <translation>Stoppen und schließen</translation>
    </message>
    <message>
        <source>Keep running</source>
        <translation>Weiterlaufen lassen</translation>
    </message>
    <message>
        <source>The open model has no layer %1</source>
        <translation>Das offene Modell hat keine Schicht %1</translation>
    </message>
    <message>
        <source>Saved %1</source>
        <translation>%1 gespeichert</translation>
    </message>
    <message>
        <source>%1 could not be written</source>
        <translation>%1 konnte nicht geschrieben werden</translation>
    </message>
    <message>
        <source>%1 cannot carry this plan; see Export</source>
        <translation>%1 kann diesen Plan nicht tragen; siehe Export</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ModelMap</name>
    <message>
        <source>Model map</source>
        <translation>Modellkarte</translation>
    </message>
    <message>
        <source>no such layer</source>
        <translation>keine solche Schicht</translation>
    </message>
    <message>
        <source>not known yet</source>
        <translation>noch nicht bekannt</translation>
    </message>
    <message>
        <source>Block %1 · %2 · %3</source>
        <translation>Block %1 · %2 · %3</translation>
    </message>
    <message>
        <source>This model has no blocks</source>
        <translation>Dieses Modell hat keine Blöcke</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ModelMapPanel</name>
    <message>
        <source>Output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Value shown in the model map</source>
        <translation>Wert in der Modellkarte</translation>
    </message>
    <message>
        <source>Fold or unfold the model map</source>
        <translation>Modellkarte auf- oder zuklappen</translation>
    </message>
    <message>
        <source>Model map</source>
        <translation>Modellkarte</translation>
    </message>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>%1 bits</source>
        <translation>%1 Bit</translation>
    </message>
    <message>
        <source>rank %1</source>
        <translation>Rang %1</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::PlanDiff</name>
    <message>
        <source>Changes</source>
        <translation>Änderungen</translation>
    </message>
    <message>
        <source>Fallbacks</source>
        <translation>Ersatz</translation>
    </message>
    <message>
        <source>Compared with</source>
        <translation>Verglichen mit</translation>
    </message>
    <message>
        <source>Put back</source>
        <translation>Zurücksetzen</translation>
    </message>
    <message>
        <source>Gives the selected layers their earlier plan; all if none is selected</source>
        <translation>Gibt den gewählten Schichten ihren früheren Plan zurück; allen, wenn keine gewählt ist</translation>
    </message>
    <message>
        <source>What changed in the plan</source>
        <translation>Was sich im Plan geändert hat</translation>
    </message>
    <message>
        <source>What the plan cannot do as asked</source>
        <translation>Was der Plan nicht wie verlangt tun kann</translation>
    </message>
    <message>
        <source>since opening</source>
        <translation>seit dem Öffnen</translation>
    </message>
    <message>
        <source>since the preset</source>
        <translation>seit der Vorgabe</translation>
    </message>
    <message>
        <source>since the last run</source>
        <translation>seit dem letzten Lauf</translation>
    </message>
    <message>
        <source>Fallbacks %1</source>
        <translation>Ersatz %1</translation>
    </message>
    <message>
        <source>Nothing has changed. Drag a bar, a tick or a range in the Equalizer, or apply a preset</source>
        <translation>Nichts hat sich geändert. Im Equalizer einen Balken, einen Strich oder einen Bereich ziehen oder eine Vorgabe anwenden</translation>
    </message>
    <message>
        <source>Everything can be done as asked</source>
        <translation>Alles geht wie verlangt</translation>
    </message>
    <message>
        <source>%1 · %2</source>
        <translation>%1 · %2</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::PlanDiffModel</name>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>kept as stored</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>%1, rank %2, %3</source>
        <translation>%1, Rang %2, %3</translation>
    </message>
    <message>
        <source>%1
was %2
is %3</source>
        <translation>%1
war %2
ist %3</translation>
    </message>
    <message>
        <source>Block</source>
        <translation>Block</translation>
    </message>
    <message>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>MiB</source>
        <translation>MiB</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::PlanPage</name>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>%1 bits</source>
        <translation>%1 Bit</translation>
    </message>
    <message>
        <source>Group by block</source>
        <translation>Nach Block gruppieren</translation>
    </message>
    <message>
        <source>Group by role</source>
        <translation>Nach Rolle gruppieren</translation>
    </message>
    <message>
        <source>Order of the columns</source>
        <translation>Reihenfolge der Spalten</translation>
    </message>
    <message>
        <source>Equalizer</source>
        <translation>Equalizer</translation>
    </message>
    <message>
        <source>Plan</source>
        <translation>Plan</translation>
    </message>
    <message>
        <source>%1 could not be written</source>
        <translation>%1 konnte nicht geschrieben werden</translation>
    </message>
    <message>
        <source>%1 · %2</source>
        <translation>%1 · %2</translation>
    </message>
    <message>
        <source>rank %1 → %2</source>
        <translation>Rang %1 → %2</translation>
    </message>
    <message>
        <source>%1 → %2 bits</source>
        <translation>%1 → %2 Bit</translation>
    </message>
    <message>
        <source>error %1</source>
        <translation>Fehler %1</translation>
    </message>
    <message>
        <source>file %1</source>
        <translation>Datei %1</translation>
    </message>
    <message>
        <source>rank %1</source>
        <translation>Rang %1</translation>
    </message>
    <message>
        <source>error %1 measured</source>
        <translation>Fehler %1 gemessen</translation>
    </message>
    <message>
        <source>error %1 estimated</source>
        <translation>Fehler %1 geschätzt</translation>
    </message>
    <message>
        <source>error not known yet</source>
        <translation>Fehler noch nicht bekannt</translation>
    </message>
    <message>
        <source>pinned</source>
        <translation>fixiert</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::PlanSettings</name>
    <message>
        <source>block %1, %2</source>
        <translation>Block %1, %2</translation>
    </message>
    <message>
        <source>blocks %1–%2, %3</source>
        <translation>Blöcke %1–%2, %3</translation>
    </message>
    <message>
        <source>%1 blocks, %2</source>
        <translation>%1 Blöcke, %2</translation>
    </message>
    <message>
        <source>Selection</source>
        <translation>Auswahl</translation>
    </message>
    <message>
        <source>Bits of the selection</source>
        <translation>Bit der Auswahl</translation>
    </message>
    <message>
        <source>Rank of the selection</source>
        <translation>Rang der Auswahl</translation>
    </message>
    <message>
        <source>Lower rank</source>
        <translation>Rang senken</translation>
    </message>
    <message>
        <source>Raise rank</source>
        <translation>Rang erhöhen</translation>
    </message>
    <message>
        <source>q k v, gate up together</source>
        <translation>q k v, gate up zusammen</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>Fused</source>
        <translation>Verbund</translation>
    </message>
    <message>
        <source>Budget</source>
        <translation>Budget</translation>
    </message>
    <message>
        <source>none</source>
        <comment>target size</comment>
        <translation>keines</translation>
    </message>
    <message>
        <source>Target size of all files</source>
        <translation>Zielgröße aller Dateien</translation>
    </message>
    <message>
        <source>The size that all files of the export together are to have at most</source>
        <translation>Die Größe, die alle Dateien des Exports zusammen höchstens haben sollen</translation>
    </message>
    <message>
        <source>MB</source>
        <translation>MB</translation>
    </message>
    <message>
        <source>GB</source>
        <translation>GB</translation>
    </message>
    <message>
        <source>bpw</source>
        <translation>bpw</translation>
    </message>
    <message>
        <source>Unit of the target</source>
        <translation>Einheit des Ziels</translation>
    </message>
    <message>
        <source> tokens</source>
        <translation> Token</translation>
    </message>
    <message>
        <source>Context length</source>
        <translation>Kontextlänge</translation>
    </message>
    <message>
        <source>Memory at this many tokens: the weights as planned and F16 keys and values. A runtime&apos;s own buffers come on top</source>
        <translation>Speicher bei so vielen Token: die Gewichte wie geplant sowie Schlüssel und Werte in F16. Eigene Puffer der Laufzeit kommen hinzu</translation>
    </message>
    <message>
        <source>Target</source>
        <translation>Ziel</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>Kontext</translation>
    </message>
    <message>
        <source>The target&apos;s runtimes merge these layers: they need the same grid and rank</source>
        <translation>Die Laufzeiten des Ziels verschmelzen diese Schichten: sie brauchen dasselbe Raster und denselben Rang</translation>
    </message>
    <message>
        <source>llama.cpp keeps these layers apart: they may differ. Checked, they move together all the same</source>
        <translation>llama.cpp hält diese Schichten getrennt: sie dürfen sich unterscheiden. Angekreuzt bewegen sie sich trotzdem zusammen</translation>
    </message>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>Stays as it is stored</source>
        <translation>Bleibt, wie er gespeichert ist</translation>
    </message>
    <message>
        <source>%1 × %2</source>
        <comment>bits × layers</comment>
        <translation>%1 × %2</translation>
    </message>
    <message>
        <source>“%1” is no size: expected a number above 0</source>
        <translation>„%1“ ist keine Größe: erwartet wird eine Zahl über 0</translation>
    </message>
    <message>
        <source>1 layer</source>
        <translation>1 Schicht</translation>
    </message>
    <message>
        <source>%1 layers</source>
        <translation>%1 Schichten</translation>
    </message>
    <message>
        <source>1 pin</source>
        <translation>1 fixierte</translation>
    </message>
    <message>
        <source>%1 pins</source>
        <translation>%1 fixierte</translation>
    </message>
    <message>
        <source>Neither the grid of these layers nor %2 has %1 bits for their rows</source>
        <translation>Weder das Raster dieser Schichten noch %2 hat %1 Bit für ihre Zeilen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::PlotFrame</name>
    <message>
        <source>Saved %1</source>
        <translation>%1 gespeichert</translation>
    </message>
    <message>
        <source>✕ Could not write %1</source>
        <translation>✕ %1 konnte nicht geschrieben werden</translation>
    </message>
    <message>
        <source>Copy image</source>
        <translation>Bild kopieren</translation>
    </message>
    <message>
        <source>Copy data</source>
        <translation>Daten kopieren</translation>
    </message>
    <message>
        <source>Ctrl+Shift+C</source>
        <translation>Ctrl+Shift+C</translation>
    </message>
    <message>
        <source>Save as %1…</source>
        <translation>Als %1 speichern…</translation>
    </message>
    <message>
        <source>Reset zoom</source>
        <translation>Ausschnitt zurücksetzen</translation>
    </message>
    <message>
        <source>Cursor</source>
        <translation>Zeiger</translation>
    </message>
    <message>
        <source>updating…</source>
        <translation>wird neu berechnet…</translation>
    </message>
    <message>
        <source>Esc cancels</source>
        <translation>Esc bricht ab</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::QueueTable</name>
    <message>
        <source>Move up</source>
        <translation>Nach oben</translation>
    </message>
    <message>
        <source>Alt+Up</source>
        <translation>Alt+Up</translation>
    </message>
    <message>
        <source>The selected layers run one place earlier</source>
        <translation>Die gewählten Schichten laufen einen Platz früher</translation>
    </message>
    <message>
        <source>Move down</source>
        <translation>Nach unten</translation>
    </message>
    <message>
        <source>Alt+Down</source>
        <translation>Alt+Down</translation>
    </message>
    <message>
        <source>The selected layers run one place later</source>
        <translation>Die gewählten Schichten laufen einen Platz später</translation>
    </message>
    <message>
        <source>Move to the top</source>
        <translation>Ganz nach oben</translation>
    </message>
    <message>
        <source>Alt+Home</source>
        <translation>Alt+Home</translation>
    </message>
    <message>
        <source>The selected layers run next</source>
        <translation>Die gewählten Schichten laufen als nächste</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RankSlider</name>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RecentRow</name>
    <message>
        <source>no longer there</source>
        <translation>nicht mehr da</translation>
    </message>
    <message>
        <source>model folder</source>
        <translation>Modellordner</translation>
    </message>
    <message>
        <source>GGUF file</source>
        <translation>GGUF-Datei</translation>
    </message>
    <message>
        <source>index of shards</source>
        <translation>Index von Teildateien</translation>
    </message>
    <message>
        <source>safetensors file</source>
        <translation>safetensors-Datei</translation>
    </message>
    <message>
        <source>%1, %2</source>
        <translation>%1, %2</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RulesModel</name>
    <message>
        <source>keep</source>
        <comment>a rule&apos;s bits</comment>
        <translation>lassen</translation>
    </message>
    <message>
        <source>2 to 8, a grid such as q4_1, “keep”, or nothing to take the preset&apos;s</source>
        <translation>2 bis 8, ein Raster wie q4_1, „lassen“ oder nichts für das der Vorgabe</translation>
    </message>
    <message>
        <source>A rank, or nothing to take the preset&apos;s</source>
        <translation>Ein Rang oder nichts für den der Vorgabe</translation>
    </message>
    <message>
        <source>Layers that this rule decides: no rule above it matches them</source>
        <translation>Schichten, über die diese Regel entscheidet: keine Regel darüber trifft sie</translation>
    </message>
    <message>
        <source>Name pattern</source>
        <translation>Namensmuster</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bit</translation>
    </message>
    <message>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <source>A pattern cannot be empty</source>
        <translation>Ein Muster kann nicht leer sein</translation>
    </message>
    <message>
        <source>“%1” breaks at character %2: %3</source>
        <translation>„%1“ bricht bei Zeichen %2: %3</translation>
    </message>
    <message>
        <source>“%1” is no width: expected 2 to 8, a grid such as q4_1, or “keep”</source>
        <translation>„%1“ ist keine Breite: erwartet wird 2 bis 8, ein Raster wie q4_1 oder „lassen“</translation>
    </message>
    <message>
        <source>“%1” is no rank: expected a whole number</source>
        <translation>„%1“ ist kein Rang: erwartet wird eine ganze Zahl</translation>
    </message>
    <message>
        <source>%1. The old pattern stays</source>
        <translation>%1. Das alte Muster bleibt</translation>
    </message>
    <message>
        <source>Edit rule</source>
        <translation>Regel bearbeiten</translation>
    </message>
    <message>
        <source>Add rule</source>
        <translation>Regel hinzufügen</translation>
    </message>
    <message>
        <source>Remove rule</source>
        <translation>Regel entfernen</translation>
    </message>
    <message>
        <source>Move rule</source>
        <translation>Regel verschieben</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RulesPanel</name>
    <message>
        <source>in use</source>
        <translation>aktiv</translation>
    </message>
    <message>
        <source>Rules</source>
        <translation>Regeln</translation>
    </message>
    <message>
        <source>Add a rule for layers named like the selected one</source>
        <translation>Eine Regel für Schichten, die wie die gewählte heißen, hinzufügen</translation>
    </message>
    <message>
        <source>Remove the rule. Del</source>
        <translation>Die Regel entfernen. Entf</translation>
    </message>
    <message>
        <source>Move the rule up. Alt+↑</source>
        <translation>Die Regel nach oben. Alt+↑</translation>
    </message>
    <message>
        <source>Move the rule down. Alt+↓</source>
        <translation>Die Regel nach unten. Alt+↓</translation>
    </message>
    <message>
        <source>No rules: every layer follows the preset</source>
        <translation>Keine Regeln: jede Schicht folgt der Vorgabe</translation>
    </message>
    <message>
        <source>Presets</source>
        <translation>Vorgaben</translation>
    </message>
    <message>
        <source>Enter or double-click applies</source>
        <translation>Enter, Doppelklick: anwenden</translation>
    </message>
    <message>
        <source>no correction</source>
        <translation>keine Korrektur</translation>
    </message>
    <message>
        <source>%1, %2</source>
        <translation>%1, %2</translation>
    </message>
    <message>
        <source>GGUF types</source>
        <translation>GGUF-Typen</translation>
    </message>
    <message>
        <source>Rules of all targets, or GGUF types by hand</source>
        <translation>Regeln für alle Ziele oder GGUF-Typen von Hand</translation>
    </message>
    <message>
        <source>Only GGUF has these types. Choose llama.cpp on the Export page</source>
        <translation>Nur GGUF hat diese Typen. Auf der Seite Export llama.cpp wählen</translation>
    </message>
    <message>
        <source>Add a type for tensors named like the selected one</source>
        <translation>Typ für Tensoren, die wie der gewählte heißen</translation>
    </message>
    <message>
        <source>No types by hand: rules and preset decide. + begins with the selected layer</source>
        <translation>Keine Typen von Hand: Regeln und Vorgabe entscheiden. + beginnt mit der gewählten Schicht</translation>
    </message>
    <message>
        <source>Found in no tensor&apos;s name</source>
        <translation>In keinem Tensornamen gefunden</translation>
    </message>
    <message>
        <source>Found in the name of 1 tensor</source>
        <translation>Im Namen von 1 Tensor gefunden</translation>
    </message>
    <message>
        <source>Found in the names of %1 tensors</source>
        <translation>In den Namen von %1 Tensoren gefunden</translation>
    </message>
    <message>
        <source>rank %1</source>
        <translation>Rang %1</translation>
    </message>
    <message>
        <source>What layers get by their own names, for every target: the first match wins</source>
        <translation>Was Schichten nach ihrem eigenen Namen bekommen, für jedes Ziel: der erste Treffer gilt</translation>
    </message>
    <message>
        <source>What tensors get by their names in GGUF, before all rules: llama-quantize&apos;s --tensor-type. The first match wins</source>
        <translation>Was Tensoren nach ihrem Namen in GGUF bekommen, vor allen Regeln: --tensor-type von llama-quantize. Der erste Treffer gilt</translation>
    </message>
    <message>
        <source>rank %1, weighted</source>
        <translation>Rang %1, gewichtet</translation>
    </message>
    <message>
        <source>%1
The correction is weighted by %2: needs calibration, without it the weights alone decide</source>
        <comment>source, metric</comment>
        <translation>%1
Die Korrektur ist gewichtet nach %2: braucht eine Kalibrierung, ohne sie entscheiden die Gewichte allein</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RunHistory</name>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>Run %1 · %2 · %3 bpw · %4</source>
        <translation>Lauf %1 · %2 · %3 bpw · %4</translation>
    </message>
    <message>
        <source>%1, written by run %2</source>
        <translation>%1, geschrieben von Lauf %2</translation>
    </message>
    <message>
        <source>Measured layers of this session</source>
        <translation>Gemessene Schichten dieser Sitzung</translation>
    </message>
    <message>
        <source>%1, the open model</source>
        <translation>%1, das offene Modell</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RunPage</name>
    <message>
        <source>Stop</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>%1 Nothing was written.</source>
        <translation>%1 Nichts wurde geschrieben.</translation>
    </message>
    <message>
        <source>Stopped. No model was written; finished layers are kept beside the output.</source>
        <translation>Angehalten. Kein Modell wurde geschrieben; fertige Schichten liegen neben der Ausgabe.</translation>
    </message>
    <message>
        <source>Stopped. Nothing was written.</source>
        <translation>Angehalten. Nichts wurde geschrieben.</translation>
    </message>
    <message>
        <source>Finished layers lie beside the output. Without the tick they are thrown away and the run begins anew</source>
        <translation>Fertige Schichten liegen neben der Ausgabe. Ohne Haken werden sie verworfen und der Lauf beginnt neu</translation>
    </message>
    <message>
        <source>Progress of the run</source>
        <translation>Fortschritt des Laufs</translation>
    </message>
    <message>
        <source>Command that loads the files</source>
        <translation>Befehl, der die Dateien lädt</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Copy the command</source>
        <translation>Den Befehl kopieren</translation>
    </message>
    <message>
        <source>Load with</source>
        <translation>Laden mit</translation>
    </message>
    <message>
        <source>Continue the unfinished run: %1 of %2 layers are done</source>
        <translation>Den unvollendeten Lauf fortsetzen: %1 von %2 Schichten sind fertig</translation>
    </message>
    <message>
        <source>%1 written, read back and compared in %2 s · %3 bits per weight, all files</source>
        <translation>%1 geschrieben, zurückgelesen und verglichen in %2 s · %3 Bit pro Gewicht, alle Dateien</translation>
    </message>
    <message>
        <source>%1 of %2 layers were quantized before (%3): errors are the loss added to that</source>
        <translation>%1 von %2 Schichten waren schon quantisiert (%3): Fehler sind der Verlust, der dazukommt</translation>
    </message>
    <message>
        <source>Queue of layers</source>
        <translation>Warteschlange der Schichten</translation>
    </message>
    <message>
        <source>looking at the values</source>
        <translation>sieht die Werte durch</translation>
    </message>
    <message>
        <source>reading the files back and comparing</source>
        <translation>liest die Dateien zurück und vergleicht</translation>
    </message>
    <message>
        <source>Resume</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>Quantize</source>
        <translation>Quantisieren</translation>
    </message>
    <message>
        <source>Change</source>
        <translation>Ändern</translation>
    </message>
    <message>
        <source>Choose what is written, and where, on the Export page</source>
        <translation>Auf der Seite Export wählen, was geschrieben wird und wohin</translation>
    </message>
    <message>
        <source>The run waits once the present layer is done; the files will be the same</source>
        <translation>Der Lauf wartet nach der jetzigen Schicht; die Dateien werden dieselben</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>Erneut versuchen</translation>
    </message>
    <message>
        <source>for %1</source>
        <translation>für %1</translation>
    </message>
    <message>
        <source>1 file, %2</source>
        <translation>1 Datei, %2</translation>
    </message>
    <message>
        <source>%1 files, %2</source>
        <translation>%1 Dateien, %2</translation>
    </message>
    <message>
        <source>%1 of %2 layers</source>
        <translation>%1 von %2 Schichten</translation>
    </message>
    <message>
        <source>1 layer queued</source>
        <translation>1 Schicht wartet</translation>
    </message>
    <message>
        <source>%1 layers queued</source>
        <translation>%1 Schichten warten</translation>
    </message>
    <message>
        <source>%1, %2 failed</source>
        <comment>12 of 39 layers, 1</comment>
        <translation>%1, %2 misslungen</translation>
    </message>
    <message>
        <source>Paused after %1</source>
        <translation>Angehalten nach %1</translation>
    </message>
    <message>
        <source>%1 s elapsed</source>
        <translation>%1 s vergangen</translation>
    </message>
    <message>
        <source>%1 min %2 s elapsed</source>
        <translation>%1 min %2 s vergangen</translation>
    </message>
    <message>
        <source>drag rows to choose which come first</source>
        <translation>Zeilen ziehen, um zu wählen, welche zuerst kommen</translation>
    </message>
    <message>
        <source>The layer waits again, behind all others</source>
        <translation>Die Schicht wartet wieder, hinter allen anderen</translation>
    </message>
    <message>
        <source>Continues the run: finished layers are kept, those that failed are tried again</source>
        <translation>Setzt den Lauf fort: fertige Schichten bleiben, misslungene werden erneut versucht</translation>
    </message>
    <message>
        <source>Replace files</source>
        <translation>Dateien ersetzen</translation>
    </message>
    <message>
        <source>Replace the file?</source>
        <translation>Die Datei ersetzen?</translation>
    </message>
    <message>
        <source>Replace %1 files?</source>
        <translation>%1 Dateien ersetzen?</translation>
    </message>
    <message>
        <source>%1 in %2. The old files stay until the new ones are complete and compared.</source>
        <translation>%1 in %2. Die alten Dateien bleiben, bis die neuen vollständig und verglichen sind.</translation>
    </message>
    <message>
        <source>Replace</source>
        <translation>Ersetzen</translation>
    </message>
    <message>
        <source>Keep both</source>
        <translation>Beide behalten</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>1 layer failed. No model was written; finished layers are kept beside the output.</source>
        <translation>1 Schicht ist misslungen. Kein Modell wurde geschrieben; fertige Schichten bleiben neben der Ausgabe.</translation>
    </message>
    <message>
        <source>%1 layers failed. No model was written; finished layers are kept beside the output.</source>
        <translation>%1 Schichten sind misslungen. Kein Modell wurde geschrieben; fertige Schichten bleiben neben der Ausgabe.</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::RunTableModel</name>
    <message>
        <source>kept</source>
        <translation>unverändert</translation>
    </message>
    <message>
        <source>Layer</source>
        <translation>Schicht</translation>
    </message>
    <message>
        <source>Output error %</source>
        <translation>Ausgabefehler %</translation>
    </message>
    <message>
        <source>Weight error %</source>
        <translation>Gewichtsfehler %</translation>
    </message>
    <message>
        <source>bpw</source>
        <translation>bpw</translation>
    </message>
    <message>
        <source>Time, s</source>
        <translation>Zeit, s</translation>
    </message>
    <message>
        <source>Device</source>
        <translation>Gerät</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Hinweis</translation>
    </message>
    <message>
        <source>%1 + r %2</source>
        <comment>grid, rank</comment>
        <translation>%1 + r %2</translation>
    </message>
    <message>
        <source>queued</source>
        <translation>wartet</translation>
    </message>
    <message>
        <source>factors</source>
        <translation>Faktoren</translation>
    </message>
    <message>
        <source>writing</source>
        <translation>schreibt</translation>
    </message>
    <message>
        <source>codes</source>
        <translation>Codes</translation>
    </message>
    <message>
        <source>done before</source>
        <translation>schon fertig</translation>
    </message>
    <message>
        <source>done</source>
        <translation>fertig</translation>
    </message>
    <message>
        <source>done otherwise</source>
        <translation>anders fertig</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>misslungen</translation>
    </message>
    <message>
        <source>How far the measured error lies above or below what the plan estimated</source>
        <translation>Wie weit der gemessene Fehler über oder unter der Schätzung des Plans liegt</translation>
    </message>
    <message>
        <source>Plan</source>
        <translation>Plan</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>vs est. %</source>
        <comment>against the estimate</comment>
        <translation>zur Schätzung %</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::Session</name>
    <message>
        <source>Layers, in depth order</source>
        <translation>Schichten, in ihrer Reihenfolge</translation>
    </message>
    <message>
        <source>Block, in depth order; in each block %1</source>
        <translation>Block, der Reihe nach; in jedem Block %1</translation>
    </message>
    <message>
        <source>Role; in each, blocks in depth order</source>
        <translation>Rolle; in jeder die Blöcke der Reihe nach</translation>
    </message>
    <message>
        <source>Set rank to %1</source>
        <translation>Rang auf %1 setzen</translation>
    </message>
    <message>
        <source>Raise rank by %1</source>
        <translation>Rang um %1 erhöhen</translation>
    </message>
    <message>
        <source>Lower rank by %1</source>
        <translation>Rang um %1 senken</translation>
    </message>
    <message>
        <source>Restore</source>
        <translation>Zurückholen</translation>
    </message>
    <message>
        <source>Set grid to %1</source>
        <translation>Raster auf %1 setzen</translation>
    </message>
    <message>
        <source>Set bits to %1</source>
        <translation>Bit auf %1 setzen</translation>
    </message>
    <message>
        <source>Apply %1</source>
        <translation>%1 anwenden</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>Fixieren</translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation>Lösen</translation>
    </message>
    <message>
        <source>Keep as it is</source>
        <translation>Unverändert lassen</translation>
    </message>
    <message>
        <source>Quantize</source>
        <translation>Quantisieren</translation>
    </message>
    <message>
        <source>Set solver to %1</source>
        <translation>Löser auf %1 setzen</translation>
    </message>
    <message>
        <source>Set metric to %1</source>
        <translation>Metrik auf %1 setzen</translation>
    </message>
    <message>
        <source>Store factors in 32 bit</source>
        <translation>Faktoren in 32 Bit speichern</translation>
    </message>
    <message>
        <source>Store factors in 8 bit</source>
        <translation>Faktoren in 8 Bit speichern</translation>
    </message>
    <message>
        <source>Store factors in 16 bit</source>
        <translation>Faktoren in 16 Bit speichern</translation>
    </message>
    <message>
        <source>Open recipe</source>
        <translation>Rezept öffnen</translation>
    </message>
    <message>
        <source>Change bits</source>
        <translation>Bit ändern</translation>
    </message>
    <message>
        <source>Raise bits by %1</source>
        <translation>Bit um %1 erhöhen</translation>
    </message>
    <message>
        <source>Lower bits by %1</source>
        <translation>Bit um %1 senken</translation>
    </message>
    <message>
        <source>Lower rank</source>
        <translation>Rang senken</translation>
    </message>
    <message>
        <source>Raise rank</source>
        <translation>Rang erhöhen</translation>
    </message>
    <message>
        <source>Raise bits</source>
        <translation>Bit erhöhen</translation>
    </message>
    <message>
        <source>Lower bits</source>
        <translation>Bit senken</translation>
    </message>
    <message>
        <source>Put back</source>
        <translation>Zurücksetzen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::SessionStore</name>
    <message>
        <source>No copy of the session could be kept: %1</source>
        <translation>Keine Kopie der Sitzung konnte behalten werden: %1</translation>
    </message>
    <message>
        <source>The model is another than the one this session was saved with. Plans without a tensor: %1</source>
        <translation>Das Modell ist ein anderes als das, mit dem diese Sitzung gespeichert wurde. Pläne ohne Tensor: %1</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::ShortcutSheet</name>
    <message>
        <source>In a plot</source>
        <translation>In einem Bild</translation>
    </message>
    <message>
        <source>Rank, or cursor, by 1</source>
        <translation>Rang oder Zeiger um 1</translation>
    </message>
    <message>
        <source>By 8</source>
        <translation>Um 8</translation>
    </message>
    <message>
        <source>To the first · to the last</source>
        <translation>Zum ersten · zum letzten</translation>
    </message>
    <message>
        <source>Logarithmic · linear</source>
        <translation>Logarithmisch · linear</translation>
    </message>
    <message>
        <source>Reset the zoom</source>
        <translation>Ausschnitt zurücksetzen</translation>
    </message>
    <message>
        <source>Copy the picture</source>
        <translation>Das Bild kopieren</translation>
    </message>
    <message>
        <source>Copy the data as CSV</source>
        <translation>Die Daten als CSV kopieren</translation>
    </message>
    <message>
        <source>Give up a drag · cancel what loads</source>
        <translation>Ziehen aufgeben · Laden abbrechen</translation>
    </message>
    <message>
        <source>Wheel</source>
        <translation>Rad</translation>
    </message>
    <message>
        <source>Zoom at the pointer</source>
        <translation>Am Zeiger zoomen</translation>
    </message>
    <message>
        <source>Drag</source>
        <translation>Ziehen</translation>
    </message>
    <message>
        <source>Move the view, or the handle under the pointer</source>
        <translation>Den Ausschnitt oder den Griff unter dem Zeiger bewegen</translation>
    </message>
    <message>
        <source>Double-click</source>
        <translation>Doppelklick</translation>
    </message>
    <message>
        <source>In the Equalizer</source>
        <translation>Im Equalizer</translation>
    </message>
    <message>
        <source>Previous · next layer</source>
        <translation>Vorige · nächste Schicht</translation>
    </message>
    <message>
        <source>Extend the range</source>
        <translation>Den Bereich erweitern</translation>
    </message>
    <message>
        <source>Previous · next block</source>
        <translation>Voriger · nächster Block</translation>
    </message>
    <message>
        <source>First · last layer</source>
        <translation>Erste · letzte Schicht</translation>
    </message>
    <message>
        <source>More · fewer bits</source>
        <translation>Mehr · weniger Bit</translation>
    </message>
    <message>
        <source>Rank up · down</source>
        <translation>Rang höher · tiefer</translation>
    </message>
    <message>
        <source>Pin · unpin</source>
        <translation>Fixieren · lösen</translation>
    </message>
    <message>
        <source>In the heat map and the model map</source>
        <translation>In Heatmap und Modellkarte</translation>
    </message>
    <message>
        <source>Move the cursor</source>
        <translation>Den Zeiger bewegen</translation>
    </message>
    <message>
        <source>Zoom in · out at the cursor</source>
        <translation>Am Zeiger hinein · heraus zoomen</translation>
    </message>
    <message>
        <source>In lists</source>
        <translation>In Listen</translation>
    </message>
    <message>
        <source>Open a recent model · apply a preset · edit a rule</source>
        <translation>Modell öffnen · Vorgabe anwenden · Regel bearbeiten</translation>
    </message>
    <message>
        <source>Take a recent model off the list · remove a rule</source>
        <translation>Modell von der Liste nehmen · Regel entfernen</translation>
    </message>
    <message>
        <source>Move a rule up · down</source>
        <translation>Regel nach oben · unten</translation>
    </message>
    <message>
        <source>Copy the selected rows</source>
        <translation>Die gewählten Zeilen kopieren</translation>
    </message>
    <message>
        <source>No key does that</source>
        <translation>Keine Taste tut das</translation>
    </message>
    <message>
        <source>Keyboard shortcuts</source>
        <translation>Tastenkürzel</translation>
    </message>
    <message>
        <source>Filter: a key or a word</source>
        <translation>Filter: eine Taste oder ein Wort</translation>
    </message>
    <message>
        <source>Filter of the shortcuts</source>
        <translation>Filter der Tastenkürzel</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::SourceBadge</name>
    <message>
        <source>exact</source>
        <translation>exakt</translation>
    </message>
    <message>
        <source>measured</source>
        <translation>gemessen</translation>
    </message>
    <message>
        <source>estimated</source>
        <translation>geschätzt</translation>
    </message>
    <message>
        <source>assumed</source>
        <translation>angenommen</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::SpectrumPlot</name>
    <message>
        <source>weight error</source>
        <translation>Gewichtsfehler</translation>
    </message>
    <message>
        <source>output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>Singular value</source>
        <translation>Singulärwert</translation>
    </message>
    <message>
        <source>Error left, %</source>
        <translation>Restfehler, %</translation>
    </message>
    <message>
        <source>Rank r, index of the singular value</source>
        <translation>Rang r, Nummer des Singulärwerts</translation>
    </message>
    <message>
        <source>%1 of %2
%3 unresolved</source>
        <translation>%1 von %2
%3 unaufgelöst</translation>
    </message>
    <message>
        <source>under the numerical floor, %1</source>
        <translation>unter der Rechengenauigkeit, %1</translation>
    </message>
    <message>
        <source>Noise edge of E (Marchenko–Pastur) %1</source>
        <translation>Rauschkante von E (Marchenko–Pastur) %1</translation>
    </message>
    <message>
        <source>error at r %1</source>
        <translation>Fehler bei r %1</translation>
    </message>
    <message>
        <source>Singular values of the weights W.</source>
        <translation>Singulärwerte der Gewichte W.</translation>
    </message>
    <message>
        <source>Singular values of the rounding error E = W − Q.</source>
        <translation>Singulärwerte des Rundungsfehlers E = W − Q.</translation>
    </message>
    <message>
        <source>Singular values of E·S, the error weighted by the calibrated size of each input: what a low-rank correction removes from the output.</source>
        <translation>Singulärwerte von E·S, dem mit der kalibrierten Größe jeder Eingabe gewichteten Fehler: was eine Niedrigrang-Korrektur aus der Ausgabe entfernt.</translation>
    </message>
    <message>
        <source>Log – log</source>
        <translation>Log – log</translation>
    </message>
    <message>
        <source>Log – linear</source>
        <translation>Log – linear</translation>
    </message>
    <message>
        <source>Rank axis – value axis</source>
        <translation>Rangachse – Wertachse</translation>
    </message>
    <message>
        <source>Scale of the value axis</source>
        <translation>Teilung der Wertachse</translation>
    </message>
    <message>
        <source>Spectrum</source>
        <translation>Spektrum</translation>
    </message>
    <message>
        <source>Select a layer to see its spectrum</source>
        <translation>Eine Schicht wählen, um ihr Spektrum zu sehen</translation>
    </message>
    <message>
        <source>no calibration</source>
        <translation>keine Kalibrierung</translation>
    </message>
    <message>
        <source>E·S: %1</source>
        <translation>E·S: %1</translation>
    </message>
    <message>
        <source>← → rank by %1, the step of the stored factors</source>
        <translation>← → Rang um %1, den Schritt der gespeicherten Faktoren</translation>
    </message>
    <message>
        <source>← → rank by 1, Shift by 8</source>
        <translation>← → Rang um 1, mit Umschalt um 8</translation>
    </message>
    <message>
        <source>Rank, %1, %2</source>
        <translation>Rang, %1, %2</translation>
    </message>
    <message>
        <source>No singular value is known</source>
        <translation>Kein Singulärwert ist bekannt</translation>
    </message>
    <message>
        <source>Every singular value is 0: the weights are all zero</source>
        <translation>Jeder Singulärwert ist 0: alle Gewichte sind null</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::StartPage</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Re-check</source>
        <translation>Erneut prüfen</translation>
    </message>
    <message>
        <source>Headers only: nothing is loaded until you look at a layer</source>
        <translation>Nur die Köpfe: nichts wird geladen, bis eine Schicht angesehen wird</translation>
    </message>
    <message>
        <source>Open a model</source>
        <translation>Modell öffnen</translation>
    </message>
    <message>
        <source>Recent</source>
        <translation>Zuletzt</translation>
    </message>
    <message>
        <source>Open sample</source>
        <translation>Beispiel öffnen</translation>
    </message>
    <message>
        <source>Guided tour in five steps</source>
        <translation>Rundgang in fünf Schritten</translation>
    </message>
    <message>
        <source>A real llama of 4 million weights in BF16, with its calibration</source>
        <translation>Ein echtes Llama mit 4 Millionen Gewichten in BF16, mit seiner Kalibrierung</translation>
    </message>
    <message>
        <source>Sample model</source>
        <translation>Beispielmodell</translation>
    </message>
    <message>
        <source>Looks at the file again: a download may have gone on</source>
        <translation>Sieht die Datei noch einmal an: ein Download kann weiter sein</translation>
    </message>
    <message>
        <source>Models you open are listed here</source>
        <translation>Geöffnete Modelle stehen hier</translation>
    </message>
    <message>
        <source>Enter opens · Delete takes off the list, never off the disk</source>
        <translation>Eingabe öffnet · Entf nimmt von der Liste, nie von der Platte</translation>
    </message>
    <message>
        <source>Opening %1…</source>
        <translation>%1 wird geöffnet…</translation>
    </message>
    <message>
        <source>Opening %1: %2, %3 %</source>
        <translation>%1 wird geöffnet: %2, %3 %</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::StatisticsPanel</name>
    <message>
        <source>Extremes and moments</source>
        <translation>Extreme und Momente</translation>
    </message>
    <message>
        <source>Minimum</source>
        <translation>Minimum</translation>
    </message>
    <message>
        <source>Maximum</source>
        <translation>Maximum</translation>
    </message>
    <message>
        <source>Mean</source>
        <translation>Mittel</translation>
    </message>
    <message>
        <source>Standard deviation</source>
        <translation>Standardabweichung</translation>
    </message>
    <message>
        <source>Of the population: divided by n</source>
        <translation>Der Gesamtheit: geteilt durch n</translation>
    </message>
    <message>
        <source>Kurtosis</source>
        <translation>Kurtosis</translation>
    </message>
    <message>
        <source>m4 / m2²: 3 for a Gaussian, more for heavy tails</source>
        <translation>m4 / m2²: 3 bei einer Normalverteilung, mehr bei schweren Rändern</translation>
    </message>
    <message>
        <source>Median</source>
        <translation>Median</translation>
    </message>
    <message>
        <source>Frobenius norm</source>
        <translation>Frobenius-Norm</translation>
    </message>
    <message>
        <source>Counts</source>
        <translation>Anzahlen</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>Beyond 6 σ</source>
        <translation>Jenseits 6 σ</translation>
    </message>
    <message>
        <source>Values further than six standard deviations from the mean</source>
        <translation>Werte mehr als sechs Standardabweichungen vom Mittel entfernt</translation>
    </message>
    <message>
        <source>Zeros</source>
        <translation>Nullen</translation>
    </message>
    <message>
        <source>Subnormal</source>
        <translation>Subnormal</translation>
    </message>
    <message>
        <source>NaN</source>
        <translation>NaN</translation>
    </message>
    <message>
        <source>Infinite</source>
        <translation>Unendlich</translation>
    </message>
    <message>
        <source>First not finite</source>
        <translation>Erster nicht endlicher</translation>
    </message>
    <message>
        <source>Row and column of the first NaN or infinity</source>
        <translation>Zeile und Spalte des ersten NaN oder unendlichen Werts</translation>
    </message>
    <message>
        <source>Statistics</source>
        <translation>Statistik</translation>
    </message>
    <message>
        <source>Select a layer to see its statistics</source>
        <translation>Eine Schicht wählen, um ihre Statistik zu sehen</translation>
    </message>
    <message>
        <source>Counting…</source>
        <translation>Wird gezählt…</translation>
    </message>
    <message>
        <source>about %1</source>
        <translation>etwa %1</translation>
    </message>
    <message>
        <source>row %1, column %2</source>
        <translation>Zeile %1, Spalte %2</translation>
    </message>
    <message>
        <source>Exact, over all values. Sums in double precision; counted on %1.</source>
        <translation>Exakt, über alle Werte. Summen in doppelter Genauigkeit; gezählt auf %1.</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::StepBar</name>
    <message>
        <source>Steps</source>
        <translation>Schritte</translation>
    </message>
    <message>
        <source>%1 %2</source>
        <translation>%1 %2</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::TableExport</name>
    <message>
        <source>Copy rows</source>
        <translation>Zeilen kopieren</translation>
    </message>
    <message>
        <source>Copy image</source>
        <translation>Bild kopieren</translation>
    </message>
    <message>
        <source>Copy data</source>
        <translation>Daten kopieren</translation>
    </message>
    <message>
        <source>Ctrl+Shift+C</source>
        <translation>Ctrl+Shift+C</translation>
    </message>
    <message>
        <source>Save as %1…</source>
        <translation>Als %1 speichern…</translation>
    </message>
</context>
<context>
    <name>sigmascope::ui::TypesModel</name>
    <message>
        <source>%1
Searched in the name that the tensor has in GGUF, such as blk.3.ffn_down.weight</source>
        <translation>%1
Gesucht im Namen, den der Tensor in GGUF hat, etwa blk.3.ffn_down.weight</translation>
    </message>
    <message>
        <source>A GGUF type such as q6_k</source>
        <translation>Ein GGUF-Typ wie q6_k</translation>
    </message>
    <message>
        <source>Tensors that this row decides: no row above it matches them</source>
        <translation>Tensoren, über die diese Zeile entscheidet: keine Zeile darüber trifft sie</translation>
    </message>
    <message>
        <source>GGUF name pattern</source>
        <translation>Muster (GGUF-Name)</translation>
    </message>
    <message>
        <source>Type</source>
        <translation>Typ</translation>
    </message>
    <message>
        <source>Tensors</source>
        <translation>Tensoren</translation>
    </message>
    <message>
        <source>%1. The old pattern stays</source>
        <translation>%1. Das alte Muster bleibt</translation>
    </message>
    <message>
        <source>“%1” is no type that can be written: expected one such as q4_k, q6_k, iq4_xs or q8_0</source>
        <translation>„%1“ ist kein Typ, der geschrieben werden kann: erwartet ist einer wie q4_k, q6_k, iq4_xs oder q8_0</translation>
    </message>
    <message>
        <source>Edit type by hand</source>
        <translation>Typ von Hand ändern</translation>
    </message>
    <message>
        <source>llama-quantize leaves this tensor as it is: no type can be chosen for it</source>
        <translation>llama-quantize lässt diesen Tensor, wie er ist: für ihn kann kein Typ gewählt werden</translation>
    </message>
    <message>
        <source>Add type by hand</source>
        <translation>Typ von Hand hinzufügen</translation>
    </message>
    <message>
        <source>Remove type by hand</source>
        <translation>Typ von Hand entfernen</translation>
    </message>
    <message>
        <source>Move type by hand</source>
        <translation>Typ von Hand verschieben</translation>
    </message>
</context>
</TS>
