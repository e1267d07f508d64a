// SPDX-License-Identifier: Apache-2.0
// Writes the logits (N,V) of every token of every row, each row a sequence of its own, all in one
// packed batch, as OUT/model.safetensors, for comparison with transformers:
//   logits_dump MODEL/ ADAPTER/|- ROWS.jsonl f32|bf16 OUT/
#include <cstdio>
#include <numeric>
#include <optional>

#include "data/token_rows.h"
#include "infer/session.h"
#include "io/lines.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/adapter.h"
#include "model/head.h"

namespace {

using namespace nibble;

Batch read_batch(const char* path, const ModelConfig& config) {
  LineReader reader(path);
  TokenRow row;
  Batch batch;
  for (std::string_view line; reader.next(line);) {
    parse_token_row(line, config.vocab_size, row);
    batch.append(row.tokens, row.trained);
  }
  return batch;
}

struct Buffers {
  BlockScratch scratch;
  BlockActivations activations;
  HeadBuffers head;

  Buffers(Arena& arena, const Model& model, const BlockSizes& sizes)
      : scratch(take_block_scratch(arena, model, sizes, Remade::kNothing)),
        activations(take_activations(arena, model, sizes, Remade::kNothing, scratch)),
        head(take_head(arena, model, sizes, sizes.tokens)) {}
};

// The residual stream after the last block.
Tensor forward(const Model& model, const Batch& batch, const Buffers& buffers) {
  const RopeTable rope = make_rope_table(model.config.rope, model.config.head_dim, batch.longest);
  const BlockRun run{.model = &model,
                     .batch = &batch,
                     .at = BatchPlace().put(batch, model.config.vocab_size),
                     .rope = &rope,
                     .scratch = &buffers.scratch};
  const BlockActivations& a = buffers.activations;
  embedding_forward({.out = a.h_in,
                     .ids = view(batch.ids.data(), {batch.tokens()}),
                     .table = table_weight(model.embedding, model.parameters)});
  for (int64_t l = 0; l < model.config.layers; ++l)
    block_forward(run, l, l == 0 ? a.h_in : a.h_mid, l == 0 ? Tensor{} : buffers.scratch.delta, a);
  cast({.out = buffers.scratch.branch, .in = a.h_mid});
  accumulate({.out = buffers.scratch.branch, .in = buffers.scratch.delta});
  return buffers.scratch.branch;
}

void dump(const char* folder, const std::string& adapter, const char* rows_file, Dtype compute,
          const fs::path& out) {
  Model model = load_model(folder);
  Arena parameters;
  if (adapter != "-") {
    attach_adapter(model, adapter);
    parameters = model.parameters.lay_out(Device{}, compute, false);
    load_adapter_weights(adapter, model);
  }
  const Batch batch = read_batch(rows_file, model.config);
  const int64_t n = batch.tokens(), vocabulary = model.config.vocab_size;
  const BlockSizes sizes = {.tokens = n, .longest = batch.longest, .compute = compute};
  std::optional<Buffers> laid_out;
  const Arena arena = make_arena({}, [&](Arena& a) { laid_out.emplace(a, model, sizes); });
  const Buffers& buffers = *laid_out;
  const Tensor stream = forward(model, batch, buffers);

  const TensorInfo info = tensor_info("logits", Dtype::kF32, {n, vocabulary});
  fs::create_directories(out);
  TensorWriter writer(out, {info});
  std::vector<int32_t> index(static_cast<size_t>(n));
  std::iota(index.begin(), index.end(), 0);
  const int64_t chunk = buffers.head.hidden.dim(0);
  std::vector<float> widened(static_cast<size_t>(n * vocabulary));
  for (int64_t begin = 0; begin < n; begin += chunk) {
    const int64_t m = std::min(chunk, n - begin);
    const Tensor ids = rows(view(index.data(), {n}), begin, m);
    cast({.out = view(widened.data() + begin * vocabulary, {m, vocabulary}),
          .in = head_logits(model, stream, ids, buffers.head)});
  }
  writer.write(widened.data(), info.bytes);
  writer.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  try {
    dump(argv[1], argv[2], argv[3],
         std::string_view(argv[4]) == "bf16" ? Dtype::kBf16 : Dtype::kF32, argv[5]);
  } catch (const Error& error) {
    std::fprintf(stderr, "logits_dump: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
