// SPDX-License-Identifier: Apache-2.0
#include "model/draw.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/checked.h"
#include "base/profile.h"
#include "base/rng.h"
#include "base/threads.h"
#include "kernels/elementwise.h"

namespace nibble {
namespace {

constexpr int64_t kGrain = 1 << 14;

// FNV-1a of the name, above the number of the use: no other use of the seed shares the stream.
uint64_t stream_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash << 8 | static_cast<uint64_t>(RngStream::kInit);
}

// The four normal deviates of one counter: two Box-Muller pairs.
std::array<double, 4> normals(uint64_t seed, uint64_t stream, uint64_t counter) {
  const auto words = philox(seed, stream, counter);
  std::array<double, 4> out;
  for (size_t pair = 0; pair < 2; ++pair) {
    const double u = (static_cast<double>(words[2 * pair]) + 1.0) * 0x1p-32;  // in (0, 1]
    const double angle =
        2.0 * std::numbers::pi * static_cast<double>(words[2 * pair + 1]) * 0x1p-32;
    const double radius = std::sqrt(-2.0 * std::log(u));
    out[2 * pair] = radius * std::cos(angle);
    out[2 * pair + 1] = radius * std::sin(angle);
  }
  return out;
}

// out[i] = values(counter i/4)[i%4], by blocks of four.
template <class Values>
void fill(const Tensor& out, int64_t first_block, const Values& values) {
  CHECK(out.dense());
  float* data = out.as<float>();
  const int64_t n = out.elements();
  Span span("draw");
  span.add(0.0, static_cast<double>(n) * sizeof(float));
  parallel_for(ceil_div<int64_t>(n, 4), kGrain / 4, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const auto four = values(static_cast<uint64_t>(first_block + block));
      for (int64_t i = 4 * block; i < std::min(n, 4 * block + 4); ++i)
        data[i] = static_cast<float>(four[static_cast<size_t>(i % 4)]);
    }
  });
}

}  // namespace

void draw_uniform(const Tensor& out, double bound, const DrawName& draw) {
  const uint64_t stream = stream_of(draw.name);
  fill(out, draw.first_block, [&](uint64_t counter) {
    const auto words = philox(draw.seed, stream, counter);
    std::array<double, 4> four;
    for (size_t i = 0; i < 4; ++i) four[i] = (2.0 * unit_float(words[i]) - 1.0) * bound;
    return four;
  });
}

void draw_normal(const Tensor& out, double deviation, const DrawName& draw) {
  const uint64_t stream = stream_of(draw.name);
  fill(out, draw.first_block, [&](uint64_t counter) {
    auto four = normals(draw.seed, stream, counter);
    for (double& x : four) x *= deviation;
    return four;
  });
}

void draw_new_rows(const Tensor& out, const Tensor& old, const DrawName& draw) {
  const int64_t v = old.dim(0), c = old.dim(1);
  CHECK(out.dim(1) == c && v > 0 && out.dense() && old.dense());
  const float* rows_in = old.as<float>();
  std::vector<double> mean(static_cast<size_t>(c), 0.0);
  for (int64_t r = 0; r < v; ++r)
    for (int64_t i = 0; i < c; ++i) mean[static_cast<size_t>(i)] += rows_in[r * c + i];
  for (double& m : mean) m /= static_cast<double>(v);
  // sum_r z_r (row_r - mean) / sqrt(V), z_r standard normal, has the rows' covariance exactly: no
  // matrix is factored, and none need be positive definite.
  const double scale = std::sqrt(1e-9 / static_cast<double>(v));
  const uint64_t stream = stream_of(draw.name);
  parallel_for(out.dim(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(c));
    for (int64_t m = begin; m < end; ++m) {
      std::fill(sum.begin(), sum.end(), 0.0);
      double total = 0.0;
      for (int64_t r = 0; r < v; ++r) {
        const auto counter = static_cast<uint64_t>(m * ceil_div<int64_t>(v, 4) + r / 4);
        const double z = normals(draw.seed, stream, counter)[static_cast<size_t>(r % 4)];
        total += z;
        for (int64_t i = 0; i < c; ++i) sum[static_cast<size_t>(i)] += z * rows_in[r * c + i];
      }
      for (int64_t i = 0; i < c; ++i) {
        const double centre = mean[static_cast<size_t>(i)];
        out.as<float>()[m * c + i] =
            static_cast<float>(centre + scale * (sum[static_cast<size_t>(i)] - total * centre));
      }
    }
  });
}

void copy_as_f32(const Tensor& in, const Tensor& out) {
  CHECK(in.elements() == out.elements() && out.dtype == Dtype::kF32);
  cast({.out = out, .in = in});
}

}  // namespace nibble
