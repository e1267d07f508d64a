// SPDX-License-Identifier: Apache-2.0
// Products of a warpgroup: wgmma.mma_async and what orders it, by the rules of the PTX ISA (9.7.15,
// "Asynchronous warpgroup level matrix multiply-accumulate operations"). The last of the 128
// threads to come reads the operands and multiplies. The sums are handed over by the wait: until
// then the registers hold NaN, touching them is a fault, and so is writing shared memory that is
// read. Stricter than the manual: every group begins with a wgmma.fence.
#include <emulate/device.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "access.h"

namespace nibble::emulate {
namespace {

constexpr int kRows = 64, kDepth = 16;
constexpr uint32_t kRowBytes = 128;
constexpr uint32_t kWindow = 1024;  // where shared memory begins: not at 0, as on the device

float bf16_value(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// A matrix in shared memory as its descriptor tells it ("Matrix descriptor format").
class Matrix {
 public:
  Matrix(Worker& w, uint64_t descriptor, bool down)
      : w_(w),
        start_(field(descriptor, 0)),
        leading_(field(descriptor, 16)),
        stride_(field(descriptor, 32)),
        down_(down) {
    const uint64_t mode = descriptor >> 62, base_offset = descriptor >> 49 & 7;
    if (mode != 1)
      w.fail("wgmma: swizzling mode " + std::to_string(mode) +
             "; 1, of 128 bytes, is all there is");
    if (base_offset != 0) w.fail("wgmma: a matrix whose pattern has a base offset");
  }

  // Where the 16 bytes lie that hold the element of row or column `at` of the product and term k
  // ("Canonical layouts", in elements; the swizzling acts on the address).
  const char* place(int at, int k) const {
    const auto u = static_cast<uint32_t>(at), t = static_cast<uint32_t>(k);
    uint32_t address = start_;
    if (down_)  // ((T,8,m),(8,k)):((1,T,LBO),(8T,SBO)), T being 8 elements
      address += u / 64 * leading_ + u % 64 * 2 + t / 8 * stride_ + t % 8 * kRowBytes;
    else  // ((8,m),(T,2k)):((8T,SBO),(1,T))
      address += u / 8 * stride_ + u % 8 * kRowBytes + t * 2;
    address ^= (address >> 7 & 7) << 4;  // Swizzle<3,4,3>
    return w_.dynamic + (static_cast<int64_t>(address) - kWindow);
  }

 private:
  static uint32_t field(uint64_t descriptor, int bit) {
    return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4;
  }

  Worker& w_;
  uint32_t start_, leading_, stride_;
  bool down_;
};

// The elements of `width` rows or columns, (width, 16), and every 16 bytes of them held.
void read_matrix(Worker& w, const Matrix& matrix, int width, float* out, Product& product) {
  for (int i = 0; i < width; ++i) {
    for (int k = 0; k < kDepth; ++k) {
      const char* at = matrix.place(i, k);
      const char* chunk = w.dynamic + ((at - w.dynamic) & ~ptrdiff_t{15});
      if (!in_shared(w, chunk))
        w.fail_access(chunk, 16, false, "wgmma reads only shared memory", cudaErrorIllegalAddress);
      product.reads.push_back(chunk);
      uint16_t bits;
      memcpy(&bits, at, sizeof bits);
      out[i * kDepth + k] = bf16_value(bits);
    }
  }
}

const OwnProduct* latest(const Thread& t, const float* d) {
  for (size_t i = t.products.size(); i-- > 0;) {
    if (t.products[i].d == d) return &t.products[i];
  }
  return nullptr;
}

void multiply(Worker& w, WarpgroupMeeting& m, int first) {
  auto product = std::make_shared<Product>();
  product->waiting = kWarpgroup;
  float left[kRows * kDepth], right[256 * kDepth];
  const Matrix b(w, m.wanted.b_matrix, m.wanted.b_down);
  if (m.wanted.in_registers) {
    // "Register fragments": of each warp sixteen rows, as of mma.m16n8k16.
    for (int t = 0; t < kWarpgroup; ++t) {
      const int row = t / kWarp * 16 + t % kWarp / 4, column = t % 4 * 2;
      for (int i = 0; i < 4; ++i) {
        const uint32_t word = m.lanes[t].a[i];
        float* to = left + (row + 8 * (i & 1)) * kDepth + column + 8 * (i >> 1);
        to[0] = bf16_value(static_cast<uint16_t>(word));
        to[1] = bf16_value(static_cast<uint16_t>(word >> 16));
      }
    }
  } else {
    read_matrix(w, Matrix(w, m.wanted.a_matrix, false), kRows, left, *product);
  }
  read_matrix(w, b, m.wanted.n, right, *product);
  auto& reads = product->reads;
  std::sort(reads.begin(), reads.end());
  reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
  for (const char* p : reads) hold_for_wgmma(p);

  std::vector<float> down(static_cast<size_t>(m.wanted.n * kDepth)),
      sum(static_cast<size_t>(kRows * m.wanted.n));
  for (int j = 0; j < m.wanted.n; ++j) {
    for (int k = 0; k < kDepth; ++k)
      down[static_cast<size_t>(k * m.wanted.n + j)] = right[j * kDepth + k];
  }
  const auto each_sum = [&](auto f) {
    for (int t = 0; t < kWarpgroup; ++t) {
      const int row = t / kWarp * 16 + t % kWarp / 4, column = t % 4 * 2;
      for (int i = 0; i < m.wanted.n / 2; ++i)
        f(t, i,
          sum[static_cast<size_t>((row + i / 2 % 2 * 8) * m.wanted.n + i / 4 * 8 + column +
                                  i % 2)]);
    }
  };
  if (m.wanted.add) {
    const OwnProduct* before[kWarpgroup];
    for (int t = 0; t < kWarpgroup; ++t)
      before[t] = latest(w.threads[static_cast<size_t>(first + t)], m.lanes[t].d);
    each_sum([&](int t, int i, float& x) {
      x = before[t] ? before[t]->sums[static_cast<size_t>(i)] : m.lanes[t].d[i];
    });
  }
  const bool broken = faulty("wgmma");  // the terms of the two halves mixed up
  for (int i = 0; i < kRows; ++i) {
    float* const row = sum.data() + i * m.wanted.n;
    for (int k = 0; k < kDepth; ++k) {
      const float x = left[i * kDepth + (broken ? k ^ 8 : k)];
      const float* const factors = down.data() + k * m.wanted.n;
      for (int j = 0; j < m.wanted.n; ++j) row[j] += x * factors[j];
    }
  }
  OwnProduct* own[kWarpgroup];
  for (int t = 0; t < kWarpgroup; ++t) {
    auto& products = w.threads[static_cast<size_t>(first + t)].products;
    products.push_back({product, m.lanes[t].d,
                        std::vector<float>(static_cast<size_t>(m.wanted.n / 2)), m.lanes[t].a});
    own[t] = &products.back();
    std::fill_n(m.lanes[t].d, m.wanted.n / 2, NAN);
  }
  each_sum([&](int t, int i, float& x) { own[t]->sums[static_cast<size_t>(i)] = x; });
}

// The current thread has come for a product; true where it was the last, and the product is made.
bool come(const WarpgroupMeeting::Wanted& wanted, const WarpgroupMeeting::Lane& lane) {
  Worker& w = *worker;
  const Inside at_work(w);
  Thread& self = *w.thread;
  const int first = self.id / kWarpgroup * kWarpgroup;
  if (first + kWarpgroup > static_cast<int>(w.block_threads()))
    w.fail("wgmma: no four warps from a multiple of four on");
  if (wanted.n < 8 || wanted.n > 256 || wanted.n % 8 != 0)
    w.fail("wgmma: " + std::to_string(wanted.n) + " columns");
  if (!self.wgmma_fenced)
    w.fail("wgmma: no wgmma.fence since the last wait, after which its registers may be touched");
  for (const OwnProduct& product : self.products) {
    if (product.d == lane.d && product.sums.size() != static_cast<size_t>(wanted.n / 2))
      w.fail("wgmma: sums of a product of another shape that is at work");
  }
  WarpgroupMeeting& m = w.warpgroups[first / kWarpgroup];
  if (m.arrived == 0) m.wanted = wanted;
  if (m.wanted != wanted) w.fail("wgmma: the threads of a warpgroup ask for different products");
  m.lanes[self.id - first] = lane;
  if (++m.arrived < kWarpgroup) return false;
  m.arrived = 0;
  multiply(w, m, first);
  for (int t = first; t < first + kWarpgroup; ++t) {
    if (t != self.id) w.make_ready(static_cast<uint16_t>(t));
  }
  return true;
}

}  // namespace

uint32_t shared_address(const void* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) {
    const Inside at_work(*worker);
    worker->fail("wgmma: a matrix begins at no multiple of 16 bytes");
  }
  return static_cast<uint32_t>(static_cast<const char*>(p) - worker->dynamic) + kWindow;
}

void check_registers(Worker& w, const void* p, int bytes, bool write) {
  for (const OwnProduct& product : w.thread->products) {
    if (product.sums_meet(p, static_cast<size_t>(bytes)))
      w.fail(std::string(write ? "write" : "read") +
             " of sums of wgmma that has not been waited for (wgmma.wait_group)");
    if (write && product.operand_meets(p, static_cast<size_t>(bytes)))
      w.fail("write of registers that wgmma, not waited for, reads (wgmma.wait_group)");
  }
}

void wgmma(float* d, int n, const uint32_t* a, uint64_t a_matrix, uint64_t b_matrix, bool b_down,
           bool add) {
  if (!come({n, b_down, add, a != nullptr, a_matrix, b_matrix}, {d, a})) worker->wait();
}

void wgmma_fence() {
  worker->thread->wgmma_fenced = true;
}

void wgmma_commit() {
  const Inside at_work(*worker);
  Thread& t = *worker->thread;
  t.product_groups.push_back(t.products.size());
}

void wgmma_wait(int groups) {
  const Inside at_work(*worker);
  Thread& t = *worker->thread;
  t.wgmma_fenced = false;
  const auto pending = static_cast<int>(t.product_groups.size());
  if (pending <= groups) return;
  const size_t done = t.product_groups[static_cast<size_t>(pending - groups - 1)];
  for (size_t i = 0; i < done; ++i) {
    OwnProduct& own = t.products[i];
    // Sums that a later product goes on with stay its own.
    bool last = true;
    for (size_t j = i + 1; j < t.products.size(); ++j) last &= t.products[j].d != own.d;
    if (last) std::copy(own.sums.begin(), own.sums.end(), own.d);
    if (--own.product->waiting == 0) {
      for (const char* p : own.product->reads) release_from_wgmma(p);
    }
  }
  t.products.erase(t.products.begin(), t.products.begin() + static_cast<ptrdiff_t>(done));
  t.product_groups.erase(t.product_groups.begin(), t.product_groups.end() - groups);
  for (size_t& end : t.product_groups) end -= done;
}

void check_awaited(const void* registers, size_t bytes) {
  Worker& w = *worker;
  const Inside at_work(w);
  for (const OwnProduct& product : w.thread->products) {
    if (product.sums_meet(registers, bytes) || product.operand_meets(registers, bytes))
      w.fail("wgmma.wait_group gives up registers of a product that is still at work");
  }
}

// A moment of its own, so that it is before or after every write.
void fence_async_proxy() {
  worker->thread->proxy_fence = worker->time++;
}

}  // namespace nibble::emulate
