// SPDX-License-Identifier: Apache-2.0
// Counts what a whole training step and a decoding step give the device, at a model's full depth
// and widths, with the kernels' bodies skipped, so that neither weights nor activations are there:
//
//   NIBBLE_EMULATE_BODIES=skip NIBBLE_EMULATE_MEMORY=137438953472 step_counts MODEL
//
// MODEL is a name of nibble-fit's catalogue, quantised to NF4, adapters of rank 16 on all linear
// layers, one row of 2048 tokens, AdamW. Standard output, one JSON object a line for each step:
// {"step":"training","single":{"matmul":1200,...},"replayed":{},"graphs":0}.
#include <sys/mman.h>

#include <cstdio>
#include <cstring>

#include "emulate.h"
#include "fit/catalogue.h"
#include "fit/question.h"
#include "infer/generator.h"
#include "model/device_model.h"
#include "model/step.h"
#include "train/optimizer.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};
constexpr int64_t kTokens = 2048, kDecoded = 4;

// Addresses for weights that no one reads.
std::byte* nowhere(size_t bytes) {
  constexpr size_t kRoom = size_t{1} << 37;
  static std::byte* next = [] {
    void* p = mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    return static_cast<std::byte*>(p);
  }();
  return std::exchange(next, next + (bytes + 255) / 256 * 256);
}

void place(Tensor& t) {
  if (t) t.data = nowhere(t.bytes());
}

void place(Projection& p) {
  place(p.weight);
  place(p.bias);
  if (!p.quantized) return;
  QuantizedMatrix& m = *p.quantized;
  const auto elements = static_cast<size_t>(m.out_features * m.in_features);
  const size_t blocks = elements / static_cast<size_t>(m.block);
  const auto floats = [](size_t n) { return reinterpret_cast<const float*>(nowhere(4 * n)); };
  m.codes = reinterpret_cast<const uint8_t*>(nowhere(elements / 2));
  m.code_book = floats(16);
  m.absmax_codes = reinterpret_cast<const uint8_t*>(nowhere(blocks));
  m.nested_map = floats(256);
  m.nested_absmax = floats(blocks / static_cast<size_t>(m.nested_block) + 1);
}

Model weightless_model(const ModelConfig& config) {
  Model model = shape_model(config);
  place(model.embedding.weight);
  place(model.norm.weight);
  for (Block& b : model.blocks)
    for (Table* t : {&b.attention_norm, &b.mlp_norm, &b.q_norm, &b.k_norm}) place(t->weight);
  for (Projection* p : model.projections()) place(*p);
  if (config.tied_embeddings)
    model.head.weight = model.embedding.weight;
  else
    place(model.head);
  return model;
}

void print(const char* step, const emulate::Submissions& counts) {
  const auto object = [](const std::map<std::string, int64_t>& all) {
    std::string out;
    for (const auto& [name, n] : all) out += cat(out.empty() ? "" : ",", "\"", name, "\":", n);
    return "{" + out + "}";
  };
  printf("{\"step\":\"%s\",\"single\":%s,\"replayed\":%s,\"graphs\":%lld}\n", step,
         object(counts.single).c_str(), object(counts.replayed).c_str(),
         static_cast<long long>(counts.graphs));
}

Batch full_row() {
  Batch batch;
  batch.append(std::vector<int32_t>(kTokens, 7), std::vector<uint8_t>(kTokens, 1));
  return batch;
}

void train(const Model& host, const std::string& name, Recompute recompute, float dropout = 0.0f) {
  const OwnedStream stream(kCuda);
  const StreamScope scope(stream.get());
  Model model;
  const Arena weights = make_arena(kCuda, [&](Arena& a) { model = copy_model(host, a); });
  attach_lora(model, {.rank = 16, .alpha = 16.0});
  const StepOptions options = {.tokens = kTokens,
                               .longest = kTokens,
                               .labelled = kTokens,
                               .recompute = recompute,
                               .dropout = dropout};
  RopeTable rope = make_rope_table(model.config.rope, model.config.head_dim, kTokens);
  std::optional<Step> step;
  std::optional<Optimizer> optimizer;
  const auto lay_out = [&](Arena& arena) {
    model.parameters.lay_out(arena, options.compute, true);
    place_rope_table(rope, arena);
    optimizer.emplace(OptimizerOptions{}, model.parameters, arena);
    if (arena.measuring())
      take_step_buffers(arena, model, options);
    else
      step.emplace(model, options, rope, arena);
  };
  Arena plan(kCuda);
  lay_out(plan);
  Arena arena(plan.peak(), kCuda);
  lay_out(arena);
  const Batch batch = full_row();
  // The second is as all that follow.
  for (int64_t i = 1; i <= 2; ++i) {
    synchronize();
    emulate::take_submissions();
    model.parameters.zero_gradients();
    step->forward_backward(batch, 1.0f, {.seed = 1, .micro_batch = static_cast<uint64_t>(i)});
    l2_norm(model.parameters.gradients());
    optimizer->update(i, 1e-4, 1.0);
    synchronize();
  }
  print(name.c_str(), emulate::take_submissions());
  for (int i = 0; i < 2; ++i) {
    emulate::take_submissions();
    step->forward(batch);
  }
  print((name + ", a loss alone").c_str(), emulate::take_submissions());
}

void decode(const Model& host) {
  Generator generator(
      host, {.batch_size = 1, .context = kTokens, .max_tokens = kDecoded, .device = kCuda});
  const std::vector<std::vector<int32_t>> prompts = {std::vector<int32_t>(16, 7)};
  emulate::Submissions counts;
  const auto on_token = [&](size_t, std::span<const int32_t>) {
    counts = emulate::take_submissions();
    return false;
  };
  generator.run(prompts, 0, on_token, [](size_t, Completion) {});
  print("decoding a token, batch 1", counts);
}

}  // namespace
}  // namespace nibble

int main(int argc, char** argv) {
  using namespace nibble;
  try {
    for (const KnownModel& known : known_models()) {
      if (argc != 2 || known.name != argv[1]) continue;
      ModelConfig config = known.config;
      set_quantized(config, "nf4");
      const Model host = weightless_model(config);
      train(host, "training, --recompute=none", Recompute::kNone);
      train(host, "training, --recompute=layer", Recompute::kLayer);
      train(host, "training, --dropout=0.1", Recompute::kNone, 0.1f);
      decode(host);
      return 0;
    }
  } catch (const Error& error) {
    fprintf(stderr, "step_counts: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  fprintf(stderr, "step_counts: MODEL is one that nibble-fit knows\n");
  return static_cast<int>(Exit::kUsage);
}
