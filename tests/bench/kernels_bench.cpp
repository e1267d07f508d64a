// SPDX-License-Identifier: Apache-2.0
// Times the products and the attention of one SmolLM2-135M layer on 2048 tokens (C 576, F 1536,
// H 9, K 3, D 64, R 16) on all threads. The usual options of Google Benchmark, for example
//   kernels_bench --benchmark_filter=matmul/bf16/lora
#include <benchmark/benchmark.h>

#include <atomic>
#include <cmath>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/attention.h"
#include "kernels/code_books.h"
#include "kernels/dequantize.h"
#include "kernels/matmul_cpu.h"
#include "kernels/simd.h"
#include "support/bf16_probe.h"

namespace {

using namespace nibble;

/// A tensor that owns its elements, uniform in [-1, 1).
struct Owned {
  std::vector<std::byte> bytes;
  Tensor tensor;

  Owned(Dtype dtype, std::initializer_list<int64_t> shape) {
    tensor = make_tensor(nullptr, dtype, shape);
    bytes.resize(static_cast<size_t>(tensor.elements()) * dtype_bytes(dtype));
    tensor.data = bytes.data();
    Rng rng(1);
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      const auto x = static_cast<float>(2 * rng.uniform() - 1);
      if (dtype == Dtype::kF32)
        tensor.as<float>()[i] = x;
      else
        tensor.as<bf16>()[i] = to_bf16(x);
    }
  }
};

void report(benchmark::State& state, double flops, double bytes) {
  const double runs = static_cast<double>(state.iterations());
  using benchmark::Counter;
  if (flops > 0) state.counters["flop/s"] = Counter(flops * runs, Counter::kIsRate);
  if (bytes > 0) state.counters["bytes/s"] = Counter(bytes * runs, Counter::kIsRate);
}

struct Product {
  const char* name;
  int64_t m, n, k;
  Transpose a_transpose, b_transpose;
};

constexpr Transpose kNo = Transpose::kNo, kYes = Transpose::kYes;
constexpr Product kProducts[] = {
    {"qkv", 2048, 960, 576, kNo, kYes},
    {"gate_up", 2048, 3072, 576, kNo, kYes},
    {"down", 2048, 576, 1536, kNo, kYes},
    {"gate_up_dx", 2048, 576, 3072, kNo, kNo},
    {"down_dx", 2048, 1536, 576, kNo, kNo},
    {"lora_xa", 2048, 16, 576, kNo, kYes},
    {"lora_y", 2048, 576, 16, kNo, kYes},
    {"lora_dxa", 2048, 16, 576, kNo, kNo},
    {"lora_dx", 2048, 576, 16, kNo, kNo},
    {"lora_da", 16, 576, 2048, kYes, kNo},
    {"lora_db", 576, 16, 2048, kYes, kNo},
    {"full_dw", 1536, 576, 2048, kYes, kNo},
    {"lm_head", 256, 49152, 576, kNo, kYes},
    {"lm_head_dx", 256, 576, 49152, kNo, kNo},
    {"decode_batch", 16, 1536, 576, kNo, kYes},
    // TinyLlama-1.1B on 1024 tokens: a layer's weights, forward and for the gradient of their
    // input, and the head's.
    {"tiny_qkv", 1024, 2560, 2048, kNo, kYes},
    {"tiny_output", 1024, 2048, 2048, kNo, kYes},
    {"tiny_gate_up", 1024, 11264, 2048, kNo, kYes},
    {"tiny_down", 1024, 2048, 5632, kNo, kYes},
    {"tiny_qkv_dx", 1024, 2048, 2560, kNo, kNo},
    {"tiny_output_dx", 1024, 2048, 2048, kNo, kNo},
    {"tiny_gate_up_dx", 1024, 2048, 11264, kNo, kNo},
    {"tiny_down_dx", 1024, 5632, 2048, kNo, kNo},
    {"tiny_head", 1024, 32000, 2048, kNo, kYes},
    {"tiny_head_dx", 1024, 2048, 32000, kNo, kNo},
};

// How a product's operands are stored: all alike, as in a step over frozen weights that were
// expanded where the processor has no bf16, or all alike and multiplied by oneDNN, the yardstick.
enum class Storage { kBf16, kF32, kStep, kOneDnn, kOneDnnBf16 };

void bench_matmul(benchmark::State& state, const Product& p, Storage storage) {
  const bool f32 = storage == Storage::kF32 || storage == Storage::kOneDnn;
  const Dtype dtype = f32 ? Dtype::kF32 : Dtype::kBf16;
  Owned a(dtype, {p.a_transpose == kYes ? p.k : p.m, p.a_transpose == kYes ? p.m : p.k});
  Owned b(storage == Storage::kStep ? Dtype::kF32 : dtype,
          {p.b_transpose == kYes ? p.n : p.k, p.b_transpose == kYes ? p.k : p.n});
  Owned out(dtype, {p.m, p.n});
  Matmul op{.out = out.tensor,
            .a = a.tensor,
            .b = b.tensor,
            .a_transpose = p.a_transpose,
            .b_transpose = p.b_transpose};
  const bool onednn = storage == Storage::kOneDnn || storage == Storage::kOneDnnBf16;
  Owned scratch(Dtype::kF32,
                {1 + (onednn ? cpu::onednn_scratch_elements(op) : matmul_scratch_elements(op))});
  op.scratch = scratch.tensor;
  for (auto _ : state) onednn ? cpu::matmul_onednn(op) : matmul(op);
  report(state, 2.0 * static_cast<double>(p.m * p.n * p.k), 0);
}

struct Pack {
  int64_t sequences, length;
};
constexpr int64_t kHeads = 9, kKvHeads = 3, kDim = 64, kWidth = (kHeads + 2 * kKvHeads) * kDim;

enum class Pass { kForward, kBackward };

void bench_attention(benchmark::State& state, const Pack& pack, Pass pass, Bf16Dot dot) {
  set_bf16_dot_for_test(dot);
  const AttentionShape shape{kHeads, kKvHeads, kDim, 0, 1.0f / std::sqrt(float{kDim})};
  const int64_t n = pack.sequences * pack.length;
  Owned qkv(Dtype::kBf16, {n, kWidth}), dqkv(Dtype::kBf16, {n, kWidth});
  Owned out(Dtype::kBf16, {n, kHeads * kDim}), dout(Dtype::kBf16, {n, kHeads * kDim});
  Owned lse(Dtype::kF32, {n, kHeads});
  std::vector<int32_t> starts;
  for (int64_t s = 0; s <= pack.sequences; ++s)
    starts.push_back(static_cast<int32_t>(s * pack.length));
  const Tensor starts_tensor = view(starts.data(), {pack.sequences + 1});
  Owned scratch(Dtype::kF32, {attention_forward_scratch(shape, pack.length)});
  const AttentionForward forward{.out = out.tensor,
                                 .lse = lse.tensor,
                                 .qkv = qkv.tensor,
                                 .starts = starts_tensor,
                                 .shape = shape,
                                 .scratch = scratch.tensor};
  Owned backward_scratch(Dtype::kF32, {attention_backward_scratch(shape, n, pack.length)});
  const AttentionBackward backward{.dqkv = dqkv.tensor,
                                   .dout = dout.tensor,
                                   .out = out.tensor,
                                   .qkv = qkv.tensor,
                                   .lse = lse.tensor,
                                   .starts = starts_tensor,
                                   .shape = shape,
                                   .scratch = backward_scratch.tensor};
  attention_forward(forward);
  for (auto _ : state)
    pass == Pass::kForward ? attention_forward(forward) : attention_backward(backward);
  const auto pairs =
      static_cast<double>(pack.sequences * kHeads * pack.length * (pack.length + 1) / 2);
  report(state, pairs * kDim * (pass == Pass::kForward ? 4 : 10), 0);
}

void bench_decode(benchmark::State& state, int64_t batch, int64_t length) {
  const AttentionShape shape{kHeads, kKvHeads, kDim, 0, 1.0f / std::sqrt(float{kDim})};
  Owned q(Dtype::kBf16, {batch, kHeads * kDim}), out(Dtype::kBf16, {batch, kHeads * kDim});
  Owned keys(Dtype::kBf16, {batch, length, kKvHeads * kDim});
  Owned values(Dtype::kBf16, {batch, length, kKvHeads * kDim});
  std::vector<int32_t> lengths(static_cast<size_t>(batch), static_cast<int32_t>(length));
  Owned scratch(Dtype::kF32, {attention_decode_scratch(shape, batch, length)});
  for (auto _ : state)
    attention_decode({.out = out.tensor,
                      .q = q.tensor,
                      .keys = keys.tensor,
                      .values = values.tensor,
                      .lengths = view(lengths.data(), {batch}),
                      .shape = shape,
                      .scratch = scratch.tensor});
  report(state, 0, 4.0 * static_cast<double>(batch * length * kKvHeads * kDim));
}

/// All the matrices of a model in turn, so that the codes come from where a model's would.
void bench_matvec(benchmark::State& state, QuantType type, int64_t batch) {
  constexpr int64_t kOut = 1536, kIn = 576, kBlock = 64, kCount = 90;
  constexpr auto kElements = static_cast<size_t>(kOut * kIn);
  std::vector<uint8_t> codes(kCount * kElements / 2), scales(kElements / kBlock);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  const std::vector<float> map(256, 0.5f), nested(kElements / kBlock / 256 + 1, 1.0f);
  Owned x(Dtype::kBf16, {batch, kIn}), out(Dtype::kBf16, {batch, kOut});
  int64_t at = 0;
  for (auto _ : state) {
    const QuantizedMatrix matrix{.type = type,
                                 .out_features = kOut,
                                 .in_features = kIn,
                                 .block = kBlock,
                                 .codes = codes.data() + static_cast<size_t>(at) * kElements / 2,
                                 .code_book = code_book(type).data(),
                                 .absmax_codes = scales.data(),
                                 .nested_map = map.data(),
                                 .nested_absmax = nested.data()};
    quantized_matvec({.out = out.tensor, .x = x.tensor, .matrices = {&matrix, 1}});
    at = (at + 1) % kCount;
  }
  report(state, 2.0 * static_cast<double>(batch) * kElements, kElements / 2);
}

void bench_dense_matvec(benchmark::State& state, int64_t batch) {
  constexpr int64_t kOut = 49152, kIn = 576;
  Owned weight(Dtype::kBf16, {kOut, kIn}), x(Dtype::kBf16, {batch, kIn});
  Owned out(Dtype::kF32, {batch, kOut});
  for (auto _ : state) dense_matvec({.out = out.tensor, .x = x.tensor, .weight = weight.tensor});
  report(state, 2.0 * static_cast<double>(batch * kOut * kIn), 2.0 * kOut * kIn);
}

void bench_read(benchmark::State& state) {
  constexpr int64_t kWords = int64_t{512} << 17;  // of 8 bytes
  std::vector<uint64_t> words(kWords, 1);
  for (auto _ : state) {
    std::atomic<uint64_t> sum = 0;
    parallel_for(kWords, 4096, [&](int64_t begin, int64_t end) {
      uint64_t parts[8] = {};
      for (int64_t i = begin; i + 8 <= end; i += 8)
        for (int64_t j = 0; j < 8; ++j) parts[j] += words[static_cast<size_t>(i + j)];
      for (const uint64_t part : parts) sum += part;
    });
    benchmark::DoNotOptimize(sum.load());
  }
  report(state, 0, 8.0 * kWords);
}

void register_all() {
  using benchmark::RegisterBenchmark;
  RegisterBenchmark("memory/read", bench_read)->UseRealTime();
  for (const auto& [type, storage] : {std::pair{"bf16", Storage::kBf16},
                                      {"f32", Storage::kF32},
                                      {"step", Storage::kStep},
                                      {"onednn", Storage::kOneDnn},
                                      {"onednn_bf16", Storage::kOneDnnBf16}})
    for (const Product& p : kProducts)
      RegisterBenchmark(cat("matmul/", type, "/", p.name).c_str(), bench_matmul, p, storage)
          ->UseRealTime();
  // Products of f32 and of bf16, the latter also where the processor only hides that it has them.
  std::vector<std::pair<const char*, Bf16Dot>> dots = {{"f32", Bf16Dot::kNone}};
  if (executes_bf16_dot()) dots.emplace_back("bf16", Bf16Dot::kNative);
  for (const Pack& pack : {Pack{1, 2048}, {4, 512}, {16, 128}, {64, 32}})
    for (const auto& [name, pass] :
         {std::pair{"forward", Pass::kForward}, {"backward", Pass::kBackward}})
      for (const auto& [products, dot] : dots)
        RegisterBenchmark(
            cat("attention_", name, "/", pack.sequences, "x", pack.length, "/", products).c_str(),
            bench_attention, pack, pass, dot)
            ->UseRealTime();
  for (const int64_t batch : {1, 4, 8}) {
    RegisterBenchmark(cat("matvec/nf4/", batch).c_str(), bench_matvec, QuantType::kNf4, batch)
        ->UseRealTime();
    RegisterBenchmark(cat("matvec/bf16/", batch).c_str(), bench_dense_matvec, batch)->UseRealTime();
  }
  for (const auto& [batch, length] : {std::pair{1, 512}, {1, 2048}, {8, 512}})
    RegisterBenchmark(cat("attention_decode/", batch, "x", length).c_str(), bench_decode, batch,
                      length)
        ->UseRealTime();
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  set_threads(0);
  register_all();
  benchmark::RunSpecifiedBenchmarks();
}
