// SPDX-License-Identifier: Apache-2.0
// What the kernels share: element types seen from the device, reading and writing several elements
// as one access of 16 bytes where addresses allow, and sums over a warp and a block in a fixed
// order.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "kernels/cuda/queue.h"
#include "tensor/tensor.h"

namespace nibble::cuda {

/// IEEE half precision, of weights as files store them.
struct Half {
  uint16_t bits;
};

__device__ __forceinline__ float to_f32(float x) {
  return x;
}
__device__ __forceinline__ float to_f32(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ __forceinline__ float to_f32(Half x) {
  const uint32_t magnitude = (x.bits & 0x7fffu) << 13, sign = (x.bits & 0x8000u) << 16;
  // Exponents are rebiased by a product, which makes subnormal numbers right too.
  const float value = detail::recast<float>(magnitude) * 0x1p112f;
  const bool special = (x.bits & 0x7c00u) == 0x7c00u;
  const uint32_t bits = special ? magnitude | 0x7f800000u : detail::recast<uint32_t>(value);
  return detail::recast<float>(bits | sign);
}

template <class T>
__device__ __forceinline__ T from_f32(float x);
template <>
__device__ __forceinline__ float from_f32<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_f32<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

/// A product rounded by itself, never fused into a sum: where bits must be those of another
/// program.
__device__ __forceinline__ float product(float a, float b) {
#ifdef NIBBLE_EMULATE
  return a * b;
#else
  return __fmul_rn(a, b);
#endif
}
__device__ __forceinline__ double product(double a, double b) {
#ifdef NIBBLE_EMULATE
  return a * b;
#else
  return __dmul_rn(a, b);
#endif
}

/// kCount neighbouring elements as floats.
template <int kCount>
struct Floats {
  float v[kCount];
};

template <int kCount>
__device__ __forceinline__ Floats<kCount / 2> low_half(const Floats<kCount>& x) {
  Floats<kCount / 2> half;
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) half.v[i] = x.v[i];
  return half;
}
template <int kCount>
__device__ __forceinline__ Floats<kCount / 2> high_half(const Floats<kCount>& x) {
  Floats<kCount / 2> half;
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) half.v[i] = x.v[kCount / 2 + i];
  return half;
}
template <int kCount>
__device__ __forceinline__ Floats<2 * kCount> joined(const Floats<kCount>& low,
                                                     const Floats<kCount>& high) {
  Floats<2 * kCount> x;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    x.v[i] = low.v[i];
    x.v[kCount + i] = high.v[i];
  }
  return x;
}

/// kCount neighbouring elements as they are stored; 4, 8 and 16 bytes are one access, 32 are two.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount <= 16 ? sizeof(T) * kCount : 16) Packed {
  T element[kCount];
};

template <int kCount, class T>
__device__ __forceinline__ Packed<T, kCount> read_packed(const T* p) {
  if constexpr (kCount > 1 && kCount * sizeof(T) >= 4 && kCount * sizeof(T) <= 16) {
    return load(reinterpret_cast<const Packed<T, kCount>*>(p));
  } else if constexpr (kCount * sizeof(T) == 32) {
    struct Halves {
      Packed<T, kCount / 2> low, high;
    };
    return detail::recast<Packed<T, kCount>>(
        Halves{read_packed<kCount / 2>(p), read_packed<kCount / 2>(p + kCount / 2)});
  } else {
    static_assert(kCount == 1);
    return {{*p}};
  }
}

template <class T, int kCount>
__device__ __forceinline__ Floats<kCount> floats(const Packed<T, kCount>& packed) {
  Floats<kCount> out;
#pragma unroll
  for (int i = 0; i < kCount; ++i) out.v[i] = to_f32(packed.element[i]);
  return out;
}

template <int kCount, class T>
__device__ __forceinline__ Floats<kCount> read(const T* p) {
  return floats(read_packed<kCount>(p));
}

enum class Space : bool { kGlobal, kShared };

template <Space kSpace = Space::kGlobal, class T, int kCount>
__device__ __forceinline__ void write_packed(T* p, const Packed<T, kCount>& x) {
  if constexpr (kCount > 1 && kCount * sizeof(T) <= 16) {
    if constexpr (kSpace == Space::kShared)
      store_shared(reinterpret_cast<Packed<T, kCount>*>(p), x);
    else
      store(reinterpret_cast<Packed<T, kCount>*>(p), x);
  } else {
    static_assert(kCount == 1);
    *p = x.element[0];
  }
}

template <Space kSpace = Space::kGlobal, int kCount, class T>
__device__ __forceinline__ void write(T* p, const Floats<kCount>& x) {
  if constexpr (kCount * sizeof(T) == 32) {
    write<kSpace>(p, low_half(x));
    write<kSpace>(p + kCount / 2, high_half(x));
  } else {
    Packed<T, kCount> packed;
#pragma unroll
    for (int i = 0; i < kCount; ++i) packed.element[i] = from_f32<T>(x.v[i]);
    write_packed<kSpace>(p, packed);
  }
}

/// In shared memory, a row of `width` elements whose accesses of 32 bytes are kept as halves half a
/// row apart, so that neighbouring lanes meet different banks.
template <int kCount, class T>
__device__ __forceinline__ void write_apart(T* row, int64_t width, int64_t i,
                                            const Floats<kCount>& x) {
  if constexpr (kCount * sizeof(T) == 32) {
    write<Space::kShared>(row + i / 2, low_half(x));
    write<Space::kShared>(row + width / 2 + i / 2, high_half(x));
  } else {
    write<Space::kShared>(row + i, x);
  }
}
template <int kCount, class T>
__device__ __forceinline__ Floats<kCount> read_apart(const T* row, int64_t width, int64_t i) {
  if constexpr (kCount * sizeof(T) == 32)
    return joined(read<kCount / 2>(row + i / 2), read<kCount / 2>(row + width / 2 + i / 2));
  else
    return read<kCount>(row + i);
}

/// Elements of one access of 16 bytes.
template <class T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

/// Sum over each kLanes (a power of two) neighbouring lanes of a warp, given to all of them.
template <int kLanes>
__device__ __forceinline__ float lanes_sum(float x) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}
__device__ __forceinline__ float warp_sum(float x) {
  return lanes_sum<kWarp>(x);
}
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

/// Sum over a block of whole warps, given to every thread. `room` holds a float a warp; it may be
/// used again after the next barrier.
__device__ __forceinline__ float block_sum(float x, float* room) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  x = warp_sum(x);
  if (warps == 1) return x;
  if (lane == 0) room[threadIdx.x / kWarp] = x;
  __syncthreads();
  return warp_sum(lane < warps ? room[lane] : 0.0f);
}
__device__ __forceinline__ float block_max(float x, float* room) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  x = warp_max(x);
  if (warps == 1) return x;
  if (lane == 0) room[threadIdx.x / kWarp] = x;
  __syncthreads();
  return warp_max(lane < warps ? room[lane] : x);
}

/// Threads of the kernels that go over rows in parts: `parts` blocks make a row, each thread takes
/// kCount neighbouring columns.
inline constexpr int kRowThreads = 256;
struct RowPart {
  int64_t row, column;
};
template <int kCount>
__device__ __forceinline__ RowPart row_part(int parts) {
  const int part = static_cast<int>(blockIdx.x) % parts;
  return {static_cast<int64_t>(blockIdx.x) / parts,
          static_cast<int64_t>(part * kRowThreads + static_cast<int>(threadIdx.x)) * kCount};
}

/// The last of `count` parts, one or more, that begins at or before `at`; first_of(i) is where part
/// i begins, and the first begins at or before it.
template <class FirstOf>
__device__ __forceinline__ int last_part(int count, int at, const FirstOf& first_of) {
  int low = 0, high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (first_of(middle) <= at)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/// What a kernel sees of a tensor's memory.
template <class T>
T* device_pointer(const Tensor& t) {
  return static_cast<T*>(t.data);
}

/// body(T()) with the device's type for an f32 or bf16 tensor, or with any float type.
template <class Body>
void with_float_type(Dtype dtype, const Body& body) {
  if (dtype == Dtype::kF32)
    body(float{});
  else
    body(__nv_bfloat16{});
}
template <class Body>
void with_weight_type(Dtype dtype, const Body& body) {
  if (dtype == Dtype::kF16)
    body(Half{});
  else
    with_float_type(dtype, body);
}

/// Whether rows of `width` elements can be read 16 bytes at a time: every row starts aligned. An
/// absent tensor does not stand in the way.
inline bool wide_rows(const Tensor& t, int64_t width, int elements) {
  if (!t) return true;
  const auto address = reinterpret_cast<uintptr_t>(t.data);
  const auto stride = t.rank < 2 ? 0 : t.row_stride;
  return address % 16 == 0 && width % elements == 0 && stride % elements == 0;
}

/// body(std::integral_constant<int, elements an access>).
template <class T, class Body>
void with_width(bool wide, const Body& body) {
  if (wide)
    body(std::integral_constant<int, kWide<T>>());
  else
    body(std::integral_constant<int, 1>());
}

/// Blocks for `count` things, `each` a block.
inline unsigned blocks_for(int64_t count, int64_t each) {
  const int64_t blocks = (count + each - 1) / each;
  CHECK(blocks >= 0 && blocks <= INT32_MAX);
  return static_cast<unsigned>(blocks);
}

/// A launch over `rows` rows in parts of kRowThreads * kCount columns.
struct RowGrid {
  int parts;
  Launch launch;
};
template <int kCount>
RowGrid row_grid(int64_t rows, int64_t width, Stream stream, const char* name) {
  const unsigned parts = blocks_for(width, kRowThreads * kCount);
  return {static_cast<int>(parts),
          {.grid = dim3(blocks_for(rows * parts, 1)),
           .block = dim3(kRowThreads),
           .stream = queue(stream).stream,
           .name = name}};
}

}  // namespace nibble::cuda
