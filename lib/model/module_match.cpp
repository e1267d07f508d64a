// SPDX-License-Identifier: Apache-2.0
#include "model/module_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/quote.h"

namespace nibble {
namespace {

constexpr uint32_t kMatchLimit = 1'000'000;
constexpr size_t kMaxExpression = 4096;

struct FreeCode {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};
struct FreeData {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
struct FreeContext {
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};

template <class Value>
std::vector<NamePattern> end_patterns(const std::vector<std::pair<std::string, Value>>& pairs) {
  std::vector<NamePattern> out;
  for (const auto& [key, value] : pairs) out.emplace_back(cat("(.*\\.)?(", key, ")$"), key);
  return out;
}

template <class Value>
Value first_match(const std::vector<NamePattern>& patterns,
                  const std::vector<std::pair<std::string, Value>>& pairs, const std::string& name,
                  Value otherwise) {
  for (size_t i = 0; i < patterns.size(); ++i)
    if (patterns[i].matches(name)) return pairs[i].second;
  return otherwise;
}

bool any_component(const std::vector<std::string>& list, const std::string& name) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& suffix) { return ends_in_component(name, suffix); });
}

}  // namespace

struct NamePattern::State {
  std::string as_written;
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::unique_ptr<pcre2_match_data, FreeData> data;
  std::unique_ptr<pcre2_match_context, FreeContext> context;
};

NamePattern::NamePattern(const std::string& expression, const std::string& as_written)
    : state_(std::make_unique<State>()) {
  state_->as_written = as_written;
  if (expression.size() > kMaxExpression)
    throw UsageError(cat("the regular expression ", quote(as_written), " is longer than ",
                         kMaxExpression, " bytes; shorten it"));
  int error = 0;
  PCRE2_SIZE offset = 0;
  state_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                   expression.size(), PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error,
                                   &offset, nullptr));
  if (!state_->code) {
    PCRE2_UCHAR text[256];
    pcre2_get_error_message(error, text, sizeof text);
    throw UsageError(
        cat(quote(as_written), " is no regular expression: ", reinterpret_cast<const char*>(text)));
  }
  state_->data.reset(pcre2_match_data_create_from_pattern(state_->code.get(), nullptr));
  state_->context.reset(pcre2_match_context_create(nullptr));
  if (!state_->data || !state_->context) throw std::bad_alloc();
  pcre2_set_match_limit(state_->context.get(), kMatchLimit);
}
NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;

bool NamePattern::matches(std::string_view name) const {
  const int found = pcre2_match(state_->code.get(), reinterpret_cast<PCRE2_SPTR>(name.data()),
                                name.size(), 0, 0, state_->data.get(), state_->context.get());
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  throw UsageError(cat("the regular expression ", quote(state_->as_written),
                       " takes too much work on ", quote(name), "; simplify it"));
}

bool ends_in_component(std::string_view name, std::string_view suffix) {
  return name == suffix || (name.size() > suffix.size() && name.ends_with(suffix) &&
                            name[name.size() - suffix.size() - 1] == '.');
}

ModuleMatch::ModuleMatch(const LoraConfig& config)
    : config_(config),
      all_linear_(config.targets_expression.empty() && config.targets.size() == 1 &&
                  config.targets[0] == "all-linear"),
      ranks_(end_patterns(config.rank_pattern)),
      alphas_(end_patterns(config.alpha_pattern)) {
  if (!config.targets_expression.empty())
    targets_ = std::make_unique<NamePattern>(config.targets_expression, config.targets_expression);
  if (!config.exclude_expression.empty())
    exclude_ = std::make_unique<NamePattern>(config.exclude_expression, config.exclude_expression);
  for (const std::string& m : config.modules_to_save)
    saved_.emplace_back(cat("(^|.*\\.)", m, "($|\\..*)"), m);
}

bool ModuleMatch::is_excluded(const std::string& name) const {
  if (exclude_ ? exclude_->matches(name) : any_component(config_.exclude, name)) return true;
  // What is trained in full, or lies in it, is never adapted as well.
  return std::any_of(saved_.begin(), saved_.end(),
                     [&](const NamePattern& p) { return p.matches(name); });
}

// "model.layers.N.": the first numbered component that has two before it.
bool ModuleMatch::in_layers(const std::string& name) const {
  if (config_.layers_to_transform.empty()) return true;
  static const std::string kBlocks = "model.layers.";
  if (!name.starts_with(kBlocks)) return false;
  const std::string number = name.substr(kBlocks.size(), name.find('.', kBlocks.size()));
  const int64_t layer = std::stoll(number);
  const auto& layers = config_.layers_to_transform;
  return std::find(layers.begin(), layers.end(), layer) != layers.end();
}

bool ModuleMatch::is_target(const std::string& name, bool linear) const {
  if (is_excluded(name)) return false;
  if (targets_) return targets_->matches(name);
  if (all_linear_) return linear && in_layers(name);
  // A whole name means that module whatever layers are chosen.
  const auto& targets = config_.targets;
  if (std::find(targets.begin(), targets.end(), name) != targets.end()) return true;
  return any_component(targets, name) && in_layers(name);
}

bool ModuleMatch::is_saved(const std::string& name) const {
  return std::any_of(config_.modules_to_save.begin(), config_.modules_to_save.end(),
                     [&](const std::string& suffix) { return name.ends_with(suffix); });
}

int64_t ModuleMatch::rank(const std::string& name) const {
  return first_match(ranks_, config_.rank_pattern, name, config_.rank);
}

double ModuleMatch::alpha(const std::string& name) const {
  return first_match(alphas_, config_.alpha_pattern, name, config_.alpha);
}

}  // namespace nibble
