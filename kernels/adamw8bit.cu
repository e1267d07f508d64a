// SPDX-License-Identifier: Apache-2.0
// A warp a block of 256: a lane takes every 32nd element.
#include <cmath>

#include "kernels/cuda/dynamic8bit.h"
#include "kernels/cuda/segments.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"
#include "kernels/segment_blocks.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kEach = static_cast<int>(kStateBlock) / kWarp;

struct Factors {
  float b1, b2, c1, c2;
  GradientScale scale;
  float root_correction, epsilon, rate;  // segments with 8-bit state
  float small_epsilon, small_rate;       // segments with fp32 state
  double learning_rate;
};

struct State {
  float* values;
  const float* gradients;
  uint8_t *m_codes, *v_codes;
  float *m_absmax, *v_absmax, *m_small, *v_small;
};

__global__ void __launch_bounds__(kWarps* kWarp, 4)
    adamw8bit_kernel(State s, Segments segments, Factors f, CodeMap signed_map,
                     CodeMap unsigned_map) {
  __shared__ float m_map[kCodes], v_map[kCodes];
  for (int i = static_cast<int>(threadIdx.x); i < kCodes; i += kWarps * kWarp) {
    m_map[i] = signed_map.value[i];
    v_map[i] = unsigned_map.value[i];
  }
  __syncthreads();
  const int32_t number = static_cast<int32_t>(blockIdx.x * kWarps + threadIdx.x / kWarp);
  const float scale = f.scale.get();
  if (number >= segments.chunks || !isfinite(scale)) return;
  const Chunk chunk = find_chunk(segments, number, kStateBlock);
  const Segment& segment = segments.segment[chunk.index];
  const bool small = segment.count < kSmallSegment;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, count = static_cast<int>(chunk.count);
  const int64_t at = segment.begin + chunk.offset;
  const int64_t block = segment.state + chunk.offset / kStateBlock;  // 8-bit state
  const int64_t small_at = segment.state + chunk.offset;             // fp32 state
  // Read by the lane that writes them back.
  const bool holds = lane == 0 && !small;
  const float m_absmax = __shfl_sync(kAllLanes, holds ? s.m_absmax[block] : 0.0f, 0);
  const float v_absmax = __shfl_sync(kAllLanes, holds ? s.v_absmax[block] : 0.0f, 0);
  const auto keep =
      static_cast<float>(1.0 - product(f.learning_rate, double{segment.weight_decay}));
  const bool decays = segment.weight_decay > 0.0f;
  float p[kEach], g[kEach], m[kEach] = {}, v[kEach] = {};
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int k = i * kWarp + lane;
    if (k >= count) continue;
    p[i] = s.values[at + k];
    g[i] = product(s.gradients[at + k], scale);
    m[i] = small ? s.m_small[small_at + k] : product(m_map[s.m_codes[at + k]], m_absmax);
    v[i] = small ? s.v_small[small_at + k] : product(v_map[s.v_codes[at + k]], v_absmax);
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int k = i * kWarp + lane;
    if (k >= count) continue;
    m[i] = fmaf(f.c1, g[i], product(m[i], f.b1));
    v[i] = fmaf(product(f.c2, g[i]), g[i], product(v[i], f.b2));
    if (decays) p[i] = product(p[i], keep);
    if (small)
      p[i] = fmaf(f.small_rate, m[i] / (sqrtf(v[i]) + f.small_epsilon), p[i]);
    else
      p[i] += product(f.rate, m[i]) / (sqrtf(v[i]) / f.root_correction + f.epsilon);
    s.values[at + k] = p[i];
    if (!small) continue;
    s.m_small[small_at + k] = m[i];
    s.v_small[small_at + k] = v[i];
  }
  if (small) return;
  const float m_new = store_codes(s.m_codes + at, m, count, m_map);
  const float v_new = store_codes(s.v_codes + at, v, count, v_map);
  if (lane == 0) {
    s.m_absmax[block] = m_new;
    s.v_absmax[block] = v_new;
  }
}

}  // namespace

void adamw8bit(const AdamW8bit& op, Stream stream) {
  const auto t = static_cast<double>(op.step);
  const double correction1 = 1.0 - std::pow(op.beta1, t);
  const double correction2 = std::sqrt(1.0 - std::pow(op.beta2, t));
  const Factors factors = {
      .b1 = static_cast<float>(op.beta1),
      .b2 = static_cast<float>(op.beta2),
      .c1 = static_cast<float>(1.0 - op.beta1),
      .c2 = static_cast<float>(1.0 - op.beta2),
      .scale = gradient_scale(op.gradient_scale, op.clip),
      .root_correction = static_cast<float>(correction2),
      .epsilon = static_cast<float>(op.epsilon),
      .rate = static_cast<float>(-op.learning_rate / correction1),
      .small_epsilon = static_cast<float>(op.epsilon * correction2),
      .small_rate = static_cast<float>(-op.learning_rate * correction2 / correction1),
      .learning_rate = op.learning_rate};
  const State state = {device_pointer<float>(op.values),    device_pointer<float>(op.gradients),
                       device_pointer<uint8_t>(op.m_codes), device_pointer<uint8_t>(op.v_codes),
                       device_pointer<float>(op.m_absmax),  device_pointer<float>(op.v_absmax),
                       device_pointer<float>(op.m_small),   device_pointer<float>(op.v_small)};
  int64_t blocks = 0, small = 0;
  const auto place = [&](const ParameterRange& r) {
    const bool is_small = r.count < kSmallSegment;
    const int64_t at = is_small ? small : blocks;
    if (is_small)
      small += r.count;
    else
      blocks += (r.count + kStateBlock - 1) / kStateBlock;
    return at;
  };
  // Blocks start anew at every segment, and small ones have another state.
  const auto joins = [](int64_t before, int64_t count) {
    return before % kStateBlock == 0 && before >= kSmallSegment && count >= kSmallSegment;
  };
  for_segments(op.segments, kStateBlock, place, joins, [&](const Segments& segments) {
    launch(adamw8bit_kernel,
           {.grid = dim3(blocks_for(segments.chunks, kWarps)),
            .block = dim3(kWarps * kWarp),
            .stream = queue(stream).stream,
            .name = "adamw8bit"},
           state, segments, factors, code_map(DynamicMap::kSigned),
           code_map(DynamicMap::kUnsigned));
  });
}

}  // namespace nibble::cuda
