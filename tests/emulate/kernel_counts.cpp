// SPDX-License-Identifier: Apache-2.0
// Runs each op of a training step and of decoding once at the shapes of a model, for the counters:
//
//   NIBBLE_EMULATE_COUNT=FILE NIBBLE_EMULATE_MEMORY=68719476736 kernel_counts MODEL [CASE]
//
// MODEL is qwen3-0.6b or qwen3-8b, at 2048 tokens in bf16; with CASE only cases whose names begin
// so are run. Contents are of no matter to what is counted, but indices are lawful. Standard
// output: for each case the bytes that its op cannot do without, each tensor read once and written
// once: {"case":"rope","least_bytes":8396800}.
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "emulate.h"
#include "kernels/adapter.h"
#include "kernels/adapter_dropout.h"
#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/dequantize.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/optimizer.h"
#include "kernels/qk.h"
#include "kernels/quantize.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rows.h"
#include "kernels/swiglu.h"
#include "kernels/weave.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};
constexpr int64_t kTokens = 2048, kRowsOfLogits = 256, kCached = 2048, kRank = 16;

struct Shape {
  const char* name;
  int64_t c, f, h, k, d, v;
};
constexpr Shape kShapes[] = {
    {"qwen3-0.6b", 1024, 3072, 16, 8, 128, 151'936},
    {"qwen3-8b", 4096, 12'288, 32, 8, 128, 151'936},
};

/// Tensors of an op, and the bytes that it must move: each tensor's once, unless said otherwise.
class Memory {
 public:
  Tensor take(Dtype dtype, std::initializer_list<int64_t> shape) {
    int64_t elements = 1;
    for (const int64_t n : shape) elements *= n;
    owned_.emplace_back(static_cast<size_t>(elements) * dtype_bytes(dtype), kCuda);
    const Tensor tensor = make_tensor(owned_.back().data(), dtype, shape, kCuda);
    zero(tensor);
    least_bytes_ += bytes_of(tensor);
    return tensor;
  }
  Tensor bf16s(std::initializer_list<int64_t> shape) { return take(Dtype::kBf16, shape); }
  Tensor f32s(std::initializer_list<int64_t> shape) { return take(Dtype::kF32, shape); }
  Tensor u8s(int64_t count) { return take(Dtype::kU8, {count}); }
  Tensor of(const std::vector<int32_t>& values) {
    const auto n = static_cast<int64_t>(values.size());
    const Tensor tensor = take(Dtype::kI32, {n});
    copy(tensor, view(values.data(), {n}));
    synchronize();
    return tensor;
  }
  /// Read and written.
  Tensor twice(const Tensor& tensor) {
    least_bytes_ += bytes_of(tensor);
    return tensor;
  }
  /// Of which only so many bytes are wanted.
  Tensor only(int64_t bytes, const Tensor& tensor) {
    least_bytes_ += bytes - bytes_of(tensor);
    return tensor;
  }
  /// Scratch is no part of the task.
  Tensor scratch(int64_t elements) { return only(0, f32s({std::max<int64_t>(1, elements)})); }
  int64_t least_bytes() const { return least_bytes_; }

 private:
  static int64_t bytes_of(const Tensor& t) {
    return t.elements() * static_cast<int64_t>(dtype_bytes(t.dtype));
  }
  std::vector<DeviceMemory> owned_;
  int64_t least_bytes_ = 0;
};

QuantizedMatrix quantized(Memory& m, int64_t out, int64_t in) {
  const int64_t blocks = out * in / 64;
  return {.out_features = out,
          .in_features = in,
          .codes = m.u8s(out * in / 2).as<uint8_t>(),
          .code_book = m.f32s({16}).as<float>(),
          .absmax_codes = m.u8s(blocks).as<uint8_t>(),
          .nested_map = m.f32s({256}).as<float>(),
          .nested_absmax = m.f32s({(blocks + 255) / 256}).as<float>()};
}

QuantizedMatrix int8_matrix(Memory& m, int64_t out, int64_t in) {
  return {.type = QuantType::kInt8,
          .out_features = out,
          .in_features = in,
          .codes = m.u8s(out * in).as<uint8_t>(),
          .row_scale = m.f32s({out}).as<float>()};
}

// Blocks that are counted of a grid: of kernels whose blocks do much, of most others, and of those
// whose blocks differ.
constexpr uint64_t kFew = 8, kMany = 240, kAll = UINT32_MAX;

struct Case {
  const char* name;
  std::function<void(Memory&)> run;
  uint64_t sample = kMany;
};
using Cases = std::vector<Case>;

Cases block_cases(const Shape& s) {
  const int64_t n = kTokens, w = (s.h + 2 * s.k) * s.d, o = s.h * s.d;
  const int64_t qk = o + s.k * s.d;
  std::vector<int32_t> positions(static_cast<size_t>(n));
  std::iota(positions.begin(), positions.end(), 0);
  const AttentionShape attention{s.h, s.k, s.d, 0, 0.088f};
  const std::vector<int32_t> starts = {0, static_cast<int32_t>(n)};
  return {
      {"rmsnorm forward, residual added",
       [=](Memory& m) {
         rmsnorm_forward({.out = m.bf16s({n, s.c}),
                          .rstd = m.f32s({n}),
                          .sum = m.bf16s({n, s.c}),
                          .in = m.bf16s({n, s.c}),
                          .delta = m.bf16s({n, s.c}),
                          .weight = m.bf16s({s.c})});
       }},
      {"rmsnorm backward",
       [=](Memory& m) {
         rmsnorm_backward({.din = m.twice(m.bf16s({n, s.c})),
                           .dout = m.bf16s({n, s.c}),
                           .in = m.bf16s({n, s.c}),
                           .rstd = m.f32s({n}),
                           .weight = m.bf16s({s.c})});
       }},
      {"heads forward: kept, normed, rotated",
       [=](Memory& m) {
         qk_forward({.inout = m.twice(m.bf16s({n, qk})),
                     .raw = m.bf16s({n, qk}),
                     .rstd_q = m.f32s({n, s.h}),
                     .rstd_k = m.f32s({n, s.k}),
                     .q_weight = m.bf16s({s.d}),
                     .k_weight = m.bf16s({s.d}),
                     .cos = m.f32s({n, s.d / 2}),
                     .sin = m.f32s({n, s.d / 2}),
                     .positions = m.of(positions),
                     .heads = s.h,
                     .kv_heads = s.k});
       }},
      {"heads backward",
       [=](Memory& m) {
         qk_backward({.dinout = m.twice(m.bf16s({n, qk})),
                      .raw = m.bf16s({n, qk}),
                      .rstd_q = m.f32s({n, s.h}),
                      .rstd_k = m.f32s({n, s.k}),
                      .q_weight = m.bf16s({s.d}),
                      .k_weight = m.bf16s({s.d}),
                      .cos = m.f32s({n, s.d / 2}),
                      .sin = m.f32s({n, s.d / 2}),
                      .positions = m.of(positions),
                      .heads = s.h,
                      .kv_heads = s.k});
       }},
      {"rope",
       [=](Memory& m) {
         rope({.inout = m.twice(m.bf16s({n, qk})),
               .cos = m.f32s({n, s.d / 2}),
               .sin = m.f32s({n, s.d / 2}),
               .positions = m.of(positions),
               .head_dim = s.d});
       }},
      {"swiglu forward",
       [=](Memory& m) {
         swiglu_forward({.out = m.bf16s({n, s.f}), .gate_up = m.bf16s({n, 2 * s.f})});
       }},
      {"swiglu backward",
       [=](Memory& m) {
         swiglu_backward({.dgate_up = m.bf16s({n, 2 * s.f}),
                          .dout = m.bf16s({n, s.f}),
                          .gate_up = m.bf16s({n, 2 * s.f})});
       }},
      {"dequantize NF4",
       [=](Memory& m) {
         dequantize({.out = m.bf16s({2 * s.f, s.c}), .matrix = quantized(m, 2 * s.f, s.c)});
       }},
      {"dequantize NF4, rows with room for adapters",
       [=](Memory& m) {
         const Tensor panel = m.only(2 * s.f * s.c * 2, m.bf16s({2 * s.f, s.c + 2 * kRank}));
         dequantize({.out = columns(panel, 0, s.c), .matrix = quantized(m, 2 * s.f, s.c)});
       }},
      {"weave, B right of gate and up",
       [=](Memory& m) {
         const Tensor panel = m.only(2 * s.f * 2 * kRank * 2, m.bf16s({2 * s.f, s.c + 2 * kRank}));
         std::vector<WeavePart> parts;
         for (const int64_t i : {0, 1})
           parts.push_back({.out = columns(rows(panel, i * s.f, s.f), s.c, 2 * kRank),
                            .in = m.f32s({s.f, kRank}),
                            .column = i * kRank,
                            .scale = 2.0f});
         weave({.parts = parts});
       }},
      {"weave, A under gate and up",
       [=](Memory& m) {
         const Tensor panel = m.only(2 * kRank * s.c * 2, m.bf16s({2 * kRank, s.c + 2 * kRank}));
         std::vector<WeavePart> parts;
         for (const int64_t i : {0, 1})
           parts.push_back(
               {.out = columns(rows(panel, i * kRank, kRank), 0, s.c), .in = m.f32s({kRank, s.c})});
         weave({.parts = parts});
       }},
      {"dequantize int8",
       [=](Memory& m) {
         dequantize({.out = m.bf16s({2 * s.f, s.c}), .matrix = int8_matrix(m, 2 * s.f, s.c)});
       }},
      {"dropout",
       [=](Memory& m) {
         dropout({.out = m.bf16s({n, s.c}), .in = m.bf16s({n, s.c}), .p = 0.1f});
       }},
      {"adapters backward through dropout, q, k and v",
       [=](Memory& m) {
         std::vector<AdapterDropoutPart> parts;
         for (uint64_t i = 0; i < 3; ++i)
           parts.push_back({.a = m.bf16s({kRank, s.c}), .stream = i});
         adapter_dropout_backward({.dx = m.twice(m.bf16s({n, s.c})),
                                   .dxa = m.bf16s({n, 3 * kRank}),
                                   .parts = parts,
                                   .p = 0.1f,
                                   .product = m.only(0, m.bf16s({n, s.c}))});
       }},
      {"bias forward",
       [=](Memory& m) {
         bias_forward({.inout = m.twice(m.bf16s({n, w})), .bias = m.f32s({w})});
       }},
      {"bias backward",
       [=](Memory& m) {
         bias_backward({.dbias = m.twice(m.f32s({w})), .dout = m.bf16s({n, w})});
       }},
      {"cast",
       [=](Memory& m) {
         cast({.out = m.bf16s({n, s.c}), .in = m.f32s({n, s.c})});
       }},
      {"accumulate",
       [=](Memory& m) {
         accumulate({.out = m.twice(m.bf16s({n, s.c})), .in = m.bf16s({n, s.c})});
       }},
      {"attention forward",
       [=](Memory& m) {
         attention_forward({.out = m.bf16s({n, o}),
                            .lse = m.f32s({n, s.h}),
                            .qkv = m.bf16s({n, w}),
                            .starts = m.of(starts),
                            .shape = attention,
                            .scratch = m.scratch(attention_forward_scratch(attention, n, kCuda))});
       },
       kFew},
      {"attention backward",
       [=](Memory& m) {
         attention_backward(
             {.dqkv = m.bf16s({n, w}),
              .dout = m.bf16s({n, o}),
              .out = m.bf16s({n, o}),
              .qkv = m.bf16s({n, w}),
              .lse = m.f32s({n, s.h}),
              .starts = m.of(starts),
              .shape = attention,
              .scratch = m.scratch(attention_backward_scratch(attention, n, n, kCuda))});
       },
       kFew},
  };
}

// Of a group of `parts` layers of so many outputs.
Cases adapter_cases(const char* forward, const char* backward, int64_t outputs, int64_t count) {
  const int64_t n = kTokens, all = outputs * count, ranks = kRank * count;
  const auto parts = [=](Memory& m, bool gradients) {
    std::vector<AdapterPart> list;
    for (int64_t i = 0; i < count; ++i)
      list.push_back({.b = m.bf16s({outputs, kRank}),
                      .db = gradients ? m.twice(m.f32s({outputs, kRank})) : Tensor{},
                      .column = i * outputs,
                      .scale = 0.5f});
    return list;
  };
  return {
      {forward,
       [=](Memory& m) {
         const auto list = parts(m, false);
         adapter_forward({.y = m.bf16s({n, all}),
                          .xa = m.bf16s({n, ranks}),
                          .parts = list,
                          .output = AdapterForward::Output::kWrite});
       }},
      {backward,
       [=](Memory& m) {
         const auto list = parts(m, true);
         adapter_backward({.dxa = m.bf16s({n, ranks}),
                           .dy = m.bf16s({n, all}),
                           .xa = m.bf16s({n, ranks}),
                           .parts = list});
       },
       kAll},
  };
}

Cases end_cases(const Shape& s) {
  const int64_t n = kTokens, adapter = kRank * (s.c + 2 * s.f);
  std::vector<int32_t> ids(static_cast<size_t>(n)), some(static_cast<size_t>(kRowsOfLogits));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 71);
  for (size_t i = 0; i < some.size(); ++i) some[i] = static_cast<int32_t>(8 * i);
  const std::vector<int32_t> targets(static_cast<size_t>(kRowsOfLogits), 7);
  return {
      {"embedding forward",
       [=](Memory& m) {
         embedding_forward({.out = m.bf16s({n, s.c}),
                            .ids = m.of(ids),
                            .table = m.only(n * s.c * 2, m.bf16s({s.v, s.c}))});
       }},
      {"embedding backward",
       [=](Memory& m) {
         embedding_backward({.dtable = m.only(2 * n * s.c * 4, m.f32s({s.v, s.c})),
                             .dout = m.bf16s({n, s.c}),
                             .ids = m.of(ids)});
       },
       kFew},
      {"gather rows",
       [=](Memory& m) {
         gather_rows({.out = m.bf16s({kRowsOfLogits, s.c}),
                      .in = m.only(kRowsOfLogits * s.c * 2, m.bf16s({n, s.c})),
                      .rows = m.of(some)});
       }},
      {"scatter rows",
       [=](Memory& m) {
         scatter_rows(
             {.out = m.bf16s({n, s.c}), .in = m.bf16s({kRowsOfLogits, s.c}), .rows = m.of(some)});
       }},
      {"cross entropy",
       [=](Memory& m) {
         cross_entropy({.losses = m.f32s({kRowsOfLogits}),
                        .dlogits = m.bf16s({kRowsOfLogits, s.v}),
                        .logits = m.bf16s({kRowsOfLogits, s.v}),
                        .targets = m.of(targets)});
       },
       kFew},
      {"adamw",
       [=](Memory& m) {
         const ParameterRange all[] = {{0, adapter, 0.01f}};
         adamw({.values = m.twice(m.f32s({adapter})),
                .gradients = m.f32s({adapter}),
                .m = m.twice(m.f32s({adapter})),
                .v = m.twice(m.f32s({adapter})),
                .segments = all});
       }},
      {"adamw 8-bit",
       [=](Memory& m) {
         const ParameterRange all[] = {{0, adapter, 0.01f}};
         adamw8bit({.values = m.twice(m.f32s({adapter})),
                    .gradients = m.f32s({adapter}),
                    .m_codes = m.twice(m.u8s(adapter)),
                    .v_codes = m.twice(m.u8s(adapter)),
                    .m_absmax = m.twice(m.f32s({adamw8bit_blocks(all)})),
                    .v_absmax = m.twice(m.f32s({adamw8bit_blocks(all)})),
                    .m_small = m.scratch(adamw8bit_small(all)),
                    .v_small = m.scratch(adamw8bit_small(all)),
                    .segments = all});
       }},
      {"gradient norm", [=](Memory& m) { l2_norm(m.f32s({adapter})); }},
  };
}

Cases decode_cases(const Shape& s) {
  const int64_t o = s.h * s.d, kv = s.k * s.d;
  const AttentionShape attention{s.h, s.k, s.d, 0, 0.088f};
  const auto matvec = [=](Memory& m, int64_t rows) {
    const QuantizedMatrix matrix = quantized(m, 2 * s.f, s.c);
    quantized_matvec(
        {.out = m.bf16s({rows, 2 * s.f}), .x = m.bf16s({rows, s.c}), .matrices = {&matrix, 1}});
  };
  return {
      {"NF4 mat-vec, 1 row", [=](Memory& m) { matvec(m, 1); }},
      {"NF4 mat-vec, 8 rows", [=](Memory& m) { matvec(m, 8); }, kFew},
      {"bf16 mat-vec (head)",
       [=](Memory& m) {
         dense_matvec(
             {.out = m.bf16s({1, s.v}), .x = m.bf16s({1, s.c}), .weight = m.bf16s({s.v, s.c})});
       },
       kFew},
      {"attention over a cache",
       [=](Memory& m) {
         attention_decode(
             {.out = m.bf16s({1, o}),
              .q = m.bf16s({1, o}),
              .keys = m.bf16s({1, kCached, kv}),
              .values = m.bf16s({1, kCached, kv}),
              .lengths = m.of({static_cast<int32_t>(kCached)}),
              .shape = attention,
              .scratch = m.scratch(attention_decode_scratch(attention, 1, kCached, kCuda))});
       },
       kFew},
  };
}

void run_cases(const Cases& cases, std::string_view beginning) {
  for (const Case& c : cases) {
    if (!std::string_view(c.name).starts_with(beginning)) continue;
    emulate::begin_case(c.name, c.sample);
    Memory memory;
    c.run(memory);
    synchronize();
    printf("{\"case\":\"%s\",\"least_bytes\":%lld}\n", c.name,
           static_cast<long long>(memory.least_bytes()));
  }
}

}  // namespace
}  // namespace nibble

int main(int argc, char** argv) {
  using namespace nibble;
  for (const Shape& shape : kShapes) {
    if (argc < 2 || argc > 3 || strcmp(argv[1], shape.name) != 0) continue;
    const std::string_view beginning = argc == 3 ? argv[2] : "";
    try {
      const OwnedStream stream(kCuda);
      const StreamScope scope(stream.get());
      for (const Cases& cases :
           {block_cases(shape),
            adapter_cases("adapters forward, gate and up", "adapters backward, gate and up",
                          shape.f, 2),
            adapter_cases("adapters forward, output", "adapters backward, output", shape.c, 1),
            end_cases(shape), decode_cases(shape)})
        run_cases(cases, beginning);
    } catch (const Error& error) {
      fprintf(stderr, "kernel_counts: %s\n", error.what());
      return static_cast<int>(error.code());
    }
    return 0;
  }
  fprintf(stderr, "kernel_counts: give qwen3-0.6b or qwen3-8b, and perhaps how cases begin\n");
  return static_cast<int>(Exit::kUsage);
}
