// SPDX-License-Identifier: Apache-2.0
#include "data/pack.h"

#include <algorithm>

#include "base/error.h"
#include "base/profile.h"

namespace nibble {
namespace {

int64_t length_of(const TokenRow& row) {
  return std::ssize(row.tokens);
}

TokenRow piece_of(const TokenRow& row, int64_t begin, int64_t end) {
  return {.tokens = {row.tokens.begin() + begin, row.tokens.begin() + end},
          .trained = {row.trained.begin() + begin, row.trained.begin() + end},
          .kind = row.kind,
          .desirable = row.desirable};
}

// A pair cut off so that both sides fit a row together: the longer side first, down to half a row.
TokenRow cut_pair(const TokenRow& row, int64_t length) {
  const int64_t chosen = row.rejected, rejected = length_of(row) - chosen;
  const int64_t half = std::max<int64_t>(1, length / 2);
  const int64_t keep_chosen = std::min(chosen, std::max(half, length - rejected));
  const int64_t keep_rejected = std::min(rejected, length - keep_chosen);
  TokenRow cut = piece_of(row, 0, keep_chosen);
  const TokenRow other = piece_of(row, chosen, chosen + keep_rejected);
  cut.tokens.insert(cut.tokens.end(), other.tokens.begin(), other.tokens.end());
  cut.trained.insert(cut.trained.end(), other.trained.begin(), other.trained.end());
  cut.rejected = static_cast<int32_t>(keep_chosen);
  return cut;
}

// The first token is predicted from nothing, so it is no target.
bool has_target(const TokenRow& row, int64_t begin, int64_t end) {
  return std::any_of(row.trained.begin() + begin + 1, row.trained.begin() + end,
                     [](uint8_t t) { return t != 0; });
}

bool has_target(const TokenRow& row) {
  if (row.kind != ExampleKind::kPair) return has_target(row, 0, length_of(row));
  return has_target(row, 0, row.rejected) && has_target(row, row.rejected, length_of(row));
}

// Tokens of its longest sequence.
int64_t longest_of(const TokenRow& row) {
  return std::max<int64_t>(row.rejected, length_of(row) - row.rejected);
}

}  // namespace

std::string_view pack_mode_name(PackMode mode) {
  return mode == PackMode::kPack ? "pack" : mode == PackMode::kPad ? "pad" : "group";
}

Packer::Packer(const PackRules& rules, std::function<void(const PackedRow&)> emit)
    : rules_(rules), emit_(std::move(emit)) {
  CHECK(rules.length >= 1 && rules.length <= ShardInfo::kMaxRowLength);
}

void Packer::add(TokenRow example) {
  CHECK(example.trained.size() == example.tokens.size());
  ++counts_.examples;
  const int64_t tokens = length_of(example);
  if (tokens == 0) {
    ++counts_.empty;
  } else if (tokens <= rules_.length) {
    take(std::move(example));
  } else if (rules_.long_examples == LongExamples::kDrop) {
    ++counts_.dropped;
  } else if (rules_.long_examples == LongExamples::kTruncate) {
    ++counts_.truncated;
    take(example.kind == ExampleKind::kPair ? cut_pair(example, rules_.length)
                                            : piece_of(example, 0, rules_.length));
  } else {
    CHECK(example.kind == ExampleKind::kPlain);
    ++counts_.split;
    for (int64_t at = 0; at < tokens; at += rules_.length)
      take(piece_of(example, at, std::min(at + rules_.length, tokens)));
  }
}

// Takes an example, or a piece of one, that fits a row.
void Packer::take(TokenRow piece) {
  if (!has_target(piece)) {
    ++counts_.untrained;
    return;
  }
  counts_.tokens += length_of(piece);
  counts_.longest = std::max(counts_.longest, longest_of(piece));
  window_tokens_ += length_of(piece);
  counts_.sequences += piece.kind == ExampleKind::kPair ? 2 : 1;
  window_.push_back({std::move(piece), taken_++});
  if (rules_.mode == PackMode::kPad || window_tokens_ >= rules_.window_tokens) place_window();
}

void Packer::place_window() {
  Span span("pack");
  span.add(0.0, static_cast<double>(window_tokens_) * sizeof(int32_t));
  std::sort(window_.begin(), window_.end(), [](const Example& a, const Example& b) {
    const int64_t first = length_of(a.row), second = length_of(b.row);
    return first != second ? first > second : a.order < b.order;
  });
  for (Example& example : window_) {
    if (rules_.mode == PackMode::kPack) {
      place(std::move(example));
    } else {
      std::vector<Example> alone(1);
      alone[0] = std::move(example);
      emit_row(alone);
    }
  }
  window_.clear();
  window_tokens_ = 0;
  // The fullest rows gain least by waiting.
  while (open_tokens_ > rules_.window_tokens) {
    const size_t fullest = room_.begin()->second;
    room_.erase(room_.begin());
    open_tokens_ -= bins_[fullest].tokens;
    full_.push_back(std::exchange(bins_[fullest], {}));
    free_bins_.push_back(fullest);
  }
  emit_rows(std::exchange(full_, {}));
}

void Packer::place(Example example) {
  const int64_t tokens = length_of(example.row);
  const auto best = room_.lower_bound({tokens, 0});
  size_t number = bins_.size();
  if (best != room_.end()) {
    number = best->second;
    room_.erase(best);
  } else if (!free_bins_.empty()) {
    number = free_bins_.back();
    free_bins_.pop_back();
  } else {
    bins_.emplace_back();
  }
  Bin& bin = bins_[number];
  bin.examples.push_back(std::move(example));
  bin.tokens += tokens;
  open_tokens_ += tokens;
  if (bin.tokens < rules_.length) {
    room_.emplace(rules_.length - bin.tokens, number);
    return;
  }
  open_tokens_ -= bin.tokens;
  full_.push_back(std::exchange(bin, {}));
  free_bins_.push_back(number);
}

void Packer::finish() {
  place_window();
  for (const auto& [room, number] : room_) full_.push_back(std::exchange(bins_[number], {}));
  room_.clear();
  emit_rows(std::exchange(full_, {}));
}

// Rows in the order of the examples that opened them: being the longest, these stand at random
// places of a shuffled input, whatever the lengths of the rest.
void Packer::emit_rows(std::vector<Bin> rows) {
  std::sort(rows.begin(), rows.end(),
            [](const Bin& a, const Bin& b) { return a.examples[0].order < b.examples[0].order; });
  for (Bin& bin : rows) {
    std::sort(bin.examples.begin(), bin.examples.end(),
              [](const Example& a, const Example& b) { return a.order < b.order; });
    emit_row(bin.examples);
  }
}

void Packer::emit_row(const std::vector<Example>& examples) {
  out_.clear();
  for (const Example& e : examples) {
    const auto begin = static_cast<int32_t>(out_.tokens.size());
    out_.starts.push_back(begin);
    if (e.row.kind == ExampleKind::kPair) out_.starts.push_back(begin + e.row.rejected);
    if (e.row.kind == ExampleKind::kRated) out_.desirable.push_back(e.row.desirable);
    out_.tokens.insert(out_.tokens.end(), e.row.tokens.begin(), e.row.tokens.end());
    out_.trained.insert(out_.trained.end(), e.row.trained.begin(), e.row.trained.end());
  }
  for (const int32_t start : out_.starts) out_.trained[static_cast<size_t>(start)] = 0;
  ++counts_.rows;
  emit_(out_);
}

}  // namespace nibble
