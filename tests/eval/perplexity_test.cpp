// SPDX-License-Identifier: Apache-2.0
#include "eval/perplexity.h"

#include <cmath>

#include "support/folder_test.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

class PerplexityTest : public test::FolderTest {
 protected:
  void SetUp() override {
    test::write_tiny_model(folder(), test::tiny_config("llama"), 8);
    model_ = load_model(folder());
    Rng rng(3);
    for (int i = 0; i < 75; ++i) ids_.push_back(static_cast<int32_t>(rng.below(96)));
  }
  // Log-probabilities by position; a position scored twice fails.
  std::vector<double> scores(std::span<const int32_t> ids, int64_t context, int64_t stride,
                             int64_t batch_size = 4) const {
    std::vector<double> out(ids.size(), std::nan(""));
    int64_t last = 0, count = 0;
    const Perplexity p = text_perplexity(
        model_, ids,
        {.context = context, .stride = stride, .batch_size = batch_size, .compute = Dtype::kF32},
        [&](int64_t position, float value) {
          EXPECT_GT(position, last) << "out of order";
          last = position;
          ++count;
          out.at(static_cast<size_t>(position)) = static_cast<double>(value);
        });
    EXPECT_EQ(p.tokens, count);
    double nll = 0.0;
    for (const double x : out)
      if (!std::isnan(x)) nll -= x;
    EXPECT_NEAR(p.nll, nll, 1e-12 * nll);
    EXPECT_NEAR(p.perplexity(), std::exp(nll / static_cast<double>(count)), 1e-9 * p.perplexity());
    return out;
  }

  Model model_;
  std::vector<int32_t> ids_;
};

// What two orders of the same f32 sums may differ by: reductions of at most 96 terms, three blocks
// of a handful of them, values of some tens.
constexpr double kBound = 96 * 30 * 0x1p-23;

TEST_F(PerplexityTest, ATextThatFitsIsOneWindow) {
  const auto whole = scores(ids_, 75, 10);
  for (const int64_t context : {76, 128}) {
    const auto other = scores(ids_, context, 64);
    for (size_t i = 1; i < ids_.size(); ++i) EXPECT_EQ(other[i], whole[i]) << i;
  }
  // What comes later changes nothing.
  const auto half = scores(std::span(ids_).first(40), 128, 64);
  for (size_t i = 1; i < 40; ++i) EXPECT_NEAR(half[i], whole[i], kBound) << i;
  EXPECT_TRUE(std::isnan(whole[0]));
}

TEST_F(PerplexityTest, EveryTokenIsScoredOnceWithMostBeforeIt) {
  for (const auto& [context, stride] :
       {std::pair<int64_t, int64_t>{16, 8}, {16, 1}, {16, 15}, {7, 3}, {2, 1}, {74, 1}}) {
    const auto got = scores(ids_, context, stride);
    int64_t begin = 0, scored = 1;
    for (; scored < 75; begin += stride) {
      const int64_t end = std::min<int64_t>(begin + context, 75);
      const auto window =
          std::span(ids_).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
      const auto alone = scores(window, 128, 64);
      for (int64_t i = scored; i < end; ++i)
        EXPECT_NEAR(got[static_cast<size_t>(i)], alone[static_cast<size_t>(i - begin)], kBound)
            << "position " << i << " context " << context << " stride " << stride;
      scored = end;
    }
  }
}

TEST_F(PerplexityTest, WindowsThatDoNotOverlapLeaveTheirFirstTokenOut) {
  const auto got = scores(ids_, 16, 16);
  for (size_t i = 0; i < ids_.size(); ++i) EXPECT_EQ(std::isnan(got[i]), i % 16 == 0) << i;
}

TEST_F(PerplexityTest, WindowsAtATimeDoNotMatter) {
  const auto one = scores(ids_, 16, 8, 1);
  for (const int64_t batch_size : {2, 3, 100}) {
    const auto many = scores(ids_, 16, 8, batch_size);
    for (size_t i = 1; i < ids_.size(); ++i) EXPECT_NEAR(many[i], one[i], kBound) << i;
  }
}

TEST_F(PerplexityTest, ShardsCountTrainedTokensOfEverySequence) {
  const ShardInfo info = {.row_length = 32, .vocab_size = 96, .tokenizer = "t", .mode = "pack"};
  ShardWriter writer(path("x.nbp"), info);
  double nll = 0.0;
  int64_t tokens = 0;
  for (int r = 0; r < 5; ++r) {
    PackedRow row;
    for (int s = 0; s <= r % 3; ++s) {
      const auto ids = std::span(ids_).subspan(static_cast<size_t>(13 * r + 4 * s), 8);
      const auto alone = scores(ids, 128, 64);
      row.starts.push_back(static_cast<int32_t>(row.tokens.size()));
      for (size_t i = 0; i < ids.size(); ++i) {
        const bool trained = i > 2;
        row.tokens.push_back(ids[i]);
        row.trained.push_back(trained);
        if (trained) nll -= alone[i];
        tokens += trained;
      }
    }
    writer.add(row);
  }
  writer.commit();
  for (const int64_t batch_size : {1, 2, 9}) {
    ShardReader shard(path("x.nbp"));
    const Perplexity p =
        shard_perplexity(model_, shard, {.batch_size = batch_size, .compute = Dtype::kF32});
    EXPECT_EQ(p.tokens, tokens);
    EXPECT_NEAR(p.nll, nll, static_cast<double>(tokens) * kBound);
  }
}

TEST_F(PerplexityTest, AShardWithoutATrainedTokenIsRefused) {
  ShardWriter writer(path("x.nbp"),
                     {.row_length = 8, .vocab_size = 96, .tokenizer = "t", .mode = "pad"});
  writer.add({.tokens = {1, 2, 3}, .trained = {0, 0, 0}, .starts = {0}});
  writer.commit();
  ShardReader shard(path("x.nbp"));
  EXPECT_EQ(test::thrown([&] { shard_perplexity(model_, shard, {}); }),
            cat("65: ", path("x.nbp").string(), ": no token is trained on; mend its labels"));
}

}  // namespace
}  // namespace nibble
