// SPDX-License-Identifier: Apache-2.0
#include "eval/likelihood.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/perplexity.h"
#include "support/folder_test.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

class LikelihoodTest : public test::FolderTest {
 protected:
  void SetUp() override {
    test::write_tiny_model(folder(), test::tiny_config("mistral"), 8);
    model_ = load_model(folder());
  }

  std::vector<int32_t> random_ids(int64_t count) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(rng_.below(96)));
    return ids;
  }
  // A question with choices of these lengths, after a beginning of its own or that of others.
  LikelihoodGroup group(std::vector<int32_t> beginning, int64_t question,
                        const std::vector<int64_t>& choices, int64_t kin = 0) {
    for (const int32_t id : random_ids(question)) beginning.push_back(id);
    LikelihoodGroup out;
    out.kin = kin;
    for (const int64_t length : choices) {
      ScoredIds s = {beginning, static_cast<int64_t>(beginning.size())};
      for (const int32_t id : random_ids(length)) s.ids.push_back(id);
      out.sequences.push_back(std::move(s));
    }
    return out;
  }
  // The same sum from the sequence alone, read as a text.
  double alone(const ScoredIds& s) const {
    double sum = 0;
    text_perplexity(model_, s.ids, {.context = 128, .stride = 64, .compute = Dtype::kF32},
                    [&](int64_t position, float value) {
                      if (position >= s.first) sum += static_cast<double>(value);
                    });
    return sum;
  }
  void expect_as_alone(const std::vector<LikelihoodGroup>& groups, int64_t batch_tokens) {
    std::vector<int> seen(groups.size());
    LikelihoodProgress last;
    score_groups(
        model_, groups, {.batch_tokens = batch_tokens, .compute = Dtype::kF32},
        [&](size_t g, std::span<const Likelihood> got) {
          ++seen.at(g);
          ASSERT_EQ(got.size(), groups[g].sequences.size());
          for (size_t i = 0; i < got.size(); ++i) {
            const ScoredIds& s = groups[g].sequences[i];
            const auto tokens = static_cast<int64_t>(s.ids.size()) - s.first;
            EXPECT_EQ(got[i].tokens, tokens);
            EXPECT_NEAR(got[i].sum, alone(s), kBound * static_cast<double>(tokens))
                << "group " << g << " sequence " << i << " batch " << batch_tokens;
          }
        },
        [&](const LikelihoodProgress& p) {
          EXPECT_GE(p.done, last.done);
          last = p;
        });
    EXPECT_EQ(seen, std::vector<int>(groups.size(), 1));
    EXPECT_EQ(last.done, last.all);
  }

  // Two orders of the same f32 sums: reductions of at most 96 terms of some tens, three blocks.
  static constexpr double kBound = 96 * 30 * 0x1p-23;
  Rng rng_{5};
  Model model_;
};

TEST_F(LikelihoodTest, EqualsEachSequenceReadAlone) {
  std::vector<LikelihoodGroup> groups;
  const auto stem = random_ids(40);
  for (const int64_t question : {1, 3, 9, 30}) {
    groups.push_back(group({}, question, {1, 1, 1, 1}));
    groups.push_back(group({}, question, {5, 1, 9, 2}));
    groups.push_back(group(stem, question, {4, 4}, 1));
    groups.push_back(group(stem, question, {1, 7}, 1));
  }
  // A choice that another begins with, and one twice.
  LikelihoodGroup nested = group({}, 12, {20});
  for (const size_t length : {14u, 13u, 30u, 32u}) {
    ScoredIds s = nested.sequences[0];
    s.ids.resize(length);
    nested.sequences.push_back(s);
  }
  nested.sequences.push_back(nested.sequences[1]);
  groups.push_back(nested);
  groups.push_back(group({}, 100, {29}));  // as long as the context and one more
  for (const int64_t batch_tokens : {1, 64, 300, 100000}) expect_as_alone(groups, batch_tokens);
}

TEST_F(LikelihoodTest, KnowsWhatGreedyDecodingTakes) {
  LikelihoodGroup g;
  const auto context = random_ids(10);
  for (int32_t id = 0; id < 96; ++id) {
    ScoredIds s = {context, 10};
    s.ids.push_back(id);
    g.sequences.push_back(s);
  }
  score_groups(model_, {&g, 1}, {.compute = Dtype::kF32},
               [&](size_t, std::span<const Likelihood> got) {
                 double total = 0, best = -INFINITY;
                 for (const Likelihood& l : got) {
                   total += std::exp(l.sum);
                   best = std::max(best, l.sum);
                 }
                 EXPECT_NEAR(total, 1.0, 96 * kBound);
                 for (const Likelihood& l : got) EXPECT_EQ(l.greedy, l.sum == best);
               });
}

TEST_F(LikelihoodTest, SharedBeginningsAreReadOnce) {
  const auto stem = random_ids(50);
  std::vector<LikelihoodGroup> groups;
  std::vector<const ScoredIds*> sequences;
  for (int i = 0; i < 3; ++i) groups.push_back(group(stem, 10, {3, 3, 1, 1}));
  for (const auto& g : groups)
    for (const auto& s : g.sequences) sequences.push_back(&s);
  Batch batch;
  std::vector<Prediction> predictions;
  make_tree(sequences, batch, predictions);
  // The stem, three questions, and of each the two choices with tokens that others follow on.
  EXPECT_EQ(batch.tokens(), 50 + 3 * 10 + 3 * 2 * 2);
  EXPECT_EQ(batch.sequences(), 1 + 3 + 6);
  EXPECT_EQ(predictions.size(), 3u * 8);
  EXPECT_EQ(batch.rows.size(), 3u * (1 + 2 * 2));  // first tokens of all choices from one row
  int64_t most = 0;
  for (size_t i = 0; i < sequences.size(); ++i)
    most += added_tokens(*sequences[i], i ? sequences[i - 1] : nullptr);
  EXPECT_GE(most, batch.tokens());
}

TEST_F(LikelihoodTest, NoNumberIsAFault) {
  auto config = test::tiny_config("llama");
  test::write_tiny_model(folder(), config, 8, NAN);
  const Model broken = load_model(folder());
  const LikelihoodGroup g = group({}, 5, {2});
  EXPECT_THROW(score_groups(broken, {&g, 1}, {.compute = Dtype::kF32},
                            [](size_t, std::span<const Likelihood>) { FAIL(); }),
               DataError);
}

}  // namespace
}  // namespace nibble
