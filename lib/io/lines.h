// SPDX-License-Identifier: Apache-2.0
// Line streams: JSONL and text in and out of files and pipes, zstd where the name ends in .zst or
// the bytes start with zstd's magic. Memory is bounded by the longest line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/file.h"

namespace nibble {

/// A line longer than LineReader::kMaxLine; the next call goes on after it.
struct LongLineError : DataError {
  using DataError::DataError;
};

/// Reads lines (without the newline, and without a carriage return before it) of PATH, or of
/// standard input for "-". A UTF-8 byte order mark at the start is skipped.
class LineReader {
 public:
  static constexpr size_t kMaxLine = size_t{256} << 20;

  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(LineReader&&) noexcept;

  /// The next line, or false at the end. The view (with at least 64 readable bytes of padding
  /// behind it, as simdjson wants) is valid until the next call. Throws LongLineError for a line
  /// over kMaxLine, DataError for damaged zstd, IoError for a failed read.
  bool next(std::string_view& line);
  /// What has been read and not yet returned, a byte at least (more is not promised), padded as a
  /// line is; empty at the end. For forms that are not lines. Valid until the next call.
  std::string_view peek();
  /// The first line of what is not yet returned, or as much of it as `most` bytes hold, passed over
  /// by nothing. Valid until the next call.
  std::string_view peek_line(size_t most);
  /// Passes over the first bytes of what peek() gave, counting the lines that end in them.
  void skip(size_t bytes);
  /// 1-based number of the last line returned; or how many lines have ended.
  int64_t number() const;
  /// "train.jsonl:812" or "(standard input):812", for messages.
  std::string place() const;
  const std::string& name() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes lines to PATH (atomically: temporary and rename) or to standard output for "-" or "".
class LineWriter {
 public:
  explicit LineWriter(const std::string& path);
  ~LineWriter();
  LineWriter(LineWriter&&) noexcept;

  /// Appends the text and a newline. Throws IoError; ClosedPipe when the reader has gone.
  void line(std::string_view text);
  /// Appends text without a newline and pushes it to a standard stream, for readers that follow.
  void text(std::string_view text);
  /// Pushes what is buffered to a standard stream, for readers that follow.
  void flush();
  /// Finishes the stream and renames the file into place. Without it, nothing is kept.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nibble
