// SPDX-License-Identifier: Apache-2.0
// CUDA's built-in device functions as the emulator runs them. Fast-math intrinsics are the exact
// function of libm: a kernel's tolerance must cover the device's error, not this one's.
#pragma once

#include <emulate/vector_types.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>

// ---- meetings ----

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  nibble::emulate::barrier(file, line);
}
inline int __syncthreads_count(int predicate, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  return nibble::emulate::barrier_count(predicate, file, line);
}
inline int __syncthreads_or(int predicate, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  return nibble::emulate::barrier_count(predicate, file, line) != 0;
}
inline int __syncthreads_and(int predicate, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  return nibble::emulate::barrier_count(!predicate, file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  nibble::emulate::warp_barrier(mask);
}
inline void __threadfence() {
  nibble::emulate::fence();
}
inline void __threadfence_block() {}
inline void __threadfence_system() {
  nibble::emulate::fence();
}
[[noreturn]] inline void __trap() {
  nibble::emulate::trap();
}
inline void __nanosleep(unsigned) {}

// ---- warps ----

namespace nibble::emulate {
template <class T>
concept Shuffled =
    (sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 2) && std::is_trivially_copyable_v<T>;
template <Shuffled T>
inline T shuffle_value(Shuffle kind, unsigned mask, T value, int operand, int width) {
  if constexpr (sizeof(T) == 8) {
    return std::bit_cast<T>(shuffle(kind, mask, std::bit_cast<uint64_t>(value), operand, width));
  } else if constexpr (sizeof(T) == 4) {
    return std::bit_cast<T>(
        static_cast<uint32_t>(shuffle(kind, mask, std::bit_cast<uint32_t>(value), operand, width)));
  } else {
    return std::bit_cast<T>(
        static_cast<uint16_t>(shuffle(kind, mask, std::bit_cast<uint16_t>(value), operand, width)));
  }
}
}  // namespace nibble::emulate

template <nibble::emulate::Shuffled T>
inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return nibble::emulate::shuffle_value(nibble::emulate::Shuffle::kIndex, mask, value,
                                        static_cast<int>(lane), width);
}
template <nibble::emulate::Shuffled T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return nibble::emulate::shuffle_value(nibble::emulate::Shuffle::kUp, mask, value,
                                        static_cast<int>(delta), width);
}
template <nibble::emulate::Shuffled T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return nibble::emulate::shuffle_value(nibble::emulate::Shuffle::kDown, mask, value,
                                        static_cast<int>(delta), width);
}
template <nibble::emulate::Shuffled T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return nibble::emulate::shuffle_value(nibble::emulate::Shuffle::kXor, mask, value,
                                        static_cast<int>(lanes), width);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return nibble::emulate::ballot(mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == mask;
}
inline unsigned __activemask() {
  return nibble::emulate::active_mask();
}
template <nibble::emulate::Shuffled T>
inline unsigned __match_any_sync(unsigned mask, T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return nibble::emulate::match_any(mask, bits);
}

template <std::integral T, class Op>
inline T nibble_emulate_reduce(unsigned mask, T value, Op op) {
  bool first = true;
  T total{};
  for (int lane = 0; lane < 32; ++lane) {
    const T other = __shfl_sync(mask, value, mask >> lane & 1 ? lane : std::countr_zero(mask));
    if (!(mask >> lane & 1)) continue;
    total = first ? other : op(total, other);
    first = false;
  }
  return total;
}
inline int __reduce_add_sync(unsigned mask, int value) {
  return nibble_emulate_reduce(mask, value, [](int a, int b) { return a + b; });
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
  return nibble_emulate_reduce(mask, value, [](unsigned a, unsigned b) { return a + b; });
}
inline int __reduce_min_sync(unsigned mask, int value) {
  return nibble_emulate_reduce(mask, value, [](int a, int b) { return a < b ? a : b; });
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) {
  return nibble_emulate_reduce(mask, value, [](unsigned a, unsigned b) { return a < b ? a : b; });
}
inline int __reduce_max_sync(unsigned mask, int value) {
  return nibble_emulate_reduce(mask, value, [](int a, int b) { return a < b ? b : a; });
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) {
  return nibble_emulate_reduce(mask, value, [](unsigned a, unsigned b) { return a < b ? b : a; });
}

// ---- atomics ----

inline int atomicAdd(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kAdd, p, value);
}
inline unsigned atomicAdd(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kAdd, p, value);
}
inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kAdd, reinterpret_cast<uint64_t*>(p),
                                     value);
}
inline float atomicAdd(float* p, float value) {
  return nibble::emulate::atomic_f32(nibble::emulate::Atomic::kAdd, p, value);
}
inline double atomicAdd(double* p, double value) {
  return nibble::emulate::atomic_f64(nibble::emulate::Atomic::kAdd, p, value);
}
inline int atomicSub(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kSub, p, value);
}
inline unsigned atomicSub(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kSub, p, value);
}
inline int atomicMin(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kMin, p, value);
}
inline unsigned atomicMin(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kMin, p, value);
}
inline unsigned long long atomicMin(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kMin, reinterpret_cast<uint64_t*>(p),
                                     value);
}
inline int atomicMax(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kMax, p, value);
}
inline unsigned atomicMax(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kMax, p, value);
}
inline unsigned long long atomicMax(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kMax, reinterpret_cast<uint64_t*>(p),
                                     value);
}
inline int atomicExch(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kExchange, p, value);
}
inline unsigned atomicExch(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kExchange, p, value);
}
inline unsigned long long atomicExch(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kExchange,
                                     reinterpret_cast<uint64_t*>(p), value);
}
inline float atomicExch(float* p, float value) {
  return nibble::emulate::atomic_f32(nibble::emulate::Atomic::kExchange, p, value);
}
inline int atomicAnd(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kAnd, p, value);
}
inline unsigned atomicAnd(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kAnd, p, value);
}
inline unsigned long long atomicAnd(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kAnd, reinterpret_cast<uint64_t*>(p),
                                     value);
}
inline int atomicOr(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kOr, p, value);
}
inline unsigned atomicOr(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kOr, p, value);
}
inline unsigned long long atomicOr(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kOr, reinterpret_cast<uint64_t*>(p),
                                     value);
}
inline int atomicXor(int* p, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kXor, p, value);
}
inline unsigned atomicXor(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kXor, p, value);
}
inline unsigned long long atomicXor(unsigned long long* p, unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kXor, reinterpret_cast<uint64_t*>(p),
                                     value);
}
inline unsigned atomicInc(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kInc, p, value);
}
inline unsigned atomicDec(unsigned* p, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kDec, p, value);
}
inline int atomicCAS(int* p, int expected, int value) {
  return nibble::emulate::atomic_i32(nibble::emulate::Atomic::kCas, p, expected, value);
}
inline unsigned atomicCAS(unsigned* p, unsigned expected, unsigned value) {
  return nibble::emulate::atomic_u32(nibble::emulate::Atomic::kCas, p, expected, value);
}
inline unsigned long long atomicCAS(unsigned long long* p, unsigned long long expected,
                                    unsigned long long value) {
  return nibble::emulate::atomic_u64(nibble::emulate::Atomic::kCas, reinterpret_cast<uint64_t*>(p),
                                     expected, value);
}

// ---- loads and stores with cache hints ----

namespace nibble::emulate {
template <class T>
inline T load_any(const T* p) {
  if constexpr (sizeof(T) >= 4) {
    return std::bit_cast<T>(load<sizeof(T)>(p));
  } else {
    return *p;
  }
}
template <class T>
inline void store_any(T* p, T value) {
  if constexpr (sizeof(T) >= 4) {
    store<sizeof(T)>(p, std::bit_cast<Bits<sizeof(T)>>(value), Space::kGlobal);
  } else {
    *p = value;
  }
}
}  // namespace nibble::emulate

template <class T>
inline T __ldg(const T* p) {
  return nibble::emulate::load_any(p);
}
template <class T>
inline T __ldcs(const T* p) {
  return nibble::emulate::load_any(p);
}
template <class T>
inline T __ldcg(const T* p) {
  return nibble::emulate::load_any(p);
}
template <class T>
inline T __ldca(const T* p) {
  return nibble::emulate::load_any(p);
}
template <class T>
inline T __ldlu(const T* p) {
  return nibble::emulate::load_any(p);
}
template <class T>
inline void __stcs(T* p, T value) {
  nibble::emulate::store_any(p, value);
}
template <class T>
inline void __stcg(T* p, T value) {
  nibble::emulate::store_any(p, value);
}
template <class T>
inline void __stwb(T* p, T value) {
  nibble::emulate::store_any(p, value);
}
template <class T>
inline void __stwt(T* p, T value) {
  nibble::emulate::store_any(p, value);
}

// ---- integers ----

inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __popcll(unsigned long long x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return std::countl_zero(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __ffsll(long long x) {
  return __builtin_ffsll(x);
}
inline unsigned __brev(unsigned x) {
  unsigned y = 0;
  for (int i = 0; i < 32; ++i) y |= (x >> i & 1u) << (31 - i);
  return y;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline int __mulhi(int a, int b) {
  return static_cast<int>(static_cast<int64_t>(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}
/// Byte i of the result is byte (selector >> 4i & 7) of b:a, or its sign spread where bit 3 is set.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const uint64_t both = static_cast<uint64_t>(b) << 32 | a;
  unsigned out = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned pick = selector >> (4 * i) & 0xf;
    unsigned byte = static_cast<unsigned>(both >> (8 * (pick & 7))) & 0xff;
    if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
    out |= byte << (8 * i);
  }
  return out;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  const uint64_t both = static_cast<uint64_t>(high) << 32 | low;
  return static_cast<unsigned>(both << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  const uint64_t both = static_cast<uint64_t>(high) << 32 | low;
  return static_cast<unsigned>(both >> (shift & 31));
}
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i) {
    c += static_cast<int8_t>(static_cast<unsigned>(a) >> (8 * i)) *
         static_cast<int8_t>(static_cast<unsigned>(b) >> (8 * i));
  }
  return c;
}
inline int min(int a, int b) {
  return a < b ? a : b;
}
inline int max(int a, int b) {
  return a < b ? b : a;
}
inline unsigned min(unsigned a, unsigned b) {
  return a < b ? a : b;
}
inline unsigned max(unsigned a, unsigned b) {
  return a < b ? b : a;
}
inline long min(long a, long b) {
  return a < b ? a : b;
}
inline long max(long a, long b) {
  return a < b ? b : a;
}
inline long long min(long long a, long long b) {
  return a < b ? a : b;
}
inline long long max(long long a, long long b) {
  return a < b ? b : a;
}
inline unsigned long min(unsigned long a, unsigned long b) {
  return a < b ? a : b;
}
inline unsigned long max(unsigned long a, unsigned long b) {
  return a < b ? b : a;
}
inline float min(float a, float b) {
  return fminf(a, b);
}
inline float max(float a, float b) {
  return fmaxf(a, b);
}

// ---- bits of numbers ----

inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
inline int __float2int_rn(float x) {
  return static_cast<int>(nearbyintf(x));
}
inline int __float2int_rz(float x) {
  return static_cast<int>(x);
}
inline int __float2int_rd(float x) {
  return static_cast<int>(floorf(x));
}
inline int __float2int_ru(float x) {
  return static_cast<int>(ceilf(x));
}
inline unsigned __float2uint_rn(float x) {
  return static_cast<unsigned>(nearbyintf(x));
}
inline unsigned __float2uint_rz(float x) {
  return static_cast<unsigned>(x);
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
  return static_cast<float>(x);
}
inline float __uint2float_rz(unsigned x) {
  return static_cast<float>(x < 1u << 24 ? x : x & ~0u << (8 - __clz(static_cast<int>(x))));
}
inline float __ull2float_rn(unsigned long long x) {
  return static_cast<float>(x);
}

// ---- arithmetic ----

inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return fmaf(a, b, c);
}
inline float __fsqrt_rn(float x) {
  return sqrtf(x);
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __frsqrt_rn(float x) {
  return static_cast<float>(1.0 / sqrt(static_cast<double>(x)));
}
inline double __dadd_rn(double a, double b) {
  return a + b;
}
inline double __dmul_rn(double a, double b) {
  return a * b;
}
inline double __ddiv_rn(double a, double b) {
  return a / b;
}
inline float rsqrtf(float x) {
  return __frsqrt_rn(x);
}
inline double rsqrt(double x) {
  return 1.0 / sqrt(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __expf(float x) {
  return expf(x);
}
inline float __exp10f(float x) {
  return powf(10.0f, x);
}
inline float __logf(float x) {
  return logf(x);
}
inline float __log2f(float x) {
  return log2f(x);
}
inline float __powf(float x, float y) {
  return powf(x, y);
}
inline float __sinf(float x) {
  return sinf(x);
}
inline float __cosf(float x) {
  return cosf(x);
}
inline void __sincosf(float x, float* sine, float* cosine) {
  *sine = sinf(x);
  *cosine = cosf(x);
}
inline float __saturatef(float x) {
  return x > 0 ? fminf(x, 1.0f) : 0.0f;
}
inline void sincospif(float x, float* sine, float* cosine) {
  constexpr double kPi = 3.14159265358979323846;
  *sine = static_cast<float>(sin(kPi * x));
  *cosine = static_cast<float>(cos(kPi * x));
}

using std::isfinite;
using std::isinf;
using std::isnan;
