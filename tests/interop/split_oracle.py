# SPDX-License-Identifier: GPL-3.0-or-later
"""split_oracle.py PREFIX: a small model in several GGUF files, written by the reference writer of PyPI gguf."""
import sys

import gguf
import numpy

writer = gguf.GGUFWriter(sys.argv[1] + ".gguf", "llama", split_max_tensors=2)
writer.add_name("split")
writer.add_block_count(1)
for number in range(5):
    writer.add_tensor(f"blk.0.t{number}.weight", (numpy.arange(64, dtype=numpy.float32) + number).reshape(2, 32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
