// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <fstream>
#include <string>

#include "base/checked.h"

namespace nibble {
namespace {

// cgroup v2 "cpu.max": "quota period" or "max period".
int cgroup_limit() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 1 << 20;
  try {
    return std::max(1, static_cast<int>(std::ceil(std::stod(quota) / period)));
  } catch (const std::exception&) {
    return 1 << 20;
  }
}

}  // namespace

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int affine = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, std::min(affine, cgroup_limit()));
}

void set_threads(int count) {
  omp_set_dynamic(0);
  omp_set_num_threads(count > 0 ? count : available_threads());
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
