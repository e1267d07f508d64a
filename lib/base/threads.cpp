// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
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

void parallel_for(int64_t n, int64_t grain, RangeBody body) {
  if (n <= 0) return;
  const int64_t units = ceil_div(n, grain);
  const int64_t parts = std::min<int64_t>(threads(), units);
  if (parts <= 1 || omp_in_parallel()) return body(0, n);
  std::exception_ptr failure;
#pragma omp parallel num_threads(static_cast <int>(parts))
  {
    const int64_t part = omp_get_thread_num(), team = omp_get_num_threads();
    pinning.pin(part);
    const int64_t begin = units * part / team * grain;
    const int64_t end = std::min(n, units * (part + 1) / team * grain);
    try {
      if (begin < end) body(begin, end);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace nibble
