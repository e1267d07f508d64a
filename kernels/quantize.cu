// SPDX-License-Identifier: Apache-2.0
// A warp a block of weights (or a row, for int8); the same operations in the same order as on the
// CPU, so that codes and scales are equal.
#include "kernels/quantize.h"

#include <cuda_fp16.h>

#include "kernels/cuda/dynamic8bit.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 8;

__device__ __forceinline__ uint32_t magnitude_bits(float x) {
  return detail::recast<uint32_t>(x) & 0x7fffffffu;
}
// Compared as integers: a NaN is greater than anything.
__device__ __forceinline__ uint32_t warp_max_bits(uint32_t x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x = max(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

__device__ __forceinline__ int code_at(float v, const CodeRanks& ranks,
                                       const uint8_t* code_of_rank) {
  int rank = 0;
#pragma unroll
  for (int i = 0; i < 15; ++i) rank += ranks.midpoint[i] < v ? 1 : 0;
  return code_of_rank[rank];
}

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    quantize_4bit_kernel(uint8_t* codes, float* absmax, const T* weight, CodeRanks ranks,
                         int64_t elements, int64_t block) {
  __shared__ uint8_t code_of_rank[16];
  if (threadIdx.x == 0)
#pragma unroll
    for (int i = 0; i < 16; ++i) code_of_rank[i] = ranks.code[i];
  __syncthreads();
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int64_t begin = b * block;
  if (begin >= elements) return;
  const int64_t count = min(elements - begin, block);
  const int lane = threadIdx.x % kWarp;
  uint32_t most = 0;
  for (int64_t i = lane; i < count; i += kWarp)
    most = max(most, magnitude_bits(to_f32(weight[begin + i])));
  const float greatest = detail::recast<float>(warp_max_bits(most));
  const bool whole = count == block;
  const float floored = greatest < kLeastAbsmax ? kLeastAbsmax : greatest;
  const float inverse = 1.0f / floored;
  if (lane == 0) absmax[b] = whole ? greatest : floored;
  for (int64_t i = 2 * lane; i < count; i += 2 * kWarp) {
    int byte = 0;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const float x = i + k < count ? to_f32(weight[begin + i + k]) : 0.0f;
      byte = byte << 4 | code_at(whole ? product(x, inverse) : x / floored, ranks, code_of_rank);
    }
    codes[(begin + i) / 2] = static_cast<uint8_t>(byte);
  }
}

__global__ void __launch_bounds__(kWarps* kWarp)
    quantize_dynamic8bit_kernel(uint8_t* codes, float* absmax, const float* values, CodeMap map,
                                int64_t elements) {
  __shared__ float values_of_codes[kCodes];
  for (int i = static_cast<int>(threadIdx.x); i < kCodes; i += kWarps * kWarp)
    values_of_codes[i] = map.value[i];
  __syncthreads();
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  constexpr int kEach = kCodes / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int64_t first = b * kCodes;
  if (first >= elements) return;
  const auto count = static_cast<int>(min(elements - first, int64_t{kCodes}));
  float x[kEach] = {};
#pragma unroll
  for (int i = 0; i < kEach; ++i)
    if (const int at = i * kWarp + lane; at < count) x[i] = values[first + at];
  const float most = store_codes(codes + first, x, count, values_of_codes);
  if (lane == 0) absmax[b] = most;
}

// x rounded to half precision.
__device__ __forceinline__ float as_half(float x) {
  return __half2float(__float2half_rn(x));
}

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    quantize_int8_kernel(int8_t* codes, float* row_scale, const T* weight, int64_t rows,
                         int64_t width) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (row >= rows) return;
  const T* x = weight + row * width;
  const int lane = threadIdx.x % kWarp;
  uint32_t most = 0;
  for (int64_t i = lane; i < width; i += kWarp)
    most = max(most, magnitude_bits(as_half(to_f32(x[i]))));
  const float absmax = detail::recast<float>(warp_max_bits(most));
  if (lane == 0) row_scale[row] = absmax;
  const float factor = absmax > 0.0f ? product(1.0f / absmax, 127.0f) : 0.0f;
  for (int64_t i = lane; i < width; i += kWarp) {
    const float code = rintf(product(as_half(to_f32(x[i])), factor));
    codes[row * width + i] = static_cast<int8_t>(fmaxf(-128.0f, fminf(127.0f, code)));
  }
}

Launch warps_for(int64_t things, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(things, kWarps)),
          .block = dim3(kWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name};
}

}  // namespace

void quantize_4bit(const Quantize4bit& op, Stream stream) {
  const int64_t elements = op.weight.elements();
  with_weight_type(op.weight.dtype, [&](auto type) {
    using T = decltype(type);
    launch(quantize_4bit_kernel<T>,
           warps_for((elements + op.block - 1) / op.block, stream, "quantize_4bit"),
           device_pointer<uint8_t>(op.codes), device_pointer<float>(op.absmax),
           device_pointer<T>(op.weight), code_ranks(op.type), elements, op.block);
  });
}

void quantize_dynamic8bit(const QuantizeDynamic8bit& op, Stream stream) {
  const int64_t elements = op.values.dim(0);
  launch(quantize_dynamic8bit_kernel,
         warps_for((elements + kCodes - 1) / kCodes, stream, "quantize_dynamic8bit"),
         device_pointer<uint8_t>(op.codes), device_pointer<float>(op.absmax),
         device_pointer<float>(op.values), code_map(DynamicMap::kSigned), elements);
}

void quantize_int8(const QuantizeInt8& op, Stream stream) {
  const int64_t rows = op.weight.dim(0), width = op.weight.dim(1);
  with_weight_type(op.weight.dtype, [&](auto type) {
    using T = decltype(type);
    launch(quantize_int8_kernel<T>, warps_for(rows, stream, "quantize_int8"),
           device_pointer<int8_t>(op.codes), device_pointer<float>(op.row_scale),
           device_pointer<T>(op.weight), rows, width);
  });
}

}  // namespace nibble::cuda
