// SPDX-License-Identifier: Apache-2.0
// Where an axis begins and ends, and which round numbers are written along it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plot/figure.h"

namespace nibble {

struct Tick {
  double value = 0.0;
  std::string label;
};

struct Ruler {
  double low = 0.0, high = 1.0;
  bool log = false;
  std::vector<Tick> ticks;
  std::string title;  // the axis' title with the unit its labels are in: "memory (GiB)"

  /// 0 at low, 1 at high; outside of that for what lies beyond.
  double share(double value) const;
};

/// The least and greatest of what is finite.
struct Extent {
  double low = 0.0, high = 0.0;
  bool any = false;
  void take(double value);
  void take(std::span<const double> values);
};

/// A ruler over the extent with about `wanted` ticks (2 at least). `tight` ends where the values
/// end, else at ticks. Of a logarithmic axis all values must be positive, or it becomes linear.
Ruler make_ruler(const Axis& axis, const Extent& extent, int wanted, bool tight = false);

/// A number for people in so many significant digits: "0.00012", "2.5", "12.3k", "7.2M".
std::string short_number(double value, int digits = 3);
/// A number beside others up to `largest`: all with as many decimals, four digits in the largest.
std::string even_number(double value, double largest);
/// "312 MiB", "1.5 GiB".
std::string short_bytes(double bytes);

}  // namespace nibble
