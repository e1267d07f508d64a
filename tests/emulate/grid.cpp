// SPDX-License-Identifier: Apache-2.0
// Runs the blocks of a grid, in random order, on all the emulator's OS threads
// (NIBBLE_EMULATE_THREADS, default one a core).
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>

#include "emulate.h"
#include "worker.h"

namespace nibble::emulate {
namespace {

// Smaller grids are not worth waking other threads for.
constexpr uint64_t kShareFrom = 1024;

struct Blocks {
  Job* job;
  uint64_t count, first, stride;
  std::vector<uint64_t> sample;  // the blocks that run while counting
  std::atomic<uint64_t> next = 0;
};

void run_share(Blocks& blocks) {
  thread_local std::unique_ptr<Worker> own;
  if (own == nullptr) own = std::make_unique<Worker>();
  Job& job = *blocks.job;
  const dim3 grid = job.launch.grid;
  for (;;) {
    const uint64_t i = blocks.next.fetch_add(1);
    if (i >= (blocks.sample.empty() ? blocks.count : blocks.sample.size()) || job.failed) return;
    const uint64_t number = blocks.sample.empty()
                                ? (blocks.first + i * blocks.stride) % blocks.count
                                : blocks.sample[i];
    const uint3 index = {static_cast<unsigned>(number % grid.x),
                         static_cast<unsigned>(number / grid.x % grid.y),
                         static_cast<unsigned>(number / grid.x / grid.y)};
    if (!own->run_block(job, index, static_cast<uint32_t>(number)) || !counting()) continue;
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    count_block(counts_of(job.launch.kernel, job.launch.name), own->log);
  }
}

class Pool {
 public:
  Pool() {
    unsigned threads = std::thread::hardware_concurrency();
    if (const char* text = getenv("NIBBLE_EMULATE_THREADS")) {
      threads = static_cast<unsigned>(atoi(text));
    }
    for (unsigned i = 1; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  void run(Blocks& blocks) {
    {
      const std::lock_guard lock(mutex_);
      blocks_ = &blocks;
      ++round_;
      busy_ = threads_.size();
    }
    wake_.notify_all();
    run_share(blocks);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    blocks_ = nullptr;
  }

 private:
  void serve() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return ending_ || round_ != seen; });
      if (ending_) return;
      seen = round_;
      Blocks* blocks = blocks_;
      lock.unlock();
      run_share(*blocks);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  Blocks* blocks_ = nullptr;
  uint64_t round_ = 0;
  size_t busy_ = 0;
  bool ending_ = false;
};

}  // namespace

void run_job(Job& job) {
  static Pool pool;
  const dim3 grid = job.launch.grid, block = job.launch.block;
  Random random(job.seed);
  Blocks blocks{.job = &job,
                .count = uint64_t{grid.x} * grid.y * grid.z,
                .first = random.next() >> 32,
                .stride = random.next() >> 40};
  // Steps through all blocks where it has no factor in common with their number.
  while (std::gcd(++blocks.stride, blocks.count) != 1) {
  }
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (counting()) {
    blocks.sample = choose_sample(blocks.count, grid.x, job.seed);
    Counts& counts = counts_of(job.launch.kernel, job.launch.name);
    begin_launch(counts);
    counts.shared_bytes = static_cast<int64_t>(job.launch.shared_bytes);
    counts.blocks += static_cast<int64_t>(blocks.count);
    counts.threads = static_cast<int64_t>(threads);
  }
  if (blocks.count > 1 && blocks.count * threads >= kShareFrom) {
    pool.run(blocks);
  } else {
    run_share(blocks);
  }
}

}  // namespace nibble::emulate
