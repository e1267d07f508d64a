// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "program.h"

namespace nibble::emulate {

constinit thread_local Worker* worker __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {

using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr size_t kStackBytes = size_t{64} << 10, kGuardBytes = 4096, kColour = 448;
// When a block starts later than this, time begins anew.
constexpr uint32_t kMaxTime = 1u << 27;

// The __shared__ variables: thread_local and local to a function, which mangling begins with _ZZ.
struct Statics {
  std::vector<Symbol> symbols;
  std::vector<uint16_t> owner;  // of each byte, 1 + index into symbols; 0 none
  size_t bytes = 0;

  Statics() {
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* self) {
          // The program itself comes first.
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            if (info->dlpi_phdr[i].p_type == PT_TLS) {
              static_cast<Statics*>(self)->bytes = info->dlpi_phdr[i].p_memsz;
            }
          }
          return 1;
        },
        this);
    read_symbols();
    owner.assign(bytes, 0);
    for (size_t i = 0; i < symbols.size(); ++i) {
      const Symbol& s = symbols[i];
      if (s.value > bytes || s.bytes > bytes - s.value) continue;
      std::fill_n(owner.begin() + static_cast<ptrdiff_t>(s.value), s.bytes,
                  static_cast<uint16_t>(i + 1));
    }
  }

  void read_symbols() {
    for (const Symbol& s : program_symbols()) {
      if (!s.thread_local_storage || s.name.rfind("_ZZ", 0) != 0) continue;
      if (symbols.size() == UINT16_MAX - 1) break;
      symbols.push_back({s.value, s.bytes, true, short_name(s.name)});
    }
  }

  // _ZZ <function> E <length> <name>: the part after the last E that a length begins.
  static std::string short_name(const std::string& mangled) {
    for (size_t at = mangled.rfind('E'); at != std::string::npos && at > 0;
         at = mangled.rfind('E', at - 1)) {
      char* end = nullptr;
      const size_t length = strtoul(mangled.c_str() + at + 1, &end, 10);
      const auto begin = static_cast<size_t>(end - mangled.c_str());
      if (length > 0 && begin + length <= mangled.size()) return mangled.substr(begin, length);
    }
    return mangled;
  }
};

const Statics& statics_of_program() {
  static const Statics all;
  return all;
}

void* map_zeroed(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    fprintf(stderr, "emulate: out of memory\n");
    abort();
  }
  return p;
}

// This thread's instance of the program's thread_local storage.
char* own_statics() {
  char* start = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<char**>(out) = static_cast<char*>(info->dlpi_tls_data);
        return 1;
      },
      &start);
  return start;
}

}  // namespace

std::string describe_static(size_t offset) {
  const Statics& all = statics_of_program();
  const uint16_t owner = offset < all.owner.size() ? all.owner[offset] : 0;
  if (owner == 0) return "";
  const Symbol& s = all.symbols[owner - 1u];
  return "shared " + s.name + " + " + std::to_string(offset - s.value) + " of " +
         std::to_string(s.bytes);
}

bool within_static(size_t offset, size_t bytes) {
  const Statics& all = statics_of_program();
  if (all.symbols.empty()) return true;  // a stripped program
  return offset + bytes <= all.owner.size() && all.owner[offset] != 0 &&
         all.owner[offset] == all.owner[offset + bytes - 1];
}

Worker::Worker() : fibres_(kMaxThreads) {
  threads.resize(kMaxThreads);
  stack_bytes = kMaxThreads * (kStackBytes + kGuardBytes);
  stacks = static_cast<char*>(map_zeroed(stack_bytes));
  for (int i = 0; i < kMaxThreads; ++i) {
    fibres_[static_cast<size_t>(i)].stack = stacks + i * (kStackBytes + kGuardBytes);
    mprotect(fibres_[static_cast<size_t>(i)].stack, kGuardBytes, PROT_NONE);
  }
  dynamic = static_cast<char*>(map_zeroed(kMaxShared));
  dynamic_held.resize(kMaxShared / 4);
  dynamic_cells = static_cast<SharedCell*>(map_zeroed(kMaxShared / 4 * sizeof(SharedCell)));
  statics = own_statics();
  static_bytes = statics == nullptr ? 0 : statics_of_program().bytes;
  static_cells = static_cast<SharedCell*>(map_zeroed((static_bytes / 4 + 1) * sizeof(SharedCell)));
}

Worker::~Worker() {
  munmap(stacks, stack_bytes);
  munmap(dynamic, kMaxShared);
  munmap(dynamic_cells, kMaxShared / 4 * sizeof(SharedCell));
  munmap(static_cells, (static_bytes / 4 + 1) * sizeof(SharedCell));
}

void Worker::enter(transfer_t from) {
  Worker& self = *worker;
  self.previous_->context = from.fctx;
  self.run_threads();
}

// The life of a fibre: thread after thread; never returns. Whoever jumps to an idle one has said
// which thread it is to begin.
void Worker::run_threads() {
  for (;;) {
    begin(to_begin_);
    job->call(job->launch.kernel, job->arguments.data());
    finish();
    const int id = draw();
    if (id >= 0 && !begun(id)) {
      to_begin_ = static_cast<uint16_t>(id);
      continue;
    }
    idle_.push_back(running_);
    jump(id < 0 ? main_ : *threads[static_cast<size_t>(id)].fibre);
  }
}

void Worker::begin(uint16_t id) {
  thread = &threads[id];
  thread->fibre = running_;
}

void Worker::finish() {
  const Inside at_work(*this);
  if (!thread->copies.empty()) {
    fail("this thread ends with " + std::to_string(thread->copies.size()) +
         " copies of cp.async that nobody waited for");
  }
  thread->groups.clear();
  if (!thread->products.empty()) {
    fail("this thread ends with " + std::to_string(thread->products.size()) +
         " products of wgmma that nobody waited for");
  }
  thread->product_groups.clear();
  warps[warp_of()].exited |= 1u << lane_of();
  ++exited;
  if (block_barrier.arrived > 0) {
    fail("barrier not reached by all: this thread ends while others wait at " +
         std::string(block_barrier.file) + ":" + std::to_string(block_barrier.line));
  }
  thread = nullptr;
}

bool Worker::run_block(Job& the_job, uint3 index, uint32_t number) {
  job = &the_job;
  block_index = index;
  block = number;
  block_stamp = static_cast<uint64_t>(running.id) << Stamp::kTask |
                static_cast<uint64_t>(number % Stamp::kMaxBlock) << Stamp::kBlock;
  barriers = 0;
  acquired.clear();
  known_earlier = 0;
  dynamic_bytes = the_job.launch.shared_bytes;
  random_ = Random(the_job.seed ^ (number + 1) * 0x9e3779b97f4a7c15u);
  if (time > kMaxTime) {
    memset(static_cast<void*>(dynamic_cells), 0, kMaxShared / 4 * sizeof(SharedCell));
    memset(static_cast<void*>(static_cells), 0, (static_bytes / 4 + 1) * sizeof(SharedCell));
    time = 1;
  }
  block_start = time++;
  const dim3 extent = the_job.launch.block;
  const auto count = static_cast<int>(extent.x * extent.y * extent.z);
  for (int w = 0; w < (count + kWarp - 1) / kWarp; ++w) {
    warps[w].open = 0;
    // Lanes past the last thread do not exist.
    const int lanes = std::min(kWarp, count - w * kWarp);
    warps[w].exited = lanes == kWarp ? 0 : ~0u << lanes;
    for (uint32_t& known_time : known[w]) known_time = block_start;
  }
  inside = false;
  block_barrier = {};
  block_barrier.expected = count;
  for (Barrier& b : named) b = {};
  for (WarpgroupMeeting& m : warpgroups) m.arrived = 0;
  exited = 0;
  failed_ = false;
  open_ = 0;
  for (int w = 0; w < (count + kWarp - 1) / kWarp; ++w) {
    ready_[w] = 0;
    unstarted_[w] = ~warps[w].exited;
    open_ |= 1u << w;
  }
  for (int i = 0; i < count; ++i) {
    const auto u = static_cast<unsigned>(i);
    Thread& t = threads[u];
    t.id = static_cast<uint16_t>(i);
    t.index = {u % extent.x, u / extent.x % extent.y, u / (extent.x * extent.y)};
    t.fenced = t.wgmma_fenced = false;
    t.proxy_fence = 0;
  }
  log.clear();
  if (counting()) log.resize(static_cast<size_t>(count));
  idle_.clear();
  for (size_t i = fibres_.size(); i-- > 0;) {
    Fibre& f = fibres_[i];
    if (f.context == nullptr) {
      // Tops at different offsets in a page, so that they do not crowd the same cache lines.
      const size_t shift = i * kColour % 4096;
      f.context =
          make_fcontext(f.stack + kGuardBytes + kStackBytes - shift, kStackBytes - shift, enter);
    }
    if (i < static_cast<size_t>(count)) idle_.push_back(&f);
  }
  running_ = &main_;
  worker = this;
  to_begin_ = static_cast<uint16_t>(draw());
  Fibre* first = idle_.back();
  idle_.pop_back();
  jump(*first);
  if (!failed_ && exited < count) {
    // Nothing can go on: name one of those that wait.
    thread = nullptr;
    const std::string what = stuck();
    report(what, cudaErrorLaunchFailure);
    the_job.failed = true;
    failed_ = true;
  }
  worker = nullptr;
  if (failed_) {
    // What the fibres were doing is given up with their stacks.
    std::fill(dynamic_held.begin(), dynamic_held.end(), uint8_t{0});
    for (Fibre& f : fibres_) f.context = nullptr;
    for (Thread& t : threads) {
      t.copies.clear();
      t.groups.clear();
      t.products.clear();
      t.product_groups.clear();
    }
  }
  return !failed_;
}

namespace {
std::string triple(uint3 v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}
}  // namespace

std::string Worker::stuck() const {
  std::string text = std::string(job->launch.name) + ": block " + triple(block_index) + ": ";
  const auto first = [&](const Barrier& b) {
    return " thread " + triple(threads[b.waiting.front()].index) + " waits at " +
           (b.file == nullptr ? "a named barrier" : b.file + (":" + std::to_string(b.line)));
  };
  for (const WarpgroupMeeting& m : warpgroups) {
    if (m.arrived > 0) text += "wgmma has " + std::to_string(m.arrived) + " of 128 threads; ";
  }
  text += "barrier not reached by all:";
  if (block_barrier.arrived > 0) text += first(block_barrier);
  for (int id = 1; id < 16; ++id) {
    const Barrier& b = named[id];
    if (b.arrived == 0) continue;
    text += " barrier " + std::to_string(id) + " has " + std::to_string(b.arrived) + " of " +
            std::to_string(b.expected) + " threads";
    if (!b.waiting.empty()) text += first(b);
  }
  for (int w = 0; w < kMaxWarps && w * kWarp < block_barrier.expected; ++w) {
    for (size_t i = 0; i < warps[w].open; ++i) {
      const Meeting& m = warps[w].meetings[i];
      char lanes[96];
      snprintf(lanes, sizeof lanes, " warp %d meets with lanes %08x of %08x, %08x have ended", w,
               m.arrived, m.mask, warps[w].exited);
      text += lanes;
    }
  }
  return text;
}

void Worker::fail(const std::string& what, cudaError_t status) {
  inside = true;  // until the next block
  // The first fault of a launch is its report; the rest follows from it.
  if (!job->failed.exchange(true)) {
    report(std::string(job->launch.name) + ": block " + triple(block_index) + " thread " +
               triple(thread->index) + ": " + what,
           status);
  }
  failed_ = true;
  jump(main_);
  abort();  // a failed block is never resumed
}

void Worker::fail_access(const void* p, int bytes, bool write, const std::string& what,
                         cudaError_t status) {
  const auto* address = static_cast<const char*>(p);
  std::string place;
  if (address >= dynamic && address < dynamic + kMaxShared) {
    place = "dynamic shared + " + std::to_string(address - dynamic) + " of " +
            std::to_string(dynamic_bytes);
  } else if (address >= statics && address < statics + static_bytes) {
    place = describe_static(static_cast<size_t>(address - statics));
    if (place.empty()) place = "thread-local storage";
  } else {
    place = describe(p);
  }
  fail(std::string(write ? "write" : "read") + " of " + std::to_string(bytes) + " bytes at " +
           place + ": " + what,
       status);
}

void Worker::order_warps(uint32_t arrived, uint32_t waited) {
  // Those that waited learn what all have seen, and that all have come this far.
  uint32_t joined[kMaxWarps] = {};
  for (uint32_t left = arrived; left != 0; left &= left - 1) {
    const int w = __builtin_ctz(left);
    for (int v = 0; v < kMaxWarps; ++v) joined[v] = std::max(joined[v], known[w][v]);
  }
  for (uint32_t left = arrived; left != 0; left &= left - 1) joined[__builtin_ctz(left)] = time;
  for (uint32_t left = waited; left != 0; left &= left - 1) {
    uint32_t* own = known[__builtin_ctz(left)];
    for (int v = 0; v < kMaxWarps; ++v) own[v] = std::max(own[v], joined[v]);
  }
  ++time;
}

void Worker::barrier_at(Barrier& b, int expected, bool waits, const char* file, int line) {
  if (b.arrived == 0) {
    b.file = file;
    b.line = line;
    b.expected = expected;
    b.warps = b.waiting_warps = 0;
    b.waiting.clear();
  } else if (b.expected != expected) {
    fail("a barrier of " + std::to_string(expected) + " threads, of others " +
         std::to_string(b.expected));
  } else if (b.line != line) {
    fail("barrier not reached by all: waits at " + std::string(file) + ":" + std::to_string(line) +
         " while thread " + triple(threads[b.waiting[0]].index) + " waits at " + b.file + ":" +
         std::to_string(b.line));
  }
  b.warps |= 1u << warp_of();
  if (waits) b.waiting_warps |= 1u << warp_of();
  if (++b.arrived == expected) {
    order_warps(b.warps, b.waiting_warps);
    if (barriers < Stamp::kMaxBarriers) ++barriers;
    b.arrived = 0;
    // Whoever comes next to this barrier begins it anew, so the result goes to each.
    thread->barrier_result = b.predicates;
    for (const uint16_t id : b.waiting) {
      threads[id].barrier_result = b.predicates;
      make_ready(id);
    }
    return;
  }
  if (!waits) return;
  b.waiting.push_back(thread->id);
  wait();
}

}  // namespace nibble::emulate
