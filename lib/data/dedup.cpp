// SPDX-License-Identifier: Apache-2.0
#include "data/dedup.h"

#include <utility>

#include "base/error.h"
#include "text/words.h"

namespace nibble {

std::string_view reason_name(Reason reason) {
  constexpr std::string_view kNames[kReasons] = {"duplicate", "contaminated", "near_duplicate",
                                                 "not_novel"};
  return kNames[static_cast<size_t>(reason)];
}

Dedup::Dedup(DedupRules rules) : rules_(std::move(rules)) {
  if (rules_.near) near_.emplace(*rules_.near, rules_.seed);
  if (rules_.novelty) novelty_.emplace(*rules_.novelty);
}

void Dedup::look(std::string_view record, Traits& traits) const {
  thread_local std::vector<std::string_view> texts;
  const simdjson::dom::element object = parse_object(record);
  traits.words.clear();
  traits.contamination.reset();
  if (rules_.exact)
    traits.digest = record_digest(object, rules_.fields, rules_.seed,
                                  rules_.normalize ? TextEquality::kWords : TextEquality::kBytes);
  if (near_ || novelty_ || rules_.benchmarks) record_texts(object, rules_.fields, texts);
  if (novelty_)
    for (const std::string_view text : texts) append_words(traits.words, text);
  if (near_) {
    make_shingles(rules_.shingles, texts, traits.sketch.shingles);
    near_->sketch(traits.sketch);
  }
  if (!rules_.benchmarks) return;
  thread_local std::string words;
  for (const std::string_view text : texts) {
    words.clear();
    append_words(words, text);
    if (const auto match = rules_.benchmarks->find(words)) {
      traits.contamination = {Reason::kContaminated, match->source, 1, std::string(match->ngram)};
      return;
    }
  }
}

std::optional<Removal> Dedup::decide(const Traits& traits) {
  if (rules_.exact)
    if (const uint32_t* of = digests_.find(traits.digest))
      return Removal{.reason = Reason::kDuplicate, .of = *of};
  if (traits.contamination) return traits.contamination;
  if (near_)
    if (const auto match = near_->find(traits.sketch))
      return Removal{
          .reason = Reason::kNearDuplicate, .of = match->number, .similarity = match->similarity};
  if (novelty_) {
    numbers_.number(traits.words, words_);
    if (const auto match = novelty_->find(words_))
      return Removal{
          .reason = Reason::kNotNovel, .of = match->number, .similarity = match->f_measure};
  }
  keep(traits);
  return std::nullopt;
}

void Dedup::keep(const Traits& traits) {
  CHECK(kept_ < UINT32_MAX);
  if (rules_.exact) digests_.insert(traits.digest, static_cast<uint32_t>(kept_));
  if (near_) near_->add(traits.sketch);
  if (novelty_) {
    numbers_.number(traits.words, words_);
    novelty_->add(words_);
  }
  ++kept_;
}

}  // namespace nibble
