// SPDX-License-Identifier: Apache-2.0
#include "data/sample.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

struct MistakeText {
  std::string_view name, title, remedy;
};
constexpr MistakeText kTexts[kMistakes] = {
    {"nothing_trained", "nothing is trained on", "see nibble-format --train-on"},
    {"everything_trained", "everything is trained on, the prompt too",
     "right for plain text alone; see nibble-format --train-on"},
    {"two_bos", "it begins with bos twice", "the template writes one: nibble-tokenize --no-bos"},
    {"no_end", "no end of turn is learnt", "the model will not stop; take its own template"},
    {"truncated", "the last answer is cut off", "a longer --length, or shorter examples"},
    {"system_lost", "the template leaves the system message out", "take another --template"},
};

bool ends_in_special(const Sample& sample, size_t last) {
  return sample.pieces[last].special;
}

int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80; });
}

// Mistakes that show in the runs of trained text: whether each ends with a special token.
void judge_ends(Sample& sample, bool fills_row) {
  int64_t ended = 0;
  bool last_ended = false, any = false;
  const size_t n = sample.pieces.size();
  for (size_t i = 0; i < n; ++i) {
    if (!sample.pieces[i].trained || (i + 1 < n && sample.pieces[i + 1].trained)) continue;
    any = true;
    last_ended = ends_in_special(sample, i);
    ended += last_ended;
  }
  if (!any || last_ended) return;
  if (ended > 0 || fills_row)
    sample.mistakes.push_back(Mistake::kTruncated);
  else
    sample.mistakes.push_back(Mistake::kNoEnd);
}

// The mark that text begins with, "<|im_start|>" or "</s>"; empty where it begins with none.
std::string_view mark_at(std::string_view text) {
  constexpr size_t kLongest = 40;
  if (!text.starts_with('<')) return {};
  const size_t end = text.find_first_of("> \n<", 1);
  if (end == text.npos || end > kLongest || end < 2 || text[end] != '>') return {};
  return text.substr(0, end + 1);
}

void append_text(std::vector<Piece>& pieces, bool trained, bool special, std::string_view text) {
  if (text.empty()) return;
  if (pieces.empty() || special || pieces.back().special || pieces.back().trained != trained)
    pieces.push_back({trained, special, {}});
  pieces.back().text += text;
}

void judge_extent(Sample& sample, int64_t trained, int64_t possible) {
  if (trained == 0)
    sample.mistakes.push_back(Mistake::kNothingTrained);
  else if (trained == possible)
    sample.mistakes.push_back(Mistake::kEverythingTrained);
}

}  // namespace

std::string_view mistake_name(Mistake mistake) {
  return kTexts[static_cast<size_t>(mistake)].name;
}
std::string_view mistake_title(Mistake mistake) {
  return kTexts[static_cast<size_t>(mistake)].title;
}
std::string_view mistake_remedy(Mistake mistake) {
  return kTexts[static_cast<size_t>(mistake)].remedy;
}

int64_t Sample::length() const {
  if (!ids.empty()) return std::ssize(ids);
  int64_t n = 0;
  for (const Piece& p : pieces) n += characters(p.text);
  return n;
}

int64_t Sample::trained_length() const {
  if (!ids.empty()) return std::count(trained.begin(), trained.end(), 1);
  int64_t n = 0;
  for (const Piece& p : pieces)
    if (p.trained) n += characters(p.text);
  return n;
}

Sample sample_of_tokens(const Tokenizer* tokenizer, std::span<const int32_t> ids,
                        std::span<const uint8_t> trained, int64_t limit) {
  Sample sample = {.ids = {ids.begin(), ids.end()}, .trained = {trained.begin(), trained.end()}};
  const int64_t n = std::ssize(ids);
  if (n == 0) return sample;
  // The first token is predicted from nothing.
  judge_extent(sample, std::count(trained.begin() + 1, trained.end(), 1), n - 1);
  if (!tokenizer) return sample;
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool special = tokenizer->is_special(ids[i]) || ids[i] == tokenizer->eos;
    std::string text;
    if (i == 0)
      text = tokenizer->decode(&ids[0], 1, false);
    else
      tokenizer->append_token_bytes(ids[i], text);
    append_text(sample.pieces, trained[i] != 0, special, text);
  }
  if (n > 1 && tokenizer->bos && ids[0] == *tokenizer->bos && ids[1] == *tokenizer->bos)
    sample.mistakes.push_back(Mistake::kTwoBos);
  judge_ends(sample, n == limit);
  return sample;
}

Sample sample_of_segments(std::span<const Segment> segments) {
  Sample sample;
  int64_t trained = 0, all = 0;
  for (const Segment& s : segments) {
    std::string_view text = s.text;
    all += std::ssize(text);
    if (s.label) trained += std::ssize(text);
    while (!text.empty()) {
      const std::string_view mark = mark_at(text);
      const size_t plain = mark.empty() ? std::min(text.find('<', 1), text.size()) : mark.size();
      append_text(sample.pieces, s.label, !mark.empty(), text.substr(0, plain));
      text.remove_prefix(plain);
    }
  }
  if (all == 0) return sample;
  judge_extent(sample, trained, all);
  const auto& p = sample.pieces;
  if (p.size() > 1 && p[0].special && p[0].text == p[1].text)
    sample.mistakes.push_back(Mistake::kTwoBos);
  judge_ends(sample, false);
  return sample;
}

}  // namespace nibble
