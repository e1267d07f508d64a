// SPDX-License-Identifier: Apache-2.0
// PTX of Hopper alone (sm_90a), beside ptx.h: products of a warpgroup (wgmma), whose operands lie
// in shared memory, and what orders them. Only files named *_hopper.cu may include it: they are
// compiled for sm_90a and nothing else. Each function has two halves, as in ptx.h.
//
// A warpgroup is four warps, the first of which has a number divisible by four. wgmma.mma_async
// starts a product of 64 rows; its operands in shared memory and in registers and its sums may not
// be touched before wgmma_wait has seen its group through (PTX ISA, 9.7.15, "Asynchronous warpgroup
// level matrix multiply-accumulate operations").
//
// Operands in shared memory are named by descriptors (9.7.15.5.1.2, "Shared memory matrix layout"
// and "Matrix descriptor format"). Here they have 128-byte swizzling: rows of 64 bf16, 128 bytes
// after one another, the first at a multiple of 1024; of row r, the 16 bytes c lie at c ^ r % 8.
// The sum runs either along these rows ("K-major") or down them ("MN-major"), so that one tile
// serves as it is and transposed.
#pragma once

#include "kernels/cuda/ptx.h"

namespace nibble::cuda {

inline constexpr int kWarpgroup = 128;  // threads

namespace detail {
// The numbers that wgmma gives to registers of sums: d[j][i] is row (lane / 4 + i / 2 * 8) of the
// warp's sixteen and column (8 * j + lane % 4 * 2 + i % 2), as of mma.m16n8k16 for each 8 columns.
#define NIBBLE_SUMS_32                                                               \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, " \
  "%18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NIBBLE_SUMS_64                                                                 \
  NIBBLE_SUMS_32                                                                       \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NIBBLE_SUM_8(access, d, j) \
  access(d[j][0]), access(d[j][1]), access(d[j][2]), access(d[j][3])
#define NIBBLE_SUM_32(access, d, j)                                                           \
  NIBBLE_SUM_8(access, d, j), NIBBLE_SUM_8(access, d, j + 1), NIBBLE_SUM_8(access, d, j + 2), \
      NIBBLE_SUM_8(access, d, j + 3)
#define NIBBLE_SUM_64(access, d, j) NIBBLE_SUM_32(access, d, j), NIBBLE_SUM_32(access, d, j + 4)
#define NIBBLE_SUM_128(access, d) NIBBLE_SUM_64(access, d, 0), NIBBLE_SUM_64(access, d, 8)

#ifndef NIBBLE_EMULATE
// What is in flight changes unseen by the compiler: it takes these registers for written here.
template <int kCount>
__device__ __forceinline__ void hold(float (&d)[kCount][4]) {
#pragma unroll
  for (int j = 0; j < kCount; ++j)
    asm volatile("" : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])::"memory");
}
template <int kCount>
__device__ __forceinline__ void hold(uint32_t (&a)[kCount][4]) {
#pragma unroll
  for (int j = 0; j < kCount; ++j)
    asm volatile("" : "+r"(a[j][0]), "+r"(a[j][1]), "+r"(a[j][2]), "+r"(a[j][3])::"memory");
}
#endif
}  // namespace detail

/// The descriptor of a matrix with 128-byte swizzling that begins at `start`. `stride` bytes lie
/// between eight rows and the next eight; `leading` bytes, where the sum runs down the rows,
/// between 64 columns and the next 64 (else it is not used).
__device__ __forceinline__ uint64_t swizzled_matrix(const void* start, int leading, int stride) {
#ifdef NIBBLE_EMULATE
  const uint64_t address = emulate::shared_address(start);
#else
  const uint64_t address = detail::shared_address(start);
#endif
  const auto encoded = [](uint64_t x) { return (x & 0x3ffff) >> 4; };
  return encoded(address) | encoded(static_cast<uint64_t>(leading)) << 16 |
         encoded(static_cast<uint64_t>(stride)) << 32 | uint64_t{1} << 62;
}

/// The matrix that begins so many bytes (a multiple of 16) after another of the same strides.
__device__ __forceinline__ uint64_t matrix_after(uint64_t matrix, int bytes) {
  return matrix + static_cast<uint64_t>(bytes >> 4);
}

/// d (64 x 8 kTiles) = a * b, or += where kAdd; 16 terms a sum, of bf16. The sums run along the
/// rows of both: of `a` the product's rows, of `b` its columns.
template <bool kAdd, int kTiles>
__device__ __forceinline__ void wgmma_along(float (&d)[kTiles][4], uint64_t a, uint64_t b) {
  static_assert(kTiles == 8 || kTiles == 16);
#ifdef NIBBLE_EMULATE
  emulate::wgmma(d[0], kTiles * 8, nullptr, a, b, false, kAdd);
#else
#define NIBBLE_WGMMA_ALONG(shape, list, a_at, b_at, plus, access)                                 \
  asm volatile("wgmma.mma_async.sync.aligned." shape ".f32.bf16.bf16 {" list "}, " a_at ", " b_at \
               ", " plus ", 1, 1, 0, 0;"                                                          \
               : access                                                                           \
               : "l"(a), "l"(b)                                                                   \
               : "memory")
  if constexpr (kTiles == 8 && kAdd)
    NIBBLE_WGMMA_ALONG("m64n64k16", NIBBLE_SUMS_32, "%32", "%33", "1", NIBBLE_SUM_64("+f", d, 0));
  else if constexpr (kTiles == 8)
    NIBBLE_WGMMA_ALONG("m64n64k16", NIBBLE_SUMS_32, "%32", "%33", "0", NIBBLE_SUM_64("=f", d, 0));
  else if constexpr (kAdd)
    NIBBLE_WGMMA_ALONG("m64n128k16", NIBBLE_SUMS_64, "%64", "%65", "1", NIBBLE_SUM_128("+f", d));
  else
    NIBBLE_WGMMA_ALONG("m64n128k16", NIBBLE_SUMS_64, "%64", "%65", "0", NIBBLE_SUM_128("=f", d));
#undef NIBBLE_WGMMA_ALONG
#endif
}

/// As above with `a` in registers, of each warp sixteen rows as mma_16x8x16 takes them. The sums
/// run down the rows of `b`, whose columns are the product's.
template <bool kAdd, int kTiles>
__device__ __forceinline__ void wgmma_down(float (&d)[kTiles][4], const uint32_t (&a)[4],
                                           uint64_t b) {
  static_assert(kTiles == 8 || kTiles == 16);
#ifdef NIBBLE_EMULATE
  emulate::wgmma(d[0], kTiles * 8, a, 0, b, true, kAdd);
#else
#define NIBBLE_WGMMA_DOWN(shape, list, a_at, b_at, plus, access)                         \
  asm volatile("wgmma.mma_async.sync.aligned." shape ".f32.bf16.bf16 {" list "}, {" a_at \
               "}, " b_at ", " plus ", 1, 1, 1;"                                         \
               : access                                                                  \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                      \
               : "memory")
  if constexpr (kTiles == 8 && kAdd)
    NIBBLE_WGMMA_DOWN("m64n64k16", NIBBLE_SUMS_32, "%32, %33, %34, %35", "%36", "1",
                      NIBBLE_SUM_64("+f", d, 0));
  else if constexpr (kTiles == 8)
    NIBBLE_WGMMA_DOWN("m64n64k16", NIBBLE_SUMS_32, "%32, %33, %34, %35", "%36", "0",
                      NIBBLE_SUM_64("=f", d, 0));
  else if constexpr (kAdd)
    NIBBLE_WGMMA_DOWN("m64n128k16", NIBBLE_SUMS_64, "%64, %65, %66, %67", "%68", "1",
                      NIBBLE_SUM_128("+f", d));
  else
    NIBBLE_WGMMA_DOWN("m64n128k16", NIBBLE_SUMS_64, "%64, %65, %66, %67", "%68", "0",
                      NIBBLE_SUM_128("=f", d));
#undef NIBBLE_WGMMA_DOWN
#endif
}

/// Before the first product of a group: orders what the threads did to its registers, which are
/// named here, before it (wgmma.fence).
template <class... Registers>
__device__ __forceinline__ void wgmma_fence(Registers&... registers) {
#ifdef NIBBLE_EMULATE
  (static_cast<void>(registers), ...);
  emulate::wgmma_fence();
#else
  (detail::hold(registers), ...);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

/// Closes the group of the products started since the last commit.
__device__ __forceinline__ void wgmma_commit() {
#ifdef NIBBLE_EMULATE
  emulate::wgmma_commit();
#else
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

/// Waits until at most kGroups of this warp's groups are still at work. `registers` are those of
/// the groups that are done, which may be touched from here on.
template <int kGroups, class... Registers>
__device__ __forceinline__ void wgmma_wait(Registers&... registers) {
#ifdef NIBBLE_EMULATE
  emulate::wgmma_wait(kGroups);
  (emulate::check_awaited(&registers, sizeof registers), ...);
#else
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
  (detail::hold(registers), ...);
#endif
}

/// In each thread that wrote shared memory (cp.async too, once waited for) which wgmma is to read:
/// after the writes and before the barrier (PTX ISA, "Async proxy").
__device__ __forceinline__ void fence_async_proxy() {
#ifdef NIBBLE_EMULATE
  emulate::fence_async_proxy();
#else
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// `value`, of which the compiler knows no more: what is made of it is made where it is used, and
/// not kept in a register since its like was made before.
__device__ __forceinline__ int made_again(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

}  // namespace nibble::cuda

/// As NIBBLE_DYNAMIC_SHARED, at a multiple of 1024 bytes, as matrices with swizzling begin.
#ifdef NIBBLE_EMULATE
#define NIBBLE_SWIZZLED_SHARED(T, name) NIBBLE_DYNAMIC_SHARED(T, name)
#else
#define NIBBLE_SWIZZLED_SHARED(T, name)                                     \
  extern __shared__ __align__(1024) unsigned char nibble_swizzled_shared[]; \
  T* name = reinterpret_cast<T*>(nibble_swizzled_shared)
#endif
