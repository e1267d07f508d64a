# SPDX-License-Identifier: Apache-2.0
"""A packed shard read by its byte table alone (lib/io/nbp.h), against the rows that went in."""

import ctypes
import json
import pathlib
import random
import struct

import pytest

from common import run

MODEL = pathlib.Path(__file__).parent.parent / "support" / "tiny-tokenizer"


def unpack_zstd(data, size):
    zstd = ctypes.CDLL("libzstd.so.1")
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(size)
    got = zstd.ZSTD_decompress(
        out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data))
    )
    assert got == size
    return out.raw


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def read_shard(path):
    """(header, summary, rows), a row being (ids, mask, starts)."""
    data = path.read_bytes()
    assert data[:8] == b"\x8fNBP\r\n\x1a\n" and data[-8:] == b"\nENDNBP\n"
    version, header_bytes = struct.unpack_from("<II", data, 8)
    assert version == 1
    at = 16 + header_bytes
    index, frames, summary_bytes, header_crc, tail_crc = struct.unpack_from(
        "<QIIII", data, len(data) - 32
    )
    assert crc32c(data[:at]) == header_crc
    assert crc32c(data[index:-12]) == tail_crc
    header = json.loads(data[16:at])
    summary = json.loads(data[index + 12 * frames :][:summary_bytes])
    rows = []
    for f in range(frames):
        stored, unpacked, crc = struct.unpack_from("<III", data, index + 12 * f)
        assert crc32c(data[at : at + stored]) == crc
        raw = unpack_zstd(data[at : at + stored], unpacked)
        at += stored
        count = min(header["rows_per_frame"], summary["rows"] - len(rows))
        sizes = list(struct.iter_unpack("<II", raw[: 8 * count]))
        cursor = 8 * count
        ids, starts = [], []
        code, width = ("H", 2) if header["id_bytes"] == 2 else ("I", 4)
        for tokens, _ in sizes:
            ids.append(struct.unpack_from(f"<{tokens}{code}", raw, cursor))
            cursor += width * tokens
        for _, sequences in sizes:
            starts.append(struct.unpack_from(f"<{sequences}I", raw, cursor))
            cursor += 4 * sequences
        for (tokens, _), row_ids, row_starts in zip(sizes, ids, starts):
            mask = [raw[cursor + i // 8] >> i % 8 & 1 for i in range(tokens)]
            cursor += (tokens + 7) // 8
            rows.append((row_ids, mask, row_starts))
        assert cursor == len(raw)
    assert at == index and len(rows) == summary["rows"]
    return header, summary, rows


@pytest.mark.parametrize("mode", ["pad", "pack"])
def test_byte_table(tmp_path, mode):
    rng = random.Random(3)
    examples = []
    with open(tmp_path / "rows.jsonl", "w") as out:
        for _ in range(400):
            ids = [rng.randrange(264) for _ in range(rng.randrange(2, 60))]
            labels = [i if rng.random() < 0.5 else -100 for i in ids]
            labels[-1] = ids[-1]
            examples.append((ids, labels))
            print(json.dumps({"input_ids": ids, "labels": labels}), file=out)
    run("nibble-pack", f"--model={MODEL}", "--length=64", f"--mode={mode}",
        tmp_path / "rows.jsonl", "-o", tmp_path / "x.nbp")
    header, summary, rows = read_shard(tmp_path / "x.nbp")
    assert (header["row_length"], header["vocab_size"], header["mode"]) == (64, 264, mode)
    assert summary["sequences"] == len(examples)

    got = []
    for ids, mask, starts in rows:
        assert len(ids) <= 64 and starts[0] == 0
        for begin, end in zip(starts, [*starts[1:], len(ids)]):
            labels = [i if m else -100 for i, m in zip(ids[begin:end], mask[begin:end])]
            got.append((list(ids[begin:end]), labels))
    # Nothing stands before a sequence's first token, so it is no target.
    want = [(ids, [-100, *labels[1:]]) for ids, labels in examples]
    if mode == "pad":
        assert got == want
    else:
        assert sorted(got) == sorted(want)
    assert summary["tokens"] == sum(len(ids) for ids, _ in want)
    assert summary["trained"] == sum(l != -100 for _, labels in want for l in labels)
