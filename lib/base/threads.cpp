// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>

#include "base/checked.h"
#include "base/cores.h"

namespace nibble {
namespace {

cpu_set_t given_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
  return set;
}

// Where a runtime binds threads (OMP_PROC_BIND), the first one's mask is its own place alone.
bool bound_by_runtime() {
  return omp_get_proc_bind() != omp_proc_bind_false;
}

int slurm_cores() {
  return count_of_threads(std::getenv("SLURM_CPUS_PER_TASK"));
}

// Where the mask, or Slurm, gives this process cores of its own and every one of them has a thread,
// each thread beside the first stays on its own: memory that it touched first stays near. The first
// may move among all of them, since threads of other kinds start with its mask. Where all cores are
// open, so they are to other programs, and the system places threads better.
struct Pinning {
  cpu_set_t cores;
  int count = 0;  // 0: threads are not pinned

  void choose(int thread_count) {
    cores = given_cores();
    const int given = CPU_COUNT(&cores);
    const bool own = given < sysconf(_SC_NPROCESSORS_ONLN) || given == slurm_cores();
    const bool all = given == thread_count && cgroup_cores() >= given;
    count = own && all && !bound_by_runtime() ? given : 0;
  }
  void pin(int64_t thread) const {
    thread_local int done = 0;
    if (thread == 0 || thread >= count || done == count) return;
    done = count;
    for (int cpu = 0, at = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &cores) || at++ != thread) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);  // where it is refused, nothing is lost but speed
    }
  }
};

Pinning pinning;

}  // namespace

int available_threads() {
  const cpu_set_t cores = given_cores();
  int count = bound_by_runtime() ? omp_get_num_procs() : CPU_COUNT(&cores);
  count = std::min(count, cgroup_cores());
  // Without task binding Slurm leaves the mask wide open.
  if (const int slurm = slurm_cores()) count = std::min(count, slurm);
  return std::max(1, count);
}

void set_threads(int count) {
  omp_set_dynamic(0);
  if (count <= 0) count = count_of_threads(std::getenv("OMP_NUM_THREADS"));
  if (count <= 0) count = available_threads();
  omp_set_num_threads(count);
  pinning.choose(count);
}

int threads() {
  return omp_get_max_threads();
}

namespace {

/// How many threads share so many units of work.
int64_t team_for(int64_t units) {
  return omp_in_parallel() ? 1 : std::min<int64_t>(threads(), units);
}

/// body(thread, threads) on each of at most so many threads. An exception of one is rethrown here.
void on_team(int64_t count, Body<int64_t, int64_t> body) {
  std::exception_ptr failure;
#pragma omp parallel num_threads(static_cast <int>(count))
  {
    const int64_t thread = omp_get_thread_num();
    pinning.pin(thread);
    try {
      body(thread, omp_get_num_threads());
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void parallel_for(int64_t n, int64_t grain, RangeBody body) {
  if (n <= 0) return;
  const int64_t units = ceil_div(n, grain), parts = team_for(units);
  if (parts <= 1) return body(0, n);
  on_team(parts, [&](int64_t part, int64_t team) {
    const int64_t begin = units * part / team * grain;
    const int64_t end = std::min(n, units * (part + 1) / team * grain);
    if (begin < end) body(begin, end);
  });
}

// The pieces [first, last) that nobody has taken yet; a cache line each.
struct alignas(64) Pieces::Part {
  std::atomic<uint64_t> left;

  static uint64_t pack(uint64_t first, uint64_t last) { return last << 32 | first; }
  static int64_t count(uint64_t left) {
    return static_cast<int64_t>(left >> 32) - static_cast<int64_t>(left & UINT32_MAX);
  }
  /// One from the front, or from the back; -1 where there is none.
  int64_t take(bool front) {
    uint64_t now = left.load(std::memory_order_relaxed);
    while (count(now) > 0) {
      const uint64_t first = now & UINT32_MAX, last = now >> 32;
      const uint64_t next = front ? pack(first + 1, last) : pack(first, last - 1);
      if (left.compare_exchange_weak(now, next, std::memory_order_relaxed))
        return static_cast<int64_t>(front ? first : last - 1);
    }
    return -1;
  }
};

Pieces::Part* Pieces::parts(int64_t count) {
  static thread_local std::unique_ptr<Part[]> parts;
  static thread_local int64_t room = 0;
  if (room < count) {
    parts = std::make_unique<Part[]>(static_cast<size_t>(count));
    room = count;
  }
  return parts.get();
}

bool Pieces::take(Range& piece) {
  int64_t taken = parts_[own_].take(true);
  while (taken < 0) {
    int64_t most = 0;
    Part* from = nullptr;
    for (Part* part = parts_; part < parts_ + count_; ++part)
      if (const int64_t left = Part::count(part->left.load(std::memory_order_relaxed));
          left > most) {
        most = left;
        from = part;
      }
    if (!from) return false;
    taken = from->take(false);
  }
  piece = {taken * grain_, std::min(n_, (taken + 1) * grain_)};
  return true;
}

void parallel_pieces(int64_t n, int64_t grain, Body<Pieces&> body, int64_t most) {
  if (n <= 0) return;
  grain = std::max(grain, ceil_div<int64_t>(n, INT32_MAX));
  const int64_t units = ceil_div(n, grain);
  const int64_t count = team_for(most > 0 ? std::min(most, units) : units);
  // A loop within a part of another has its own.
  Pieces::Part alone;
  Pieces::Part* const parts = count > 1 ? Pieces::parts(count) : &alone;
  for (int64_t part = 0; part < count; ++part)
    parts[part].left = Pieces::Part::pack(static_cast<uint64_t>(units * part / count),
                                          static_cast<uint64_t>(units * (part + 1) / count));
  const auto run = [&](int64_t thread) {
    Pieces pieces(parts, count, thread, n, grain);
    body(pieces);
  };
  if (count <= 1) return run(0);
  on_team(count, [&](int64_t thread, int64_t) { run(thread); });
}

void parallel_pieces(int64_t n, int64_t grain, RangeBody body) {
  parallel_pieces(n, grain, Body<Pieces&>([&](Pieces& pieces) {
                    for (Pieces::Range r; pieces.take(r);) body(r.begin, r.end);
                  }));
}

}  // namespace nibble
