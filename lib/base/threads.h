// SPDX-License-Identifier: Apache-2.0
// Threads: one OpenMP runtime for everything. Work is cut into static, contiguous parts, so the
// same number of threads gives the same bits.
#pragma once

#include <cstdint>
#include <functional>

namespace nibble {

/// Processors this process may use (affinity mask and cgroup quota), at least 1.
int available_threads();

/// Sets the number of threads of all parallel code from here on; 0 means available_threads().
void set_threads(int count);
int threads();

/// Calls body(begin, end) on parts of [0, n), one contiguous part a thread, each a multiple of
/// `grain` long but the last; serial where n <= grain. An exception in a part is rethrown here.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace nibble
