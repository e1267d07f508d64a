// SPDX-License-Identifier: Apache-2.0
// Colours that people with any kind of colour vision tell apart: for series the palette of Okabe
// and Ito ("Color Universal Design", 2008) without black, so that each also shows on dark ground
// (contrast to black at least 4, WCAG 2); for values a scale that is even in lightness, after
// cividis (Nunez, Anderton, Renslow: PLOS ONE 13(7), 2018).
#pragma once

#include <cstdint>
#include <string>

#include "plot/figure.h"

namespace nibble {

struct Colour {
  uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

inline constexpr int kSeriesColours = 7;

/// That of a series; beyond kSeriesColours they begin anew, told apart by their dashes.
Colour series_colour(int index);
/// 0: dark blue, 1: yellow. What lies outside is taken as the nearest end.
Colour scale_colour(double share);
/// The ground of a verdict: good is blue-green, bad is vermilion.
Colour tint_colour(Tint tint);
/// Between a (share 0) and b (share 1).
Colour blend(Colour a, Colour b, double share);
/// Black or white, whichever is read better on that ground.
Colour text_on(Colour ground);
/// WCAG 2's contrast, from 1 to 21.
double contrast(Colour a, Colour b);
/// "#56b4e9".
std::string hex(Colour c);
/// The nearest of the 256 colours that terminals have (6x6x6 cube or greys); for those of series
/// one that shows as well on black.
int nearest_of_256(Colour c);

}  // namespace nibble
