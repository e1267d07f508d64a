// SPDX-License-Identifier: Apache-2.0
// Times the expansion of a weight from NF4, its scales quantised too, to bf16:
//   expand_rate OUT-FEATURES IN-FEATURES ROUNDS [cpu|cuda[:N]]
// Prints one JSON object: the median of the rounds, in bytes read and written a second.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/checked.h"
#include "io/json.h"
#include "kernels/dequantize.h"
#include "tensor/memory.h"

namespace {

using namespace nibble;

void bench(int argc, char** argv) {
  const int64_t out = std::atoll(argv[1]), in = std::atoll(argv[2]), blocks = out * in / 64;
  const int rounds = std::atoi(argv[3]);
  if (out <= 0 || in <= 0 || in % 64 != 0 || rounds <= 0)
    throw UsageError("sizes above 0, IN-FEATURES a multiple of 64");
  const Device device = parse_device(argc > 4 ? argv[4] : "cuda");
  const OwnedStream stream(device);
  const StreamScope scope(stream.get());
  std::vector<DeviceMemory> owned;
  double moved = 0.0;
  const auto take = [&](Dtype type, std::initializer_list<int64_t> shape) {
    int64_t elements = 1;
    for (const int64_t n : shape) elements *= n;
    owned.emplace_back(static_cast<size_t>(elements) * dtype_bytes(type), device);
    const Tensor t = make_tensor(owned.back().data(), type, shape, device);
    zero(t);
    moved += static_cast<double>(t.bytes());
    return t;
  };
  const Tensor weights = take(Dtype::kBf16, {out, in}), codes = take(Dtype::kU8, {out * in / 2}),
               book = take(Dtype::kF32, {16}), scales = take(Dtype::kU8, {blocks}),
               map = take(Dtype::kF32, {256}),
               nested = take(Dtype::kF32, {ceil_div<int64_t>(blocks, 256)});
  const QuantizedMatrix matrix = {.out_features = out,
                                  .in_features = in,
                                  .codes = codes.as<uint8_t>(),
                                  .code_book = book.as<float>(),
                                  .absmax_codes = scales.as<uint8_t>(),
                                  .nested_map = map.as<float>(),
                                  .nested_absmax = nested.as<float>()};
  constexpr int kTimes = 10;
  std::vector<double> rates;
  for (int round = 0; round <= rounds; ++round) {
    synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kTimes; ++i) dequantize({.out = weights, .matrix = matrix});
    synchronize();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (round > 0) rates.push_back(kTimes * moved / took.count());  // the first loads the code
  }
  std::sort(rates.begin(), rates.end());
  std::printf("%s\n",
              Json::object({{"bytes_per_second", rates[rates.size() / 2]}, {"bytes", moved}})
                  .dump()
                  .c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "expand_rate OUT-FEATURES IN-FEATURES ROUNDS [cpu|cuda[:N]]\n");
    return static_cast<int>(Exit::kUsage);
  }
  try {
    bench(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "expand_rate: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
