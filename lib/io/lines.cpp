// SPDX-License-Identifier: Apache-2.0
#include "io/lines.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "base/cannot_read.h"
#include "base/error.h"
#include "base/profile.h"

namespace nibble {
namespace {

constexpr size_t kChunk = size_t{1} << 18;
constexpr size_t kPadding = 64;
constexpr unsigned char kZstdMagic[4] = {0x28, 0xb5, 0x2f, 0xfd};

bool is_standard(const std::string& path) {
  return path.empty() || path == "-";
}

struct DecompressDelete {
  void operator()(ZSTD_DStream* s) const { ZSTD_freeDStream(s); }
};
struct CompressDelete {
  void operator()(ZSTD_CStream* s) const { ZSTD_freeCStream(s); }
};

// Bytes that nobody sets: what is not read into is not touched.
class RawBytes {
 public:
  char* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  /// Keeps the first `used` bytes.
  void grow(size_t used, size_t size) {
    auto bytes = std::make_unique_for_overwrite<char[]>(size);
    if (used > 0) std::memcpy(bytes.get(), bytes_.get(), used);
    bytes_ = std::move(bytes);
    size_ = size;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
};

}  // namespace

struct LineReader::State {
  std::string name;
  int fd = 0;
  bool owns = false;
  int64_t number = 0;
  std::vector<char> raw;  // compressed input, when zstd
  ZSTD_inBuffer in{nullptr, 0, 0};
  std::unique_ptr<ZSTD_DStream, DecompressDelete> zstd;
  size_t frame_left = 0;  // what ZSTD_decompressStream returned last; 0 between frames
  RawBytes buffer;        // decoded text: [begin, end) is unread
  size_t begin = 0, end = 0;
  bool ended = false;
  bool in_long_line = false;  // what is unread is the rest of a line that was too long

  ~State() {
    if (owns) ::close(fd);
  }

  std::string place() const { return cat(name, ":", number); }

  size_t read_raw(char* data, size_t bytes) {
    Span span("read");
    for (;;) {
      const ssize_t n = ::read(fd, data, bytes);
      if (n >= 0) {
        span.add(0.0, static_cast<double>(n));
        return static_cast<size_t>(n);
      }
      if (errno == EINTR) continue;
      if (errno == EISDIR) throw NoInputError(cat(name, ": is a folder; give a file"));
      throw IoError(cat(name, ": cannot read: ", errno_text(errno), "; check the device"));
    }
  }

  // Appends more text behind `end`; sets `ended` when there is none.
  void fill() {
    if (begin > 0) {
      std::memmove(buffer.data(), buffer.data() + begin, end - begin);
      end -= begin;
      begin = 0;
    }
    if (buffer.size() < end + kChunk + kPadding) buffer.grow(end, 2 * (end + kChunk + kPadding));
    if (!zstd) {
      const size_t n = read_raw(buffer.data() + end, kChunk);
      end += n;
      ended = n == 0;
      return;
    }
    Span span("decompress");
    ZSTD_outBuffer out{buffer.data() + end, kChunk, 0};
    while (out.pos == 0) {
      if (in.pos == in.size) {
        in = {raw.data(), read_raw(raw.data(), raw.size()), 0};
        if (in.size == 0) {
          if (frame_left != 0)
            throw DataError(cat(name, ": the zstd stream ends early; is the file complete?"));
          ended = true;
          return;
        }
      }
      frame_left = ZSTD_decompressStream(zstd.get(), &out, &in);
      if (ZSTD_isError(frame_left))
        throw DataError(cat(name, ": damaged zstd data (", ZSTD_getErrorName(frame_left),
                            "); compress the file again"));
    }
    end += out.pos;
    span.add(0.0, static_cast<double>(out.pos));
  }

  void pass_long_line() {
    in_long_line = false;
    for (;;) {
      const void* newline = std::memchr(buffer.data() + begin, '\n', end - begin);
      if (newline || ended) {
        begin = newline ? static_cast<size_t>(static_cast<const char*>(newline) - buffer.data()) + 1
                        : end;
        ++number;
        return;
      }
      begin = end;
      fill();
    }
  }

  void open(const std::string& path) {
    if (is_standard(path)) {
      name = "(standard input)";
    } else {
      name = path;
      fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd < 0) throw_cannot_read(path, errno);
      owns = true;
    }
    while (end < sizeof kZstdMagic && !ended) fill();
    if (end >= sizeof kZstdMagic && std::memcmp(buffer.data(), kZstdMagic, 4) == 0) {
      raw.resize(std::max(kChunk, end));
      std::memcpy(raw.data(), buffer.data(), end);
      in = {raw.data(), end, 0};
      zstd.reset(ZSTD_createDStream());
      if (!zstd) throw MemoryError(cat(name, ": no memory for zstd; close other programs"));
      begin = end = 0;
      while (end < 3 && !ended) fill();
    }
    if (end >= 3 && std::memcmp(buffer.data(), "\xef\xbb\xbf", 3) == 0) begin = 3;
  }
};

LineReader::LineReader(const std::string& path) : state_(std::make_unique<State>()) {
  state_->open(path);
}
LineReader::~LineReader() = default;
LineReader::LineReader(LineReader&&) noexcept = default;

bool LineReader::next(std::string_view& line) {
  State& s = *state_;
  size_t scanned = 0;
  if (s.in_long_line) s.pass_long_line();
  for (;;) {
    const char* start = s.buffer.data() + s.begin;
    const size_t have = s.end - s.begin;
    const void* newline =
        have > scanned ? std::memchr(start + scanned, '\n', have - scanned) : nullptr;
    if (newline || (s.ended && have > 0)) {
      size_t length =
          newline ? static_cast<size_t>(static_cast<const char*>(newline) - start) : have;
      s.begin += newline ? length + 1 : length;
      ++s.number;
      if (length > 0 && start[length - 1] == '\r') --length;
      line = {start, length};
      return true;
    }
    if (s.ended) return false;
    if (have > kMaxLine) {
      s.in_long_line = true;
      throw LongLineError(cat(s.name, ":", s.number + 1, ": a line longer than ", kMaxLine >> 20,
                              " MiB; is this JSONL, one record a line?"));
    }
    scanned = have;
    s.fill();
  }
}

std::string_view LineReader::peek() {
  State& s = *state_;
  while (s.begin == s.end && !s.ended) s.fill();
  return {s.buffer.data() + s.begin, s.end - s.begin};
}

std::string_view LineReader::peek_line(size_t most) {
  State& s = *state_;
  for (;;) {
    const std::string_view text(s.buffer.data() + s.begin, s.end - s.begin);
    if (const size_t at = text.substr(0, most).find('\n'); at != text.npos)
      return text.substr(0, at);
    if (s.ended || text.size() >= most) return text.substr(0, most);
    s.fill();
  }
}

void LineReader::skip(size_t bytes) {
  State& s = *state_;
  CHECK(bytes <= s.end - s.begin);
  const char* from = s.buffer.data() + s.begin;
  s.begin += bytes;
  for (const char* const end = from + bytes; from < end; ++s.number) {
    from = static_cast<const char*>(std::memchr(from, '\n', static_cast<size_t>(end - from)));
    if (!from) break;
    ++from;
  }
}

int64_t LineReader::number() const {
  return state_->number;
}
std::string LineReader::place() const {
  return state_->place();
}
const std::string& LineReader::name() const {
  return state_->name;
}

struct LineWriter::State {
  std::string name;
  std::optional<AtomicFile> file;  // absent: standard output
  std::unique_ptr<ZSTD_CStream, CompressDelete> zstd;
  std::string buffer;
  std::vector<char> compressed;

  void put(const char* data, size_t bytes) {
    if (file) return file->write(data, bytes);
    Span span("write");
    span.add(0.0, static_cast<double>(bytes));
    while (bytes > 0) {
      const ssize_t n = ::write(STDOUT_FILENO, data, bytes);
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EPIPE) throw ClosedPipe{};
        throw IoError(cat("(standard output): cannot write: ", errno_text(errno),
                          "; free some space and run again"));
      }
      data += n;
      bytes -= static_cast<size_t>(n);
    }
  }

  void drain(bool last) {
    if (!zstd) {
      put(buffer.data(), buffer.size());
      buffer.clear();
      return;
    }
    Span span("compress");
    span.add(0.0, static_cast<double>(buffer.size()));
    ZSTD_inBuffer in{buffer.data(), buffer.size(), 0};
    size_t left = 1;
    while (in.pos < in.size || (last && left != 0)) {
      ZSTD_outBuffer out{compressed.data(), compressed.size(), 0};
      left = ZSTD_compressStream2(zstd.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left)) throw BugError(cat("zstd: ", ZSTD_getErrorName(left)));
      put(compressed.data(), out.pos);
    }
    buffer.clear();
  }
};

LineWriter::LineWriter(const std::string& path) : state_(std::make_unique<State>()) {
  State& s = *state_;
  if (is_standard(path)) return;
  s.file.emplace(path);
  if (path.ends_with(".zst")) {
    s.zstd.reset(ZSTD_createCStream());
    if (!s.zstd) throw MemoryError(cat(path, ": no memory for zstd; close other programs"));
    ZSTD_CCtx_setParameter(s.zstd.get(), ZSTD_c_checksumFlag, 1);
    s.compressed.resize(ZSTD_CStreamOutSize());
  }
}
LineWriter::~LineWriter() = default;
LineWriter::LineWriter(LineWriter&&) noexcept = default;

void LineWriter::line(std::string_view text) {
  State& s = *state_;
  s.buffer += text;
  s.buffer += '\n';
  if (s.buffer.size() >= kChunk) s.drain(false);
}

void LineWriter::text(std::string_view text) {
  state_->buffer += text;
  flush();
}

void LineWriter::flush() {
  if (!state_->file) state_->drain(false);
}

void LineWriter::commit() {
  state_->drain(true);
  if (state_->file) state_->file->commit();
}

}  // namespace nibble
