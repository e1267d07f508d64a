// SPDX-License-Identifier: Apache-2.0
// Tokenizers that golden/make.py made, held against the ids that Hugging Face's tokenizers gave.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "base/error.h"
#include "io/json.h"
#include "io/lines.h"
#include "support/scratch.h"
#include "text/unicode.h"

namespace nibble {
namespace {

const fs::path kGolden = fs::path(NIBBLE_TEST_DATA) / "text/golden";

using Ids = std::vector<int32_t>;

Ids ids_of(const Json& list) {
  Ids ids;
  for (const Json& id : list.as_array()) ids.push_back(static_cast<int32_t>(id.as_integer()));
  return ids;
}

// The tokenizer of a case, with the "legacy" of its tokenizer_config.json.
class Loaded {
 public:
  const Tokenizer& get(const Json& one) {
    const std::string& name = one.at("tokenizer").as_string();
    const Json* legacy = one.find("legacy");
    std::unique_ptr<Tokenizer>& t = loaded_[name + (legacy ? " first" : "")];
    if (!t && !legacy) t = load_tokenizer(kGolden / name);
    if (!t) {
      fs::copy_file(kGolden / name, scratch_.path() / "tokenizer.model");
      write_text_file(scratch_.path() / "tokenizer_config.json", R"({"legacy":false})");
      t = load_tokenizer(scratch_.path());
    }
    return *t;
  }

 private:
  test::ScratchFolder scratch_;
  std::map<std::string, std::unique_ptr<Tokenizer>> loaded_;
};

TEST(Tokenizer, EqualsHuggingFace) {
  Loaded loaded;
  LineReader lines((kGolden / "golden.jsonl").string());
  size_t cases = 0;
  for (std::string_view line; lines.next(line);) {
    const Json row = parse_json(line, lines.place());
    const std::string& text = row.at("text").as_string();
    for (const Json& one : row.at("cases").as_array()) {
      const Tokenizer& t = loaded.get(one);
      const std::string what = one.at("tokenizer").as_string() + " on " + Json(text).dump();
      const Json* literal = one.find("literal");
      const Json* parsed = one.find("ids");
      const Ids want = ids_of(parsed ? *parsed : *literal);
      if (parsed != nullptr) {
        EXPECT_EQ(t.encode(text), want) << what;
      }
      EXPECT_EQ(t.encode(text, SpecialText::kLiteral), literal ? ids_of(*literal) : want) << what;
      if (!parsed) continue;  // the library alone: no special tokens in text
      // Hugging Face puts U+FFFD where bytes make no character; here they come as they are.
      const auto shown = [](const std::string& bytes) { return lossy_utf8(bytes); };
      const Json* decoded = one.find("decoded");
      const std::string& whole = decoded ? decoded->as_string() : text;
      EXPECT_EQ(shown(t.decode(want.data(), want.size(), false)), whole) << what;
      const Json* plain = one.find("plain");
      EXPECT_EQ(shown(t.decode(want.data(), want.size(), true)), plain ? plain->as_string() : whole)
          << what;
      ++cases;
    }
  }
  EXPECT_GT(cases, 2500u);
}

}  // namespace
}  // namespace nibble
