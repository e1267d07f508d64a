// SPDX-License-Identifier: Apache-2.0
// One OS thread of the emulator: it runs a block at a time, each of the block's threads on a fibre.
// A fibre runs until its thread must wait for others; which goes on next is drawn at random.
//
// Time counts the meetings of a block (barriers of any kind). known[w][v] is the last time up to
// which warp w has seen what warp v did: an earlier access by v comes before what w does now.
#pragma once

#include <bit>
#include <boost/context/detail/fcontext.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "counters.h"
#include "launch_job.h"
#include "memory.h"
#include "report.h"

namespace nibble::emulate {

inline constexpr int kWarp = 32, kMaxThreads = 1024, kMaxWarps = kMaxThreads / kWarp;
inline constexpr int kWarpgroupWarps = 4, kWarpgroup = kWarpgroupWarps * kWarp;
/// Shared memory of a block, at most (sm_90).
inline constexpr size_t kMaxShared = size_t{227} << 10;

/// Shadow of a 4-byte word of shared memory.
struct SharedCell {
  uint32_t write;         // time << 4 | bytes written in this block
  uint32_t read;          // time << 4 | bytes read then
  uint32_t reader_warps;  // of those not ordered before the last reader
  uint16_t writer;        // thread | bytes << 10 | kWasAtomic | kInFlight
  uint16_t reader;        // thread | kManyThreads
};
inline constexpr uint16_t kThreadBits = 1023, kWasAtomic = 1 << 14, kInFlight = 1 << 15,
                          kManyThreads = 1 << 10;

struct Fibre {
  boost::context::detail::fcontext_t context = nullptr;
  char* stack = nullptr;  // its lowest address
};

struct Copy {
  char* to;
  const char* from;
  int bytes;
  bool valid;
};

/// A product of a warpgroup from its start until all four warps have waited for it.
struct Product {
  std::vector<const char*> reads;  // of shared memory, 16 bytes each
  int waiting;                     // threads
};

/// The same in a thread: its registers, which nobody may touch meanwhile.
struct OwnProduct {
  std::shared_ptr<Product> product;
  float* d;
  std::vector<float> sums;  // what d will hold
  const uint32_t* a;        // null: none

  bool sums_meet(const void* p, size_t bytes) const {
    return overlap(d, sums.size() * sizeof(float), p, bytes);
  }
  bool operand_meets(const void* p, size_t bytes) const {
    return a != nullptr && overlap(a, 4 * sizeof(uint32_t), p, bytes);
  }

 private:
  static bool overlap(const void* p, size_t p_bytes, const void* q, size_t q_bytes) {
    const auto* a = static_cast<const char*>(p);
    const auto* b = static_cast<const char*>(q);
    return a < b + q_bytes && b < a + p_bytes;
  }
};

struct Thread {
  uint3 index;
  uint16_t id;
  bool fenced;  // has passed a __threadfence
  Fibre* fibre;
  int barrier_result;
  std::vector<Copy> copies;
  std::vector<size_t> groups;  // ends of the committed groups within copies
  std::vector<OwnProduct> products;
  std::vector<size_t> product_groups;  // ends of the committed groups within products
  bool wgmma_fenced;                   // since the last wait
  uint32_t proxy_fence;                // time of the last fence.proxy.async
};

/// A meeting of a warp that not all lanes of its mask have reached.
struct Meeting {
  int kind;
  unsigned mask, arrived;
  uint64_t in[kWarp][5];
  void* out[kWarp];
};

struct Warp {
  std::vector<Meeting> meetings;  // the first `open` of them; the rest is kept for the next
  size_t open = 0;
  unsigned exited = 0;
};

/// The threads of a warpgroup that have come to a product; the last does the work for all.
struct WarpgroupMeeting {
  struct Wanted {
    int n;
    bool b_down, add, in_registers;
    uint64_t a_matrix, b_matrix;
    bool operator==(const Wanted&) const = default;
  };
  struct Lane {
    float* d;
    const uint32_t* a;
  };
  int arrived = 0;
  Wanted wanted{};
  Lane lanes[kWarpgroup];
};

struct Barrier {
  int arrived = 0, expected = 0, predicates = 0;
  const char* file = nullptr;
  int line = 0;
  uint32_t warps = 0, waiting_warps = 0;
  std::vector<uint16_t> waiting;
};

class Worker {
 public:
  Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// Runs one block; false (and the job failed) where it was at fault.
  bool run_block(Job& job, uint3 index, uint32_t number);

  // ---- called by the fibres ----
  void wait();
  void make_ready(uint16_t id) {
    ready_[id / kWarp] |= 1u << id % kWarp;
    open_ |= 1u << id / kWarp;
  }
  /// Reports `what` of the current thread, gives the block up and never returns.
  [[noreturn]] void fail(const std::string& what, cudaError_t status = cudaErrorLaunchFailure);
  [[noreturn]] void fail_access(const void* p, int bytes, bool write, const std::string& what,
                                cudaError_t status);

  void barrier_at(Barrier& barrier, int expected, bool waits, const char* file, int line);
  void order_warps(uint32_t arrived, uint32_t waited);
  void order_warp(int warp) { known[warp][warp] = time++; }

  /// Products at work that read the word: of dynamic memory, where matrices with swizzling are.
  uint8_t& held(const SharedCell& c) {
    const auto word = static_cast<size_t>(&c - dynamic_cells);
    return word < dynamic_held.size() ? dynamic_held[word] : held_elsewhere_;
  }
  int warp_of() const { return thread->id / kWarp; }
  int lane_of() const { return thread->id % kWarp; }
  unsigned block_threads() const {
    return job->launch.block.x * job->launch.block.y * job->launch.block.z;
  }

  Thread* thread = nullptr;  // the current one; nullptr outside of a block
  // The harness is at work, whose own accesses are none of the kernel's: the linker may have taken
  // what it shares with kernels, of the standard library, from where it is instrumented.
  bool inside = false;
  Job* job = nullptr;
  uint3 block_index{};
  uint32_t block = 0;        // its number in the grid
  uint64_t block_stamp = 0;  // task and block of a Stamp
  uint32_t barriers = 0;     // of the whole block so far, at most Stamp::kMaxBarriers
  uint32_t time = 1, block_start = 0;
  uint32_t known[kMaxWarps][kMaxWarps] = {};
  Warp warps[kMaxWarps];
  WarpgroupMeeting warpgroups[kMaxWarps / kWarpgroupWarps];
  Barrier block_barrier, named[16];
  std::vector<Thread> threads;
  int exited = 0;
  uint32_t known_earlier = 0;      // a task found to be ordered before this one
  std::vector<uint32_t> acquired;  // blocks whose writes this one may read (fence and atomic)

  std::vector<std::vector<LoggedAccess>> log;  // of each thread, while counting

  // Shared memory: the dynamic one and the thread_local variables of the program.
  char* dynamic = nullptr;
  size_t dynamic_bytes = 0;
  char* statics = nullptr;
  size_t static_bytes = 0;
  SharedCell* dynamic_cells = nullptr;
  std::vector<uint8_t> dynamic_held;  // products at work that read the word
  SharedCell* static_cells = nullptr;
  char* stacks = nullptr;
  size_t stack_bytes = 0;

 private:
  static void enter(boost::context::detail::transfer_t from);
  void run_threads();
  void jump(Fibre& to);
  int draw();
  bool begun(int id) const;
  void begin(uint16_t id);
  void finish();
  std::string stuck() const;

  Fibre main_;
  Fibre* running_ = nullptr;
  Fibre* previous_ = nullptr;
  std::vector<Fibre> fibres_;
  std::vector<Fibre*> idle_;
  // Lanes of each warp that waited and can go on, and that have not begun; warps that have either.
  uint32_t ready_[kMaxWarps] = {}, unstarted_[kMaxWarps] = {}, open_ = 0;
  int drawn_warp_ = 0;
  uint16_t to_begin_ = 0;
  Random random_;
  bool failed_ = false;
  uint8_t held_elsewhere_ = 0;
};

/// For as long as it lives; no other fibre may run meanwhile.
class Inside {
 public:
  explicit Inside(Worker& w) : w_(w), before_(w.inside) { w.inside = true; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { w_.inside = before_; }

 private:
  Worker& w_;
  bool before_;
};

/// The worker of this OS thread, while it runs a block.
extern constinit thread_local Worker* worker __attribute__((tls_model("initial-exec")));

// A switch breaks the processor's prediction of every return up to the kernel's own code, so the
// way there is kept short.
__attribute__((always_inline)) inline void Worker::jump(Fibre& to) {
  previous_ = running_;
  running_ = &to;
  const auto from = boost::context::detail::jump_fcontext(to.context, nullptr);
  previous_->context = from.fctx;
}

// Takes a thread that can go on, -1 where none can. Mostly one of the warp that was at it, so that
// its stacks stay in the cache.
inline int Worker::draw() {
  if (open_ == 0) return -1;
  const auto random = static_cast<uint32_t>(random_.next() >> 32);
  const auto pick = [](uint32_t from, uint32_t start) {
    const int first = static_cast<int>(start & 31);
    return (std::countr_zero(std::rotr(from, first)) + first) & 31;
  };
  if (!(open_ >> drawn_warp_ & 1) || (random & 15) == 0) drawn_warp_ = pick(open_, random >> 4);
  const int lane = pick(ready_[drawn_warp_] | unstarted_[drawn_warp_], random >> 9);
  const uint32_t bit = 1u << lane;
  if (ready_[drawn_warp_] & bit) {
    ready_[drawn_warp_] &= ~bit;
  } else {
    unstarted_[drawn_warp_] &= ~bit;
    threads[static_cast<size_t>(drawn_warp_ * kWarp + lane)].fibre = nullptr;
  }
  if ((ready_[drawn_warp_] | unstarted_[drawn_warp_]) == 0) open_ &= ~(1u << drawn_warp_);
  return drawn_warp_ * kWarp + lane;
}

inline bool Worker::begun(int id) const {
  return threads[static_cast<size_t>(id)].fibre != nullptr;
}

__attribute__((always_inline)) inline void Worker::wait() {
  Thread* self = thread;
  const int id = draw();
  Fibre* to = &main_;
  if (id >= 0 && begun(id)) {
    to = threads[static_cast<size_t>(id)].fibre;
  } else if (id >= 0) {
    to_begin_ = static_cast<uint16_t>(id);
    to = idle_.back();
    idle_.pop_back();
  }
  jump(*to);
  thread = self;
}

/// Names of the __shared__ variables, from the program's symbol table: "name + offset", or empty
/// where an address within the thread_local storage is no such variable.
std::string describe_static(size_t offset);
/// True where [offset, offset + bytes) lies in one __shared__ variable.
bool within_static(size_t offset, size_t bytes);

}  // namespace nibble::emulate
