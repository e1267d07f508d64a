// SPDX-License-Identifier: Apache-2.0
#include "access.h"

#include <link.h>

#include <algorithm>
#include <cstring>

#include "streams.h"

namespace nibble::emulate {
namespace {

// ---- shared memory: races within the block ----

struct SharedWord {
  SharedCell* cell;
  uint32_t mask;
};

const char* out_of_shared(Worker& w, const char* p, int bytes) {
  const auto offset = static_cast<size_t>(p - w.dynamic);
  if (offset < kMaxShared) {
    return offset + static_cast<size_t>(bytes) > w.dynamic_bytes ? "out of bounds" : nullptr;
  }
  return within_static(static_cast<size_t>(p - w.statics), static_cast<size_t>(bytes))
             ? nullptr
             : "out of bounds";
}

SharedCell* shared_cells(Worker& w, const char* p) {
  const auto offset = static_cast<size_t>(p - w.dynamic);
  if (offset < kMaxShared) return w.dynamic_cells + offset / 4;
  return w.static_cells + static_cast<size_t>(p - w.statics) / 4;
}

std::string thread_name(const Worker& w, unsigned id) {
  const uint3 i = w.threads[id].index;
  return "thread (" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) +
         ")";
}

[[noreturn]] void race(Worker& w, const void* p, int bytes, bool write, const char* what,
                       const std::string& whose) {
  w.fail_access(p, bytes, write, std::string("race: ") + what + " by " + whose,
                cudaErrorLaunchFailure);
}

inline bool writer_ordered(const Worker& w, const SharedCell& c, unsigned self) {
  const unsigned writer = c.writer & kThreadBits;
  return writer == self || c.write >> 4 <= w.known[self / kWarp][writer / kWarp];
}

bool readers_ordered(const Worker& w, const SharedCell& c, unsigned self) {
  const uint32_t when = c.read >> 4;
  if (when <= w.block_start) return true;
  if (!(c.reader & kManyThreads)) {
    const unsigned reader = c.reader & kThreadBits;
    return reader == self || when <= w.known[self / kWarp][reader / kWarp];
  }
  for (uint32_t left = c.reader_warps; left != 0; left &= left - 1) {
    if (when > w.known[self / kWarp][__builtin_ctz(left)]) return false;
  }
  return true;
}

void shared_word(Worker& w, SharedCell& c, uint32_t mask, const void* p, int bytes, Access kind) {
  const unsigned self = w.thread->id;
  const bool reads = kind != Access::kWrite, writes = kind != Access::kRead;
  const bool in_block = c.write >> 4 > w.block_start;
  if (writes && w.held(c)) {
    w.fail_access(p, bytes, true, "race: wgmma still reads it: no wgmma.wait_group since",
                  cudaErrorLaunchFailure);
  }
  if (in_block && (c.writer & kInFlight)) {
    w.fail_access(p, bytes, !reads, "cp.async has not been waited for", cudaErrorLaunchFailure);
  }
  if (reads && (!in_block || (c.write & mask) != mask)) {
    w.fail_access(p, bytes, false, "never written", cudaErrorLaunchFailure);
  }
  if (in_block && (c.writer >> 10 & mask) != 0 && !writer_ordered(w, c, self) &&
      !(kind == Access::kAtomic && (c.writer & kWasAtomic))) {
    race(w, p, bytes, writes, "no barrier since the write", thread_name(w, c.writer & kThreadBits));
  }
  if (writes) {
    if ((c.read & mask) != 0 && !readers_ordered(w, c, self)) {
      race(w, p, bytes, true, "no barrier since the read",
           c.reader & kManyThreads ? "several threads" : thread_name(w, c.reader & kThreadBits));
    }
    const uint32_t written = in_block ? c.write & 15 : 0;
    const bool again = in_block && (c.writer & kThreadBits) == self && c.write >> 4 == w.time;
    const uint32_t by_self = again ? (c.writer >> 10 & 15) | mask : mask;
    c.write = w.time << 4 | written | mask;
    c.writer =
        static_cast<uint16_t>(self | by_self << 10 | (kind == Access::kAtomic ? kWasAtomic : 0));
    return;
  }
  const bool same = c.reader == self;
  // Of other bytes of the word one reader is forgotten rather than taken for one of these.
  if (c.read >> 4 <= w.block_start || same || (c.read & mask) == 0 || readers_ordered(w, c, self)) {
    const uint32_t before = same && c.read >> 4 > w.block_start ? c.read & 15 : 0;
    c.read = w.time << 4 | before | mask;
    c.reader = static_cast<uint16_t>(self);
    c.reader_warps = 1u << self / kWarp;
  } else {
    c.read = w.time << 4 | (c.read & 15) | mask;
    c.reader |= kManyThreads;
    c.reader_warps |= 1u << self / kWarp;
  }
}

void check_aligned(Worker& w, const void* p, int bytes, bool write) {
  if (reinterpret_cast<uintptr_t>(p) % static_cast<unsigned>(bytes) != 0) {
    w.fail_access(p, bytes, write, "misaligned", cudaErrorMisalignedAddress);
  }
}

template <class F>
void each_shared_word(Worker& w, const void* p, int bytes, F f) {
  const auto* address = static_cast<const char*>(p);
  SharedCell* cell = shared_cells(w, address);
  if (bytes >= 4) {
    for (int i = 0; i < bytes; i += 4) f(*cell++, 15u);
  } else {
    f(*cell, ((1u << bytes) - 1) << (reinterpret_cast<uintptr_t>(p) & 3));
  }
}

void shared_access(Worker& w, const void* p, int bytes, Access kind) {
  check_aligned(w, p, bytes, kind != Access::kRead);
  if (const char* fault = out_of_shared(w, static_cast<const char*>(p), bytes)) {
    w.fail_access(p, bytes, kind != Access::kRead, fault, cudaErrorIllegalAddress);
  }
  each_shared_word(w, p, bytes,
                   [&](SharedCell& c, uint32_t mask) { shared_word(w, c, mask, p, bytes, kind); });
}

// ---- global memory: races between threads, blocks and tasks ----

[[gnu::cold, gnu::noinline, noreturn]] void bad_place(Worker& w, const void* p, int bytes,
                                                      bool write) {
  const Place place = find_allocation(p, static_cast<size_t>(bytes));
  w.fail_access(p, bytes, write,
                !place.live && place.bytes > 0 && place.within ? "freed memory" : "out of bounds",
                cudaErrorIllegalAddress);
}

bool block_acquired(const Worker& w, uint32_t block) {
  return std::find(w.acquired.begin(), w.acquired.end(), block) != w.acquired.end();
}

// Faults where the access that `old` tells of, a write of the time `written` or a read (0), and
// this one are not ordered.
[[gnu::noinline]] void check_order(Worker& w, Stamp old, const void* p, int bytes, bool write,
                                   bool is_read, uint32_t written) {
  const char* what = is_read ? "not ordered after a read" : "not ordered after the write";
  if (old.task() != running.id) {
    if (!ordered_before_running(old.task())) {
      race(w, p, bytes, write, what, task_name(old.task()) + " on another stream (no event wait)");
    }
    w.known_earlier = old.task();
    return;
  }
  if (old.block() != w.block % Stamp::kMaxBlock) {
    if (old.block() != Stamp::kManyBlocks && block_acquired(w, old.block())) return;
    race(w, p, bytes, write, what,
         old.block() == Stamp::kManyBlocks ? "other blocks"
                                           : "block number " + std::to_string(old.block()));
  }
  const bool one = !is_read || !old.flag();
  // Within a warp, order after a read is not followed through global memory.
  const int warp = w.warp_of();
  if (one && old.thread() / kWarp == static_cast<unsigned>(warp) && written <= w.known[warp][warp])
    return;
  if (old.barriers() != w.barriers || w.barriers == Stamp::kMaxBarriers) return;
  race(w, p, bytes, write, what, one ? thread_name(w, old.thread()) : "several threads");
}

inline void global_word(Worker& w, size_t word, uint32_t mask, const void* p, int bytes,
                        Access kind) {
  const bool reads = kind != Access::kWrite, writes = kind != Access::kRead;
  const uint8_t state = __atomic_load_n(&heap.state[word], __ATOMIC_RELAXED);
  if ((state >> 4 & mask) != mask) [[unlikely]]
    bad_place(w, p, bytes, writes);
  if (reads && (state & mask) != mask) [[unlikely]] {
    w.fail_access(p, bytes, false, "never written", cudaErrorLaunchFailure);
  }
  Cell& cell = heap.cells[word];
  const uint64_t self = w.block_stamp | static_cast<uint64_t>(w.thread->id) << Stamp::kThread;
  constexpr uint64_t kMine = ~uint64_t{0} << Stamp::kThread;
  const Stamp writer{__atomic_load_n(&cell.write, __ATOMIC_RELAXED)};
  const bool own = ((writer.bits ^ self) & kMine) == 0;
  if (!own && writer.task() != w.known_earlier && (writer.bytes() & mask) != 0 &&
      !(kind == Access::kAtomic && writer.flag() && writer.task() == running.id)) {
    check_order(w, writer, p, bytes, writes, false,
                __atomic_load_n(&cell.written, __ATOMIC_RELAXED));
  }
  const uint64_t stamp = self | static_cast<uint64_t>(mask) << Stamp::kBytes |
                         static_cast<uint64_t>(w.barriers) << Stamp::kBarriers;
  if (writes) {
    for (int half = 0; half < 2; ++half) {
      const Stamp reader{__atomic_load_n(&cell.read[half], __ATOMIC_RELAXED)};
      const bool read_by_self = ((reader.bits ^ self) & kMine) == 0;
      if (!read_by_self && reader.task() != w.known_earlier && (reader.bytes() & mask) != 0)
        check_order(w, reader, p, bytes, true, true, 0);
    }
    if ((state & mask) != mask) {
      __atomic_fetch_or(&heap.state[word], static_cast<uint8_t>(mask), __ATOMIC_RELAXED);
    }
    const uint64_t before =
        own && writer.barriers() == w.barriers ? uint64_t{writer.bytes()} << Stamp::kBytes : 0;
    __atomic_store_n(&cell.write, stamp | before | (kind == Access::kAtomic ? 1 : 0),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&cell.written, w.time, __ATOMIC_RELAXED);
    return;
  }
  for (int half = 0; half < 2; ++half) {
    const uint32_t bytes_here = mask & (half == 0 ? 3u : 12u);
    if (bytes_here == 0) continue;
    const Stamp reader{__atomic_load_n(&cell.read[half], __ATOMIC_RELAXED)};
    uint64_t mark = self | static_cast<uint64_t>(bytes_here) << Stamp::kBytes |
                    static_cast<uint64_t>(w.barriers) << Stamp::kBarriers;
    if (reader.task() == running.id && (reader.bytes() & mask) != 0) {
      mark |= uint64_t{reader.bytes()} << Stamp::kBytes;
      if (reader.block() != w.block % Stamp::kMaxBlock) {
        mark |= uint64_t{Stamp::kManyBlocks} << Stamp::kBlock;
      } else if (reader.thread() != w.thread->id && reader.barriers() == w.barriers) {
        mark |= 1;
      }
    }
    if (mark != reader.bits) __atomic_store_n(&cell.read[half], mark, __ATOMIC_RELAXED);
  }
}

void global_access(Worker& w, const void* p, int bytes, Access kind) {
  check_aligned(w, p, bytes, kind != Access::kRead);
  size_t word = heap.word(p);
  if (bytes >= 4) {
    for (int i = 0; i < bytes; i += 4) global_word(w, word++, 15u, p, bytes, kind);
  } else {
    const auto shift = reinterpret_cast<uintptr_t>(p) & 3;
    global_word(w, word, ((1u << bytes) - 1) << shift, p, bytes, kind);
  }
}

// ---- everything else ----

struct Image {
  uintptr_t start = UINTPTR_MAX, end = 0;
};

// The program's own constants and variables.
const Image& image() {
  static const Image all = [] {
    Image found;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* out) {
          auto* image_of = static_cast<Image*>(out);
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& h = info->dlpi_phdr[i];
            if (h.p_type != PT_LOAD) continue;
            image_of->start = std::min(image_of->start, info->dlpi_addr + h.p_vaddr);
            image_of->end = std::max(image_of->end, info->dlpi_addr + h.p_vaddr + h.p_memsz);
          }
          return 1;
        },
        &found);
    return found;
  }();
  return all;
}

[[gnu::cold, gnu::noinline]] void other_access(Worker& w, const void* p, int bytes, Access kind) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  const auto n = static_cast<size_t>(bytes);
  const auto arguments = reinterpret_cast<uintptr_t>(w.job->arguments.data());
  if (kind == Access::kRead) {
    if (address - arguments < w.job->arguments.size()) return;
    if (address - image().start < image().end - image().start) return;
  }
  check_aligned(w, p, bytes, kind != Access::kRead);
  if (registered(p, n)) return;
  w.fail_access(p, bytes, kind != Access::kRead, "host memory that is not pinned",
                cudaErrorIllegalAddress);
}

}  // namespace

void access(const void* p, int bytes, Access kind) {
  Worker* w = worker;
  if (w == nullptr) [[unlikely]] {
    if (heap.holds(p)) host_access(p, static_cast<size_t>(bytes), kind != Access::kRead);
    return;
  }
  if (w->thread == nullptr || w->inside || !checks_on()) return;
  const Inside at_work(*w);
  if (heap.holds(p)) return global_access(*w, p, bytes, kind);
  const auto* address = static_cast<const char*>(p);
  if (static_cast<size_t>(address - w->dynamic) < kMaxShared ||
      static_cast<size_t>(address - w->statics) < w->static_bytes) {
    return shared_access(*w, p, bytes, kind);
  }
  if (static_cast<size_t>(address - w->stacks) < w->stack_bytes) {
    if (!w->thread->products.empty()) check_registers(*w, p, bytes, kind != Access::kRead);
    return;
  }
  other_access(*w, p, bytes, kind);
}

void log_access(const void* p, int bytes, Access kind, const void* site) {
  Worker& w = *worker;
  if (w.thread == nullptr || w.inside) return;
  const bool global = heap.holds(p);
  if (!global && !in_shared(w, p)) return;
  w.log[w.thread->id].push_back({reinterpret_cast<uint64_t>(site), reinterpret_cast<uint64_t>(p),
                                 static_cast<uint8_t>(bytes), kind != Access::kRead,
                                 global ? Space::kGlobal : Space::kShared});
}

// wgmma reads by the async proxy, for all four warps: each must have met the writer since, and the
// writer have fenced in between.
void hold_for_wgmma(const char* p) {
  Worker& w = *worker;
  if (!checks_on()) return;
  if (const char* fault = out_of_shared(w, p, 16))
    w.fail_access(p, 16, false, fault, cudaErrorIllegalAddress);
  const int first = w.thread->id / kWarpgroup * kWarpgroupWarps;
  each_shared_word(w, p, 16, [&](SharedCell& c, uint32_t mask) {
    if (c.write >> 4 <= w.block_start || (c.write & mask) != mask)
      w.fail_access(p, 16, false, "never written", cudaErrorLaunchFailure);
    if (c.writer & kInFlight)
      w.fail_access(p, 16, false, "cp.async has not been waited for", cudaErrorLaunchFailure);
    const unsigned writer = c.writer & kThreadBits;
    const uint32_t when = c.write >> 4;
    for (int warp = first; warp < first + kWarpgroupWarps; ++warp) {
      if (when > w.known[warp][writer / kWarp])
        race(w, p, 16, false, "no barrier since the write", thread_name(w, writer));
    }
    if (when > w.threads[writer].proxy_fence) {
      w.fail_access(p, 16, false,
                    "no fence.proxy.async since the write by " + thread_name(w, writer),
                    cudaErrorLaunchFailure);
    }
    ++w.held(c);
  });
}

void release_from_wgmma(const char* p) {
  Worker& w = *worker;
  if (!checks_on()) return;
  const int first = w.thread->id / kWarpgroup * kWarpgroupWarps;
  each_shared_word(w, p, 16, [&](SharedCell& c, uint32_t mask) {
    --w.held(c);
    // Read now, by all four warps: whoever writes there has to meet them.
    const uint32_t others = c.read >> 4 > w.block_start ? c.reader_warps : 0;
    c.read = w.time << 4 | (others != 0 ? c.read & 15 : 0) | mask;
    c.reader = static_cast<uint16_t>(w.thread->id | kManyThreads);
    c.reader_warps = others | ((1u << kWarpgroupWarps) - 1) << first;
  });
}

void begin_flight(void* p, int bytes) {
  Worker& w = *worker;
  if (!checks_on()) return;
  shared_access(w, p, bytes, Access::kWrite);
  each_shared_word(w, p, bytes, [](SharedCell& c, uint32_t) { c.writer |= kInFlight; });
}

void end_flight(void* p, int bytes) {
  Worker& w = *worker;
  if (!checks_on()) return;
  each_shared_word(w, p, bytes, [&](SharedCell& c, uint32_t mask) {
    c.write = w.time << 4 | mask;
    c.writer = static_cast<uint16_t>(w.thread->id | mask << 10);
  });
}

}  // namespace nibble::emulate

// ---- what the compiler calls before each access (ThreadSanitizer's interface) ----

using nibble::emulate::Access;
using nibble::emulate::access;

static __attribute__((always_inline)) inline void seen(const void* p, int bytes, Access kind) {
  nibble::emulate::note_access(p, bytes, kind, __builtin_return_address(0));
  access(p, bytes, kind);
}

extern "C" {

#define NIBBLE_ACCESS(bytes)                    \
  void __tsan_read##bytes(void* p) {            \
    seen(p, bytes, Access::kRead);              \
  }                                             \
  void __tsan_write##bytes(void* p) {           \
    seen(p, bytes, Access::kWrite);             \
  }                                             \
  void __tsan_unaligned_read##bytes(void* p) {  \
    seen(p, bytes, Access::kRead);              \
  }                                             \
  void __tsan_unaligned_write##bytes(void* p) { \
    seen(p, bytes, Access::kWrite);             \
  }                                             \
  void __tsan_volatile_read##bytes(void* p) {   \
    seen(p, bytes, Access::kRead);              \
  }                                             \
  void __tsan_volatile_write##bytes(void* p) {  \
    seen(p, bytes, Access::kWrite);             \
  }
NIBBLE_ACCESS(1)
NIBBLE_ACCESS(2)
NIBBLE_ACCESS(4)
NIBBLE_ACCESS(8)
NIBBLE_ACCESS(16)
#undef NIBBLE_ACCESS

static void access_range(void* p, unsigned long bytes, Access kind) {
  auto* at = static_cast<char*>(p);
  for (unsigned long i = 0; i < bytes; ++i) access(at + i, 1, kind);
}
void __tsan_read_range(void* p, unsigned long bytes) {
  access_range(p, bytes, Access::kRead);
}
void __tsan_write_range(void* p, unsigned long bytes) {
  access_range(p, bytes, Access::kWrite);
}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Host code's std::atomic: the callbacks perform the operation themselves.
#define NIBBLE_ATOMIC(bits, type)                                                                  \
  type __tsan_atomic##bits##_load(const volatile type* p, int) {                                   \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile type* p, type v, int) {                                \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  type __tsan_atomic##bits##_exchange(volatile type* p, type v, int) {                             \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_add(volatile type* p, type v, int) {                            \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_sub(volatile type* p, type v, int) {                            \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_and(volatile type* p, type v, int) {                            \
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_or(volatile type* p, type v, int) {                             \
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_xor(volatile type* p, type v, int) {                            \
    return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* p, type* e, type v, int, int) { \
    return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type* p, type* e, type v, int, int) {   \
    return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
  }                                                                                                \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type* p, type e, type v, int, int) {    \
    __atomic_compare_exchange_n(p, &e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
    return e;                                                                                      \
  }
NIBBLE_ATOMIC(8, uint8_t)
NIBBLE_ATOMIC(16, uint16_t)
NIBBLE_ATOMIC(32, uint32_t)
NIBBLE_ATOMIC(64, uint64_t)
#undef NIBBLE_ATOMIC
void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
