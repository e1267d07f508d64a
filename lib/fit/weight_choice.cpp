// SPDX-License-Identifier: Apache-2.0
#include "fit/weight_choice.h"

#include <charconv>

#include "model/device_model.h"

namespace nibble {
namespace {

int64_t layers_of(std::string_view option, std::string_view text, int64_t layers) {
  if (text == "none" || text == "auto") return 0;
  if (text == "all") return layers;
  int64_t n = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 0 || n > layers)
    throw UsageError(cat("--", option, "=", text,
                         ": not auto, none, all or a number of the model's ", layers, " layers"));
  return n;
}

// The last number for which it is true, where it is so from `yes` up to some number below `no`.
template <class Is>
int64_t last_true(int64_t yes, int64_t no, const Is& is) {
  while (no - yes > 1) {
    const int64_t middle = yes + (no - yes) / 2;
    (is(middle) ? yes : no) = middle;
  }
  return yes;
}

}  // namespace

WeightPlacement placement_asked(const WeightChoice& choice, const Model& model, DeviceKind device) {
  const int64_t layers = model.config.layers;
  const WeightPlacement p{.kept_layers = layers_of("keep-weights", choice.keep, layers),
                          .streamed_layers = layers_of("stream-weights", choice.stream, layers),
                          .host_embedding = choice.host_embedding};
  if (p.kept_layers + p.streamed_layers > layers)
    throw UsageError(cat("--keep-weights=", choice.keep, " and --stream-weights=", choice.stream,
                         " are more than the model's ", layers, " layers"));
  if (device != DeviceKind::kCuda && p.streamed_layers > 0)
    throw UsageError("--stream-weights is for --device=cuda; a CPU reads weights where they are");
  if (device != DeviceKind::kCuda && p.host_embedding)
    throw UsageError("--host-embedding is for --device=cuda; a CPU has all in its memory");
  if (p.host_embedding && !embedding_may_leave(model))
    throw UsageError(cat("--host-embedding: the device needs this embedding, which ",
                         model.embedding.parameter >= 0 ? "is trained" : "is the head too"));
  return p;
}

int64_t layers_to_keep(const TrainingPlanner& planner, TrainJob job, const MemoryLimits& limits) {
  if (job.device != DeviceKind::kCuda) return 0;
  const auto total = [&](int64_t kept) {
    job.weights.kept_layers = kept;
    return planner.plan(job).total();
  };
  const auto fits = [&](int64_t kept) { return total(kept) <= limits.device; };
  // With all layers kept there is no panel: nearly all may need more than all, and so may none.
  const int64_t most = planner.model().config.layers - job.weights.streamed_layers;
  if (fits(most)) return most;
  if (!fits(0)) return total(most) < total(0) ? most : 0;
  return last_true(0, most, fits);
}

int64_t layers_to_stream(const TrainingPlanner& planner, TrainJob job, const MemoryLimits& limits) {
  const auto plan = [&](int64_t streamed) {
    job.weights.streamed_layers = streamed;
    return planner.plan(job);
  };
  const auto too_much = [&](int64_t streamed) { return plan(streamed).total() > limits.device; };
  if (job.device != DeviceKind::kCuda || !too_much(0)) return 0;
  const int64_t all = planner.model().config.layers;
  const auto room = [&](int64_t streamed) { return plan(streamed).host_total() <= limits.host; };
  const int64_t most = room(all) ? all : last_true(0, all, room);
  if (too_much(most)) return plan(most).total() < plan(0).total() ? most : 0;
  return last_true(0, most, too_much) + 1;
}

}  // namespace nibble
