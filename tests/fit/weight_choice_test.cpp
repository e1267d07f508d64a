// SPDX-License-Identifier: Apache-2.0
// What weights kept expanded, streamed or left on the host take, and how many are kept where nobody
// says.
#include "fit/weight_choice.h"

#include <gtest/gtest.h>

#include "fit/question.h"
#include "model/device_model.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

Question question(DeviceKind device, const std::string& quantized = "nf4") {
  Question q;
  q.config = parse_model_config(test::tiny_config("qwen2"), "config.json");
  q.config.layers = 12;
  q.config.hidden_size = q.config.intermediate_size = 256;
  q.config.layer_window.clear();
  set_quantized(q.config, quantized);
  q.lora.rank = 4;
  q.train.batch_size = 2;
  q.train.row_length = q.train.longest = 64;
  q.train.device = device;
  return q;
}

constexpr const char* kCopied = "weights (copied to the device)";

TEST(WeightPlan, NamesWhatIsKept) {
  for (const DeviceKind device : {DeviceKind::kCpu, DeviceKind::kCuda}) {
    Question q = question(device);
    const Model model = prepare(q);
    // On a GPU with the adapters: as many columns as their ranks, up to whole lines of 64, and as
    // many rows.
    uint64_t layer = 0;
    for (const LinearGroup* g : model.blocks[0].groups()) {
      const bool woven = device == DeviceKind::kCuda;
      const int64_t ranks = woven ? 4 * int64_t(g->parts.size()) : 0;
      const int64_t width = g->in_features() + ranks,
                    columns = woven ? (width + 63) / 64 * 64 : width;
      layer += static_cast<uint64_t>((g->out_features() + ranks) * columns) *
               dtype_bytes(panel_dtype(q.train.compute, {.kind = device}));
    }
    const uint64_t before = plan(q, model).total();
    for (const int64_t kept : {1, 5, 11}) {
      q.train.weights.kept_layers = kept;
      const MemoryPlan p = plan(q, model);
      EXPECT_EQ(p.of("weights kept expanded"), static_cast<uint64_t>(kept) * layer);
      EXPECT_EQ(p.of("other buffers"), 0u);
      EXPECT_EQ(p.total(), before + p.of("weights kept expanded"));
    }
    q.train.weights.kept_layers = 12;
    EXPECT_EQ(plan(q, model).of("weights expanded"), 0u);  // no panel is left
  }
}

TEST(WeightPlan, MovesStreamedLayersToTheHost) {
  for (const char* type : {"nf4", "int8", "none"}) {
    Question q = question(DeviceKind::kCuda, type);
    const Model model = prepare(q);
    const uint64_t all = plan(q, model).of(kCopied);
    const auto layer = static_cast<uint64_t>(streamed_bytes(model.blocks[0]));
    for (const int64_t streamed : {1, 7, 12}) {
      q.train.weights = {.streamed_layers = streamed};
      const MemoryPlan p = plan(q, model);
      EXPECT_EQ(p.of(kCopied), all - static_cast<uint64_t>(streamed) * layer) << type;
      EXPECT_EQ(p.of("streamed layers coming in"), 2 * layer) << type;
      EXPECT_EQ(weight_bytes_of(model, q.train.weights).host,
                static_cast<uint64_t>(streamed) * layer);
      EXPECT_EQ(p.of("other buffers"), 0u);
    }
    q.train.weights = {.host_embedding = true};
    EXPECT_EQ(all - plan(q, model).of(kCopied), weight_bytes_of(model, q.train.weights).host);
    EXPECT_EQ(weight_bytes_of(model, q.train.weights).host, 96u * 256 * 2);  // (V,C) bf16
  }
}

TEST(WeightPlan, TrainedWeightsAreNotCopied) {
  Question q = question(DeviceKind::kCuda, "none");
  q.method = "full";
  EXPECT_EQ(weight_bytes_of(prepare(q)).device, 0u);
}

TEST(LayersToKeep, AreAsManyAsFit) {
  Question q = question(DeviceKind::kCuda);
  const Model model = prepare(q);
  for (const int64_t streamed : {0, 3}) {
    q.train.weights = {.streamed_layers = streamed};
    const auto bytes = [&](int64_t kept) {
      TrainJob job = q.train;
      job.weights.kept_layers = kept;
      return plan_training(model, job).total();
    };
    // Where all are kept there are no panels, which take more than the last layer here.
    EXPECT_EQ(bytes(12 - streamed) < bytes(11 - streamed), streamed == 0);
    for (int64_t kept = 0; kept < 11 - streamed; ++kept)
      EXPECT_EQ(layers_to_keep(model, q.train, {bytes(kept)}), kept) << streamed;
    EXPECT_EQ(layers_to_keep(model, q.train, {bytes(12 - streamed)}), 12 - streamed);
    EXPECT_EQ(layers_to_keep(model, q.train, {UINT64_MAX}), 12 - streamed);
    EXPECT_EQ(layers_to_keep(model, q.train, {1}), 0);
  }
  EXPECT_EQ(layers_to_keep(model, question(DeviceKind::kCpu).train, {UINT64_MAX}), 0);
}

TEST(LayersToStream, AreAsFewAsFitAndTheHostHasRoomFor) {
  const Question q = question(DeviceKind::kCuda);
  const Model model = prepare(q);
  const auto at = [&](int64_t streamed) {
    TrainJob job = q.train;
    job.weights.streamed_layers = streamed;
    return plan_training(model, job);
  };
  EXPECT_EQ(layers_to_stream(model, q.train, {at(0).total()}), 0);
  // Two layers are on their way in, so that two on the host save nothing.
  for (int64_t n = 3; n <= 12; ++n) {
    EXPECT_EQ(layers_to_stream(model, q.train, {at(n).total()}), n);
    EXPECT_EQ(layers_to_stream(model, q.train, {at(n).total(), at(n).host_total()}), n);
    // The host lacks a byte for as many: the most that it has room for.
    EXPECT_EQ(layers_to_stream(model, q.train, {at(n).total(), at(n).host_total() - 1}),
              n > 3 ? n - 1 : 0);
  }
  EXPECT_EQ(layers_to_stream(model, q.train, {1}), 12);
}

TEST(WeightTally, CountsWhatIsCopied) {
  for (const char* type : {"nf4", "int8", "none"})
    for (const bool tied : {false, true}) {
      Question q = question(DeviceKind::kCuda, type);
      q.config.tied_embeddings = tied;
      const Model model = prepare(q);
      const WeightTally tally(model);
      for (const int64_t streamed : {0, 1, 5, 12})
        for (const bool embedding : {false, true}) {
          const WeightPlacement p{.streamed_layers = streamed, .host_embedding = embedding};
          const WeightBytes want = weight_bytes_of(model, p), got = tally.of(p);
          EXPECT_EQ(got.device, want.device) << type << " " << streamed;
          EXPECT_EQ(got.host, want.host) << type << " " << streamed;
        }
    }
}

TEST(PlacementAsked, TakesWordsAndNumbers) {
  const Model model = prepare(question(DeviceKind::kCuda));
  const auto asked = [&](const WeightChoice& c) {
    return placement_asked(c, model, DeviceKind::kCuda);
  };
  EXPECT_EQ(asked({}), WeightPlacement{});
  EXPECT_EQ(asked({.keep = "all"}), WeightPlacement{.kept_layers = 12});
  EXPECT_EQ(asked({.keep = "4", .stream = "8", .host_embedding = true}),
            (WeightPlacement{.kept_layers = 4, .streamed_layers = 8, .host_embedding = true}));
  for (const char* bad : {"", "-1", "13", "1.5", "some", "1 "}) {
    EXPECT_THROW(asked({.keep = bad}), UsageError) << bad;
    EXPECT_THROW(asked({.stream = bad}), UsageError) << bad;
  }
  EXPECT_THROW(asked({.keep = "7", .stream = "6"}), UsageError);
  EXPECT_THROW(placement_asked({.stream = "1"}, model, DeviceKind::kCpu), UsageError);
  EXPECT_THROW(placement_asked({.host_embedding = true}, model, DeviceKind::kCpu), UsageError);
  Question tied = question(DeviceKind::kCuda);
  tied.config.tied_embeddings = true;
  EXPECT_THROW(placement_asked({.host_embedding = true}, prepare(tied), DeviceKind::kCuda),
               UsageError);
}

}  // namespace
}  // namespace nibble
