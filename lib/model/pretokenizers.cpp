// SPDX-License-Identifier: Apache-2.0
#include "model/pretokenizers.h"

#include <array>
#include <functional>

#include "base/error.h"

namespace nibble {
namespace {

// What the families' own tokenizer.json files hold. Each of `splits` is a regular expression whose
// matches, and what lies between them, are cut apart; where there is none, ByteLevel cuts with the
// GPT-2 expression that it has built in.
struct Row {
  std::string_view name;                    // the one written
  std::array<std::string_view, 2> aliases;  // read as well
  std::array<std::string_view, 4> splits;
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
constexpr std::string_view kPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr std::array kRows = {
    Row{"llama-bpe", {"llama3", "llama-v3"}, {kLlama3}, false, false, true, true},
    Row{"smaug-bpe", {}, {kLlama3}, false, false, false, false},
    Row{"qwen2", {"deepseek-r1-qwen"}, {kQwen2}, false, true, false, false},
    Row{"smollm", {}, {}, true, false, false, false},
    Row{"gpt-2", {}, {}, false, false, false, false},
    Row{"tekken", {}, {kTekken}, false, false, true, true},
    // What llama.cpp falls back on; converters that did not know a tokenizer wrote it.
    Row{"default",
        {},
        {kPunctuation, kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"},
        false,
        false,
        false,
        false},
};

Json pre_tokenizer(const Row& row) {
  Json::Array steps;
  if (row.digits) steps.push_back(Json::object({{"type", "Digits"}, {"individual_digits", true}}));
  for (const std::string_view split : row.splits)
    if (!split.empty())
      steps.push_back(Json::object({{"type", "Split"},
                                    {"pattern", Json::object({{"Regex", split}})},
                                    {"behavior", "Isolated"},
                                    {"invert", false}}));
  steps.push_back(Json::object({{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", row.splits[0].empty()}}));
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
  std::array<std::string_view, 4> splits;
  size_t count = 0;
  for (const Json& step : steps) {
    const std::string& type = step.at("type").as_string();
    if (type == "Digits" && !byte_level && count == 0 && !digits &&
        flag(step, "individual_digits", false)) {
      digits = true;
    } else if (type == "Split" && !byte_level && count < splits.size() &&
               step.at("behavior").as_string() == "Isolated" && !flag(step, "invert", false) &&
               step.at("pattern").find("Regex")) {
      splits[count++] = step.at("pattern").at("Regex").as_string();
    } else if (type == "ByteLevel" && !byte_level && !flag(step, "add_prefix_space", true)) {
      byte_level = true;
      gpt2_split = flag(step, "use_regex", true);
    } else {
      return std::nullopt;
    }
  }
  if (!byte_level || gpt2_split != (count == 0)) return std::nullopt;
  const bool ignore_merges = flag(tokenizer.at("model"), "ignore_merges", false);
  // Normalisation is not looked at: llama.cpp does none under any name.
  for (const Row& row : kRows)
    if (row.digits == digits && row.splits == splits && row.ignore_merges == ignore_merges)
      return std::string(row.name);
  return std::nullopt;
}

}  // namespace nibble
