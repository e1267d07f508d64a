// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kPairs = 4;  // of one access: 16 bytes of a table
constexpr int kBatch = 4;  // heads that a thread reads before it turns them

// A thread turns the same kCount pairs of every `groups`-th head of a row, for which it reads
// cosines and sines once.
struct Turns {
  int rows, heads, groups, half;
  int64_t stride;
  float sign;
};

template <class T, int kCount>
__global__ void __launch_bounds__(kRowThreads)
    rope_kernel(T* inout, const float* cosine, const float* sine, const int32_t* positions,
                Turns turns) {
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  const int parts = turns.half / kCount, units = turns.groups * parts;
  const int64_t row = unit / units;
  if (row >= turns.rows) return;
  const int rest = static_cast<int>(unit % units), group = rest / parts, d = rest % parts * kCount;
  const int64_t angle = static_cast<int64_t>(positions[row]) * turns.half + d;
  const Floats<kCount> c = read<kCount>(cosine + angle);
  Floats<kCount> s = read<kCount>(sine + angle);
#pragma unroll
  for (int i = 0; i < kCount; ++i) s.v[i] *= turns.sign;
  T* const place = inout + row * turns.stride + d;
  const auto low = [&](int head) { return place + static_cast<int64_t>(head) * 2 * turns.half; };
  for (int first = group; first < turns.heads; first += kBatch * turns.groups) {
    Packed<T, kCount> xs[kBatch], ys[kBatch];
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int head = first + k * turns.groups;
      if (head >= turns.heads) break;
      xs[k] = read_packed<kCount>(low(head));
      ys[k] = read_packed<kCount>(low(head) + turns.half);
    }
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int head = first + k * turns.groups;
      if (head >= turns.heads) break;
      const Floats<kCount> x = floats(xs[k]), y = floats(ys[k]);
      Floats<kCount> turned_x, turned_y;
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        turned_x.v[i] = x.v[i] * c.v[i] - y.v[i] * s.v[i];
        turned_y.v[i] = y.v[i] * c.v[i] + x.v[i] * s.v[i];
      }
      write(low(head), turned_x);
      write(low(head) + turns.half, turned_y);
    }
  }
}

}  // namespace

void rope(const Rope& op, Stream stream) {
  const int64_t n = op.inout.dim(0), half = op.head_dim / 2, heads = op.inout.dim(1) / op.head_dim;
  if (n == 0 || heads == 0) return;
  CHECK(n <= INT32_MAX && op.inout.dim(1) <= INT32_MAX);
  // Few rows make few threads of a thread a row: then heads are spread out.
  constexpr int64_t kManyRows = 512, kHeadsEach = 16;
  const int64_t groups = n < kManyRows ? heads : (heads + kHeadsEach - 1) / kHeadsEach;
  const Turns turns = {.rows = static_cast<int>(n),
                       .heads = static_cast<int>(heads),
                       .groups = static_cast<int>(groups),
                       .half = static_cast<int>(half),
                       .stride = op.inout.row_stride,
                       .sign = op.rotation == Rotation::kForward ? 1.0f : -1.0f};
  const bool wide = wide_rows(op.inout, half, kPairs) && wide_rows(op.cos, half, kPairs) &&
                    wide_rows(op.sin, half, kPairs);
  with_float_type(op.inout.dtype, [&](auto t) {
    using T = decltype(t);
    const auto turn = [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      launch(rope_kernel<T, kCount>,
             {.grid = dim3(blocks_for(n * groups * (half / kCount), kRowThreads)),
              .block = dim3(kRowThreads),
              .stream = queue(stream).stream,
              .name = "rope"},
             device_pointer<T>(op.inout), device_pointer<float>(op.cos),
             device_pointer<float>(op.sin), device_pointer<int32_t>(op.positions), turns);
    };
    if (wide)
      turn(std::integral_constant<int, kPairs>());
    else
      turn(std::integral_constant<int, 1>());
  });
}

}  // namespace nibble::cuda
