// SPDX-License-Identifier: Apache-2.0
// Work that is done in order on a thread of its own, so that what is made is written while the next
// is made. How much may wait is bounded in bytes.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace nibble {

class WriteBehind {
 public:
  explicit WriteBehind(size_t most_bytes = size_t{32} << 20);
  /// Leaves undone what still waits: finish() is what completes.
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  /// Waits until there is room: `work` holds `bytes` until it is done, alone if they are more than
  /// there is room for. Throws what earlier work has thrown, after which nothing more is done.
  void add(size_t bytes, std::function<void()> work);
  /// Waits for all of it; throws likewise.
  void finish();

 private:
  struct Item {
    size_t bytes;
    std::function<void()> work;
  };
  void run();
  void rethrow() const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> waiting_;
  size_t bytes_ = 0, most_bytes_;  // of what waits and of what is being done
  bool busy_ = false, stopping_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace nibble
