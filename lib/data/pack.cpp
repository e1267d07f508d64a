// SPDX-License-Identifier: Apache-2.0
#include "data/pack.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {
namespace {

int64_t length_of(const TokenRow& row) {
  return std::ssize(row.tokens);
}

TokenRow piece_of(const TokenRow& row, int64_t begin, int64_t end) {
  return {{row.tokens.begin() + begin, row.tokens.begin() + end},
          {row.trained.begin() + begin, row.trained.begin() + end}};
}

// The first token is predicted from nothing, so it is no target.
bool has_target(const TokenRow& row) {
  return std::any_of(row.trained.begin() + 1, row.trained.end(), [](uint8_t t) { return t != 0; });
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
    take(piece_of(example, 0, rules_.length));
  } else {
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
  counts_.longest = std::max(counts_.longest, length_of(piece));
  window_tokens_ += length_of(piece);
  window_.push_back({std::move(piece), counts_.sequences++});
  if (rules_.mode == PackMode::kPad || window_tokens_ >= rules_.window_tokens) place_window();
}

void Packer::place_window() {
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
    out_.starts.push_back(static_cast<int32_t>(out_.tokens.size()));
    out_.tokens.insert(out_.tokens.end(), e.row.tokens.begin(), e.row.tokens.end());
    out_.trained.insert(out_.trained.end(), e.row.trained.begin(), e.row.trained.end());
    out_.trained[static_cast<size_t>(out_.starts.back())] = 0;
  }
  ++counts_.rows;
  emit_(out_);
}

}  // namespace nibble
