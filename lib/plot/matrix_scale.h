// SPDX-License-Identifier: Apache-2.0
// Which colour a cell of a matrix has: by verdict, or by its value on the panel's scale.
#pragma once

#include "plot/colour.h"
#include "plot/figure.h"

namespace nibble {

struct MatrixScale {
  explicit MatrixScale(const MatrixPanel& panel);

  double low = 0.0, high = 1.0;
  bool any = false;  // whether a cell has a value
  bool log = false, low_is_good = true;

  /// 0 at low, 1 at high.
  double share(double value) const;
  /// The colour that far up the scale; the good end is the light one.
  Colour colour_at(double share) const;
  Colour ground(const Cell& cell) const;
};

}  // namespace nibble
