// SPDX-License-Identifier: Apache-2.0
// Operation by operation what the CPU computes, so that both give the same numbers.
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/cuda/segments.h"
#include "kernels/cuda/sums.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 4 * kThreads;

struct AdamWFactors {
  float b1, b2, c1, c2, root_correction, epsilon, rate;
  GradientScale scale;
  double learning_rate;
};

__global__ void __launch_bounds__(kThreads)
    adamw_kernel(float* values, const float* gradients, float* m, float* v, Segments segments,
                 AdamWFactors f) {
  const Chunk chunk = find_chunk(segments, static_cast<int32_t>(blockIdx.x), kChunk);
  const Segment& segment = segments.segment[chunk.index];
  const float scale = f.scale.get();
  if (!isfinite(scale)) return;
  const auto keep =
      static_cast<float>(1.0 - product(f.learning_rate, double{segment.weight_decay}));
  const int64_t first = segment.begin + chunk.offset;
  for (int64_t i = first + threadIdx.x; i < first + chunk.count; i += kThreads) {
    const float g = product(gradients[i], scale);
    const float m_new = fmaf(f.c1, g, product(f.b1, m[i]));
    const float v_new = fmaf(product(f.c2, g), g, product(f.b2, v[i]));
    const float root = sqrtf(v_new) / f.root_correction;
    const float change = product(f.rate, m_new) / (root + f.epsilon);
    m[i] = m_new;
    v[i] = v_new;
    values[i] = product(values[i], keep) + change;
  }
}

__global__ void __launch_bounds__(kThreads)
    sgd_kernel(float* values, const float* gradients, float* momentum, Segments segments,
               float rate, float beta, GradientScale gradient_scale, bool first_step) {
  const Chunk chunk = find_chunk(segments, static_cast<int32_t>(blockIdx.x), kChunk);
  const Segment& segment = segments.segment[chunk.index];
  const float scale = gradient_scale.get();
  if (!isfinite(scale)) return;
  const int64_t first = segment.begin + chunk.offset;
  for (int64_t i = first + threadIdx.x; i < first + chunk.count; i += kThreads) {
    const float p = values[i];
    float change = fmaf(segment.weight_decay, p, product(gradients[i], scale));
    if (momentum) {
      if (!first_step) change = fmaf(beta, momentum[i], change);
      momentum[i] = change;
    }
    values[i] = fmaf(rate, change, p);
  }
}

__global__ void __launch_bounds__(kWarp)
    clip_kernel(float* norm, float* clip, const double* squares, double limit) {
  if (threadIdx.x != 0) return;
  const double root = sqrt(*squares);
  if (norm) *norm = static_cast<float>(root);
  if (!clip) return;
  double factor = 1.0;  // clip_factor
  if (!isfinite(root))
    factor = NAN;
  else if (limit > 0.0 && limit < root + 1e-6)
    factor = limit / (root + 1e-6);
  *clip = static_cast<float>(factor);
}

int64_t stateless(const ParameterRange&) {
  return 0;
}
bool always(int64_t, int64_t) {
  return true;
}

}  // namespace

void adamw(const AdamW& op, Stream stream) {
  const auto t = static_cast<double>(op.step);
  const double correction1 = 1.0 - std::pow(op.beta1, t);
  const AdamWFactors factors = {
      .b1 = static_cast<float>(op.beta1),
      .b2 = static_cast<float>(op.beta2),
      .c1 = static_cast<float>(1.0 - op.beta1),
      .c2 = static_cast<float>(1.0 - op.beta2),
      .root_correction = static_cast<float>(std::sqrt(1.0 - std::pow(op.beta2, t))),
      .epsilon = static_cast<float>(op.epsilon),
      .rate = static_cast<float>(-op.learning_rate / correction1),
      .scale = gradient_scale(op.gradient_scale, op.clip),
      .learning_rate = op.learning_rate};
  for_segments(op.segments, kChunk, stateless, always, [&](const Segments& segments) {
    launch(adamw_kernel,
           {.grid = dim3(static_cast<unsigned>(segments.chunks)),
            .block = dim3(kThreads),
            .stream = queue(stream).stream,
            .name = "adamw"},
           device_pointer<float>(op.values), device_pointer<float>(op.gradients),
           device_pointer<float>(op.m), device_pointer<float>(op.v), segments, factors);
  });
}

void sgd(const Sgd& op, Stream stream) {
  for_segments(op.segments, kChunk, stateless, always, [&](const Segments& segments) {
    launch(sgd_kernel,
           {.grid = dim3(static_cast<unsigned>(segments.chunks)),
            .block = dim3(kThreads),
            .stream = queue(stream).stream,
            .name = "sgd"},
           device_pointer<float>(op.values), device_pointer<float>(op.gradients),
           device_pointer<float>(op.momentum), segments, static_cast<float>(-op.learning_rate),
           static_cast<float>(op.beta), gradient_scale(op.gradient_scale, op.clip), op.step == 1);
  });
}

void l2_norm(const L2Norm& op, Stream stream) {
  const double* const squares = total_on_device(op.in, SumOf::kSquares, stream, "l2_norm");
  if (op.norm || op.clip)
    launch(
        clip_kernel,
        {.grid = dim3(1), .block = dim3(kWarp), .stream = queue(stream).stream, .name = "l2_norm"},
        device_pointer<float>(op.norm), device_pointer<float>(op.clip), squares, op.limit);
  if (op.out) *op.out = std::sqrt(read_total(squares, stream, "l2_norm"));
}

}  // namespace nibble::cuda
