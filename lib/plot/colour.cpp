// SPDX-License-Identifier: Apache-2.0
#include "plot/colour.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace nibble {
namespace {

constexpr std::array<Colour, kSeriesColours> kSeries = {{
    {0x00, 0x72, 0xb2},  // blue
    {0xd5, 0x5e, 0x00},  // vermilion
    {0x00, 0x9e, 0x73},  // bluish green
    {0xcc, 0x79, 0xa7},  // reddish purple
    {0xe6, 0x9f, 0x00},  // orange
    {0x56, 0xb4, 0xe9},  // sky blue
    {0xf0, 0xe4, 0x42},  // yellow
}};

// Among a terminal's 256: near those, and none darker on black.
constexpr std::array<int, kSeriesColours> kSeries256 = {32, 166, 36, 175, 172, 74, 227};

// Nine stations of the scale, its ends a little lighter and darker than text needs.
constexpr std::array<Colour, 9> kScale = {{{0x00, 0x20, 0x51},
                                           {0x12, 0x35, 0x70},
                                           {0x3b, 0x49, 0x6c},
                                           {0x57, 0x5d, 0x6d},
                                           {0x70, 0x71, 0x73},
                                           {0x8a, 0x86, 0x79},
                                           {0xa5, 0x9c, 0x74},
                                           {0xd3, 0xc1, 0x64},
                                           {0xfd, 0xea, 0x45}}};

// Relative luminance of sRGB.
double luminance(Colour c) {
  const auto linear = [](uint8_t v) {
    const double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : std::pow((s + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(c.red) + 0.7152 * linear(c.green) + 0.0722 * linear(c.blue);
}

int distance(Colour a, Colour b) {
  const int red = a.red - b.red, green = a.green - b.green, blue = a.blue - b.blue;
  return red * red + green * green + blue * blue;
}

}  // namespace

Colour series_colour(int index) {
  return kSeries[static_cast<size_t>(std::max(index, 0)) % kSeries.size()];
}

Colour scale_colour(double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(kScale.size() - 1);
  const auto lower = std::min(static_cast<size_t>(at), kScale.size() - 2);
  return blend(kScale[lower], kScale[lower + 1], at - static_cast<double>(lower));
}

Colour tint_colour(Tint tint) {
  switch (tint) {
    case Tint::kGood:
      return {0x8f, 0xd3, 0xc2};
    case Tint::kFair:
      return {0xf3, 0xe5, 0x8c};
    case Tint::kBad:
      return {0xee, 0xa7, 0x7d};
    default:
      return {0xe8, 0xe8, 0xe8};
  }
}

Colour blend(Colour a, Colour b, double share) {
  const auto mix = [&](uint8_t from, uint8_t to) {
    return static_cast<uint8_t>(std::lround(from + (to - from) * std::clamp(share, 0.0, 1.0)));
  };
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

double contrast(Colour a, Colour b) {
  const double la = luminance(a), lb = luminance(b);
  return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

Colour text_on(Colour ground) {
  constexpr Colour kBlack = {0, 0, 0}, kWhite = {255, 255, 255};
  return contrast(ground, kBlack) >= contrast(ground, kWhite) ? kBlack : kWhite;
}

std::string hex(Colour c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "#";
  for (const uint8_t v : {c.red, c.green, c.blue}) {
    out += kDigits[v >> 4];
    out += kDigits[v & 15];
  }
  return out;
}

int nearest_of_256(Colour c) {
  if (const auto at = std::find(kSeries.begin(), kSeries.end(), c); at != kSeries.end())
    return kSeries256[static_cast<size_t>(at - kSeries.begin())];
  static constexpr std::array<uint8_t, 6> kSteps = {0, 95, 135, 175, 215, 255};
  const auto step = [](uint8_t v) {
    size_t best = 0;
    for (size_t i = 1; i < kSteps.size(); ++i)
      if (std::abs(kSteps[i] - v) < std::abs(kSteps[best] - v)) best = i;
    return best;
  };
  const size_t red = step(c.red), green = step(c.green), blue = step(c.blue);
  const Colour cube = {kSteps[red], kSteps[green], kSteps[blue]};
  const int mean = (c.red + c.green + c.blue) / 3;
  const int grey = std::clamp((mean - 3) / 10, 0, 23);
  const auto level = static_cast<uint8_t>(8 + 10 * grey);
  if (distance(c, {level, level, level}) < distance(c, cube)) return 232 + grey;
  return static_cast<int>(16 + 36 * red + 6 * green + blue);
}

}  // namespace nibble
