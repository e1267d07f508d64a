// SPDX-License-Identifier: Apache-2.0
#include "score/examples.h"

#include <algorithm>

#include "base/error.h"
#include "score/words.h"

namespace nibble {
namespace {

// Small enough for a core's cache, so that texts are measured before they leave it.
constexpr size_t kBatchBytes = size_t{1} << 20;
constexpr size_t kBatchExamples = 2048;

// A key as a message shows it.
std::string shown(const std::string& key) {
  constexpr size_t kMost = 60;
  if (key.size() <= kMost) return cat("\"", key, "\"");
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(key[end]) & 0xC0u) == 0x80) --end;
  return cat("\"", key.substr(0, end), "...\"");
}

}  // namespace

ExampleReader::ExampleReader(const ExampleOptions& o, const MetricNeeds& needs) : needs_(needs) {
  const bool only_records =
      needs.records && !needs.hypothesis && !needs.references && o.references.empty() && !o.ids;
  predictions_ = open_source(o.predictions, {.layout = o.prediction_layout,
                                             .field = o.prediction_field,
                                             .match = o.references.empty() ? "" : o.match,
                                             .both = o.references.empty(),
                                             .reference_field = o.reference_field,
                                             .keep_records = needs.records,
                                             .only_records = only_records});
  for (const std::string& path : o.references)
    references_.push_back(open_source(path, {.layout = o.reference_layout,
                                             .field = o.reference_field,
                                             .match = o.match,
                                             .references = true}));
  const auto keyed = [](const auto& source) { return !source->key_name().empty(); };
  if (std::ranges::none_of(references_, keyed)) {
    if (!o.match.empty() && !references_.empty())
      throw UsageError(cat("--match=", o.match, ": ", references_[0]->name(),
                           " is of lines, which have no fields"));
    return;
  }
  const std::string key = references_[0]->key_name();
  for (const auto& source : references_)
    if (source->key_name() != key)
      throw DataError(cat(source->name(), ": its items are not matched by \"", key,
                          "\" as those of ", references_[0]->name(), " are"));
  matched_ = predictions_->key_name() == key;
  if (!matched_ && !o.match.empty())
    throw UsageError(cat("--match=", o.match, ": ", predictions_->name(), " has no such field"));
  hold_references();
}

void ExampleReader::hold_references() {
  Item item;
  for (const auto& source : references_)
    while (source->next(item)) {
      const auto [found, is_new] = held_.try_emplace(item.key);
      if (is_new) groups_.push_back(&found->second);
      std::ranges::move(item.texts, std::back_inserter(found->second.texts));
    }
}

void ExampleReader::add_references(ScoreExample& example) {
  if (references_.empty()) {
    example.references.swap(prediction_.references);
    return;
  }
  if (matched_) {
    const auto found = held_.find(prediction_.key);
    if (found == held_.end())
      throw DataError(cat(place_of(example), ": no reference has the ", predictions_->key_name(),
                          " ", shown(prediction_.key)));
    found->second.used = true;
    example.references = found->second.texts;
    return;
  }
  if (!groups_.empty()) {
    if (static_cast<size_t>(examples_) >= groups_.size())
      throw DataError(cat(place_of(example), ": ", references_[0]->name(), " has references for ",
                          groups_.size(), " examples alone"));
    example.references = groups_[static_cast<size_t>(examples_)]->texts;
    return;
  }
  read_beside(example);
}

// The next item of every file of references.
void ExampleReader::read_beside(ScoreExample& example) {
  Item& item = reference_;
  size_t count = 0;
  for (const auto& source : references_) {
    if (!source->next(item))
      throw DataError(cat(source->name(), ": ends after ", examples_, " items, before ",
                          predictions_->name(), " does; give as many of both"));
    if (!item.has_texts && needs_.references)
      throw DataError(source->place() + ": no reference; name its field with --reference-field");
    if (!item.id.empty() && !example.id.empty() && item.id != example.id)
      throw DataError(cat(source->place(), ": the id is ", shown(item.id), ", but ",
                          shown(example.id), " at ", place_of(example),
                          "; match them with --match=id"));
    example.references.resize(std::max(example.references.size(), count + item.texts.size()));
    for (std::string& text : item.texts) example.references[count++].swap(text);
  }
  example.references.resize(count);
}

bool ExampleReader::read(ScoreExample& example) {
  Item& item = prediction_;
  if (!predictions_->next(item)) return false;
  example.id.swap(item.id);
  example.line = item.line;
  example.record.swap(item.record);
  if (!item.has_texts) {
    if (needs_.hypothesis)
      throw DataError(place_of(example) +
                      ": no prediction; name its field with --prediction-field");
    example.hypothesis.clear();
  } else {
    if (item.texts.size() != 1)
      throw DataError(cat(place_of(example), ": ", item.texts.size(), " predictions, not one"));
    example.hypothesis.swap(item.texts[0]);
  }
  add_references(example);
  ++examples_;
  check(example);
  return true;
}

void ExampleReader::check(const ScoreExample& example) {
  const int64_t count = std::ssize(example.references);
  if (count == 0 && needs_.references && !needs_.empty_list)
    throw DataError(cat(place_of(example), ": no reference",
                        references_.empty() ? "; give --references=FILE, or name the field with "
                                              "--reference-field"
                                            : ""));
  empty_hypotheses_ += needs_.hypothesis && is_blank(example.hypothesis);
  for (const std::string& reference : example.references) empty_references_ += is_blank(reference);
  if (references_each_ == -2) references_each_ = count;
  if (references_each_ != count) references_each_ = -1;
}

void ExampleReader::check_all_used() const {
  if (matched_) {
    int64_t left = 0;
    const std::string* first = nullptr;
    for (const auto& [key, keyed] : held_)
      if (!keyed.used) {
        ++left;
        if (!first || key < *first) first = &key;
      }
    if (left > 0)
      throw DataError(cat(predictions_->name(), ": no prediction for ", left, " of ", held_.size(),
                          " references, such as ", shown(*first)));
    return;
  }
  if (!groups_.empty() && static_cast<size_t>(examples_) < groups_.size())
    throw DataError(cat(predictions_->name(), ": ends after ", examples_, " items, but ",
                        references_[0]->name(), " has references for ", groups_.size()));
  Item item;
  for (const auto& source : references_)
    if (groups_.empty() && source->next(item))
      throw DataError(cat(predictions_->name(), ": ends after ", examples_, " items, before ",
                          source->name(),
                          " does; give as many of both, or --reference-layout="
                          "groups where blank lines part the references"));
}

bool ExampleReader::next(std::vector<ScoreExample>& batch) {
  size_t bytes = 0, count = 0;  // examples of the last batch are written over
  for (; bytes < kBatchBytes && count < kBatchExamples; ++count) {
    if (count == batch.size()) batch.emplace_back();
    ScoreExample& example = batch[count];
    if (!read(example)) {
      check_all_used();
      break;
    }
    bytes += example.hypothesis.size() + example.record.size();
    for (const std::string& reference : example.references) bytes += reference.size();
  }
  batch.resize(count);
  return count > 0;
}

std::string ExampleReader::place_of(const ScoreExample& example) const {
  return cat(predictions_->name(), ":", example.line);
}

}  // namespace nibble
