// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "eval/task_report.h"

namespace nibble {
namespace {

std::string fixed(const Json& value, const char* form = "%.4f") {
  if (value.is_null()) return "-";
  char text[64];
  std::snprintf(text, sizeof text, form, value.as_number());
  return text;
}

void add_rows(std::vector<std::string>& out, const std::string& name, const Json& part) {
  const std::string examples = part.at("examples").dump();
  for (const auto& [metric, m] : part.at("metrics").as_object())
    out.push_back(cat(name, "\t", metric, "\t", fixed(m.at("value")), "\t", fixed(m.at("error")),
                      "\t", examples));
}

}  // namespace

std::vector<std::string> report_table(const Json& report) {
  std::vector<std::string> out = {"task\tmetric\tvalue\terror\texamples"};
  for (const auto& [task, part] : report.at("tasks").as_object()) {
    add_rows(out, task, part);
    if (const Json* groups = part.find("groups")) {
      for (const auto& [metric, mean] : part.at("group_mean").as_object())
        out.push_back(cat(task, " (mean of groups)\t", metric, "\t", fixed(mean), "\t-\t",
                          std::ssize(groups->as_object())));
      for (const auto& [group, inside] : groups->as_object())
        add_rows(out, cat(task, "/", group), inside);
    }
    if (const Json* tags = part.find("tags"))
      for (const auto& [member, by] : tags->as_object())
        for (const auto& [tag, inside] : by.as_object())
          add_rows(out, cat(task, " ", member, "=", tag), inside);
  }
  return out;
}

std::vector<std::string> comparison_table(const Json& comparison) {
  std::vector<std::string> out = {"task\tmetric\tbefore\tafter\tdifference\tlow\thigh\texamples"};
  for (const auto& [task, part] : comparison.at("tasks").as_object())
    for (const auto& [metric, m] : part.at("metrics").as_object())
      out.push_back(cat(task, "\t", metric, "\t", fixed(m.at("before")), "\t", fixed(m.at("after")),
                        "\t", fixed(m.at("difference"), "%+.4f"), "\t", fixed(m.at("low"), "%+.4f"),
                        "\t", fixed(m.at("high"), "%+.4f"), "\t", part.at("examples").dump()));
  return out;
}

}  // namespace nibble
