// SPDX-License-Identifier: Apache-2.0
// Examples: predictions with their references, read side by side as streams, or matched by a key;
// then the references alone are held in memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "score/metric.h"
#include "score/sources.h"

namespace nibble {

struct ExampleOptions {
  std::string predictions = "-";
  std::vector<std::string> references;  // none: in the predictions' records
  Layout prediction_layout = Layout::kAuto, reference_layout = Layout::kAuto;
  std::string prediction_field, reference_field, match;
  bool ids = false;  // ScoreExample::id is wanted
};

class ExampleReader {
 public:
  ExampleReader(const ExampleOptions& options, const MetricNeeds& needs);

  /// Replaces `batch` by the next examples, some megabytes at most; false at the end. Throws
  /// DataError where files differ in length, keys have no match, or what is needed is missing.
  bool next(std::vector<ScoreExample>& batch);

  const std::string& name() const { return predictions_->name(); }
  /// "out.txt:12", for messages about an example.
  std::string place_of(const ScoreExample& example) const;
  int64_t empty_hypotheses() const { return empty_hypotheses_; }
  int64_t empty_references() const { return empty_references_; }
  /// Of every example; -1 where they differ.
  int64_t references_each() const { return references_each_; }

 private:
  struct Keyed {
    std::vector<std::string> texts;
    bool used = false;
  };
  void hold_references();
  bool read(ScoreExample& example);
  void add_references(ScoreExample& example);
  void read_beside(ScoreExample& example);
  void check(const ScoreExample& example);
  void check_all_used() const;

  MetricNeeds needs_;
  std::unique_ptr<ItemSource> predictions_;
  std::vector<std::unique_ptr<ItemSource>> references_;
  Item prediction_, reference_;  // the last ones read
  bool matched_ = false;
  std::unordered_map<std::string, Keyed> held_;
  std::vector<const Keyed*> groups_;
  int64_t examples_ = 0, empty_hypotheses_ = 0, empty_references_ = 0, references_each_ = -2;
};

}  // namespace nibble
