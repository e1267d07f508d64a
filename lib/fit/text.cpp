// SPDX-License-Identifier: Apache-2.0
#include "fit/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace nibble {
namespace {

std::string three_digits(double x) {
  char text[32];
  std::snprintf(text, sizeof text, x < 10 ? "%.2f" : x < 100 ? "%.1f" : "%.0f", x);
  return text;
}

}  // namespace

std::string binary_size(double bytes) {
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  double x = bytes / 1024.0;
  for (; x >= 1000.0 && unit < 3; ++unit) x /= 1024.0;
  return cat(three_digits(x), " ", units[unit]);
}

std::string decimal_size(double bytes) {
  char text[32];
  const bool mega = bytes < 1e8;
  std::snprintf(text, sizeof text, mega ? "%.2f MB" : "%.2f GB", bytes / (mega ? 1e6 : 1e9));
  return text;
}

std::string count_text(double n) {
  if (n >= 1e12) return three_digits(n / 1e12) + "T";
  if (n >= 1e9) return three_digits(n / 1e9) + "B";
  if (n >= 1e6) return three_digits(n / 1e6) + "M";
  if (n >= 1e3) return three_digits(n / 1e3) + "k";
  return cat(std::llround(n));
}

std::string time_text(double s) {
  const auto whole = [](double x) { return cat(std::llround(std::floor(x))); };
  if (s < 1) return three_digits(1000.0 * s) + " ms";
  if (s < 60) return three_digits(s) + " s";
  if (s < 3600) return cat(whole(s / 60), " min ", whole(std::fmod(s, 60)), " s");
  if (s < 86400) return cat(whole(s / 3600), " h ", whole(std::fmod(s, 3600) / 60), " min");
  return cat(whole(s / 86400), " days ", whole(std::fmod(s, 86400) / 3600), " h");
}

std::string grouped(int64_t n) {
  const std::string digits = cat(n);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    if (row.size() > widths.size()) widths.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      line += (i > 0 ? "  " : "") + (i == 0 ? row[i] + pad : pad + row[i]);
    }
    out += "  " + line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace nibble
