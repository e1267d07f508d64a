// SPDX-License-Identifier: Apache-2.0
#include "model/pretokenizers.h"

#include <array>
#include <functional>

#include "base/error.h"

namespace nibble {
namespace {

// What the families' own tokenizer.json files hold. `split` is one regular expression whose matches
// are words (empty: the GPT-2 expression that ByteLevel has built in).
struct Row {
  std::string_view name;                    // the one written
  std::array<std::string_view, 2> aliases;  // read as well
  std::string_view split;
  bool digits, nfc, ignore_merges, add_bos;
};
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::array kRows = {
    Row{"llama-bpe", {"llama3", "llama-v3"}, kLlama3, false, false, true, true},
    Row{"smaug-bpe", {}, kLlama3, false, false, false, false},
    Row{"qwen2", {"deepseek-r1-qwen", ""}, kQwen2, false, true, false, false},
    Row{"smollm", {}, "", true, false, false, false},
    Row{"gpt-2", {}, "", false, false, false, false},
    Row{"tekken", {}, kTekken, false, false, true, true},
};

Json byte_level(bool use_regex) {
  return Json::object({{"type", "ByteLevel"},
                       {"add_prefix_space", false},
                       {"trim_offsets", true},
                       {"use_regex", use_regex}});
}

Json pre_tokenizer(const Row& row) {
  Json::Array steps;
  if (row.digits) steps.push_back(Json::object({{"type", "Digits"}, {"individual_digits", true}}));
  if (!row.split.empty())
    steps.push_back(Json::object({{"type", "Split"},
                                  {"pattern", Json::object({{"Regex", row.split}})},
                                  {"behavior", "Isolated"},
                                  {"invert", false}}));
  steps.push_back(byte_level(row.split.empty()));
  if (steps.size() == 1) return steps[0];
  return Json::object({{"type", "Sequence"}, {"pretokenizers", std::move(steps)}});
}

bool names(const Row& row, std::string_view name) {
  return !name.empty() && (row.name == name || row.aliases[0] == name || row.aliases[1] == name);
}

}  // namespace

std::optional<Pretokenizer> find_pretokenizer(std::string_view name) {
  for (const Row& row : kRows)
    if (names(row, name))
      return Pretokenizer{.pre_tokenizer = pre_tokenizer(row),
                          .nfc = row.nfc,
                          .ignore_merges = row.ignore_merges,
                          .add_bos = row.add_bos};
  return std::nullopt;
}

std::string known_pretokenizers() {
  std::string out;
  for (const Row& row : kRows) out += cat(out.empty() ? "" : ", ", row.name);
  return out;
}

std::optional<std::string> pretokenizer_name(const Json& tokenizer) {
  // The steps, whatever they are wrapped in.
  Json::Array steps;
  const std::function<void(const Json&)> flatten = [&](const Json& step) {
    if (step.is_null()) return;
    if (step.at("type").as_string() != "Sequence") {
      steps.push_back(step);
      return;
    }
    for (const Json& inner : step.at("pretokenizers").as_array()) flatten(inner);
  };
  if (const Json* pre = tokenizer.find("pre_tokenizer")) flatten(*pre);
  const auto flag = [](const Json& object, std::string_view name, bool otherwise) {
    const Json* v = object.find(name);
    return v && v->is_bool() ? v->as_bool() : otherwise;
  };
  bool digits = false, byte_level = false, gpt2_split = false;
  std::string split;
  for (const Json& step : steps) {
    const std::string& type = step.at("type").as_string();
    const bool first = !byte_level && split.empty() && !digits;
    if (type == "Digits" && first && flag(step, "individual_digits", false)) {
      digits = true;
    } else if (type == "Split" && !byte_level && split.empty() &&
               step.at("behavior").as_string() == "Isolated" && !flag(step, "invert", false) &&
               step.at("pattern").find("Regex")) {
      split = step.at("pattern").at("Regex").as_string();
    } else if (type == "ByteLevel" && !byte_level && !flag(step, "add_prefix_space", true)) {
      byte_level = true;
      gpt2_split = flag(step, "use_regex", true);
    } else {
      return std::nullopt;
    }
  }
  if (!byte_level || gpt2_split != split.empty()) return std::nullopt;
  const bool ignore_merges = flag(tokenizer.at("model"), "ignore_merges", false);
  // Normalisation is not looked at: llama.cpp does none under any name.
  for (const Row& row : kRows)
    if (row.digits == digits && row.split == split && row.ignore_merges == ignore_merges)
      return std::string(row.name);
  return std::nullopt;
}

}  // namespace nibble
