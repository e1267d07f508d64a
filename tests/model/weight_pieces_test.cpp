// SPDX-License-Identifier: Apache-2.0
// How a group's weights are cut for its products, by shapes alone, and what is kept or streamed.
#include "model/weight_pieces.h"

#include <gtest/gtest.h>

#include "model/weight_placement.h"

namespace nibble {
namespace {

constexpr Device kCuda{.kind = DeviceKind::kCuda};

Projection quantized(int64_t out, int64_t in) {
  return {.out_features = out,
          .in_features = in,
          .quantized = QuantizedMatrix{.out_features = out, .in_features = in}};
}

Projection dense(int64_t out, int64_t in, void* data, Dtype dtype) {
  return {
      .out_features = out, .in_features = in, .weight = make_tensor(data, dtype, {out, in}, kCuda)};
}

std::vector<WeightPiece> cut(const LinearGroup& group, Dtype compute, Device device) {
  const ParameterSet none;
  std::vector<WeightPiece> out;
  WeightPieces pieces(group, none, compute, device);
  while (const auto piece = pieces.next()) out.push_back(*piece);
  return out;
}

TEST(WeightPieces, CoverEveryColumnOnceInPiecesThatFitThePanel) {
  for (const int64_t in : {1, 97, 576, 4096, 1 << 20})
    for (const int64_t out : {1, 63, 1536, 12'289}) {
      const LinearGroup group{.parts = {quantized(out, in), quantized(7, in), quantized(out, in)}};
      for (const Device device : {Device{}, kCuda}) {
        const int64_t room = linear_panel_elements(group, Dtype::kBf16, device) / in;
        int64_t column = 0, most = 0;
        for (const WeightPiece& piece : cut(group, Dtype::kBf16, device)) {
          EXPECT_EQ(piece.begin, column);
          EXPECT_GT(piece.count, 0);
          EXPECT_FALSE(piece.stored);
          most = std::max(most, piece.count);
          column += piece.count;
        }
        EXPECT_EQ(column, group.out_features()) << in << " " << out;
        EXPECT_EQ(most, room) << in << " " << out;  // the panel is the largest piece's
      }
    }
}

TEST(WeightPieces, AreNearlyOfOneSize) {
  // gate and up of an 8B model: three products of 8192 columns, not one of what is left over.
  const LinearGroup group{.parts = {quantized(12'288, 4096), quantized(12'288, 4096)}};
  const auto pieces = cut(group, Dtype::kBf16, kCuda);
  ASSERT_EQ(pieces.size(), 3u);
  for (const WeightPiece& piece : pieces) EXPECT_EQ(piece.count, 8192);
}

// q, k and v of 40, 16 and 16 rows, q and v adapted with ranks 3 and 5: panels of 8 columns more,
// in rows of 128 bytes, and of 8 rows more at the end.
TEST(WovenParts, LieRightOfTheWeightsAndUnderThem) {
  ParameterSet parameters;
  LinearGroup group{.parts = {quantized(40, 20), quantized(16, 20), quantized(16, 20)}};
  Projection &q = group.parts[0], &v = group.parts[2];
  q.lora_a = parameters.add("q.A", {3, 20}, true);
  v.lora_a = parameters.add("v.A", {5, 20}, true);
  q.lora_b = parameters.add("q.B", {40, 3}, true);
  v.lora_b = parameters.add("v.B", {16, 5}, true);
  q.lora_scale = 2.0f;
  v.lora_scale = 0.5f;
  const Arena memory = parameters.lay_out(Device{}, Dtype::kBf16, false);
  EXPECT_TRUE(weavable(group));
  EXPECT_EQ(PanelLayout(group, parameters, Weaves::kNothing).elements(72), 72 * 20);
  const PanelLayout layout(group, parameters, Weaves::kBoth);
  EXPECT_EQ(layout.ranks, 8);
  EXPECT_EQ(layout.stride, 64);
  EXPECT_EQ(layout.elements(72), 80 * 64);
  // Forward alone there is nothing under the weights.
  const PanelLayout wider(group, parameters, Weaves::kForward);
  EXPECT_EQ(wider.elements(72), 72 * 64);

  // Cut through v: the second piece is 2 rows of k and all of v.
  std::vector<bf16> room(static_cast<size_t>(layout.elements(54)));
  const WeightPiece first{.begin = 0, .count = 54}, last{.begin = 54, .count = 18};
  const Tensor elements = view(room.data(), {layout.elements(54)});
  const Tensor longer = layout.of(elements, 54), panel = layout.of(elements, 18);
  const auto at = [&](int64_t row, int64_t column) {
    return room.data() + row * layout.stride + column;
  };
  const Tensor weights = layout.view(panel, group, last, Woven::kNothing);
  EXPECT_EQ(weights.dim(0), 18);
  EXPECT_EQ(weights.dim(1), 20);
  EXPECT_EQ(layout.view(panel, group, last, Woven::kB).dim(1), 28);
  EXPECT_EQ(layout.view(panel, group, last, Woven::kA).dim(0), 26);
  EXPECT_EQ(layout.view(longer, group, first, Woven::kA).dim(0), 54);

  const WovenParts b(group, parameters, last, layout, panel, Woven::kB);
  ASSERT_EQ(b.parts().size(), 2u);
  EXPECT_FALSE(b.parts()[0].in);  // k has none: zeros
  EXPECT_EQ(b.parts()[0].out.data, at(0, 20));
  EXPECT_EQ(b.parts()[0].out.dim(0), 2);
  EXPECT_EQ(b.parts()[0].out.dim(1), 8);
  EXPECT_EQ(b.parts()[1].out.data, at(2, 20));
  EXPECT_EQ(b.parts()[1].in.data, parameters.value(v.lora_b).data);
  EXPECT_EQ(b.parts()[1].column, 3);
  EXPECT_EQ(b.parts()[1].scale, 0.5f);

  const WovenParts a(group, parameters, last, layout, panel, Woven::kA);
  ASSERT_EQ(a.parts().size(), 2u);
  EXPECT_EQ(a.parts()[0].out.data, at(18, 0));
  EXPECT_EQ(a.parts()[0].in.data, parameters.value(q.lora_a).data);
  EXPECT_EQ(a.parts()[1].out.data, at(21, 0));
  EXPECT_EQ(a.parts()[1].out.dim(1), 20);
  EXPECT_EQ(a.parts()[1].scale, 1.0f);
  EXPECT_TRUE(WovenParts(group, parameters, first, layout, longer, Woven::kA).parts().empty());
  EXPECT_TRUE(WovenParts(group, parameters, last, layout, panel, Woven::kNothing).parts().empty());
  EXPECT_TRUE(WovenParts(group, parameters, last, wider, panel, Woven::kA).parts().empty());
}

TEST(WovenParts, AreOfQuantisedAndAdaptedGroupsAlone) {
  LinearGroup group{.parts = {quantized(8, 16), quantized(8, 16)}};
  EXPECT_FALSE(weavable(group));
  group.parts[1].lora_a = 0;
  EXPECT_TRUE(weavable(group));
  group.parts[0].weight_parameter = 1;
  EXPECT_FALSE(weavable(group));
  group.parts[0] = dense(8, 16, &group, Dtype::kBf16);
  EXPECT_FALSE(weavable(group));
  EXPECT_EQ(row_with_room(100, 0), 100);
  EXPECT_EQ(row_with_room(100, 4), 128);
}

TEST(WeightPieces, JoinWhatLiesSideBySide) {
  std::vector<bf16> memory(100 * 64);
  const auto at = [&](int64_t row) { return memory.data() + row * 64; };
  const auto bf = Dtype::kBf16;
  const LinearGroup side_by_side{
      .parts = {dense(40, 64, at(0), bf), dense(20, 64, at(40), bf), dense(20, 64, at(60), bf)}};
  auto pieces = cut(side_by_side, bf, kCuda);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].stored.dim(0), 80);
  EXPECT_EQ(pieces[0].stored.data, at(0));

  const LinearGroup apart{
      .parts = {dense(40, 64, at(0), bf), dense(20, 64, at(50), bf), quantized(20, 64)}};
  pieces = cut(apart, bf, kCuda);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].begin, 40);
  EXPECT_EQ(pieces[1].stored.data, at(50));
  EXPECT_FALSE(pieces[2].stored);
  EXPECT_EQ(pieces[2].begin, 60);
  EXPECT_EQ(linear_panel_elements(side_by_side, bf, kCuda), 0);
  EXPECT_EQ(linear_panel_elements(apart, bf, kCuda), 20 * 64);
}

TEST(WeightPlacement, StreamsEvenlyAndKeepsOfTheRest) {
  for (const int64_t layers : {1, 3, 36})
    for (int64_t streamed = 0; streamed <= layers; ++streamed)
      for (int64_t kept = 0; kept <= layers - streamed; ++kept) {
        const WeightPlacement p{.kept_layers = kept, .streamed_layers = streamed};
        int64_t s = 0, k = 0, since = 0;
        for (int64_t l = 0; l < layers; ++l) {
          EXPECT_FALSE(p.streams(l, layers) && p.keeps(l, layers));
          k += p.keeps(l, layers);
          s += p.streams(l, layers);
          since = p.streams(l, layers) ? 0 : since + 1;
          if (streamed > 0) {
            EXPECT_LE(since * streamed, layers);
          }
        }
        EXPECT_EQ(s, streamed);
        EXPECT_EQ(k, kept);
      }
}

}  // namespace
}  // namespace nibble
