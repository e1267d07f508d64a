// SPDX-License-Identifier: Apache-2.0
// What device code calls when it runs on the CPU: who a thread is, wide and atomic accesses,
// meetings of a warp or a block. Each call checks first and then performs; plain loads and stores
// arrive by the
// __tsan_ callbacks that the compiler puts before them.
#pragma once

#include <cstddef>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};

namespace nibble::emulate {

struct Bits16 {
  uint64_t low, high;
};
template <int kBytes>
struct BitsOf;
template <>
struct BitsOf<4> {
  using type = uint32_t;
};
template <>
struct BitsOf<8> {
  using type = uint64_t;
};
template <>
struct BitsOf<16> {
  using type = Bits16;
};
template <int kBytes>
using Bits = typename BitsOf<kBytes>::type;

// Constant for a thread, so the compiler may keep them across meetings.
__attribute__((const)) uint3 thread_index();
__attribute__((const)) uint3 block_index();
__attribute__((const)) uint3 block_extent();
__attribute__((const)) uint3 grid_extent();
__attribute__((const)) void* dynamic_shared();

uint32_t load4(const void* p);
uint64_t load8(const void* p);
Bits16 load16(const void* p);
enum class Space : bool { kGlobal, kShared };
void store4(void* p, uint32_t bits, Space space);
void store8(void* p, uint64_t bits, Space space);
void store16(void* p, Bits16 bits, Space space);

template <int kBytes>
inline Bits<kBytes> load(const void* p) {
  if constexpr (kBytes == 4) return load4(p);
  if constexpr (kBytes == 8) return load8(p);
  if constexpr (kBytes == 16) return load16(p);
}
template <int kBytes>
inline void store(void* p, Bits<kBytes> bits, Space space) {
  if constexpr (kBytes == 4) store4(p, bits, space);
  if constexpr (kBytes == 8) store8(p, bits, space);
  if constexpr (kBytes == 16) store16(p, bits, space);
}

void cp_async(void* shared, const void* global, int bytes, bool valid);
void cp_async_commit();
void cp_async_wait(int groups);

/// `matrices` is 2 or 4; r receives as many registers.
void ldmatrix(uint32_t* r, const void* shared_row, int matrices, bool transposed);
void mma_16x8x16(float* d, const uint32_t* a, const uint32_t* b);

// Products of a warpgroup (kernels/cuda/ptx_hopper.h). d has n / 2 sums; `a` in registers (4) or,
// where null, in shared memory named by its descriptor; the sum runs down the rows of b or along.
void wgmma(float* d, int n, const uint32_t* a, uint64_t a_matrix, uint64_t b_matrix, bool b_down,
           bool add);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int groups);
/// That no product still at work reads or writes these registers, which a wait has named.
void check_awaited(const void* registers, size_t bytes);
void fence_async_proxy();
/// An address in the shared window, as descriptors have it.
uint32_t shared_address(const void* p);

// A meeting is known by its line: threads of a block that wait at two of them are a fault.
void barrier(const char* file, int line);
/// The barrier that also counts `predicate` over the block.
int barrier_count(int predicate, const char* file, int line);
void named_barrier(int id, int threads, bool wait);
void warp_barrier(unsigned mask);
void fence();

enum class Shuffle { kIndex, kUp, kDown, kXor };
uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, int operand, int width);
unsigned ballot(unsigned mask, bool predicate);
unsigned active_mask();
/// The lanes of the mask whose value is the caller's.
unsigned match_any(unsigned mask, uint64_t value);

enum class Atomic { kAdd, kSub, kMin, kMax, kExchange, kCas, kAnd, kOr, kXor, kInc, kDec };
int32_t atomic_i32(Atomic op, int32_t* p, int32_t a, int32_t b = 0);
uint32_t atomic_u32(Atomic op, uint32_t* p, uint32_t a, uint32_t b = 0);
uint64_t atomic_u64(Atomic op, uint64_t* p, uint64_t a, uint64_t b = 0);
float atomic_f32(Atomic op, float* p, float a);
double atomic_f64(Atomic op, double* p, double a);

/// Ends the launch with a fault.
[[noreturn]] void trap();

uint16_t bf16_bits(float value);
uint16_t half_bits(float value);
float half_value(uint16_t bits);

}  // namespace nibble::emulate
