// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <sys/mman.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "emulate.h"
#include "report.h"

namespace nibble::emulate {

Heap heap;
Running running;

namespace {

constexpr size_t kAlignment = 256, kGap = 512;
// Larger ones are not filled with a pattern: their shadow tells all the same.
constexpr size_t kFillAtMost = size_t{64} << 20;

struct Allocation {
  size_t bytes;
  Kind kind;
  bool live;
  int number;
};

struct Tensor {
  size_t bytes;
  std::string name;
};

struct TaskRecord {
  uint32_t stream, sequence, replay, node;
};

struct State {
  std::mutex mutex;
  std::map<uintptr_t, Allocation> allocations;
  std::map<uintptr_t, Tensor> tensors;
  std::map<uintptr_t, size_t> host;
  uintptr_t next = 0;
  size_t used = 0;
  int count = 0;
  uint32_t last_task = 0;
  std::vector<TaskRecord> tasks;
  std::vector<std::string> names;
};

State& state() {
  static State all;
  return all;
}

void* reserve(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

// The range and its shadow, as large as the system lets us reserve.
void reserve_heap() {
  if (heap.base != 0) return;
  for (size_t bytes = size_t{1} << 36; bytes >= size_t{1} << 30; bytes /= 2) {
    const size_t cells = bytes / 4 * sizeof(Cell);
    auto* all = static_cast<std::byte*>(reserve(bytes + bytes / 4 + cells));
    if (all == nullptr) continue;
    heap.state = reinterpret_cast<uint8_t*>(all + bytes);
    heap.cells = reinterpret_cast<Cell*>(all + bytes + bytes / 4);
    heap.bytes = bytes;
    heap.base = reinterpret_cast<uintptr_t>(all);
    state().next = heap.base + kAlignment;
    return;
  }
  fprintf(stderr, "emulate: cannot reserve address space for device memory\n");
  abort();
}

uint8_t low_bytes(size_t n) {
  return static_cast<uint8_t>((1u << n) - 1);
}

// Applies f(word, mask of bytes) to the words of a range.
template <class F>
void each_word(uintptr_t start, size_t bytes, F f) {
  if (bytes == 0) return;
  const uintptr_t end = start + bytes;
  size_t word = (start - heap.base) / 4;
  const size_t last = (end - 1 - heap.base) / 4;
  const auto first_mask = static_cast<uint8_t>(0xf & ~low_bytes(start % 4));
  const auto last_mask = static_cast<uint8_t>(end % 4 == 0 ? 0xf : low_bytes(end % 4));
  if (word == last) {
    f(word, static_cast<uint8_t>(first_mask & last_mask));
    return;
  }
  f(word, first_mask);
  for (++word; word < last; ++word) f(word, uint8_t{0xf});
  f(last, last_mask);
}

void set_state(uintptr_t start, size_t bytes, bool allocated, bool written) {
  const size_t whole = bytes / 4 * 4;
  const int value = (allocated ? 0xf0 : 0) | (written ? 0x0f : 0);
  memset(heap.state + (start - heap.base) / 4, value, whole / 4);
  each_word(start + whole, bytes - whole, [&](size_t word, uint8_t mask) {
    heap.state[word] = static_cast<uint8_t>((allocated ? mask << 4 : 0) | (written ? mask : 0));
  });
}

}  // namespace

size_t device_bytes() {
  static const size_t bytes = [] {
    size_t value = size_t{1} << 30;
    if (const char* text = getenv("NIBBLE_EMULATE_MEMORY")) {
      std::from_chars(text, text + strlen(text), value);
    }
    return value;
  }();
  return bytes;
}

size_t device_bytes_used() {
  const std::lock_guard lock(state().mutex);
  return state().used;
}

void* allocate(size_t bytes, Kind kind) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  reserve_heap();
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded < bytes) return nullptr;
  if (kind == Kind::kDevice && rounded > device_bytes() - std::min(s.used, device_bytes())) {
    return nullptr;
  }
  if (rounded + kGap > heap.base + heap.bytes - s.next) return nullptr;
  const uintptr_t start = s.next;
  s.next += rounded + kGap;
  if (kind == Kind::kDevice) s.used += rounded;
  s.allocations[start] = {bytes, kind, true, s.count++};
  auto* p = reinterpret_cast<void*>(start);
  if (bytes <= kFillAtMost && !bodies_skipped()) memset(p, 0xff, bytes);  // NaN in any type
  // The host writes pinned memory unseen.
  if (checks_on()) set_state(start, bytes, true, kind == Kind::kPinned);
  return p;
}

bool release(void* p, Kind kind) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto it = s.allocations.find(reinterpret_cast<uintptr_t>(p));
  if (it == s.allocations.end() || !it->second.live || it->second.kind != kind) return false;
  Allocation& a = it->second;
  const size_t rounded = (a.bytes + kAlignment - 1) / kAlignment * kAlignment;
  a.live = false;
  if (kind == Kind::kDevice) s.used -= rounded;
  // Addresses are not handed out again, so whatever still points here is caught.
  if (checks_on()) set_state(it->first, a.bytes, false, false);
  if (a.bytes <= kFillAtMost && !bodies_skipped()) memset(p, 0xff, a.bytes);
  const uintptr_t page = 4096, first = (it->first + page - 1) / page * page;
  const uintptr_t end = (it->first + a.bytes) / page * page;
  if (end > first && end - first > kFillAtMost) {
    madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
  }
  s.tensors.erase(s.tensors.lower_bound(it->first), s.tensors.lower_bound(it->first + a.bytes));
  return true;
}

Place find_allocation(const void* p, size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto address = reinterpret_cast<uintptr_t>(p);
  auto it = s.allocations.upper_bound(address);
  if (it == s.allocations.begin()) return {};
  --it;
  const Allocation& a = it->second;
  const bool within = address - it->first <= a.bytes && bytes <= a.bytes - (address - it->first);
  return {a.live, a.kind, it->first, a.bytes, within};
}

std::string describe(const void* p) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto address = reinterpret_cast<uintptr_t>(p);
  char text[160];
  auto tensor = s.tensors.upper_bound(address);
  if (tensor != s.tensors.begin()) {
    --tensor;
    if (address - tensor->first < tensor->second.bytes) {
      snprintf(text, sizeof text, "%s + %zu of %zu", tensor->second.name.c_str(),
               static_cast<size_t>(address - tensor->first), tensor->second.bytes);
      return text;
    }
  }
  auto it = s.allocations.upper_bound(address);
  if (it == s.allocations.begin()) {
    snprintf(text, sizeof text, "address %p", p);
    return text;
  }
  --it;
  const Allocation& a = it->second;
  snprintf(text, sizeof text, "%s%s allocation %d + %zu of %zu", a.live ? "" : "freed ",
           a.kind == Kind::kDevice ? "device" : "pinned", a.number,
           static_cast<size_t>(address - it->first), a.bytes);
  return text;
}

void annotate(const void* p, size_t bytes, const char* name) {
  if (!heap.holds(p, bytes)) return;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto start = reinterpret_cast<uintptr_t>(p);
  s.tensors.erase(s.tensors.lower_bound(start), s.tensors.lower_bound(start + bytes));
  s.tensors[start] = {bytes, name};
  if (checks_on()) set_state(start, bytes, true, false);
}

void withhold(const void* p, size_t bytes, bool away) {
  if (!checks_on() || !heap.holds(p, bytes)) return;
  each_word(reinterpret_cast<uintptr_t>(p), bytes, [&](size_t word, uint8_t mask) {
    const int written = away ? heap.state[word] & ~mask : heap.state[word] | mask;
    heap.state[word] = static_cast<uint8_t>(written);
  });
}

bool register_host(void* p, size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.host.emplace(reinterpret_cast<uintptr_t>(p), bytes).second;
}

bool unregister_host(void* p) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.host.erase(reinterpret_cast<uintptr_t>(p)) == 1;
}

bool registered(const void* p, size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto address = reinterpret_cast<uintptr_t>(p);
  auto it = s.host.upper_bound(address);
  if (it == s.host.begin()) return false;
  --it;
  return address - it->first <= it->second && bytes <= it->second - (address - it->first);
}

void begin_task(Running task) {
  State& s = state();
  if (s.last_task == Stamp::kMaxTask) {
    // Ids run out: forget who touched what.
    madvise(static_cast<void*>(heap.cells), heap.bytes / 4 * sizeof(Cell), MADV_DONTNEED);
    s.last_task = 0;
    s.tasks.clear();
    s.names.clear();
  }
  task.id = ++s.last_task;
  s.tasks.resize(task.id + 1);
  s.names.resize(task.id + 1);
  s.tasks[task.id] = {task.stream, task.sequence, task.replay, task.node};
  s.names[task.id] = task.name;
  running = std::move(task);
}

void end_task() {
  running = {};
}

bool ordered_before(uint32_t task, const std::vector<uint32_t>& clock) {
  const TaskRecord& earlier = state().tasks[task];
  return earlier.stream < clock.size() && clock[earlier.stream] >= earlier.sequence;
}

bool ordered_before_running(uint32_t task) {
  if (task == running.id) return true;
  const TaskRecord& earlier = state().tasks[task];
  if (earlier.replay != 0 && earlier.replay == running.replay) {
    return earlier.node == running.node ||
           (running.ancestors != nullptr && (*running.ancestors)[earlier.node]);
  }
  return running.clock == nullptr || ordered_before(task, *running.clock);
}

std::string task_name(uint32_t task) {
  return state().names[task];
}

bool all_written(const void* p, size_t bytes) {
  if (!checks_on() || !heap.holds(p, bytes)) return true;
  bool all = true;
  each_word(reinterpret_cast<uintptr_t>(p), bytes,
            [&](size_t word, uint8_t mask) { all &= (heap.state[word] & mask) == mask; });
  return all;
}

bool check_range(const void* p, size_t bytes, bool write) {
  if (!checks_on() || bytes == 0 || !heap.holds(p)) return true;
  const char* fault = nullptr;
  uintptr_t where = 0;
  uint32_t other = 0;
  const auto start = reinterpret_cast<uintptr_t>(p);
  const auto note = [&](size_t word, const char* what, uint32_t task) {
    if (fault != nullptr) return;
    fault = what;
    where = std::max(start, heap.base + word * 4);
    other = task;
  };
  const uint64_t stamp = static_cast<uint64_t>(running.id) << Stamp::kTask;
  uint32_t known = 0;  // the last task found to be earlier: mostly one wrote it all
  const auto earlier = [&](uint32_t task) {
    if (task == 0 || task == known) return true;
    if (!ordered_before_running(task)) return false;
    known = task;
    return true;
  };
  each_word(start, std::min(bytes, heap.base + heap.bytes - start), [&](size_t word, uint8_t mask) {
    const uint8_t now = heap.state[word];
    if ((now >> 4 & mask) != mask) return note(word, "out of bounds", 0);
    if (!write && (now & mask) != mask) return note(word, "never written", 0);
    Cell& cell = heap.cells[word];
    const Stamp writer{cell.write};
    if (!earlier(writer.task()) && (writer.bytes() & mask) != 0) {
      note(word,
           write ? "written, not ordered after the write by" : "not ordered after the write by",
           writer.task());
    }
    const uint64_t mine = stamp | static_cast<uint64_t>(mask) << Stamp::kBytes;
    if (write) {
      for (const uint64_t read : cell.read) {
        const Stamp reader{read};
        if (!earlier(reader.task()) && (reader.bytes() & mask) != 0) {
          note(word, "not ordered after the read by", reader.task());
        }
      }
      heap.state[word] = static_cast<uint8_t>(now | mask);
      cell.write = mine;
    } else {
      for (uint64_t& read : cell.read) read = mine;
    }
  });
  if (fault == nullptr) return true;
  report(running.name + ": " + (write ? "write" : "read") + " of " + std::to_string(bytes) +
             " bytes from " + describe(p) + ": at " + describe(reinterpret_cast<void*>(where)) +
             ": " + fault + (other != 0 ? " " + task_name(other) : ""),
         cudaErrorIllegalAddress);
  return false;
}

}  // namespace nibble::emulate
