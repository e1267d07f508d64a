// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/quote.h"
#include "model/inspect.h"

namespace nibble {
namespace {

// Text from files, on one line and without control characters.
std::string printable(std::string_view text) {
  const std::string quoted = quote(text, 1000);
  return quoted.substr(1, quoted.size() - 2);
}

std::string with_thousands(int64_t n) {
  std::string out = cat(n);
  for (auto at = static_cast<std::ptrdiff_t>(out.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3)
    out.insert(static_cast<size_t>(at), 1, ',');
  return out;
}

std::string size_text(int64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto x = static_cast<double>(bytes);
  size_t unit = 0;
  for (; x >= 1024.0 && unit < 4; ++unit) x /= 1024.0;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", x, units[unit]);
  return text;
}

std::string number_text(const Json& v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", v.as_number());
  return text;
}

std::string value_text(const std::string& key, const Json& v) {
  if (v.is_string()) return printable(v.as_string());
  if (v.is_bool()) return v.as_bool() ? "yes" : "no";
  if (v.is_integer()) {
    const int64_t n = v.as_integer();
    if (key.ends_with("bytes")) return size_text(n);
    return std::abs(n) >= 100000 ? with_thousands(n) : cat(n);
  }
  if (v.is_number()) return cat(v.as_number());
  if (v.is_array()) {
    std::string out;
    for (const Json& item : v.as_array()) out += cat(out.empty() ? "" : ", ", value_text("", item));
    return out;
  }
  if (const Json* count = v.find("count")) {  // a list out of GGUF metadata
    std::string out = cat(with_thousands(count->as_integer()), " x ", v.at("type").as_string());
    for (const Json& item : v.at("first").as_array())
      out += cat(' ', item.is_string() ? quote(item.as_string(), 40) : value_text("", item));
    const bool more = count->as_integer() > static_cast<int64_t>(v.at("first").as_array().size());
    return more ? out + " ..." : out;
  }
  std::string out;
  if (v.is_object())
    for (const auto& [name, item] : v.as_object())
      out += cat(out.empty() ? "" : ", ", printable(name), " ", value_text(key, item));
  return out;
}

void add_pairs(std::string& out, const Json& object) {
  size_t width = 0;
  for (const auto& [key, value] : object.as_object()) width = std::max(width, key.size());
  width = std::min<size_t>(width, 48);
  for (const auto& [key, value] : object.as_object()) {
    std::string name = printable(key);
    name.resize(std::max(name.size(), width), ' ');
    out += cat("  ", name, "  ", value_text(key, value), "\n");
  }
}

void add_tensors(std::string& out, const Json::Array& tensors) {
  std::vector<std::vector<std::string>> rows;
  bool stats = false;
  for (const Json& t : tensors) stats |= t.find("stats") != nullptr;
  rows.push_back({"name", "type", "shape", "size"});
  if (stats) rows[0].insert(rows[0].end(), {"min", "max", "mean", "rms"});
  for (const Json& t : tensors) {
    std::vector<int64_t> shape;
    for (const Json& d : t.at("shape").as_array()) shape.push_back(d.as_integer());
    rows.push_back({printable(t.at("name").as_string()), t.at("type").as_string(),
                    describe_shape(shape), size_text(t.at("bytes").as_integer())});
    const Json* s = t.find("stats");
    for (const char* key : {"min", "max", "mean", "rms"})
      if (stats) rows.back().push_back(s && s->find(key) ? number_text(s->at(key)) : "-");
  }
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : rows) {
    out += "  ";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      out +=
          cat(i ? "  " : "", i >= 3 ? space : "", row[i], i < 3 && i + 1 < row.size() ? space : "");
    }
    out += "\n";
  }
}

}  // namespace

std::string render_inspection(const Json& document) {
  const Json* kind = document.find("kind");
  std::string out = printable(document.at("path").as_string());
  if (kind && kind->is_string()) out += cat(": ", kind->as_string());
  out += "\n";
  add_pairs(out, document.at("summary"));
  if (const Json* metadata = document.find("metadata")) {
    out += "metadata\n";
    add_pairs(out, *metadata);
  }
  if (const Json* tensors = document.find("tensors")) {
    out += "tensors\n";
    add_tensors(out, tensors->as_array());
  }
  if (const Json* faults = document.find("faults")) {
    for (const Json& fault : faults->as_array())
      out += cat("fault: ", printable(fault.as_string()), "\n");
    if (faults->as_array().empty()) out += "verified: sound\n";
  }
  return out;
}

}  // namespace nibble
