// SPDX-License-Identifier: Apache-2.0
#include "infer/generator.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/profile.h"
#include "infer/cache.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/head.h"

namespace nibble {
namespace {

// A sequence that grows; slot i of the cache is active_[i]'s.
struct Sequence {
  size_t index = 0;
  size_t prompt = 0;            // tokens of the prompt
  std::vector<int32_t> tokens;  // prompt and completion
  std::span<const int32_t> completion() const { return std::span(tokens).subspan(prompt); }
};

}  // namespace

struct Generator::State {
  const Model& model;
  GeneratorOptions options;
  Device device;  // where the model lies
  OwnedStream queue;
  RopeTable rope;
  Arena arena, rope_arena;
  std::optional<Cache> cache;
  BlockScratch scratch;
  BlockActivations activations;
  HeadBuffers head;
  BatchPlace place;
  Tensor decode_scratch, sample_logits;
  std::vector<float> host_logits;
  Sampler sampler;
  Batch batch;
  BatchTensors at;                 // the batch where ops read it
  std::vector<uint8_t> untrained;  // zeros
  std::vector<Sequence> active;

  State(const Model& m, const GeneratorOptions& o)
      : model(m),
        options(o),
        device(m.embedding.weight.device),
        queue(device),
        rope(make_rope_table(m.config.rope, m.config.head_dim, o.context)),
        sampler(o.sampling, m.config.vocab_size) {
    const GeneratorSizes sizes = {
        .batch_size = o.batch_size, .context = o.context, .compute = o.compute};
    const StreamScope scope(queue.get());
    GeneratorBuffers b;
    arena = make_arena(device, [&](Arena& a) { b = take_generator_buffers(a, model, sizes); });
    rope_arena = make_arena(device, [&](Arena& a) { place_rope_table(rope, a); });
    cache.emplace(std::move(b.cache), model.config, o.context);
    scratch = std::move(b.scratch);
    activations = b.activations;
    head = b.head;
    decode_scratch = b.decode_scratch;
    sample_logits = b.sample_logits;
    place = b.batch;
    host_logits.resize(static_cast<size_t>(model.config.vocab_size));
    // Held at their most, so that no token allocates.
    active.reserve(static_cast<size_t>(options.batch_size));
    batch.lengths.reserve(static_cast<size_t>(options.batch_size));
    batch.rows.reserve(static_cast<size_t>(options.batch_size));
  }

  AttentionShape shape(int64_t block) const {
    return attention_shape(model.config, model.config.window_of(block));
  }

  // One token a sequence: its key and value join the cache, its query reads all of it.
  void attend_cached(int64_t block, const BlockActivations& a) {
    const ModelConfig& c = model.config;
    const auto rows_now = static_cast<int64_t>(active.size());
    for (int64_t slot = 0; slot < rows_now; ++slot)
      cache->store(block, slot, batch.lengths[static_cast<size_t>(slot)] - 1, a.qkv, slot, 1);
    attention_decode({.out = a.attention,
                      .q = columns(a.qkv, 0, c.heads * c.head_dim),
                      .keys = rows(cache->keys(block), 0, rows_now),
                      .values = rows(cache->values(block), 0, rows_now),
                      .lengths = at.lengths,
                      .shape = shape(block),
                      .scratch = decode_scratch});
  }

  // The batch through all blocks; the residual stream after the last.
  template <class AfterBlock>
  Tensor forward(AttentionStep attend, const AfterBlock& after) {
    const int64_t n = batch.tokens();
    at = place.put(batch, model.config.vocab_size);
    const BlockRun run{.model = &model,
                       .batch = &batch,
                       .at = at,
                       .rope = &rope,
                       .scratch = &scratch,
                       .attend = attend,
                       .attend_state = this};
    const BlockActivations a = first_rows(activations, n);
    const Tensor delta = rows(scratch.delta, 0, n);
    embedding_forward(
        {.out = a.h_in, .ids = at.ids, .table = table_weight(model.embedding, model.parameters)});
    for (int64_t l = 0; l < model.config.layers; ++l) {
      block_forward(run, l, l == 0 ? a.h_in : a.h_mid, l == 0 ? Tensor{} : delta, a);
      after(l, a);
    }
    const Tensor stream = rows(scratch.branch, 0, n);
    cast({.out = stream, .in = a.h_mid});
    accumulate({.out = stream, .in = delta});
    return stream;
  }

  // Reads waiting prompts into free slots, as many as fit; returns how many.
  size_t admit(std::span<const std::vector<int32_t>> prompts, size_t next) {
    batch.clear();
    const size_t first = active.size();
    while (next < prompts.size() && active.size() < static_cast<size_t>(options.batch_size)) {
      const std::vector<int32_t>& prompt = prompts[next];
      CHECK(!prompt.empty() && static_cast<int64_t>(prompt.size()) < options.context);
      const auto tokens = static_cast<int64_t>(prompt.size());
      if (batch.tokens() > 0 && batch.tokens() + tokens > kPromptTokens) break;
      untrained.assign(prompt.size(), 0);
      batch.append(prompt, untrained);
      batch.rows.push_back(static_cast<int32_t>(batch.tokens() - 1));
      Sequence sequence{.index = next++, .prompt = prompt.size(), .tokens = prompt};
      sequence.tokens.reserve(prompt.size() + static_cast<size_t>(options.max_tokens));
      active.push_back(std::move(sequence));
    }
    if (active.size() == first) return 0;
    const Span span("prompts");
    const Tensor stream = forward(nullptr, [&](int64_t block, const BlockActivations& a) {
      for (size_t s = first; s < active.size(); ++s) {
        const auto i = s - first;
        cache->store(block, static_cast<int64_t>(s), 0, a.qkv, batch.starts[i],
                     batch.starts[i + 1] - batch.starts[i]);
      }
    });
    choose(stream, first);
    return active.size() - first;
  }

  // The next token of every active sequence.
  void step() {
    const Span span("decode");
    batch.clear();
    for (const Sequence& s : active) {
      batch.ids.push_back(s.tokens.back());
      const auto position = static_cast<int32_t>(s.tokens.size()) - 1;
      batch.positions.push_back(position);
      batch.lengths.push_back(position + 1);
      batch.rows.push_back(static_cast<int32_t>(batch.rows.size()));
    }
    const Tensor stream = forward(
        [](void* self, int64_t block, const BlockActivations& a) {
          static_cast<State*>(self)->attend_cached(block, a);
        },
        [](int64_t, const BlockActivations&) {});
    choose(stream, 0);
  }

  // Samples for active[first...] from the rows of the stream named by batch.rows.
  void choose(const Tensor& stream, size_t first) {
    const Span span("choose token");
    const auto chunk = static_cast<size_t>(head.hidden.dim(0));
    for (size_t begin = 0; begin < batch.rows.size(); begin += chunk) {
      const size_t count = std::min(chunk, batch.rows.size() - begin);
      const Tensor logits = head_logits(
          model, stream, rows(at.rows, static_cast<int64_t>(begin), static_cast<int64_t>(count)),
          head);
      for (size_t i = 0; i < count; ++i) {
        Sequence& s = active[first + begin + i];
        const std::span<float> row = fetch(rows(logits, static_cast<int64_t>(i), 1));
        // The largest of numbers of which one is NaN is any of them: an answer, but no one's.
        if (!std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); }))
          throw DataError(cat(model.store->path().string(), ": the logits are not finite",
                              "; look for NaN with nibble-inspect --stats"));
        s.tokens.push_back(sampler.next(row, s.tokens, base + s.index));
      }
    }
  }

  // A row of logits (1,V) as floats on the host.
  std::span<float> fetch(const Tensor& logits) {
    Tensor row = sample_logits;
    row.rank = 2;
    row.shape = {1, model.config.vocab_size};
    row.row_stride = model.config.vocab_size;
    cast({.out = row, .in = logits});
    copy(view(host_logits.data(), {model.config.vocab_size}), sample_logits);
    synchronize();
    return host_logits;
  }

  // Takes finished sequences out, the last slots moving into the gaps.
  void retire(size_t first, const OnToken& on_token, const OnDone& on_done) {
    for (size_t i = active.size(); i-- > first;) {
      Sequence& s = active[i];
      Completion done;
      const bool stop_id = std::find(options.stop_ids.begin(), options.stop_ids.end(),
                                     s.tokens.back()) != options.stop_ids.end();
      if (stop_id) s.tokens.pop_back();
      const auto completion = s.completion();
      const bool stopped = stop_id || (on_token && on_token(s.index, completion));
      const bool full = static_cast<int64_t>(completion.size()) >= options.max_tokens ||
                        static_cast<int64_t>(s.tokens.size()) >= options.context;
      if (!stopped && !full) continue;
      done.tokens.assign(completion.begin(), completion.end());
      done.finish = stopped ? Completion::Finish::kStop : Completion::Finish::kLength;
      const size_t index = s.index;
      if (const size_t last = active.size() - 1; i != last) {
        // The last token of a sequence is not in the cache yet.
        cache->move(static_cast<int64_t>(last), static_cast<int64_t>(i),
                    static_cast<int64_t>(active[last].tokens.size()) - 1);
        active[i] = std::move(active[last]);
      }
      active.pop_back();
      on_done(index, std::move(done));
    }
  }

  uint64_t base = 0;  // sequence number of the first prompt
};

Generator::Generator(const Model& model, const GeneratorOptions& options)
    : state_(std::make_unique<State>(model, options)) {}
Generator::~Generator() = default;

size_t Generator::planned_bytes() const {
  return state_->arena.peak();
}

void Generator::run(std::span<const std::vector<int32_t>> prompts, uint64_t first_index,
                    const OnToken& on_token, const OnDone& on_done) {
  State& s = *state_;
  const StreamScope scope(s.queue.get());
  s.base = first_index;
  s.active.clear();
  size_t next = 0;
  while (next < prompts.size() || !s.active.empty()) {
    const size_t before = s.active.size();
    if (const size_t admitted = s.admit(prompts, next)) {
      next += admitted;
      s.retire(before, on_token, on_done);
      continue;
    }
    s.step();
    s.retire(0, on_token, on_done);
  }
}

}  // namespace nibble
