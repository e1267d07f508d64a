// SPDX-License-Identifier: Apache-2.0
#include "plot/ticks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace nibble {
namespace {

std::string format(const char* pattern, int digits, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, digits, value);
  return text;
}

// What labels are divided by, and how that is told.
struct Divisor {
  double by = 1.0;
  std::string told;
};

constexpr std::array<const char*, 6> kByteUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

size_t byte_unit(double largest) {
  size_t power = 0;
  while (power + 1 < kByteUnits.size() && largest >= std::ldexp(1.0, 10 * (int(power) + 1)))
    ++power;
  return power;
}

Divisor divisor_of(const Axis& axis, double largest) {
  if (axis.unit == Unit::kBytes) {
    const size_t power = byte_unit(largest);
    return {std::ldexp(1.0, 10 * int(power)), kByteUnits[power]};
  }
  if (largest <= 0.0) return {};
  const int decade = static_cast<int>(std::floor(std::log10(largest) + 1e-9));
  if (decade < -2 || decade > 14)  // Superscripts are missing in some fonts.
    return {std::pow(10.0, decade), cat("×1e", decade)};
  if (decade > 5) return {1e6, "million"};
  if (decade > 3) return {1e3, "thousand"};
  return {};
}

// The round number (1, 2 or 5 times a power of ten) next to `step`, not below it.
double round_up_to_nice(double step) {
  const double decade = std::pow(10.0, std::floor(std::log10(step)));
  for (const double nice : {1.0, 2.0, 5.0})
    if (nice * decade >= step * (1 - 1e-9)) return nice * decade;
  return 10.0 * decade;
}

std::string titled(const std::string& title, const std::string& unit) {
  if (unit.empty()) return title;
  return title.empty() ? unit : cat(title, " (", unit, ")");
}

Ruler linear_ruler(const Axis& axis, double low, double high, int wanted, bool tight) {
  const double extent_low = low, extent_high = high;
  if (axis.from_zero) {
    low = std::min(low, 0.0);
    high = std::max(high, 0.0);
  }
  if (extent_low == extent_high) {  // one value: some room around it
    const double room =
        low == 0.0 && high == 0.0 ? 1.0 : std::max(std::abs(low), std::abs(high)) * 0.1;
    if (!axis.from_zero || low < 0.0) low -= axis.integer ? std::max(1.0, room) : room;
    if (!axis.from_zero || high > 0.0 || low == 0.0)
      high += axis.integer ? std::max(1.0, room) : room;
  }
  Ruler r;
  const Divisor divisor = divisor_of(axis, std::max(std::abs(low), std::abs(high)));
  r.title = titled(axis.title, divisor.told);
  double step = round_up_to_nice((high - low) / divisor.by / std::max(wanted - 1, 1)) * divisor.by;
  if (axis.integer) step = std::max(step, 1.0);
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  r.low = tight ? low : first * step;
  r.high = tight ? high : last * step;
  const double shown = step / divisor.by;
  const int digits =
      std::clamp(static_cast<int>(std::ceil(-std::log10(shown * (1 + 1e-9)))), 0, 12);
  for (double i = first; i <= last; ++i) {
    const double value = i * step;
    if (value < r.low - 1e-9 * step || value > r.high + 1e-9 * step) continue;
    r.ticks.push_back({value, format("%.*f", digits, i == 0.0 ? 0.0 : value / divisor.by)});
  }
  return r;
}

double power_of_ten(double value) {
  return std::pow(10.0, std::floor(std::log10(value) + 1e-9));
}

// The round numbers next to a positive value, for the ends of a logarithmic axis.
constexpr std::array<double, 6> kRound = {1.0, 1.5, 2.0, 3.0, 5.0, 10.0};

double round_below(double value) {
  const double decade = power_of_ten(value);
  double best = decade;
  for (const double m : kRound)
    if (m * decade <= value * (1 + 1e-9)) best = m * decade;
  return best;
}

double round_above(double value) {
  const double decade = power_of_ten(value);
  for (const double m : kRound)
    if (m * decade >= value * (1 - 1e-9)) return m * decade;
  return 10.0 * decade;
}

// "0.02", "500", "2e-5".
std::string log_label(double value) {
  if (value >= 0.999e-3 && value < 1e6) return short_number(value, 3);
  const double decade = power_of_ten(value);
  return cat(short_number(value / decade, 2), "e", std::lround(std::log10(decade)));
}

Ruler log_ruler(const Axis& axis, double low, double high, int wanted, bool tight) {
  Ruler r;
  r.log = true;
  const Divisor divisor = axis.unit == Unit::kBytes ? divisor_of(axis, high) : Divisor{};
  r.title = titled(axis.title, divisor.told);
  if (low == high) {
    low /= 2.0;
    high *= 2.0;
  }
  r.low = tight ? low : round_below(low);
  r.high = tight ? high : round_above(high);
  // Few decades get ticks between their powers of ten, many only some of these.
  const double decades = std::log10(r.high / r.low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / std::max(wanted, 2))));
  std::vector<double> steps = {1.0};
  if (decades < 2.5) steps = {1.0, 2.0, 5.0};
  if (decades < 0.8) steps = {1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0};
  const int begin = static_cast<int>(std::floor(std::log10(r.low) - 1e-9));
  const int end = static_cast<int>(std::ceil(std::log10(r.high) + 1e-9));
  for (int decade = begin; decade <= end; ++decade)
    for (const double s : steps) {
      const double v = s * std::pow(10.0, decade);
      const bool between = v >= r.low * (1 - 1e-9) && v <= r.high * (1 + 1e-9);
      if (between && decade % every == 0) r.ticks.push_back({v, log_label(v / divisor.by)});
    }
  return r;
}

// Ticks at given values; the ends a twentieth of the way beyond.
Ruler given_ruler(const Axis& axis, double low, double high, bool log) {
  Ruler r;
  r.log = log;
  r.title = axis.title;
  const double room = log ? std::pow(high / low, 0.05) : (high - low) * 0.05;
  r.low = log ? low / room : low - room;
  r.high = log ? high * room : high + room;
  for (const double v : axis.at)
    if (v >= low && v <= high) r.ticks.push_back({v, short_number(v, 4)});
  return r;
}

}  // namespace

double Ruler::share(double value) const {
  if (log) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

void Extent::take(double value) {
  if (!std::isfinite(value)) return;
  low = any ? std::min(low, value) : value;
  high = any ? std::max(high, value) : value;
  any = true;
}

void Extent::take(std::span<const double> values) {
  for (const double v : values) take(v);
}

Ruler make_ruler(const Axis& axis, const Extent& extent, int wanted, bool tight) {
  const double low = extent.any ? extent.low : 0.0, high = extent.any ? extent.high : 1.0;
  const bool positive = low > 0.0;
  const bool log =
      positive && (axis.scale == Scale::kLog || (axis.scale == Scale::kAuto && high >= 20.0 * low));
  if (!axis.at.empty() && low < high) return given_ruler(axis, low, high, log);
  return log ? log_ruler(axis, low, high, wanted, tight)
             : linear_ruler(axis, low, high, wanted, tight);
}

std::string short_number(double value, int digits) {
  if (value == 0.0) return "0";
  const char* suffix = "";
  const double size = std::abs(value);
  double scale = 1.0;
  for (const auto& [at, name] : {std::pair{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}})
    if (size >= at * (1 - 0.5 * std::pow(10.0, -digits))) {
      scale = at == 1e4 ? 1e3 : at;
      suffix = name;
      break;
    }
  if (scale == 1.0 && size >= std::pow(10.0, digits)) digits = 4;
  std::string text = format("%.*g", digits, value / scale);
  if (const size_t e = text.find("e-0"); e != std::string::npos) text.erase(e + 2, 1);
  if (const size_t e = text.find("e+"); e != std::string::npos)
    text = format("%.*f", 0, value / scale);
  return text + suffix;
}

std::string even_number(double value, double largest) {
  const double size = std::max(std::abs(value), std::abs(largest));
  if (size < 1e-3 || size >= 1e15) return short_number(value, 4);
  static constexpr std::array<const char*, 5> kSuffixes = {"", "k", "M", "G", "T"};
  size_t power = 0;
  double scale = 1.0;
  for (; power + 1 < kSuffixes.size() && size >= 9999.5 * scale; ++power) scale *= 1e3;
  const int digits = 3 - static_cast<int>(std::floor(std::log10(size / scale) + 1e-9));
  return format("%.*f", std::clamp(digits, 0, 6), value / scale) + kSuffixes[power];
}

std::string short_bytes(double bytes) {
  const size_t power = byte_unit(std::abs(bytes));
  const double value = bytes / std::ldexp(1.0, 10 * int(power));
  const int digits = power == 0 || std::abs(value) >= 99.95 ? 0 : std::abs(value) >= 9.995 ? 1 : 2;
  return cat(format("%.*f", digits, value), " ", kByteUnits[power]);
}

}  // namespace nibble
