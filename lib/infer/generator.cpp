// SPDX-License-Identifier: Apache-2.0
#include "infer/generator.h"

#include <algorithm>
#include <optional>

#include "base/profile.h"
#include "infer/cache.h"
#include "infer/growing_rows.h"
#include "infer/prompt_group.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/device_model.h"
#include "model/head.h"
#include "tensor/graphs.h"

namespace nibble {
struct Generator::State {
  GeneratorOptions options;
  RopeTable rope;
  PlacedModel placed;
  std::optional<Cache> cache;
  BlockScratch scratch;
  BlockActivations activations;
  HeadBuffers head;
  BatchPlace place;
  Tensor decode_scratch;
  std::optional<GrowingRows> growing;
  Graphs graphs;
  Batch batch;
  BatchTensors at;                 // the batch where ops read it
  std::vector<uint8_t> untrained;  // zeros
  std::vector<Sequence> active;

  State(const Model& m, const GeneratorOptions& o)
      : options(o),
        rope(make_rope_table(m.config.rope, m.config.head_dim, o.context)),
        graphs(o.device, o.graphs) {
    const GeneratorSizes sizes = {
        .batch_size = o.batch_size, .context = o.context, .compute = o.compute};
    GeneratorBuffers b;
    placed.lay_out(
        m, o.device, o.compute,
        [&](Arena& arena, const Model& model) {
          b = take_generator_buffers(arena, model, sizes);
          place_rope_table(rope, arena);
        },
        weights_for_decoding(m));
    const StreamScope scope(placed.stream());
    cache.emplace(b.cache, m.config, o.context);
    scratch = std::move(b.scratch);
    activations = b.activations;
    head = b.head;
    decode_scratch = b.decode_scratch;
    growing.emplace(b, options.sampling);
    place = b.batch;
    // Held at their most, so that no token allocates.
    active.reserve(static_cast<size_t>(options.batch_size));
    batch.ids.reserve(static_cast<size_t>(options.batch_size));
    batch.rows.reserve(static_cast<size_t>(options.batch_size));
  }

  const Model& model() const { return placed.model(); }

  // One token a sequence, whose key and value are in the cache: its query reads all of it.
  void attend_cached(int64_t block, const BlockActivations& a) {
    const ModelConfig& c = model().config;
    const int64_t n = batch.tokens();
    attention_decode({.out = a.attention,
                      .q = columns(a.qkv, 0, c.heads * c.head_dim),
                      .keys = rows(cache->keys(block), 0, n),
                      .values = rows(cache->values(block), 0, n),
                      .lengths = at.lengths,
                      .longest = longest,
                      .shape = attention_shape(c, c.window_of(block)),
                      .scratch = decode_scratch});
  }

  // The batch through all blocks; the residual stream after the last.
  template <class AfterBlock>
  Tensor forward(AttentionStep attend, const AfterBlock& after) {
    const int64_t n = batch.tokens();
    const BlockRun run{.model = &model(),
                       .batch = &batch,
                       .at = at,
                       .rope = &rope,
                       .scratch = &scratch,
                       .keys = attend ? cache->keys() : std::span<const Tensor>{},
                       .values = attend ? cache->values() : std::span<const Tensor>{},
                       .attend = attend,
                       .attend_state = this};
    const BlockActivations a = first_rows(activations, n);
    const Tensor delta = rows(scratch.delta, 0, n);
    embedding_forward({.out = a.h_in,
                       .ids = at.ids,
                       .table = table_weight(model().embedding, model().parameters)});
    for (int64_t l = 0; l < model().config.layers; ++l) {
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
    const size_t first = active.size();
    const PromptGroup group = group_prompts(
        prompts.subspan(next), static_cast<size_t>(options.batch_size) - first, kPromptTokens);
    if (group.count == 0) return 0;
    batch.clear();
    const size_t shared = group.shared;
    if (shared > 0) batch.append_after(-1, std::span(prompts[next]).first(shared));
    for (size_t i = 0; i < group.count; ++i, ++next) {
      const std::vector<int32_t>& prompt = prompts[next];
      CHECK(static_cast<int64_t>(prompt.size()) < options.context);
      if (shared > 0) {
        batch.append_after(0, std::span(prompt).subspan(shared));
      } else {
        untrained.assign(prompt.size(), 0);
        batch.append(prompt, untrained);
      }
      batch.rows.push_back(static_cast<int32_t>(batch.tokens() - 1));
      Sequence sequence{.index = next, .prompt = prompt.size(), .tokens = prompt};
      sequence.tokens.reserve(prompt.size() + static_cast<size_t>(options.max_tokens));
      active.push_back(std::move(sequence));
    }
    const Span span("prompts");
    growing->put(active, base);
    changed = false;
    at = place.put(batch, model().config.vocab_size);
    const Tensor stream = forward(nullptr, [&](int64_t block, const BlockActivations& a) {
      for (size_t s = first; s < active.size(); ++s) {
        const size_t i = s - first + (shared > 0 ? 1 : 0);
        const auto slot = static_cast<int64_t>(s), beginning = static_cast<int64_t>(shared);
        if (shared > 0) cache->store(block, slot, 0, a.qkv, 0, beginning);
        cache->store(block, slot, beginning, a.qkv, batch.starts[i],
                     batch.starts[i + 1] - batch.starts[i]);
      }
    });
    choose(stream, first);
    take_chosen(first);
    return group.count;
  }

  // The next token of every active sequence.
  void step() {
    const Span span("decode");
    if (changed) growing->put(active, base);
    changed = false;
    size_t most = 0;
    for (const Sequence& s : active) most = std::max(most, s.tokens.size());
    const auto count = static_cast<int64_t>(active.size());
    // On a device idle rows fill up, so that a few graphs do.
    const bool filled = options.device.on_cuda();
    const int64_t n = filled ? std::min(power_of_two(count), options.batch_size) : count;
    longest = std::min(power_of_two(std::max(static_cast<int64_t>(most), kShortestDecode)),
                       options.context);
    batch.clear();
    batch.ids.resize(static_cast<size_t>(n));
    at = growing->batch(n);
    graphs.run({n, longest}, [&] {
      const Tensor stream = forward(
          [](void* self, int64_t block, const BlockActivations& a) {
            static_cast<State*>(self)->attend_cached(block, a);
          },
          [](int64_t, const BlockActivations&) {});
      choose(stream, 0);
    });
    take_chosen(0);
  }

  // Samples for active[first...] from the rows of the stream named by at.rows.
  void choose(const Tensor& stream, size_t first) {
    const Span span("choose token");
    const int64_t all = at.rows.dim(0), chunk = head.hidden.dim(0);
    for (int64_t begin = 0; begin < all; begin += chunk) {
      const int64_t count = std::min(chunk, all - begin);
      growing->choose(head_logits(model(), stream, rows(at.rows, begin, count), head),
                      static_cast<int64_t>(first) + begin);
    }
    growing->fetch(static_cast<int64_t>(first) + all);
  }

  // The tokens sampled for active[first...] join their sequences.
  void take_chosen(size_t first) {
    const std::span<const int32_t> chosen = growing->chosen();
    for (size_t i = first; i < active.size(); ++i) {
      // The largest of numbers of which one is NaN is any of them: an answer, but no one's.
      if (chosen[i] == kNotFinite)
        throw DataError(cat(model().store->path().string(), ": the logits are not finite",
                            "; look for NaN with nibble-inspect --stats"));
      active[i].tokens.push_back(chosen[i]);
    }
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
      changed = true;
      on_done(index, std::move(done));
    }
  }

  uint64_t base = 0;     // sequence number of the first prompt
  int64_t longest = 0;   // positions of the cache that a step reads, at most
  bool changed = false;  // the rows are no more those of the last step
};

Generator::Generator(const Model& model, const GeneratorOptions& options)
    : state_(std::make_unique<State>(model, options)) {}
Generator::~Generator() = default;

int64_t Generator::context() const {
  return state_->options.context;
}
int64_t Generator::graphs() const {
  return state_->graphs.held();
}

size_t Generator::planned_bytes() const {
  return state_->placed.bytes();
}

void Generator::run(std::span<const std::vector<int32_t>> prompts, uint64_t first_index,
                    const OnToken& on_token, const OnDone& on_done) {
  State& s = *state_;
  const StreamScope scope(s.placed.stream());
  s.base = first_index;
  s.active.clear();
  s.changed = true;
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
