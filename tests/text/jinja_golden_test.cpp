// SPDX-License-Identifier: Apache-2.0
// Templates against what jinja2 made of them (golden/make_jinja.py).
#include <gtest/gtest.h>

#include "io/lines.h"
#include "text/jinja.h"

namespace nibble::jinja {
namespace {

std::time_t golden_now() {
  std::tm day = {.tm_sec = 5,
                 .tm_min = 4,
                 .tm_hour = 12,
                 .tm_mday = 2,
                 .tm_mon = 0,
                 .tm_year = 126,
                 .tm_isdst = -1};
  return std::mktime(&day);
}

// A syntax fault's text is ours; a fault in a call's arguments is told apart by its kind alone.
bool same_fault(const TemplateError& got, const std::string& kind, const std::string& message) {
  if (got.kind == "TemplateSyntaxError")
    return kind == "TemplateSyntaxError" || kind == "TemplateAssertionError" ||
           kind == "SyntaxError";
  if (got.kind != kind) return false;
  return got.message == message || got.message.find("argument") != std::string::npos;
}

TEST(Jinja, AsJinja2) {
  LineReader lines(std::string(NIBBLE_TEST_DATA) + "/text/golden/jinja.jsonl");
  std::string_view line;
  ASSERT_TRUE(lines.next(line));
  const Json variables = parse_json(line, "jinja.jsonl:1").at("variables");
  int count = 0;
  while (lines.next(line)) {
    const Json golden = parse_json(line, "jinja.jsonl");
    const std::string& source = golden.at("template").as_string();
    ++count;
    try {
      const Rendered got = Template(source).render(variables, {.now = golden_now()});
      if (const Json* text = golden.find("text"))
        EXPECT_EQ(got.text, text->as_string()) << source;
      else
        ADD_FAILURE() << source << "\n  got " << got.text << "\n  wanted "
                      << golden.at("error").as_string() << ": " << golden.at("message").as_string();
    } catch (const TemplateError& e) {
      if (golden.find("text") != nullptr)
        ADD_FAILURE() << source << "\n  got " << e.kind << ": " << e.message << "\n  wanted "
                      << golden.at("text").as_string();
      else
        EXPECT_TRUE(same_fault(e, golden.at("error").as_string(), golden.at("message").as_string()))
            << source << "\n  got    " << e.kind << ": " << e.message << "\n  wanted "
            << golden.at("error").as_string() << ": " << golden.at("message").as_string();
    }
  }
  EXPECT_GT(count, 700);
}

}  // namespace
}  // namespace nibble::jinja
