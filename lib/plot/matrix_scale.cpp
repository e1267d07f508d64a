// SPDX-License-Identifier: Apache-2.0
#include "plot/matrix_scale.h"

#include <cmath>

#include "plot/ticks.h"

namespace nibble {

MatrixScale::MatrixScale(const MatrixPanel& panel) : low_is_good(panel.low_is_good) {
  Extent extent;
  for (const auto& row : panel.cells)
    for (const Cell& cell : row)
      if (cell.tint == Tint::kValue) extent.take(cell.value);
  any = extent.any;
  if (panel.range) {
    extent.take(panel.range->first);
    extent.take(panel.range->second);
  }
  if (!extent.any) return;
  low = extent.low;
  high = extent.high;
  log = low > 0.0 &&
        (panel.scale == Scale::kLog || (panel.scale == Scale::kAuto && high >= 20.0 * low));
}

double MatrixScale::share(double value) const {
  if (!(high > low)) return 0.5;
  return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
}

Colour MatrixScale::colour_at(double share) const {
  return scale_colour(low_is_good ? 1.0 - share : share);
}

Colour MatrixScale::ground(const Cell& cell) const {
  if (cell.tint != Tint::kValue) return tint_colour(cell.tint);
  return std::isfinite(cell.value) ? colour_at(share(cell.value)) : tint_colour(Tint::kNone);
}

}  // namespace nibble
