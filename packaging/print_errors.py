#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""print_errors.py FILE: the results of `sigmascope-cli quantize --json` as a table."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    run = json.load(file)


def percent(value):
    return "-" if value is None else f"{100 * value:.2f}"


rows = [("tensor", "method", "grid", "rank", "bpw", "output error %", "weight error %", "device")]
for t in run["tensors"]:
    rows.append((t["name"], t["method"], t["grid"], str(t["rank"]), f"{t['bits_per_weight']:.2f}",
                 percent(t["metric_rel_error"]), percent(t["weight_rel_error"]), t["device"] or "-"))
widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
for row in rows:
    print("  ".join(cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
totals = run["totals"]
print(f"\n{totals['written_bytes']:,} bytes written ({totals['estimated_bytes']:,} estimated), "
      f"{totals['bits_per_weight']:.2f} bits per weight over all files, {totals['seconds']:.1f} s; errors measured")
for output in run["outputs"]:
    print(f"  {output['kind']:8} {output['bytes']:>12,}  {output['path']}")
