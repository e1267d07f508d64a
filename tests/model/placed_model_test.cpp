// SPDX-License-Identifier: Apache-2.0
// A model that the CPU computes with from a copy of its weights, against the mapped one.
#include <cstring>

#include "model/device_model.h"
#include "quant/quantize_folder.h"
#include "support/folder_test.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

using test::tiny_config;
using test::write_tiny_model;

class PlacedModelTest : public test::FolderTest {
 protected:
  static void lay_out(PlacedModel& placed, const Model& host, HostWeights weights) {
    placed.lay_out(
        host, Device{}, Dtype::kF32, [](Arena&, const Model&) {}, weights);
  }
};

void expect_copied(const Tensor& copy, const Tensor& host, const std::string& name) {
  SCOPED_TRACE(name);
  ASSERT_EQ(copy.bytes(), host.bytes());
  EXPECT_NE(copy.data, host.data);
  EXPECT_EQ(std::memcmp(copy.data, host.data, host.bytes()), 0);
}

TEST_F(PlacedModelTest, MappedIsTheModelItself) {
  write_tiny_model(folder(), tiny_config("llama"), 5);
  const Model host = load_model(folder());
  PlacedModel placed;
  lay_out(placed, host, HostWeights::kMapped);
  EXPECT_EQ(&placed.model(), &host);
}

TEST_F(PlacedModelTest, CopiedHoldsTheSameWeightsButTheEmbedding) {
  write_tiny_model(folder(), tiny_config("qwen3"), 5);
  const Model host = load_model(folder());
  PlacedModel placed;
  lay_out(placed, host, HostWeights::kCopied);
  const Model& copy = placed.model();
  EXPECT_EQ(copy.embedding.weight.data, host.embedding.weight.data);
  expect_copied(copy.head.weight, host.head.weight, "head");
  expect_copied(copy.norm.weight, host.norm.weight, "norm");
  for (size_t l = 0; l < host.blocks.size(); ++l) {
    expect_copied(copy.blocks[l].q_norm.weight, host.blocks[l].q_norm.weight, "q_norm");
    const auto parts = copy.blocks[l].qkv.parts;
    for (size_t i = 0; i < parts.size(); ++i) {
      expect_copied(parts[i].weight, host.blocks[l].qkv.parts[i].weight, parts[i].name);
      if (i == 0) continue;  // one matrix
      const Tensor& before = parts[i - 1].weight;
      EXPECT_EQ(parts[i].weight.data, static_cast<std::byte*>(before.data) + before.bytes());
    }
  }
}

TEST_F(PlacedModelTest, ATiedTableIsCopiedOnce) {
  Json config = tiny_config("llama");
  config.set("tie_word_embeddings", true);
  write_tiny_model(folder(), config, 5);
  const Model host = load_model(folder());
  PlacedModel placed;
  lay_out(placed, host, HostWeights::kCopied);
  expect_copied(placed.model().head.weight, host.head.weight, "head");
  EXPECT_EQ(placed.model().head.weight.data, placed.model().embedding.weight.data);
}

TEST_F(PlacedModelTest, CopiedCodesAndScalesAreTheSame) {
  write_tiny_model(path("m"), tiny_config("llama"), 5);
  fs::create_directories(path("q"));
  quantize_folder({.source = path("m"),
                   .folder = path("q"),
                   .options = {.double_quant = true},
                   .selects = [](const std::string& name) {
                     return name.find("_proj.weight") != std::string::npos;
                   }});
  const Model host = load_model(path("q"));
  PlacedModel placed;
  lay_out(placed, host, HostWeights::kCopied);
  const auto copies = placed.model().projections();
  const auto hosts = host.projections();
  for (size_t i = 0; i < hosts.size(); ++i) {
    SCOPED_TRACE(hosts[i]->name);
    const QuantizedMatrix &a = *copies[i]->quantized, &b = *hosts[i]->quantized;
    const auto elements = static_cast<size_t>(b.out_features * b.in_features);
    EXPECT_NE(a.codes, b.codes);
    EXPECT_EQ(std::memcmp(a.codes, b.codes, elements / 2), 0);
    const size_t blocks = elements / static_cast<size_t>(b.block);
    ASSERT_NE(a.absmax_codes, nullptr);
    EXPECT_NE(a.absmax_codes, b.absmax_codes);
    EXPECT_EQ(std::memcmp(a.absmax_codes, b.absmax_codes, blocks), 0);
    EXPECT_EQ(a.nested_offset, b.nested_offset);
  }
}

}  // namespace
}  // namespace nibble
