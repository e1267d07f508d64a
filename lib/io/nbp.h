// SPDX-License-Identifier: Apache-2.0
// .nbp: nibble's packed shard, token rows ready to train on. Rows are read at random, nothing is
// trusted before it is checked, and damage is named by frame. All integers are little-endian.
//
//   offset  bytes  what
//        0      8  magic 8F 4E 42 50 0D 0A 1A 0A ("\x8FNBP\r\n\x1A\n")
//        8      4  u32 version: 1, or 2 where the header has a kind
//       12      4  u32 h, length of the header (at most 64 KiB)
//       16      h  header, JSON: row_length, vocab_size, tokenizer (fingerprint), mode,
//                  rows_per_frame, id_bytes; kind, "pairs" or "rated", where the sequences are
//                  answers to prefer or not (else left out)
//     16+h         frames, one after another: each one zstd frame with content size and checksum,
//                  holding rows_per_frame rows, the last one what is left:
//                    per row   u32 T, tokens; u32 S, sequences
//                    per row   T ids, u16 or u32 as id_bytes says (2 where vocab_size <= 65536)
//                    per row   S u32, where in the row each sequence starts; the first is 0
//                    per row   ceil(T/8) bytes, bit i%8 of byte i/8: token i is trained on
//                    per row   only of kind "rated": ceil(S/8) bytes, likewise: sequence i is one
//                              to give (desirable)
//                  of kind "pairs" S is even: sequence 2k is preferred to sequence 2k+1, an answer
//                  to the same prompt, which both begin with
//        x   12*f  index, per frame: u32 stored bytes, u32 bytes unpacked, u32 CRC-32C of the
//        stored
//    x+12f      s  summary, JSON: rows, sequences, tokens, trained, longest
//     -32       8  u64 x, where the index begins
//     -24       4  u32 f, frames
//     -20       4  u32 s, length of the summary (at most 64 KiB)
//     -16       4  u32 CRC-32C of [0, 16+h)
//     -12       4  u32 CRC-32C of [x, end-12)
//      -8       8  end mark 0A 45 4E 44 4E 42 50 0A ("\nENDNBP\n")
//
// What is known only at the end stands at the end, so that a shard can be written to a pipe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"

namespace nibble {

/// What examples teach: text, which of two answers is better, or whether an answer is a good one.
enum class ExampleKind : uint8_t { kPlain, kPair, kRated };
/// "examples", "preference pairs", "rated answers".
std::string_view kind_title(ExampleKind kind);

/// One row: the tokens of one or more sequences, one after another. A row shorter than the row
/// length is not padded here; whoever batches rows pads.
struct PackedRow {
  std::vector<int32_t> tokens;
  /// As long as tokens; 1: token i is a target, predicted at position i - 1, so labels[i] is
  /// tokens[i] in the convention of transformers (the model shifts), else -100. The first token of
  /// a sequence has nothing before it and is 0.
  std::vector<uint8_t> trained;
  /// Where sequences start: ascending, the first 0. Empty only where tokens is.
  std::vector<int32_t> starts;
  /// Of rated answers, as long as starts: 1 for one to give. Else empty.
  std::vector<uint8_t> desirable;

  /// Tokens of its longest sequence.
  int64_t longest() const;
  void clear() {
    tokens.clear();
    trained.clear();
    starts.clear();
    desirable.clear();
  }
  bool operator==(const PackedRow&) const = default;
};

struct ShardInfo {
  static constexpr int64_t kMaxRowLength = int64_t{1} << 24;

  int64_t row_length = 0;  // tokens a row may hold
  int64_t vocab_size = 0;  // every id is below it
  std::string tokenizer;   // Tokenizer::fingerprint of the tokenizer that made the ids
  std::string mode;        // "pack": several sequences a row; "pad", "group": one
  ExampleKind kind = ExampleKind::kPlain;
  // Counted by the writer.
  int64_t rows = 0;
  int64_t sequences = 0;
  int64_t tokens = 0;
  int64_t trained = 0;  // tokens that are targets
  int64_t longest = 0;  // tokens of the longest sequence
};

/// Writes a shard as rows arrive, holding one frame in memory.
class ShardWriter {
 public:
  /// Takes row_length, vocab_size, tokenizer, mode and kind of `info`. PATH as AtomicFile takes it.
  ShardWriter(const fs::path& path, const ShardInfo& info);
  ~ShardWriter();
  ShardWriter(ShardWriter&&) noexcept;

  /// Where the kind is learnt from the data: before the first row.
  void set_kind(ExampleKind kind);
  /// Appends a row of 1 to row_length tokens. The first token of each sequence becomes untrained.
  void add(const PackedRow& row);
  /// With the counts so far.
  const ShardInfo& info() const;
  /// Writes the last frame, the index and the end, and renames into place. Without it, nothing is
  /// kept.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads rows at random from a mapped shard. The header, the index and the counts are checked when
/// it is opened, a frame when one of its rows is first read. Not for use by several threads at
/// once.
class ShardReader {
 public:
  /// Throws NoInputError, or DataError naming what is wrong.
  explicit ShardReader(const fs::path& path);
  ~ShardReader();
  ShardReader(ShardReader&&) noexcept;

  const ShardInfo& info() const;
  int64_t rows() const { return info().rows; }
  /// Row i, 0 <= i < rows(). Throws DataError "train.nbp: frame 3 (rows 96 to 127): ..." where its
  /// frame is damaged.
  void read(int64_t i, PackedRow& row);
  /// Reads everything; throws DataError naming the damaged frames.
  void verify();
  /// 16 hex digits that differ between shards of different content: what a checkpoint remembers.
  std::string digest() const;
  const fs::path& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Throws UnavailableError where the shard holds preferences, which next-token training must not
/// take for examples.
void expect_examples(const ShardReader& shard);

}  // namespace nibble
