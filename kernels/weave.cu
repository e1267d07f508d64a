// SPDX-License-Identifier: Apache-2.0
// A thread takes four elements of a row, an access of 16 bytes to what is read, where all rows of
// all parts allow it, else one.
#include "kernels/weave.h"

#include <algorithm>

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostParts = 64;  // kernel parameters have 4 KiB
constexpr int kEach = kWide<float>;

struct Part {
  void* out;
  const float* in;
  int64_t stride;
  int32_t rows, width;         // of out
  int32_t column, from_width;  // where in begins, and its own width
  float scale;
  int32_t first_block;
};
struct Parts {
  Part part[kMostParts];
  int32_t count = 0, blocks = 0;
};

template <class T, int kCount>
__global__ void __launch_bounds__(kThreads) weave_kernel(Parts parts) {
  const int block = static_cast<int>(blockIdx.x);
  const Part& p =
      parts.part[last_part(parts.count, block, [&](int i) { return parts.part[i].first_block; })];
  const int units = p.width / kCount;
  const int64_t unit = static_cast<int64_t>(block - p.first_block) * kThreads + threadIdx.x;
  const int64_t row = unit / units;
  const int column = static_cast<int>(unit % units) * kCount;
  if (row >= p.rows) return;
  Floats<kCount> x{};
  const int from = column - p.column;
  if (from >= 0 && from < p.from_width) {
    x = read<kCount>(p.in + row * p.from_width + from);
#pragma unroll
    for (int i = 0; i < kCount; ++i) x.v[i] *= p.scale;
  }
  write(static_cast<T*>(p.out) + row * p.stride + column, x);
}

// Whether all that a part's rows begin at and are long is a multiple of so many elements.
bool wide(const WeavePart& p, int elements) {
  const int64_t from = p.in ? p.in.dim(1) : 0;
  return wide_rows(p.out, p.out.dim(1), elements) && p.column % elements == 0 &&
         from % elements == 0 && (!p.in || wide_rows(p.in, from, elements));
}

template <class T, int kCount>
void launch_parts(std::span<const WeavePart> parts, Stream stream) {
  Parts table;
  const auto flush = [&] {
    if (table.blocks > 0)
      launch(weave_kernel<T, kCount>,
             {.grid = dim3(static_cast<unsigned>(table.blocks)),
              .block = dim3(kThreads),
              .stream = queue(stream).stream,
              .name = "weave"},
             table);
    table = {};
  };
  for (const WeavePart& p : parts) {
    const int64_t rows = p.out.dim(0), width = p.out.dim(1), from = p.in ? p.in.dim(1) : 0;
    if (rows == 0 || width == 0) continue;
    CHECK(rows <= INT32_MAX && width <= INT32_MAX);
    const unsigned blocks = blocks_for(rows * (width / kCount), kThreads);
    if (table.count == kMostParts || table.blocks > INT32_MAX - static_cast<int64_t>(blocks))
      flush();
    table.part[table.count++] = {.out = p.out.data,
                                 .in = from > 0 ? device_pointer<float>(p.in) : nullptr,
                                 .stride = p.out.row_stride,
                                 .rows = static_cast<int32_t>(rows),
                                 .width = static_cast<int32_t>(width),
                                 .column = static_cast<int32_t>(p.column),
                                 .from_width = static_cast<int32_t>(from),
                                 .scale = p.scale,
                                 .first_block = table.blocks};
    table.blocks += static_cast<int32_t>(blocks);
  }
  flush();
}

}  // namespace

void weave(const Weave& op, Stream stream) {
  with_float_type(op.parts.front().out.dtype, [&](auto type) {
    using T = decltype(type);
    const bool all = std::all_of(op.parts.begin(), op.parts.end(),
                                 [](const WeavePart& p) { return wide(p, kEach); });
    with_width<float>(
        all, [&](auto count) { launch_parts<T, decltype(count)::value>(op.parts, stream); });
  });
}

}  // namespace nibble::cuda
