// SPDX-License-Identifier: Apache-2.0
#include "score/gsm8k.h"

#include <algorithm>
#include <memory>

#include "score/metric.h"
#include "text/jinja_utf8.h"

namespace nibble {
namespace {

constexpr std::string_view kInvalid = "[invalid]", kMark = "#### ";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Where a run of what `wanted` accepts ends.
size_t run(std::string_view text, size_t at, auto&& wanted) {
  while (at < text.size() && wanted(text[at])) ++at;
  return at;
}

class Gsm8kMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{"strict_match"}, {"flexible_extract"}};
  }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    const std::string strict = gsm8k_comparable(gsm8k_strict_answer(example.hypothesis));
    const std::string flexible = gsm8k_comparable(gsm8k_flexible_answer(example.hypothesis));
    row[0] = row[1] = 0.0;
    for (const std::string& reference : example.references) {
      const std::string wanted = gsm8k_comparable(reference);
      if (strict == wanted) row[0] = 1.0;
      if (flexible == wanted) row[1] = 1.0;
    }
  }
};

}  // namespace

std::string gsm8k_strict_answer(std::string_view text) {
  for (size_t at = 0; (at = text.find(kMark, at)) != text.npos; ++at) {
    const size_t start = at + kMark.size();
    const size_t digits = start + (start < text.size() && text[start] == '-');
    const size_t end =
        run(text, digits, [](char c) { return is_digit(c) || c == '.' || c == ','; });
    if (end > digits) return std::string(text.substr(start, end - start));
  }
  return std::string(kInvalid);
}

std::string gsm8k_flexible_answer(std::string_view text) {
  std::string_view last = kInvalid;
  for (size_t at = 0; at < text.size();) {
    const size_t digits = at + (text[at] == '-');
    size_t end =
        run(text, digits, [](char c) { return is_digit(c) || c == '$' || c == '.' || c == ','; });
    if (end < digits + 2) end = run(text, digits, is_digit);
    if (end > digits) {
      last = text.substr(at, end - at);
      at = end;
    } else {
      ++at;
    }
  }
  return std::string(last);
}

std::string gsm8k_comparable(std::string_view text) {
  std::string out(text);
  std::erase(out, ',');
  std::erase(out, '$');
  if (const size_t mark = out.rfind(kMark); mark != out.npos) out.erase(0, mark + kMark.size());
  // "$" of a regular expression also means the place before a newline at the end.
  if (const size_t n = out.size(); n > 0 && out[n - 1] == '.')
    out.pop_back();
  else if (n > 1 && out[n - 1] == '\n' && out[n - 2] == '.')
    out.erase(n - 2, 1);
  return jinja::utf8::lower(out);
}

extern const MetricKind kGsm8kMetric;
const MetricKind kGsm8kMetric = {
    .name = "gsm8k",
    .help =
        "answers of word problems, found strictly (\"#### N\") and flexibly, as lm-eval's gsm8k",
    .options = {},
    .make = [](const MetricOptions&) -> std::unique_ptr<Metric> {
      return std::make_unique<Gsm8kMetric>();
    },
};

}  // namespace nibble
