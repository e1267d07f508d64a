// SPDX-License-Identifier: Apache-2.0
// A block a row: the maximum and the sum of exponentials in one sweep (rescaled as the maximum
// grows), the gradient in a second, which finds the row in the caches.
#include "kernels/cross_entropy.h"

#include <cmath>

#include "kernels/cuda/sums.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 512;

template <class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_kernel(float* losses, T* dlogits, const T* logits, const int32_t* targets,
                         int64_t v, float grad_scale) {
  __shared__ float most[kWarp], sums[kWarp];
  __shared__ float target_logit;
  const int64_t row = blockIdx.x;
  const T* x = logits + row * v;
  const int64_t first = threadIdx.x * kCount, step = kThreads * kCount;
  const int64_t target = targets[row];
  float top = -INFINITY, sum = 0.0f;
  for (int64_t i = first; i < v; i += step) {
    const Floats<kCount> logit = read<kCount>(x + i);
    float here = logit.v[0];
#pragma unroll
    for (int k = 1; k < kCount; ++k) here = fmaxf(here, logit.v[k]);
    if (here > top) {
      sum *= expf(top - here);
      top = here;
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) sum += expf(logit.v[k] - top);
    if (target >= i && target < i + kCount) target_logit = logit.v[target - i];
  }
  const float row_top = block_max(top, most);
  // A thread without columns has nothing to rescale.
  const float row_sum = block_sum(first < v ? sum * expf(top - row_top) : 0.0f, sums);
  if (threadIdx.x == 0) {
    // block_sum's barrier made target_logit visible.
    losses[row] = logf(row_sum) + (row_top - target_logit);
  }
  if (!dlogits) return;
  const float scale = grad_scale / row_sum;
  T* gradient = dlogits + row * v;
  for (int64_t i = first; i < v; i += step) {
    Floats<kCount> d = read<kCount>(x + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      d.v[k] = expf(d.v[k] - row_top) * scale;
      if (i + k == target) d.v[k] -= grad_scale;
    }
    write(gradient + i, d);
  }
}

}  // namespace

void cross_entropy(const CrossEntropy& op, Stream stream) {
  const int64_t m = op.logits.dim(0), v = op.logits.dim(1);
  if (m == 0) return;
  with_float_type(op.logits.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide = wide_rows(op.logits, v, kWide<T>) && wide_rows(op.dlogits, v, kWide<T>);
    with_width<T>(wide, [&](auto count) {
      launch(cross_entropy_kernel<T, decltype(count)::value>,
             {.grid = dim3(blocks_for(m, 1)),
              .block = dim3(kThreads),
              .stream = queue(stream).stream,
              .name = "cross_entropy"},
             device_pointer<float>(op.losses), device_pointer<T>(op.dlogits),
             device_pointer<T>(op.logits), device_pointer<int32_t>(op.targets), v, op.grad_scale);
    });
  });
}

void sum(const Sum& op, Stream stream) {
  *op.out = total(op.in, SumOf::kValues, stream, "sum");
}

}  // namespace nibble::cuda
