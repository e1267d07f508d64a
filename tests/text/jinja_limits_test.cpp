// SPDX-License-Identifier: Apache-2.0
// What a template may take, the lines that its faults name, and that one serves many threads.
#include <gtest/gtest.h>

#include <thread>

#include "text/jinja.h"

namespace nibble::jinja {
namespace {

Json numbers(int64_t count) {
  Json::Array all;
  for (int64_t i = 0; i < count; ++i) all.emplace_back(i);
  return Json::object({{"l", std::move(all)}});
}

std::string text(std::string_view source, const Json& variables = Json::object()) {
  return Template(source).render(variables).text;
}

struct Fault {
  std::string kind, text;
  int line;
};
Fault fault_of(const std::string& source, const Json& variables = Json::object()) {
  try {
    return {"none", text(source, variables), 0};
  } catch (const TemplateError& e) {
    return {e.kind, e.what(), e.line};
  }
}

std::string repeated(std::string_view part, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += part;
  return out;
}

TEST(JinjaLimits, ATemplateThatNeverEndsIsStopped) {
  const std::string loops = repeated("{% for x in l %}", 4) +
                            "{% endfor %}{% endfor %}{% endfor %}"
                            "{% endfor %}";
  const Fault steps = fault_of(loops, numbers(1000));
  EXPECT_EQ(steps.kind, "TimeoutError");
  EXPECT_EQ(steps.text.find('\n'), std::string::npos);
  EXPECT_NE(steps.text.find("may never end"), std::string::npos) << steps.text;
  EXPECT_NE(fault_of("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}"
                     "{% endfor %}")
                .kind,
            "none");
}

TEST(JinjaLimits, MemoryAndOutput) {
  EXPECT_EQ(fault_of("{{ 'x' * 10000000000 }}").kind, "MemoryError");
  EXPECT_EQ(fault_of("{{ [1] * 10000000000 }}").kind, "MemoryError");
  EXPECT_EQ(fault_of("{% set ns = namespace(x='abcdefgh') %}{% for i in range(40) %}"
                     "{% set ns.x = ns.x + ns.x %}{% endfor %}")
                .kind,
            "MemoryError");
  EXPECT_EQ(
      fault_of("{% set x = 'x' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}").kind,
      "MemoryError");
  EXPECT_EQ(fault_of("{{ ('x' * 100000)|replace('x', 'y' * 100000) }}").kind, "MemoryError");
  EXPECT_EQ(fault_of("{{ 'x'.center(10000000000) }}").kind, "MemoryError");
  EXPECT_EQ(fault_of("{{ '%1000000d' % 1 }}").kind, "ValueError");
  EXPECT_EQ(fault_of("{{ range(100001) }}").kind, "OverflowError");
  EXPECT_EQ(fault_of("{{ 9223372036854775807 + 1 }}").kind, "OverflowError");
  EXPECT_EQ(fault_of("{{ 2 ** 100 }}").kind, "OverflowError");
  EXPECT_EQ(text("{{ -9223372036854775807 - 1 }}"), "-9223372036854775808");
  EXPECT_EQ(fault_of("{{ (-9223372036854775807 - 1) // -1 }}").kind, "OverflowError");
}

TEST(JinjaLimits, Depth) {
  EXPECT_EQ(fault_of("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").kind, "RecursionError");
  EXPECT_EQ(fault_of("{% macro f(n) %}{{ n and f(n - 1) }}{% endmacro %}{{ f(200) }}").kind,
            "none");
  EXPECT_EQ(fault_of("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}").kind,
            "RecursionError");
  const std::string nested =
      "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}"
      "{% set ns.x = [ns.x] %}{% endfor %}";
  EXPECT_EQ(fault_of(nested + "{{ ns.x }}").kind, "RecursionError");
  EXPECT_EQ(fault_of(nested + "{{ ns.x|tojson }}").kind, "RecursionError");
  EXPECT_EQ(fault_of(nested + "{{ ns.x < [ns.x] }}").kind, "RecursionError");
  EXPECT_EQ(fault_of("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}").kind,
            "RecursionError");
  for (const char* open : {"(", "[", "not ", "-", "{1:", "x if x else ", "x[", "f("})
    EXPECT_EQ(fault_of("{{ " + repeated(open, 50'000)).kind, "TemplateSyntaxError") << open;
  for (const char* more : {" + 1", ".x", "|upper", " and x", "[0]", "()"})
    EXPECT_NE(fault_of("{{ x" + repeated(more, 50'000) + " }}").kind, "none") << more;
  EXPECT_EQ(fault_of(repeated("{% if x %}", 10'000)).kind, "TemplateSyntaxError");
}

TEST(JinjaLimits, Source) {
  EXPECT_THROW(Template(std::string(kMaxSource + 1, 'x')), DataError);
  EXPECT_EQ(text(std::string(kMaxSource, 'x')).size(), kMaxSource);
  EXPECT_THROW(Template("\xFF"), DataError);
  EXPECT_EQ(text(std::string_view("a\0b", 3)), std::string_view("a\0b", 3));
}

TEST(JinjaLimits, NothingButTheVariables) {
  for (const char* source : {"{% include '/etc/passwd' %}", "{% import 'x' as y %}",
                             "{% from 'x' import y %}", "{% extends 'x' %}"})
    EXPECT_EQ(fault_of(source).kind, "TemplateSyntaxError") << source;
  for (const char* source :
       {"{{ ''.__class__.__mro__ }}", "{{ [].__class__() }}", "{{ open('/etc/passwd') }}",
        "{{ self._TemplateReference__context }}", "{{ cycler.__init__.__globals__ }}",
        "{{ {}.update({'a': 1}) }}", "{{ [].append(1) }}", "{{ '{0.__class__}'.format(1) + 1 }}"})
    EXPECT_NE(fault_of(source).kind, "none") << source;
}

TEST(JinjaLimits, FaultsNameTheLine) {
  EXPECT_EQ(fault_of("a\nb\n{{ x.y }}\n").line, 3);
  EXPECT_EQ(fault_of("a\n{{ 'b'\n + 1 }}").line, 2);
  EXPECT_EQ(fault_of("{% if true %}\n\n{{ raise_exception('no') }}{% endif %}").text,
            "template:3: no");
  EXPECT_EQ(fault_of("a\n\n{% if x").line, 3);
  EXPECT_EQ(fault_of("a\r\nb\r\n{{ ) }}").text, "template:3: unexpected ')'");
  EXPECT_EQ(fault_of("{% macro f(x) %}\n{{ x.y.z }}\n{% endmacro %}\n\n{{ f({}) }}").line, 2);
  EXPECT_EQ(fault_of("\n{{ x|nope }}").text, "template:2: No filter named 'nope'.");
  try {
    Template("{{ x() }}", "model/tokenizer_config.json").render(Json::object());
    ADD_FAILURE();
  } catch (const TemplateError& e) {
    EXPECT_STREQ(e.what(), "model/tokenizer_config.json:1: 'x' is undefined");
  }
}

TEST(Jinja, RangesOfGenerationAndMessages) {
  const Template t(
      "<{% for m in messages %}[{{ m.c }}{% generation %}{{ m.d }}!{% endgeneration %}]"
      "{% endfor %}>{% for m in messages %}{% endfor %}");
  EXPECT_TRUE(t.has_generation());
  EXPECT_TRUE(t.reads("messages"));
  EXPECT_FALSE(t.reads("tools"));
  const Json variables =
      parse_json(R"({"messages":[{"c":"é","d":"x"},{"c":"","d":"yz"}]})", "test");
  const Rendered got = t.render(variables);
  EXPECT_EQ(got.text, "<[éx!][yz!]>");
  EXPECT_EQ(got.generation, (std::vector<Range>{{4, 6}, {8, 11}}));
  ASSERT_EQ(got.messages.size(), 2u);
  EXPECT_EQ(got.messages[0].message, 0u);
  EXPECT_EQ(got.messages[0].range, (Range{1, 7}));
  EXPECT_EQ(got.messages[1].range, (Range{7, 12}));
  EXPECT_FALSE(got.generation_lost);
  EXPECT_TRUE(Template("{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}")
                  .render(variables)
                  .generation_lost);
}

TEST(Jinja, OneTemplateManyThreads) {
  const Template t("{% for x in l %}{{ x * n }},{% endfor %}");
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  for (size_t i = 0; i < texts.size(); ++i)
    threads.emplace_back([&, i] {
      Json variables = numbers(100);
      variables.set("n", static_cast<int64_t>(i));
      for (int k = 0; k < 50; ++k) texts[i] = t.render(variables).text;
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string want;
    for (size_t x = 0; x < 100; ++x) want += cat(x * i, ",");
    EXPECT_EQ(texts[i], want);
  }
}

TEST(Jinja, MembersGivenTwice) {
  const std::string twice = R"({"d":{"a":1,"b":2,"a":3}})";
  EXPECT_EQ(text("{{ d }}", parse_json(twice, "test")), "{'a': 3, 'b': 2}");
  std::string many = R"({"d":{)";
  for (int i = 0; i < 40; ++i) many += cat(i > 0 ? "," : "", "\"k", i % 30, "\":", i);
  const std::string got =
      text("{{ d|length }} {{ d.k0 }} {{ d.k29 }}", parse_json(many + "}}", "test"));
  EXPECT_EQ(got, "30 30 29");
}

}  // namespace
}  // namespace nibble::jinja
