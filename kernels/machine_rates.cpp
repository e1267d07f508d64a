// SPDX-License-Identifier: Apache-2.0
#include "kernels/machine_rates.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/threads.h"
#include "kernels/code_books.h"
#include "kernels/matmul.h"

namespace nibble {
namespace {

constexpr int kRounds = 3;
constexpr double kLongEnough = 0.05;  // seconds, for a clock that has yet to rise

// Seconds of the fastest of some rounds.
template <class Work>
double fastest(const Work& work) {
  double best = 1e9, all = 0.0;
  for (int i = 0; i < kRounds || all < kLongEnough; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
    all += took.count();
  }
  return std::max(best, 1e-9);
}

double product_rate(Dtype dtype) {
  constexpr int64_t kSide = 1024;
  constexpr size_t kElements = kSide * kSide;
  std::vector<float> memory(3 * kElements, 0.0f);
  const auto square = [&](size_t i) {
    return make_tensor(memory.data() + i * kElements, dtype, {kSide, kSide});
  };
  Matmul op{.out = square(0), .a = square(1), .b = square(2), .b_transpose = Transpose::kYes};
  std::vector<float> scratch(static_cast<size_t>(matmul_scratch_elements(op)));
  op.scratch = view(scratch.data(), {static_cast<int64_t>(scratch.size())});
  return 2.0 * kSide * kSide * kSide / fastest([&] { matmul(op); });
}

// One vector costs reading and expanding the matrix and a product, eight cost eight products.
template <class T>
void measure_vectors(MachineRates& rates) {
  constexpr int64_t kSide = 4096, kMost = 8, kBlock = 64;
  std::vector<uint8_t> codes(kSide * kSide / 2, 0x5a);
  std::vector<float> absmax(kSide * kSide / kBlock, 1.0f);
  std::vector<T> x(kMost * kSide), y(kMost * kSide);
  const QuantizedMatrix matrix{.out_features = kSide,
                               .in_features = kSide,
                               .block = kBlock,
                               .codes = codes.data(),
                               .code_book = code_book(QuantType::kNf4).data(),
                               .absmax = absmax.data()};
  const auto seconds = [&](int64_t count) {
    const QuantizedMatvec op{.out = view(y.data(), {count, kSide}),
                             .x = view(x.data(), {count, kSide}),
                             .matrices = {&matrix, 1}};
    return fastest([&] { quantized_matvec(op); });
  };
  const double one = seconds(1), most = seconds(kMost);
  const double product = std::clamp((most - one) / (kMost - 1), 0.01 * one, 0.99 * one);
  rates.expanded_weights = kSide * kSide / (one - product);
  rates.vector_flops = 2.0 * kSide * kSide / product;
}

constexpr size_t kBytes = size_t{128} << 20;
constexpr int64_t kWords = kBytes / sizeof(uint64_t);

void measure_copying(MachineRates& rates, const std::vector<uint64_t>& from) {
  std::vector<uint64_t> to(kWords);
  rates.copy_bytes =
      2.0 * kBytes / fastest([&] {
        parallel_for(kWords, 4096, [&](int64_t begin, int64_t end) {
          std::memcpy(&to[static_cast<size_t>(begin)], &from[static_cast<size_t>(begin)],
                      static_cast<size_t>(end - begin) * sizeof(uint64_t));
        });
      });
}

void measure_reading(MachineRates& rates, const std::vector<uint64_t>& from) {
  std::atomic<uint64_t> sum = 0;
  rates.read_bytes = static_cast<double>(kBytes) / fastest([&] {
                       parallel_for(kWords, 4096, [&](int64_t begin, int64_t end) {
                         uint64_t part[8] = {};
                         int64_t i = begin;
                         for (; i + 8 <= end; i += 8)
                           for (int64_t j = 0; j < 8; ++j)
                             part[j] += from[static_cast<size_t>(i + j)];
                         for (; i < end; ++i) part[0] += from[static_cast<size_t>(i)];
                         for (const uint64_t p : part) sum += p;
                       });
                     });
}

}  // namespace

MachineRates measure_machine() {
  const std::vector<uint64_t> from(kWords, 1);
  MachineRates rates{.f32_flops = product_rate(Dtype::kF32),
                     .bf16_flops = product_rate(Dtype::kBf16)};
  measure_vectors<bf16>(rates);
  measure_copying(rates, from);
  measure_reading(rates, from);
  return rates;
}

MachineRates measure_machine(Dtype products) {
  MachineRates rates;
  (products == Dtype::kBf16 ? rates.bf16_flops : rates.f32_flops) = product_rate(products);
  products == Dtype::kBf16 ? measure_vectors<bf16>(rates) : measure_vectors<float>(rates);
  measure_reading(rates, std::vector<uint64_t>(kWords, 1));
  return rates;
}

}  // namespace nibble
