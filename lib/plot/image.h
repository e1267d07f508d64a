// SPDX-License-Identifier: Apache-2.0
// A figure as SVG or PNG, drawn by gnuplot: a child process that is handed one script on a pipe,
// without a shell and without its start-up files, and hands back the image on another. All layout
// is ours, in pixels, so that no labels meet; every text is a single-quoted literal, in which
// gnuplot substitutes nothing and only a quote would be special.
#pragma once

#include <string>
#include <string_view>

#include "plot/figure.h"

namespace nibble {

enum class ImageFormat : uint8_t { kSvg, kPng };

struct ImageOptions {
  ImageFormat format = ImageFormat::kSvg;
  int width = 1200;   // pixels
  int height = 0;     // 0: what the panels need
  std::string names;  // before every id of an SVG, so that several fit into one page
};

/// The image's bytes. Throws UnavailableError where gnuplot is missing or cannot write that format.
std::string draw_image(const Figure& figure, const ImageOptions& options);

/// What gnuplot is told.
std::string gnuplot_script(const Figure& figure, const ImageOptions& options);

/// A text as gnuplot takes it, cleaned (words.h): 'it’s'. Apostrophes become typographic ones.
std::string gnuplot_literal(std::string_view text, size_t limit = 60);

/// Runs gnuplot on a script and returns what it writes on standard output.
std::string run_gnuplot(std::string_view script);

}  // namespace nibble
