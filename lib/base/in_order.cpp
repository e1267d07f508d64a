// SPDX-License-Identifier: Apache-2.0
#include "base/in_order.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/threads.h"

namespace nibble {
namespace {

class InOrder {
 public:
  using Body = std::function<void(int64_t)>;
  InOrder(int64_t n, int64_t ahead, const Body& make, const Body& use)
      : make_(make), use_(use), slots_(static_cast<size_t>(ahead)), n_(n) {}

  /// Every thread's part.
  void work() {
    std::unique_lock lock(mutex_);
    while (!failure_ && used_ < n_) {
      if (!using_ && slot(used_).made)
        use_next(lock);
      else if (made_ < n_ && made_ - used_ < std::ssize(slots_))
        make_next(lock);
      else
        changed_.wait(lock);
    }
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  struct Slot {
    bool made = false;
    std::exception_ptr failure;  // thrown when its turn comes: an earlier one may fail yet
  };
  Slot& slot(int64_t i) { return slots_[static_cast<size_t>(i % std::ssize(slots_))]; }

  static std::exception_ptr thrown_by(const Body& body, int64_t i) {
    try {
      body(i);
    } catch (...) {
      return std::current_exception();
    }
    return {};
  }

  void make_next(std::unique_lock<std::mutex>& lock) {
    const int64_t i = made_++;
    lock.unlock();
    const std::exception_ptr failure = thrown_by(make_, i);
    lock.lock();
    slot(i) = {true, failure};
    if (failure) n_ = std::min(n_, i + 1);
  }

  void use_next(std::unique_lock<std::mutex>& lock) {
    const int64_t i = used_;
    std::exception_ptr failure = slot(i).failure;
    if (!failure) {
      using_ = true;
      lock.unlock();
      failure = thrown_by(use_, i);
      lock.lock();
      using_ = false;
    }
    slot(i) = {};
    ++used_;
    failure_ = failure;
    changed_.notify_all();
  }

  const Body& make_;
  const Body& use_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  int64_t n_, made_ = 0, used_ = 0;  // made_: begun
  bool using_ = false;
  std::exception_ptr failure_;
};

}  // namespace

int64_t ahead_in_order() {
  return int64_t{2} * threads();
}

void in_order(int64_t n, int64_t ahead, const std::function<void(int64_t)>& make,
              const std::function<void(int64_t)>& use) {
  CHECK(ahead > 0);
  InOrder all(n, ahead, make, use);
  parallel_for(std::min<int64_t>(n, threads()), 1, [&all](int64_t, int64_t) { all.work(); });
  all.rethrow();
}

}  // namespace nibble
