// SPDX-License-Identifier: Apache-2.0
// Renders chat templates for the comparison with transformers: a JSON object a line,
// {"template", "variables", "now"}, to {"text", "generation"} or {"error", "message", "line"}.
#include <iostream>
#include <optional>

#include "text/jinja.h"

int main() {
  using namespace nibble;
  std::string source;
  std::optional<jinja::Template> parsed;
  for (std::string line; std::getline(std::cin, line);) {
    const Json in = parse_json(line, "input");
    Json out = Json::object();
    try {
      if (!parsed || in.at("template").as_string() != source) {
        parsed.reset();
        source = in.at("template").as_string();
        parsed.emplace(source);
      }
      const jinja::Rendered rendered = parsed->render(
          in.at("variables"), {.now = static_cast<std::time_t>(in.at("now").as_integer())});
      out.set("text", rendered.text);
      Json::Array ranges;
      for (const auto& [begin, end] : rendered.generation)
        ranges.push_back(Json::array({Json(uint64_t{begin}), Json(uint64_t{end})}));
      out.set("generation", Json(std::move(ranges)));
    } catch (const jinja::TemplateError& e) {
      out = Json::object({{"error", e.kind}, {"message", e.message}, {"line", e.line}});
    } catch (const Error& e) {
      out = Json::object({{"error", "Error"}, {"message", std::string_view(e.what())}});
    }
    std::cout << out.dump() << "\n";
  }
}
