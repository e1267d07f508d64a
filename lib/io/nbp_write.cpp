// SPDX-License-Identifier: Apache-2.0
#include <zstd.h>

#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/profile.h"
#include "io/crc32c.h"
#include "io/json.h"
#include "io/nbp.h"
#include "io/nbp_layout.h"

namespace nibble {
namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

// The bits of a row's targets; the first token of a sequence has nothing to be predicted from.
std::string mask_of(const PackedRow& row) {
  std::string mask(static_cast<size_t>(nbp::mask_bytes(std::ssize(row.tokens))), '\0');
  for (size_t i = 0; i < row.trained.size(); ++i)
    if (row.trained[i]) nbp::set_bit(mask.data(), i);
  for (const int32_t start : row.starts) {
    char& byte = mask[static_cast<size_t>(start) / 8];
    byte = static_cast<char>(byte & ~(1 << start % 8));
  }
  return mask;
}

}  // namespace

struct ShardWriter::State {
  AtomicFile file;
  ShardInfo info;
  int64_t rows_per_frame, id_bytes;
  uint32_t header_crc = 0;
  bool begun = false;
  std::unique_ptr<ZSTD_CCtx, FreeContext> zstd{ZSTD_createCCtx()};
  // The frame being filled, by section.
  int64_t frame_rows = 0;
  std::string sizes, ids, starts, masks, ratings;
  std::string packed, index;

  State(const fs::path& path, const ShardInfo& described) : file(path), info(described) {
    CHECK(info.row_length >= 1 && info.row_length <= ShardInfo::kMaxRowLength);
    CHECK(info.vocab_size >= 1 && info.vocab_size <= INT32_MAX);
    if (!zstd) throw MemoryError(cat(path.native(), ": no memory for compression"));
    rows_per_frame = nbp::rows_per_frame(info.row_length);
    id_bytes = nbp::id_bytes(info.vocab_size);
    info.rows = info.sequences = info.tokens = info.trained = info.longest = 0;
    ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_compressionLevel, 3);
    ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_checksumFlag, 1);
  }

  // Writes the header, once: when all that it says is known.
  void begin() {
    if (begun) return;
    begun = true;
    Json header = Json::object({{"row_length", info.row_length},
                                {"vocab_size", info.vocab_size},
                                {"tokenizer", info.tokenizer},
                                {"mode", info.mode},
                                {"rows_per_frame", rows_per_frame},
                                {"id_bytes", id_bytes}});
    const bool plain = info.kind == ExampleKind::kPlain;
    if (!plain) header.set("kind", nbp::kind_name(info.kind));
    const std::string json = header.dump();
    CHECK(json.size() <= nbp::kMaxJson);
    std::string head(nbp::kMagic);
    nbp::append(head, plain ? nbp::kVersion : nbp::kKindVersion);
    nbp::append(head, static_cast<uint32_t>(json.size()));
    head += json;
    header_crc = crc32c(head.data(), head.size());
    file.write(head);
  }

  void end_frame() {
    if (frame_rows == 0) return;
    std::optional<Span> span("compress");
    std::string raw = sizes + ids + starts + masks + ratings;
    span->add(0.0, static_cast<double>(raw.size()));
    packed.resize(ZSTD_compressBound(raw.size()));
    const size_t bytes =
        ZSTD_compress2(zstd.get(), packed.data(), packed.size(), raw.data(), raw.size());
    CHECK(!ZSTD_isError(bytes));
    span.reset();
    file.write(packed.data(), bytes);
    nbp::append(index, static_cast<uint32_t>(bytes));
    nbp::append(index, static_cast<uint32_t>(raw.size()));
    nbp::append(index, crc32c(packed.data(), bytes));
    frame_rows = 0;
    for (std::string* section : {&sizes, &ids, &starts, &masks, &ratings}) section->clear();
  }
};

ShardWriter::ShardWriter(const fs::path& path, const ShardInfo& info)
    : state_(std::make_unique<State>(path, info)) {}
ShardWriter::~ShardWriter() = default;
ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;

std::string_view kind_title(ExampleKind kind) {
  return kind == ExampleKind::kPair    ? "preference pairs"
         : kind == ExampleKind::kRated ? "rated answers"
                                       : "examples";
}

int64_t PackedRow::longest() const {
  int64_t most = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t end = i + 1 < starts.size() ? starts[i + 1] : std::ssize(tokens);
    most = std::max(most, end - starts[i]);
  }
  return most;
}

const ShardInfo& ShardWriter::info() const {
  return state_->info;
}

void ShardWriter::set_kind(ExampleKind kind) {
  CHECK(!state_->begun);
  state_->info.kind = kind;
}

void ShardWriter::add(const PackedRow& row) {
  State& s = *state_;
  s.begin();
  const int64_t tokens = std::ssize(row.tokens), sequences = std::ssize(row.starts);
  CHECK(tokens >= 1 && tokens <= s.info.row_length && std::ssize(row.trained) == tokens);
  CHECK(sequences >= 1 && row.starts[0] == 0 && row.starts.back() < tokens);
  for (size_t i = 1; i < row.starts.size(); ++i) CHECK(row.starts[i - 1] < row.starts[i]);

  nbp::append(s.sizes, static_cast<uint32_t>(tokens));
  nbp::append(s.sizes, static_cast<uint32_t>(sequences));
  for (const int32_t id : row.tokens) {
    CHECK(id >= 0 && id < s.info.vocab_size);
    if (s.id_bytes == 2)
      nbp::append(s.ids, static_cast<uint16_t>(id));
    else
      nbp::append(s.ids, id);
  }
  for (const int32_t start : row.starts) nbp::append(s.starts, start);
  const std::string mask = mask_of(row);
  s.masks += mask;
  CHECK(s.info.kind != ExampleKind::kPair || sequences % 2 == 0);
  CHECK(std::ssize(row.desirable) == (s.info.kind == ExampleKind::kRated ? sequences : 0));
  std::string rating(static_cast<size_t>(nbp::mask_bytes(std::ssize(row.desirable))), '\0');
  for (size_t i = 0; i < row.desirable.size(); ++i)
    if (row.desirable[i]) nbp::set_bit(rating.data(), i);
  s.ratings += rating;

  s.info.rows += 1;
  s.info.sequences += sequences;
  s.info.tokens += tokens;
  s.info.longest = std::max(s.info.longest, row.longest());
  for (const char byte : mask) s.info.trained += std::popcount(static_cast<unsigned char>(byte));
  if (++s.frame_rows == s.rows_per_frame) s.end_frame();
}

void ShardWriter::commit() {
  State& s = *state_;
  s.begin();
  s.end_frame();
  const std::string summary = Json::object({{"rows", s.info.rows},
                                            {"sequences", s.info.sequences},
                                            {"tokens", s.info.tokens},
                                            {"trained", s.info.trained},
                                            {"longest", s.info.longest}})
                                  .dump();
  const uint64_t index_offset = s.file.size();
  const size_t frames = s.index.size() / nbp::kIndexEntry;
  std::string& tail = s.index;
  tail += summary;
  nbp::append(tail, index_offset);
  nbp::append(tail, static_cast<uint32_t>(frames));
  nbp::append(tail, static_cast<uint32_t>(summary.size()));
  nbp::append(tail, s.header_crc);
  nbp::append(tail, crc32c(tail.data(), tail.size()));
  tail += nbp::kEndMark;
  s.file.write(tail);
  s.file.commit();
}

}  // namespace nibble
