// SPDX-License-Identifier: Apache-2.0
// Frozen weights on their way to the products, on the emulated CUDA half: whatever their placement,
// what is read is what one expansion after the other gives; so in a graph, which takes the streams
// beside it in.
#include <gtest/gtest.h>

#include <cstring>

#include "model/device_model.h"
#include "model/frozen_weights.h"
#include "quant/quantize_folder.h"
#include "support/device_copy.h"
#include "support/scratch.h"
#include "support/tiny_model.h"
#include "tensor/cuda.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};

// Reads all groups as a training pass does, and keeps copies of what it read.
class Reader {
 public:
  Reader(const Model& model, const WeightPlacement& placement, Dtype compute)
      : model_(model), compute_(compute) {
    int64_t elements = 0;
    for (const Block& b : model.blocks)
      for (const LinearGroup* g : b.groups()) elements += 2 * g->out_features() * g->in_features();
    arena_ = make_arena(kCuda, [&](Arena& a) {
      buffers_ = take_weight_buffers(a, model, placement, compute, Ahead::kYes);
      read_ = a.take(panel_dtype(compute, kCuda), {elements});
    });
    weights_.emplace(model, buffers_, compute);
  }

  void pass() {
    at_ = 0;
    weights_->begin(0);
    for (size_t l = 0; l < model_.blocks.size(); ++l)
      for (const LinearGroup* g : model_.blocks[l].groups()) read(*g);
    for (size_t l = model_.blocks.size(); l-- > 0;) {
      const auto groups = model_.blocks[l].groups();
      for (size_t i = groups.size(); i-- > 0;) read(*groups[i]);
    }
    weights_->end();
  }

  std::vector<std::byte> fetch() {
    std::vector<std::byte> out(read_.bytes());
    copy(make_tensor(out.data(), read_.dtype, {read_.elements()}), read_);
    zero(read_);
    synchronize();
    return out;
  }

 private:
  void read(const LinearGroup& group) {
    WeightPieces pieces(group, model_.parameters, compute_, kCuda);
    while (const auto piece = pieces.next()) {
      const Tensor weight = weights_->read(group, *piece);
      const Tensor flat = make_tensor(weight.data, weight.dtype, {weight.elements()}, kCuda);
      copy(rows(read_, at_, flat.dim(0)), flat);
      at_ += flat.dim(0);
      weights_->done();
    }
  }

  const Model& model_;
  Dtype compute_;
  Arena arena_;
  WeightBuffers buffers_;
  Tensor read_;
  std::optional<FrozenWeights> weights_;
  int64_t at_ = 0;
};

class FrozenWeightsOnCuda : public testing::TestWithParam<WeightPlacement> {
 protected:
  void SetUp() override {
    Json config = test::tiny_config("qwen2");
    config.set("num_hidden_layers", 5);
    test::write_tiny_model(folder_.path() / "dense", config, 7);
    fs::create_directories(folder_.path() / "nf4");
    // One projection in four stays dense, so that a layer holds weights of both kinds.
    quantize_folder({.source = folder_.path() / "dense",
                     .folder = folder_.path() / "nf4",
                     .selects = [](const std::string& name) {
                       return name.find("_proj.weight") != std::string::npos &&
                              name.find("o_proj") == std::string::npos;
                     }});
  }

  // Each compute type and base: f32 reads dense weights as they are stored, bf16 casts them.
  template <class Body>
  void for_each(const Body& body) {
    const OwnedStream stream(kCuda);
    const StreamScope scope(stream.get());
    for (const char* base : {"dense", "nf4"})
      for (const Dtype compute : {Dtype::kF32, Dtype::kBf16}) {
        const Model host = load_model(folder_.path() / base);
        Model plain, placed;
        const Arena plain_weights = test::copy_to(kCuda, host, plain);
        Reader alone(plain, {}, compute);
        alone.pass();
        const Arena weights = test::copy_to(kCuda, host, placed, GetParam());
        Reader reader(placed, GetParam(), compute);
        body(reader, alone.fetch(), cat(base, " ", dtype_name(compute)));
      }
  }

  test::ScratchFolder folder_;
};

TEST_P(FrozenWeightsOnCuda, AreReadAsIfOneAfterTheOther) {
  for_each([](Reader& reader, const auto& want, const std::string& what) {
    for (int i = 0; i < 3; ++i) {
      reader.pass();
      EXPECT_EQ(want, reader.fetch()) << what << ", pass " << i;
    }
  });
}

TEST_P(FrozenWeightsOnCuda, AreReadSoInAGraph) {
  for_each([](Reader& reader, const auto& want, const std::string& what) {
    reader.pass();
    reader.fetch();
    cuda::begin_capture(current_stream());
    reader.pass();
    const cuda::Graph graph = cuda::end_capture(current_stream());
    for (int i = 0; i < 3; ++i) {
      cuda::launch_graph(graph, current_stream());
      EXPECT_EQ(want, reader.fetch()) << what << ", launch " << i;
    }
    cuda::destroy_graph(graph);
    reader.pass();
    EXPECT_EQ(want, reader.fetch()) << what << ", after the graph";
  });
}

INSTANTIATE_TEST_SUITE_P(
    Placements, FrozenWeightsOnCuda,
    testing::Values(WeightPlacement{}, WeightPlacement{.kept_layers = 2},
                    WeightPlacement{.kept_layers = 5}, WeightPlacement{.streamed_layers = 1},
                    WeightPlacement{.streamed_layers = 3}, WeightPlacement{.streamed_layers = 5},
                    WeightPlacement{.kept_layers = 2, .streamed_layers = 2}),
    [](const auto& p) {
      return cat("Kept", p.param.kept_layers, "Streamed", p.param.streamed_layers);
    });

}  // namespace
}  // namespace nibble
