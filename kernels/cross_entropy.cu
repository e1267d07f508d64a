// SPDX-License-Identifier: Apache-2.0
// A block a row: the maximum and the sum of exponentials in one sweep (rescaled as the maximum
// grows), the gradient in a second. In between the row stays where it was read to, in registers and
// shared memory as far as these go; the rest is read again.
#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/sums.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 1024;
// Accesses of a thread that stay in registers; single elements take as many for fewer bytes.
template <int kCount>
constexpr int kHeldOf = kCount == 1 ? 2 : 4;
constexpr size_t kStepBytes = size_t{16} * kThreads;
constexpr size_t kStaticShared = 1024;  // no less than the kernel has beside

// The accesses of a row: number k is thread + k * kThreads, and the first `kept` after those in
// registers stay in shared memory.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_kernel(float* losses, T* dlogits, const T* logits, const int32_t* targets,
                         int64_t v, int kept, float grad_scale, const float* scale_by) {
  using Access = Packed<T, kCount>;
  constexpr int kHeld = kHeldOf<kCount>;
  NIBBLE_DYNAMIC_SHARED(T, shared);
  __shared__ float most[kWarp], sums[kWarp];
  __shared__ float target_logit;
  const int64_t row = blockIdx.x;
  const T* x = logits + row * v;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t target = targets[row];
  T* const gradient = dlogits + row * v;
  if (target == kNoTarget) {
    if (thread == 0) losses[row] = 0.0f;
    for (int64_t i = int64_t{thread} * kCount; dlogits && i < v; i += kThreads * kCount)
      write(gradient + i, Floats<kCount>{});
    return;
  }
  const auto column = [&](int k) { return (static_cast<int64_t>(k) * kThreads + thread) * kCount; };
  const auto place = [&](int k) { return shared + ((k - kHeld) * kThreads + thread) * kCount; };
  float top = -INFINITY, sum = 0.0f;
  const auto add = [&](int64_t i, const Access& access) {
    const Floats<kCount> logit = floats(access);
    float here = logit.v[0];
#pragma unroll
    for (int k = 1; k < kCount; ++k) here = fmaxf(here, logit.v[k]);
    if (here > top) {
      sum *= expf(top - here);
      top = here;
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      sum += expf(logit.v[k] - top);
      if (i + k == target) target_logit = logit.v[k];
    }
  };
  Access held[kHeld];
#pragma unroll
  for (int k = 0; k < kHeld; ++k)
    if (column(k) < v) held[k] = read_packed<kCount>(x + column(k));
#pragma unroll
  for (int k = 0; k < kHeld; ++k)
    if (column(k) < v) add(column(k), held[k]);
  for (int k = kHeld; column(k) < v; ++k) {
    const Access access = read_packed<kCount>(x + column(k));
    if (k - kHeld < kept) write_packed<Space::kShared>(place(k), access);
    add(column(k), access);
  }
  const float row_top = block_max(top, most);
  // A thread without columns has nothing to rescale.
  const float row_sum = block_sum(column(0) < v ? sum * expf(top - row_top) : 0.0f, sums);
  if (thread == 0) {
    // block_sum's barrier made target_logit visible.
    losses[row] = logf(row_sum) + (row_top - target_logit);
  }
  if (!dlogits) return;
  if (scale_by) grad_scale *= *scale_by;
  const float scale = grad_scale / row_sum;
  const auto differentiate = [&](int64_t i, const Access& access) {
    Floats<kCount> d = floats(access);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      d.v[k] = expf(d.v[k] - row_top) * scale;
      if (i + k == target) d.v[k] -= grad_scale;
    }
    write(gradient + i, d);
  };
#pragma unroll
  for (int k = 0; k < kHeld; ++k)
    if (column(k) < v) differentiate(column(k), held[k]);
  for (int k = kHeld; column(k) < v; ++k)
    differentiate(column(k), read_packed<kCount>(k - kHeld < kept ? place(k) : x + column(k)));
}

}  // namespace

void cross_entropy(const CrossEntropy& op, Stream stream) {
  const int64_t m = op.logits.dim(0), v = op.logits.dim(1);
  if (m == 0) return;
  with_float_type(op.logits.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide = wide_rows(op.logits, v, kWide<T>) && wide_rows(op.dlogits, v, kWide<T>);
    with_width<T>(wide, [&](auto count) {
      constexpr int kCount = decltype(count)::value;
      const Queue& q = queue(stream);
      const int64_t steps = (v + kThreads * kCount - 1) / (kThreads * kCount) - kHeldOf<kCount>;
      const auto fit = static_cast<int64_t>((q.most_shared - kStaticShared) / kStepBytes);
      const int64_t kept = wide && op.dlogits ? std::clamp<int64_t>(steps, 0, fit) : 0;
      launch(cross_entropy_kernel<T, kCount>,
             {.grid = dim3(blocks_for(m, 1)),
              .block = dim3(kThreads),
              .shared_bytes = static_cast<size_t>(kept) * kStepBytes,
              .stream = q.stream,
              .name = "cross_entropy"},
             device_pointer<float>(op.losses), device_pointer<T>(op.dlogits),
             device_pointer<T>(op.logits), device_pointer<int32_t>(op.targets), v,
             static_cast<int>(kept), op.grad_scale, device_pointer<float>(op.scale));
    });
  });
}

void add_sum(const AddSum& op, Stream stream) {
  add_total(op.in, device_pointer<double>(op.out), stream, "add_sum");
}

}  // namespace nibble::cuda
