// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "base/error.h"
#include "io/crc32c.h"
#include "io/json.h"
#include "io/nbp.h"
#include "io/nbp_frame.h"
#include "io/nbp_layout.h"

namespace nibble {
namespace {

constexpr const char* kRemedy = "; make it again with nibble-pack";

// A frame in the cache.
struct Slot {
  int64_t number = -1;
  uint64_t used = 0;  // when, for eviction
  nbp::Frame frame;
};

struct IndexEntry {
  uint64_t offset;
  uint32_t bytes, raw_bytes, crc;
};

}  // namespace

struct ShardReader::State {
  MappedFile file;
  ShardInfo info;
  int64_t rows_per_frame = 0, id_bytes = 0;
  uint32_t header_crc = 0, tail_crc = 0;
  std::vector<IndexEntry> index;
  nbp::Decompressor zstd{ZSTD_createDCtx()};
  std::array<Slot, 4> cache;
  uint64_t clock = 0;

  explicit State(const fs::path& path) : file(path) {
    if (!zstd) throw MemoryError(cat(path.native(), ": no memory for decompression"));
    const uint64_t index_offset = read_ends();
    read_index(index_offset);
  }

  const std::byte* at(uint64_t offset) const { return file.bytes().data() + offset; }
  [[noreturn]] void fail(std::string_view fault) const {
    throw DataError(cat(file.path().native(), ": ", fault, kRemedy));
  }

  uint64_t read_ends();
  void read_index(uint64_t index_offset);
  int64_t count(const Json& object, const char* name, int64_t low, int64_t high) const;
  int64_t rows_of(int64_t frame) const {
    return std::min(rows_per_frame, info.rows - frame * rows_per_frame);
  }
  void unpack(int64_t number, nbp::Frame& frame) const;
  const nbp::Frame& frame_of(int64_t row);
};

int64_t ShardReader::State::count(const Json& object, const char* name, int64_t low,
                                  int64_t high) const {
  const Json* value = object.find(name);
  if (!value || !value->is_integer()) fail(cat("the header has no number \"", name, "\""));
  const int64_t n = value->as_integer();
  if (n < low || n > high) fail(cat("\"", name, "\" is ", n, ", not in ", low, " to ", high));
  return n;
}

// Checks both ends and reads the header; returns where the index begins.
uint64_t ShardReader::State::read_ends() {
  const uint64_t size = file.bytes().size();
  const std::string_view text = file.text();
  const size_t compared = std::min<size_t>(size, nbp::kMagic.size());
  if (size == 0) fail("is empty");
  if (text.substr(0, compared) != nbp::kMagic.substr(0, compared))
    throw DataError(cat(file.path().native(),
                        ": is no packed shard (.nbp); make one with "
                        "nibble-pack"));
  if (size < nbp::kPrefix) fail("is cut off in its header");
  const auto version = nbp::load<uint32_t>(at(8));
  if (version != nbp::kVersion && version != nbp::kKindVersion)
    fail(cat("is of version ", version, "; this build reads versions ", nbp::kVersion, " and ",
             nbp::kKindVersion));
  const uint64_t header_bytes = nbp::load<uint32_t>(at(12));
  if (header_bytes > nbp::kMaxJson) fail(cat("header of ", header_bytes, " bytes is too long"));
  const uint64_t data = nbp::kPrefix + header_bytes;
  if (size < data + nbp::kFooter) fail("is cut off in its header");
  if (text.substr(size - nbp::kEndMark.size()) != nbp::kEndMark)
    fail("is cut off, or was never finished");

  const std::byte* footer = at(size - nbp::kFooter);
  const auto index_offset = nbp::load<uint64_t>(footer);
  const uint64_t frames = nbp::load<uint32_t>(footer + 8);
  const uint64_t summary_bytes = nbp::load<uint32_t>(footer + 12);
  header_crc = nbp::load<uint32_t>(footer + 16);
  tail_crc = nbp::load<uint32_t>(footer + 20);
  const uint64_t footer_offset = size - nbp::kFooter;
  if (summary_bytes > nbp::kMaxJson || index_offset < data || index_offset > footer_offset ||
      footer_offset - index_offset != frames * nbp::kIndexEntry + summary_bytes)
    fail("the sizes at its end do not add up");
  if (crc32c(at(0), data) != header_crc) fail("checksum of the header differs");
  if (crc32c(at(index_offset), size - 12 - index_offset) != tail_crc)
    fail("checksum of the index differs");

  const Json header = parse_json(text.substr(nbp::kPrefix, header_bytes), file.path().native());
  info.row_length = count(header, "row_length", 1, ShardInfo::kMaxRowLength);
  info.vocab_size = count(header, "vocab_size", 1, INT32_MAX);
  id_bytes = count(header, "id_bytes", 2, 4);
  if (id_bytes != nbp::id_bytes(info.vocab_size)) fail("\"id_bytes\" does not fit \"vocab_size\"");
  rows_per_frame = count(header, "rows_per_frame", 1,
                         std::max<int64_t>(1, nbp::kMaxFrameTokens / info.row_length));
  for (const auto& [name, target] :
       {std::pair{"tokenizer", &info.tokenizer}, {"mode", &info.mode}}) {
    const Json* value = header.find(name);
    if (!value || !value->is_string()) fail(cat("the header has no text \"", name, "\""));
    *target = value->as_string();
  }
  if (version == nbp::kKindVersion) {
    const Json* kind = header.find("kind");
    for (const ExampleKind known : {ExampleKind::kPair, ExampleKind::kRated})
      if (kind && kind->is_string() && kind->as_string() == nbp::kind_name(known))
        info.kind = known;
    if (info.kind == ExampleKind::kPlain) fail("the header has no known \"kind\"");
  }

  const Json summary = parse_json(
      text.substr(index_offset + frames * nbp::kIndexEntry, summary_bytes), file.path().native());
  const auto most_rows = static_cast<int64_t>(frames) * rows_per_frame;
  info.rows = count(summary, "rows", 0, most_rows);
  if (ceil_div<int64_t>(info.rows, rows_per_frame) != static_cast<int64_t>(frames))
    fail(cat(info.rows, " rows do not fill ", frames, " frames"));
  info.tokens = count(summary, "tokens", info.rows, info.rows * info.row_length);
  info.sequences = count(summary, "sequences", info.rows, info.tokens);
  info.trained = count(summary, "trained", 0, info.tokens - info.sequences);
  info.longest = count(summary, "longest", info.rows > 0, std::min(info.tokens, info.row_length));
  return index_offset;
}

void ShardReader::State::read_index(uint64_t index_offset) {
  const auto frames = static_cast<size_t>(ceil_div<int64_t>(info.rows, rows_per_frame));
  index.reserve(frames);
  uint64_t offset = nbp::kPrefix + nbp::load<uint32_t>(at(12));
  for (size_t f = 0; f < frames; ++f) {
    const std::byte* entry = at(index_offset + f * nbp::kIndexEntry);
    index.push_back({.offset = offset,
                     .bytes = nbp::load<uint32_t>(entry),
                     .raw_bytes = nbp::load<uint32_t>(entry + 4),
                     .crc = nbp::load<uint32_t>(entry + 8)});
    offset += index.back().bytes;
    if (offset > index_offset ||
        index.back().raw_bytes >
            nbp::max_frame_bytes(rows_of(static_cast<int64_t>(f)), info.row_length, id_bytes))
      fail(cat("the sizes of frame ", f, " are impossible"));
  }
  if (offset != index_offset) fail("its frames do not add up to the file");
}

void ShardReader::State::unpack(int64_t number, nbp::Frame& frame) const {
  const IndexEntry& entry = index[static_cast<size_t>(number)];
  const auto stored = file.bytes().subspan(entry.offset, entry.bytes);
  try {
    if (crc32c(stored.data(), stored.size()) != entry.crc) throw DataError("checksum differs");
    frame.unpack(zstd.get(), stored, entry.raw_bytes, rows_of(number),
                 {.row_length = info.row_length,
                  .vocab_size = info.vocab_size,
                  .id_bytes = id_bytes,
                  .longest = info.longest,
                  .kind = info.kind});
  } catch (const DataError& e) {
    const int64_t first = number * rows_per_frame;
    fail(cat("frame ", number, " (rows ", first, " to ", first + rows_of(number) - 1,
             "): ", e.what()));
  }
}

const nbp::Frame& ShardReader::State::frame_of(int64_t row) {
  const int64_t number = row / rows_per_frame;
  Slot* oldest = &cache[0];
  for (Slot& slot : cache) {
    if (slot.number == number) {
      slot.used = ++clock;
      return slot.frame;
    }
    if (slot.used < oldest->used) oldest = &slot;
  }
  oldest->number = -1;
  unpack(number, oldest->frame);
  oldest->number = number;
  oldest->used = ++clock;
  return oldest->frame;
}

ShardReader::ShardReader(const fs::path& path) : state_(std::make_unique<State>(path)) {}
ShardReader::~ShardReader() = default;
ShardReader::ShardReader(ShardReader&&) noexcept = default;

const ShardInfo& ShardReader::info() const {
  return state_->info;
}
const fs::path& ShardReader::path() const {
  return state_->file.path();
}

void ShardReader::read(int64_t i, PackedRow& row) {
  CHECK(i >= 0 && i < rows());
  state_->frame_of(i).copy(static_cast<size_t>(i % state_->rows_per_frame), row);
}

void ShardReader::verify() {
  State& s = *state_;
  ShardInfo counted;
  PackedRow row;
  std::string first;
  int64_t damaged = 0;
  for (int64_t i = 0; i < rows();) {
    try {
      read(i, row);
    } catch (const DataError& e) {
      if (damaged++ == 0) first = e.what();
      i = (i / s.rows_per_frame + 1) * s.rows_per_frame;
      continue;
    }
    counted.sequences += std::ssize(row.starts);
    counted.tokens += std::ssize(row.tokens);
    counted.longest = std::max(counted.longest, row.longest());
    for (const uint8_t bit : row.trained) counted.trained += bit;
    ++i;
  }
  if (damaged == 1) throw DataError(first);
  if (damaged > 1)
    throw DataError(cat(first, " (", damaged, " of ", s.index.size(), " frames are damaged)"));
  if (counted.sequences != s.info.sequences || counted.tokens != s.info.tokens ||
      counted.trained != s.info.trained || counted.longest != s.info.longest)
    s.fail("its counts are not those of its rows");
}

void expect_examples(const ShardReader& shard) {
  const ExampleKind kind = shard.info().kind;
  if (kind != ExampleKind::kPlain)
    throw UnavailableError(cat(shard.path().native(), ": holds ", kind_title(kind),
                               ", which next-token training cannot take; pack examples that have "
                               "one answer each"));
}

std::string ShardReader::digest() const {
  constexpr char kHex[] = "0123456789abcdef";
  const uint64_t both = static_cast<uint64_t>(state_->header_crc) << 32 | state_->tail_crc;
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kHex[both >> shift & 15];
  return text;
}

}  // namespace nibble
