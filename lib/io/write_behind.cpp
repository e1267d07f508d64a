// SPDX-License-Identifier: Apache-2.0
#include "io/write_behind.h"

namespace nibble {

WriteBehind::WriteBehind(size_t most_bytes) : most_bytes_(most_bytes), thread_([this] { run(); }) {}

WriteBehind::~WriteBehind() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  thread_.join();
}

void WriteBehind::rethrow() const {
  if (failure_) std::rethrow_exception(failure_);
}

void WriteBehind::add(size_t bytes, std::function<void()> work) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || bytes_ == 0 || bytes_ + bytes <= most_bytes_; });
  rethrow();
  bytes_ += bytes;
  waiting_.push_back({bytes, std::move(work)});
  changed_.notify_all();
}

void WriteBehind::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || (waiting_.empty() && !busy_); });
  rethrow();
}

void WriteBehind::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    Item item = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      item.work();
    } catch (...) {
      failure = std::current_exception();
    }
    item.work = nullptr;  // with what it holds, before its bytes count as free
    lock.lock();
    busy_ = false;
    bytes_ -= item.bytes;
    if (failure && !failure_) {
      failure_ = failure;
      waiting_.clear();
      bytes_ = 0;
    }
    changed_.notify_all();
  }
}

}  // namespace nibble
