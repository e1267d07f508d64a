// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/quote.h"
#include "data/data_stats.h"

namespace nibble {
namespace {

constexpr int64_t kBarWidth = 40;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string percent(const Json& share) {
  return number(100 * share.as_number()) + "%";
}

std::string printable(const std::string& text) {
  const std::string quoted = quote(text, 1000);
  return quoted.substr(1, quoted.size() - 2);
}

void line(std::string& out, std::string name, const std::string& value) {
  name.resize(std::max<size_t>(name.size(), 14), ' ');
  out += cat("  ", name, value, "\n");
}

void add_histogram(std::string& out, const Json& bins) {
  int64_t most = 1;
  for (const Json& bin : bins.as_array()) most = std::max(most, bin.at("count").as_integer());
  for (const Json& bin : bins.as_array()) {
    const int64_t count = bin.at("count").as_integer();
    std::string range = cat(bin.at("from").as_integer(), " to ", bin.at("to").as_integer());
    range.insert(0, std::max<size_t>(range.size(), 20) - range.size(), ' ');
    std::string amount = cat(count);
    amount.insert(0, std::max<size_t>(amount.size(), 10) - amount.size(), ' ');
    out += cat(range, amount, count > 0 ? "  " : "",
               std::string(static_cast<size_t>((count * kBarWidth + most - 1) / most), '#'), "\n");
  }
}

}  // namespace

std::string render_stats(const Json& report) {
  const auto text = [&](const char* name) { return report.at(name).as_string(); };
  const std::string unit = text("unit");
  std::string out = cat(printable(text("path")), ": ", text("kind"));
  if (report.find("form")) out += cat(" of the form ", text("form"));
  out += "\n";
  for (const char* name : {"records", "rows", "row_length", "mode"})
    if (const Json* value = report.find(name))
      line(out, name, value->is_string() ? value->as_string() : cat(value->as_integer()));
  if (const Json* fill = report.find("fill")) line(out, "fill", percent(*fill));
  for (const char* name : {"bad_records", "examples", "pairs", "desirable", "undesirable", "turns"})
    if (const Json* value = report.find(name)) line(out, name, cat(value->as_integer()));
  line(out, unit, cat(report.at(unit).as_integer()));
  line(out, "trained on",
       cat(report.at("trained").as_integer(), " (", percent(report.at("trained_share")), ")"));
  line(out, "duplicates",
       cat(report.at("duplicates_exact").as_bool() ? "" : "about ",
           report.at("duplicates").as_integer()));
  if (const Json* scripts = report.find("scripts")) {
    std::string all;
    for (const auto& [name, share] : scripts->as_object())
      all += cat(all.empty() ? "" : ", ", name, " ", percent(share));
    line(out, "scripts", all.empty() ? "no letters" : all);
  }
  if (const Json* length = report.find("length")) {
    std::string all;
    for (const auto& [name, value] : length->as_object())
      all += cat(all.empty() ? "" : ", ", name, " ",
                 value.is_integer() ? cat(value.as_integer()) : number(value.as_number()));
    line(out, "length", all);
    for (const char* name : {"longest", "shortest"})
      line(out, name,
           cat(report.at(name).at("length").as_integer(), " ", unit, ", ",
               printable(report.at(name).at("place").as_string())));
    add_histogram(out, report.at("histogram"));
  }
  for (size_t i = 0; i < kMistakes; ++i) {
    const auto mistake = static_cast<Mistake>(i);
    const Json* seen = report.at("warnings").find(mistake_name(mistake));
    if (!seen) continue;
    out += cat("  ! ", seen->at("count").as_integer(),
               " of the sequences: ", mistake_title(mistake), " (first at ",
               printable(seen->at("first").as_string()), "); ", mistake_remedy(mistake), "\n");
  }
  return out;
}

}  // namespace nibble
