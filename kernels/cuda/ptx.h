// SPDX-License-Identifier: Apache-2.0
// The one place where kernels meet PTX (sm_80 and up) and wide memory accesses: vector loads and
// stores, cp.async, ldmatrix, mma.sync, named barriers. Each has two halves: inline PTX under nvcc,
// and, where NIBBLE_EMULATE is defined, a call into tests/emulate, which checks and performs it.
// Accesses of 8 and 16 bytes go through load() and store(), never through a bare dereference: then
// they are one instruction on the device and one checked access in the emulator.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#ifdef NIBBLE_EMULATE
#include <emulate/device.h>

#include <bit>
#endif

namespace nibble::cuda {

namespace detail {
template <int kBytes>
struct Word;
template <>
struct Word<4> {
  using type = uint32_t;
};
template <>
struct Word<8> {
  using type = uint2;
};
template <>
struct Word<16> {
  using type = uint4;
};
template <class Vec>
using WordOf = typename Word<sizeof(Vec)>::type;

template <class To, class From>
__device__ __forceinline__ To recast(const From& from) {
  static_assert(sizeof(To) == sizeof(From) && std::is_trivially_copyable_v<To>);
#ifdef NIBBLE_EMULATE
  return std::bit_cast<To>(from);
#else
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
#endif
}

#ifndef NIBBLE_EMULATE
// Keeps the compiler from taking a wide access apart again, element by element.
__device__ __forceinline__ void keep_whole(uint32_t& w) {
  asm("" : "+r"(w));
}
__device__ __forceinline__ void keep_whole(uint2& w) {
  asm("" : "+r"(w.x), "+r"(w.y));
}
__device__ __forceinline__ void keep_whole(uint4& w) {
  asm("" : "+r"(w.x), "+r"(w.y), "+r"(w.z), "+r"(w.w));
}

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
#endif
}  // namespace detail

/// One access of 4, 8 or 16 bytes in global or shared memory; `p` is aligned to its size, here and
/// below.
template <class Vec>
__device__ __forceinline__ Vec load(const Vec* p) {
#ifdef NIBBLE_EMULATE
  return detail::recast<Vec>(emulate::load<sizeof(Vec)>(p));
#else
  auto word = *reinterpret_cast<const detail::WordOf<Vec>*>(p);
  detail::keep_whole(word);
  return detail::recast<Vec>(word);
#endif
}

/// In global memory. By PTX, since the compiler takes a store of a vector apart where it made its
/// elements one by one.
template <class Vec>
__device__ __forceinline__ void store(Vec* p, Vec value) {
#ifdef NIBBLE_EMULATE
  emulate::store<sizeof(Vec)>(p, detail::recast<emulate::Bits<sizeof(Vec)>>(value),
                              emulate::Space::kGlobal);
#else
  const auto word = detail::recast<detail::WordOf<Vec>>(value);
  const size_t to = __cvta_generic_to_global(p);
  if constexpr (sizeof(Vec) == 4)
    asm volatile("st.global.u32 [%0], %1;" ::"l"(to), "r"(word) : "memory");
  else if constexpr (sizeof(Vec) == 8)
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(to), "r"(word.x), "r"(word.y) : "memory");
  else
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(word.x), "r"(word.y),
                 "r"(word.z), "r"(word.w)
                 : "memory");
#endif
}

/// The same in shared memory.
template <class Vec>
__device__ __forceinline__ void store_shared(Vec* p, Vec value) {
#ifdef NIBBLE_EMULATE
  emulate::store<sizeof(Vec)>(p, detail::recast<emulate::Bits<sizeof(Vec)>>(value),
                              emulate::Space::kShared);
#else
  const auto word = detail::recast<detail::WordOf<Vec>>(value);
  const uint32_t to = detail::shared_address(p);
  if constexpr (sizeof(Vec) == 4)
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(word) : "memory");
  else if constexpr (sizeof(Vec) == 8)
    asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(to), "r"(word.x), "r"(word.y) : "memory");
  else
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(word.x), "r"(word.y),
                 "r"(word.z), "r"(word.w)
                 : "memory");
#endif
}

/// As load(), from global memory that no thread of the launch writes (ld.global.nc).
template <class Vec>
__device__ __forceinline__ Vec load_read_only(const Vec* p) {
#ifdef NIBBLE_EMULATE
  return detail::recast<Vec>(emulate::load<sizeof(Vec)>(p));
#else
  return detail::recast<Vec>(__ldg(reinterpret_cast<const detail::WordOf<Vec>*>(p)));
#endif
}

/// As load() and store() in global memory that is touched once, first to leave the caches (.cs).
template <class Vec>
__device__ __forceinline__ Vec load_streaming(const Vec* p) {
#ifdef NIBBLE_EMULATE
  return detail::recast<Vec>(emulate::load<sizeof(Vec)>(p));
#else
  return detail::recast<Vec>(__ldcs(reinterpret_cast<const detail::WordOf<Vec>*>(p)));
#endif
}

template <class Vec>
__device__ __forceinline__ void store_streaming(Vec* p, Vec value) {
#ifdef NIBBLE_EMULATE
  store(p, value);
#else
  __stcs(reinterpret_cast<detail::WordOf<Vec>*>(p), detail::recast<detail::WordOf<Vec>>(value));
#endif
}

/// Starts copying kBytes (4, 8 or 16; both ends aligned to them) from global to shared memory.
/// Where not `valid`, zeros arrive and `global` is not read. The bytes are there after
/// cp_async_wait and, for other threads, a barrier.
template <int kBytes>
__device__ __forceinline__ void cp_async(void* shared, const void* global, bool valid = true) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#ifdef NIBBLE_EMULATE
  emulate::cp_async(shared, global, kBytes, valid);
#else
  const int bytes = valid ? kBytes : 0;
  if constexpr (kBytes == 16) {
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(detail::shared_address(shared)),
        "l"(__cvta_generic_to_global(global)), "r"(bytes)
        : "memory");
  } else {
    asm volatile(
        "cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(detail::shared_address(shared)),
        "l"(__cvta_generic_to_global(global)), "n"(kBytes), "r"(bytes)
        : "memory");
  }
#endif
}

__device__ __forceinline__ void cp_async16(void* shared, const void* global, bool valid = true) {
  cp_async<16>(shared, global, valid);
}

/// Closes the group of the copies started since the last commit.
__device__ __forceinline__ void cp_async_commit() {
#ifdef NIBBLE_EMULATE
  emulate::cp_async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most kGroups of this thread's groups are still on their way.
template <int kGroups>
__device__ __forceinline__ void cp_async_wait() {
#ifdef NIBBLE_EMULATE
  emulate::cp_async_wait(kGroups);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#endif
}

/// Loads four (two) 8x8 matrices of 16-bit elements, the warp together: lane 8i+j gives the address
/// of row j of matrix i (16 bytes, aligned), and r[i] receives row lane/4, elements 2*(lane%4) and
/// the next of matrix i; transposed with _trans (PTX ISA, ldmatrix). Lanes 16 and up of the x2 form
/// give any aligned shared address.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row) {
#ifdef NIBBLE_EMULATE
  emulate::ldmatrix(r, shared_row, 4, false);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(detail::shared_address(shared_row))
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* shared_row) {
#ifdef NIBBLE_EMULATE
  emulate::ldmatrix(r, shared_row, 4, true);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(detail::shared_address(shared_row))
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void* shared_row) {
#ifdef NIBBLE_EMULATE
  emulate::ldmatrix(r, shared_row, 2, false);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(detail::shared_address(shared_row))
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], const void* shared_row) {
#ifdef NIBBLE_EMULATE
  emulate::ldmatrix(r, shared_row, 2, true);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(detail::shared_address(shared_row))
               : "memory");
#endif
}

/// d += a * b, the warp together: a 16x16 row-major, b 16x8 column-major, both bf16; d 16x8 in
/// float. With g = lane/4 and t = 2*(lane%4) a lane holds
///   a[0] (g, t..t+1)  a[1] (g+8, t..t+1)  a[2] (g, t+8..t+9)  a[3] (g+8, t+8..t+9)
///   b[0] (t..t+1, g)  b[1] (t+8..t+9, g)
///   d[0] (g, t)  d[1] (g, t+1)  d[2] (g+8, t)  d[3] (g+8, t+1)
/// as (row, column), the lower of two elements in the lower half (PTX ISA, mma.m16n8k16).
__device__ __forceinline__ void mma_16x8x16(float (&d)[4], const uint32_t (&a)[4],
                                            const uint32_t (&b)[2]) {
#ifdef NIBBLE_EMULATE
  emulate::mma_16x8x16(d, a, b);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/// A barrier of `threads` (a multiple of 32) threads of the block; `id` is 1 to 15 (0 is
/// __syncthreads). The other form arrives and does not wait.
__device__ __forceinline__ void named_barrier(int id, int threads) {
#ifdef NIBBLE_EMULATE
  emulate::named_barrier(id, threads, true);
#else
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}

__device__ __forceinline__ void named_barrier_arrive(int id, int threads) {
#ifdef NIBBLE_EMULATE
  emulate::named_barrier(id, threads, false);
#else
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}

/// 2^x to about 2 units in the last place (ex2.approx.ftz); 0 for -inf.
__device__ __forceinline__ float exp2_approx(float x) {
#ifdef NIBBLE_EMULATE
  return exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

/// Two floats rounded to bf16, nearest even, `low` in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#ifdef NIBBLE_EMULATE
  return emulate::bf16_bits(low) | static_cast<uint32_t>(emulate::bf16_bits(high)) << 16;
#else
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#endif
}

/// The halves of two packed bf16 as floats.
__device__ __forceinline__ float low_bf16(uint32_t packed) {
  return detail::recast<float>(packed << 16);
}
__device__ __forceinline__ float high_bf16(uint32_t packed) {
  return detail::recast<float>(packed & 0xffff0000u);
}

}  // namespace nibble::cuda

/// Declares `T* name`, the dynamic shared memory of the launch, 128-byte aligned.
#ifdef NIBBLE_EMULATE
#define NIBBLE_DYNAMIC_SHARED(T, name) \
  T* name = static_cast<T*>(::nibble::emulate::dynamic_shared())
#else
#define NIBBLE_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(128) unsigned char nibble_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(nibble_dynamic_shared)
#endif
