// SPDX-License-Identifier: Apache-2.0
// Runs each op of a training step once at the shapes of a model, for the counters:
//
//   NIBBLE_EMULATE_COUNT=FILE NIBBLE_EMULATE_MEMORY=68719476736 kernel_counts MODEL
//
// MODEL is qwen3-0.6b or qwen3-8b, at 2048 tokens in bf16. Contents are of no matter to what is
// counted, but indices are lawful.
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/dequantize.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};
constexpr int64_t kTokens = 2048, kRowsOfLogits = 256;

struct Shape {
  const char* name;
  int64_t c, f, h, k, d, v;
};
constexpr Shape kShapes[] = {
    {"qwen3-0.6b", 1024, 3072, 16, 8, 128, 151'936},
    {"qwen3-8b", 4096, 12'288, 32, 8, 128, 151'936},
};

class Memory {
 public:
  Tensor take(Dtype dtype, std::initializer_list<int64_t> shape) {
    int64_t elements = 1;
    for (const int64_t n : shape) elements *= n;
    owned_.emplace_back(static_cast<size_t>(elements) * dtype_bytes(dtype), kCuda);
    const Tensor tensor = make_tensor(owned_.back().data(), dtype, shape, kCuda);
    zero(tensor);
    return tensor;
  }
  Tensor bf16s(std::initializer_list<int64_t> shape) { return take(Dtype::kBf16, shape); }
  Tensor f32s(std::initializer_list<int64_t> shape) { return take(Dtype::kF32, shape); }
  Tensor of(const std::vector<int32_t>& values) {
    const auto n = static_cast<int64_t>(values.size());
    const Tensor tensor = take(Dtype::kI32, {n});
    copy(tensor, view(values.data(), {n}));
    synchronize();
    return tensor;
  }

 private:
  std::vector<DeviceMemory> owned_;
};

QuantizedMatrix quantized(Memory& m, int64_t out, int64_t in) {
  const int64_t blocks = out * in / 64;
  return {.out_features = out,
          .in_features = in,
          .codes = m.take(Dtype::kU8, {out * in / 2}).as<uint8_t>(),
          .code_book = m.f32s({16}).as<float>(),
          .absmax_codes = m.take(Dtype::kU8, {blocks}).as<uint8_t>(),
          .nested_map = m.f32s({256}).as<float>(),
          .nested_absmax = m.f32s({(blocks + 255) / 256}).as<float>()};
}

void run_ops(const Shape& s) {
  const int64_t n = kTokens, w = (s.h + 2 * s.k) * s.d, o = s.h * s.d;
  std::vector<int32_t> positions(static_cast<size_t>(n));
  std::iota(positions.begin(), positions.end(), 0);
  const AttentionShape attention{s.h, s.k, s.d, 0, 0.088f};
  const std::vector<std::function<void(Memory&)>> ops = {
      [&](Memory& m) {
        rmsnorm_forward({.out = m.bf16s({n, s.c}),
                         .rstd = m.f32s({n}),
                         .sum = m.bf16s({n, s.c}),
                         .in = m.bf16s({n, s.c}),
                         .delta = m.bf16s({n, s.c}),
                         .weight = m.bf16s({s.c})});
      },
      [&](Memory& m) {
        rmsnorm_backward({.din = m.bf16s({n, s.c}),
                          .dout = m.bf16s({n, s.c}),
                          .in = m.bf16s({n, s.c}),
                          .rstd = m.f32s({n}),
                          .weight = m.bf16s({s.c})});
      },
      [&](Memory& m) {
        rmsnorm_heads_forward(
            {.inout = m.bf16s({n, o}), .rstd = m.f32s({n, s.h}), .weight = m.bf16s({s.d})});
      },
      [&](Memory& m) {
        rmsnorm_heads_backward({.dinout = m.bf16s({n, o}),
                                .in = m.bf16s({n, o}),
                                .rstd = m.f32s({n, s.h}),
                                .weight = m.bf16s({s.d})});
      },
      [&](Memory& m) {
        rope({.inout = m.bf16s({n, o}),
              .cos = m.f32s({n, s.d / 2}),
              .sin = m.f32s({n, s.d / 2}),
              .positions = m.of(positions),
              .head_dim = s.d});
      },
      [&](Memory& m) {
        swiglu_forward({.out = m.bf16s({n, s.f}), .gate_up = m.bf16s({n, 2 * s.f})});
      },
      [&](Memory& m) {
        swiglu_backward({.dgate_up = m.bf16s({n, 2 * s.f}),
                         .dout = m.bf16s({n, s.f}),
                         .gate_up = m.bf16s({n, 2 * s.f})});
      },
      [&](Memory& m) {
        embedding_forward(
            {.out = m.bf16s({n, s.c}), .ids = m.of(positions), .table = m.bf16s({s.v, s.c})});
      },
      [&](Memory& m) {
        dequantize({.out = m.bf16s({2 * s.f, s.c}), .matrix = quantized(m, 2 * s.f, s.c)});
      },
      [&](Memory& m) {
        const QuantizedMatrix matrix = quantized(m, 2 * s.f, s.c);
        quantized_matvec(
            {.out = m.bf16s({1, 2 * s.f}), .x = m.bf16s({1, s.c}), .matrices = {&matrix, 1}});
      },
      [&](Memory& m) {
        cross_entropy({.losses = m.f32s({kRowsOfLogits}),
                       .dlogits = m.bf16s({kRowsOfLogits, s.v}),
                       .logits = m.bf16s({kRowsOfLogits, s.v}),
                       .targets = m.of(std::vector<int32_t>(kRowsOfLogits, 7))});
      },
      [&](Memory& m) {
        attention_forward({.out = m.bf16s({n, o}),
                           .lse = m.f32s({n, s.h}),
                           .qkv = m.bf16s({n, w}),
                           .starts = m.of({0, static_cast<int32_t>(n)}),
                           .shape = attention,
                           .scratch = m.f32s({std::max<int64_t>(
                               1, attention_forward_scratch(attention, n, kCuda))})});
      },
      [&](Memory& m) {
        attention_backward({.dqkv = m.bf16s({n, w}),
                            .dout = m.bf16s({n, o}),
                            .out = m.bf16s({n, o}),
                            .qkv = m.bf16s({n, w}),
                            .lse = m.f32s({n, s.h}),
                            .starts = m.of({0, static_cast<int32_t>(n)}),
                            .shape = attention,
                            .scratch = m.f32s({std::max<int64_t>(
                                1, attention_backward_scratch(attention, n, n, kCuda))})});
      },
  };
  for (const auto& op : ops) {
    Memory memory;
    op(memory);
    synchronize();
  }
}

}  // namespace
}  // namespace nibble

int main(int argc, char** argv) {
  using namespace nibble;
  for (const Shape& shape : kShapes) {
    if (argc != 2 || strcmp(argv[1], shape.name) != 0) continue;
    try {
      const OwnedStream stream(kCuda);
      const StreamScope scope(stream.get());
      run_ops(shape);
    } catch (const Error& error) {
      fprintf(stderr, "kernel_counts: %s\n", error.what());
      return static_cast<int>(error.code());
    }
    return 0;
  }
  fprintf(stderr, "kernel_counts: MODEL is qwen3-0.6b or qwen3-8b\n");
  return static_cast<int>(Exit::kUsage);
}
