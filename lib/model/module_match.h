// SPDX-License-Identifier: Apache-2.0
// How names select modules, by the rules of PEFT 0.21 (check_target_module_exists, get_pattern_key,
// _set_trainable). Regular expressions are Python's as far as PCRE2 agrees with them; the work of a
// match is bounded, so that a hostile one ends in an error.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/lora.h"

namespace nibble {

/// A compiled regular expression that must match a whole name.
class NamePattern {
 public:
  /// Throws UsageError, with the expression as the user wrote it, where it is none.
  NamePattern(const std::string& expression, const std::string& as_written);
  ~NamePattern();
  NamePattern(NamePattern&&) noexcept;
  bool matches(std::string_view name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The modules that a LoraConfig selects.
class ModuleMatch {
 public:
  explicit ModuleMatch(const LoraConfig& config);

  /// Whether the module gets an adapter. `linear` says that "all-linear" means it.
  bool is_target(const std::string& name, bool linear) const;
  bool is_saved(const std::string& name) const;  // trained in full
  int64_t rank(const std::string& name) const;
  double alpha(const std::string& name) const;

 private:
  bool is_excluded(const std::string& name) const;
  bool in_layers(const std::string& name) const;
  const LoraConfig& config_;
  bool all_linear_ = false;
  std::unique_ptr<NamePattern> targets_, exclude_;
  std::vector<NamePattern> saved_, ranks_, alphas_;
};

/// Whether `name` is `suffix`, or ends in it after a dot.
bool ends_in_component(std::string_view name, std::string_view suffix);

}  // namespace nibble
