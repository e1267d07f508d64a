// SPDX-License-Identifier: Apache-2.0
// Threads: one OpenMP runtime for everything. Work is cut into static, contiguous parts, so the
// same number of threads gives the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace nibble {

/// Processors this process may use (affinity mask and cgroup quota), at least 1.
int available_threads();

/// Sets the number of threads of all parallel code from here on; 0 means available_threads().
void set_threads(int count);
int threads();

/// A callable of a range, by reference: it must outlive the call it is given to. Unlike a
/// std::function it never allocates.
class RangeBody {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeBody>)
      RangeBody(const F& body)  // NOLINT: meant to be implicit
      : body_(std::addressof(body)), call_([](const void* f, int64_t begin, int64_t end) {
          (*static_cast<const F*>(f))(begin, end);
        }) {}
  void operator()(int64_t begin, int64_t end) const { call_(body_, begin, end); }

 private:
  const void* body_;
  void (*call_)(const void*, int64_t, int64_t);
};

/// Calls body(begin, end) on parts of [0, n), one contiguous part a thread, each a multiple of
/// `grain` long but the last; serial where n <= grain. An exception in a part is rethrown here.
void parallel_for(int64_t n, int64_t grain, RangeBody body);

}  // namespace nibble
