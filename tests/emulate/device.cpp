// SPDX-License-Identifier: Apache-2.0
// What device code calls: who it is, wide accesses, atomics, cp.async, barriers.
#include <emulate/device.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "access.h"
#include "base/float16.h"

namespace nibble::emulate {
namespace {
uint3 triple(const dim3& v) {
  return {v.x, v.y, v.z};
}
}  // namespace

uint3 thread_index() {
  return worker->thread->index;
}
uint3 block_index() {
  return worker->block_index;
}
uint3 block_extent() {
  return triple(worker->job->launch.block);
}
uint3 grid_extent() {
  return triple(worker->job->launch.grid);
}
void* dynamic_shared() {
  return worker->dynamic;
}

namespace {
// The site of a wide access is its caller's.
template <class T>
__attribute__((always_inline)) inline T checked_load(const void* p) {
  note_access(p, sizeof(T), Access::kRead, __builtin_return_address(0));
  access(p, sizeof(T), Access::kRead);
  T value;
  memcpy(&value, p, sizeof value);
  return value;
}
// Of a store that names its memory.
void check_space(void* p, int bytes, Space space) {
  if (worker == nullptr || worker->thread == nullptr) return;
  if (in_shared(*worker, p) == (space == Space::kShared)) return;
  worker->fail_access(p, bytes, true,
                      space == Space::kShared ? "not in shared memory" : "not in global memory",
                      cudaErrorIllegalAddress);
}
template <class T>
__attribute__((always_inline)) inline void checked_store(void* p, T value, Space space) {
  check_space(p, sizeof(T), space);
  note_access(p, sizeof(T), Access::kWrite, __builtin_return_address(0));
  access(p, sizeof(T), Access::kWrite);
  memcpy(p, &value, sizeof value);
}
}  // namespace

uint32_t load4(const void* p) {
  return checked_load<uint32_t>(p);
}
uint64_t load8(const void* p) {
  return checked_load<uint64_t>(p);
}
Bits16 load16(const void* p) {
  return checked_load<Bits16>(p);
}
void store4(void* p, uint32_t bits, Space space) {
  checked_store(p, bits, space);
}
void store8(void* p, uint64_t bits, Space space) {
  checked_store(p, bits, space);
}
void store16(void* p, Bits16 bits, Space space) {
  checked_store(p, bits, space);
}

// ---- cp.async: the bytes land when waited for, not before ----

void cp_async(void* shared, const void* global, int bytes, bool valid) {
  Worker& w = *worker;
  if (!in_shared(w, shared)) {
    w.fail_access(shared, bytes, true, "cp.async writes only shared memory",
                  cudaErrorIllegalAddress);
  }
  if (valid) {
    if (in_shared(w, global)) {
      w.fail_access(global, bytes, false, "cp.async reads only global memory",
                    cudaErrorIllegalAddress);
    }
    note_access(global, bytes, Access::kRead, __builtin_return_address(0));
    access(global, bytes, Access::kRead);
  }
  note_access(shared, bytes, Access::kWrite, __builtin_return_address(0));
  begin_flight(shared, bytes);
  w.thread->copies.push_back(
      {static_cast<char*>(shared), static_cast<const char*>(global), bytes, valid});
}

void cp_async_commit() {
  worker->thread->groups.push_back(worker->thread->copies.size());
}

void cp_async_wait(int groups) {
  Thread& t = *worker->thread;
  const auto pending = static_cast<int>(t.groups.size());
  if (pending <= groups) return;
  const size_t landed = t.groups[static_cast<size_t>(pending - groups - 1)];
  for (size_t i = 0; i < landed; ++i) {
    const Copy& c = t.copies[i];
    if (c.valid) {
      memcpy(c.to, c.from, static_cast<size_t>(c.bytes));
    } else {
      memset(c.to, 0, static_cast<size_t>(c.bytes));
    }
    end_flight(c.to, c.bytes);
  }
  t.copies.erase(t.copies.begin(), t.copies.begin() + static_cast<ptrdiff_t>(landed));
  t.groups.erase(t.groups.begin(), t.groups.end() - groups);
  for (size_t& end : t.groups) end -= landed;
}

// ---- barriers and fences ----

namespace {
void meet_block(const char* file, int line) {
  Worker& w = *worker;
  if (w.exited > 0) {
    w.fail("barrier not reached by all: waits at " + std::string(file) + ":" +
           std::to_string(line) + " while " + std::to_string(w.exited) + " threads have ended");
  }
  w.barrier_at(w.block_barrier, static_cast<int>(w.block_threads()), true, file, line);
}
}  // namespace

void barrier(const char* file, int line) {
  meet_block(file, line);
}

int barrier_count(int predicate, const char* file, int line) {
  Worker& w = *worker;
  // The first to come begins a new count.
  if (w.block_barrier.arrived == 0) w.block_barrier.predicates = 0;
  w.block_barrier.predicates += predicate != 0;
  meet_block(file, line);
  return worker->thread->barrier_result;
}

void named_barrier(int id, int threads, bool wait) {
  Worker& w = *worker;
  if (id < 1 || id > 15 || threads <= 0 || threads % kWarp != 0 ||
      threads > static_cast<int>((w.block_threads() + kWarp - 1) / kWarp * kWarp)) {
    w.fail("named barrier " + std::to_string(id) + " of " + std::to_string(threads) +
           " threads: ids are 1 to 15, threads whole warps of the block");
  }
  w.barrier_at(w.named[id], threads, wait, nullptr, 0);
}

void fence() {
  worker->thread->fenced = true;
}

void trap() {
  worker->fail("trap");
  __builtin_unreachable();
}

// ---- atomics ----

namespace {

// After a fence, an atomic releases what the block has done to whoever comes to the address later.
void order_blocks(const void* p) {
  Worker& w = *worker;
  if (!checks_on() || in_shared(w, p)) return;
  Job& job = *w.job;
  const std::lock_guard lock(job.mutex);
  const auto found = job.released.find(reinterpret_cast<uintptr_t>(p));
  if (found != job.released.end()) {
    w.acquired.assign(found->second.begin(), found->second.end());
  }
  if (!w.thread->fenced) return;
  auto& blocks = job.released[reinterpret_cast<uintptr_t>(p)];
  blocks.insert(w.block % Stamp::kMaxBlock);
  blocks.insert(w.acquired.begin(), w.acquired.end());
}

template <class T, class Bits, class F>
__attribute__((always_inline)) inline T update(T* p, F f) {
  note_access(p, sizeof(T), Access::kAtomic, __builtin_return_address(0));
  access(p, sizeof(T), Access::kAtomic);
  auto* bits = reinterpret_cast<Bits*>(p);
  order_blocks(p);
  Bits old = __atomic_load_n(bits, __ATOMIC_SEQ_CST);
  while (!__atomic_compare_exchange_n(bits, &old, std::bit_cast<Bits>(f(std::bit_cast<T>(old))),
                                      true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  return std::bit_cast<T>(old);
}

template <class T>
__attribute__((always_inline)) inline T integer(Atomic op, T* p, T a, T b) {
  using Bits = std::make_unsigned_t<T>;
  return update<T, Bits>(p, [&](T old) -> T {
    const auto x = static_cast<Bits>(old), y = static_cast<Bits>(a);
    switch (op) {
      case Atomic::kAdd:
        return static_cast<T>(x + y);
      case Atomic::kSub:
        return static_cast<T>(x - y);
      case Atomic::kMin:
        return std::min(old, a);
      case Atomic::kMax:
        return std::max(old, a);
      case Atomic::kExchange:
        return a;
      case Atomic::kCas:
        return old == a ? b : old;
      case Atomic::kAnd:
        return static_cast<T>(x & y);
      case Atomic::kOr:
        return static_cast<T>(x | y);
      case Atomic::kXor:
        return static_cast<T>(x ^ y);
      case Atomic::kInc:
        return x >= y ? T{0} : static_cast<T>(x + 1);
      case Atomic::kDec:
        return x == 0 || x > y ? a : static_cast<T>(x - 1);
    }
    return old;
  });
}

}  // namespace

int32_t atomic_i32(Atomic op, int32_t* p, int32_t a, int32_t b) {
  return integer(op, p, a, b);
}
uint32_t atomic_u32(Atomic op, uint32_t* p, uint32_t a, uint32_t b) {
  return integer(op, p, a, b);
}
uint64_t atomic_u64(Atomic op, uint64_t* p, uint64_t a, uint64_t b) {
  return integer(op, p, a, b);
}
float atomic_f32(Atomic op, float* p, float a) {
  return update<float, uint32_t>(p, [&](float x) { return op == Atomic::kAdd ? x + a : a; });
}
double atomic_f64(Atomic op, double* p, double a) {
  return update<double, uint64_t>(p, [&](double x) { return op == Atomic::kAdd ? x + a : a; });
}

// ---- half precisions ----

// The device keeps nothing of a NaN but that it is one (PTX ISA, cvt).
uint16_t bf16_bits(float value) {
  return std::isnan(value) ? uint16_t{0x7fff} : to_bf16(value).bits;
}
uint16_t half_bits(float value) {
  return to_f16(value).bits;
}
float half_value(uint16_t bits) {
  return to_float(f16{bits});
}

}  // namespace nibble::emulate
