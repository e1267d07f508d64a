// SPDX-License-Identifier: Apache-2.0
// Generation with a cache, token by token, against reading the whole sequence anew for each token;
// and many prompts at once against one at a time.
#include "infer/generator.h"

#include "infer/prompt_group.h"
#include "support/folder_test.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

using test::tiny_config;
using test::write_tiny_model;

class GeneratorTest : public test::FolderTest {
 protected:
  Model model(const std::string& family = "llama") const {
    write_tiny_model(folder(), tiny_config(family), 5);
    return load_model(folder());
  }
};

std::vector<std::vector<int32_t>> prompts_of(const std::vector<int32_t>& lengths) {
  std::vector<std::vector<int32_t>> out;
  Rng rng(17);
  for (const int32_t n : lengths) {
    out.emplace_back();
    for (int32_t i = 0; i < n; ++i) out.back().push_back(static_cast<int32_t>(rng.below(96)));
  }
  return out;
}

std::vector<Completion> complete(const Model& model, const GeneratorOptions& options,
                                 const std::vector<std::vector<int32_t>>& prompts,
                                 uint64_t first = 0, const Generator::OnToken& on_token = {}) {
  Generator generator(model, options);
  std::vector<Completion> out(prompts.size());
  std::vector<int> times(prompts.size());
  generator.run(prompts, first, on_token, [&](size_t index, Completion c) {
    ++times.at(index);
    out.at(index) = std::move(c);
  });
  for (const int n : times) EXPECT_EQ(n, 1);
  return out;
}

GeneratorOptions options_of(int64_t batch_size, int64_t max_tokens) {
  return {
      .batch_size = batch_size, .context = 64, .max_tokens = max_tokens, .compute = Dtype::kF32};
}

TEST_F(GeneratorTest, CacheEqualsReadingTheWholeSequenceAnew) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    SCOPED_TRACE(family);
    const Model m = model(family);
    for (const auto& prompt : prompts_of({1, 2, 7, 23})) {
      const auto cached = complete(m, options_of(1, 24), {prompt})[0];
      ASSERT_EQ(cached.tokens.size(), 24u);
      std::vector<int32_t> sequence = prompt;
      for (const int32_t token : cached.tokens) {
        // A completion of one token comes from the prompt's own forward; nothing is cached.
        const auto anew = complete(m, options_of(1, 1), {sequence})[0];
        ASSERT_EQ(anew.tokens, std::vector<int32_t>{token}) << sequence.size();
        sequence.push_back(token);
      }
    }
  }
}

TEST_F(GeneratorTest, BatchesEqualOneAtATime) {
  const Model m = model();
  const auto prompts = prompts_of({3, 11, 1, 20, 6});
  for (const double temperature : {0.0, 1.0}) {
    GeneratorOptions options = options_of(2, 30);
    options.sampling.temperature = temperature;
    // Some of 96 ids end a completion, so that slots are freed at different times.
    for (int32_t id = 0; id < 96; id += 16) options.stop_ids.push_back(id);
    std::vector<Completion> alone;
    for (size_t i = 0; i < prompts.size(); ++i) {
      options.batch_size = 1;
      alone.push_back(complete(m, options, {prompts[i]}, i)[0]);
    }
    bool stopped = false;
    for (const int64_t batch_size : {2, 3, 8}) {
      options.batch_size = batch_size;
      const auto together = complete(m, options, prompts);
      for (size_t i = 0; i < prompts.size(); ++i) {
        EXPECT_EQ(together[i].tokens, alone[i].tokens)
            << "prompt " << i << " batch " << batch_size << " temperature " << temperature;
        EXPECT_EQ(together[i].finish, alone[i].finish);
        stopped |= together[i].finish == Completion::Finish::kStop;
      }
    }
    EXPECT_TRUE(stopped || temperature == 0.0);
  }
}

TEST_F(GeneratorTest, ReadsASharedBeginningOnce) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    SCOPED_TRACE(family);
    const Model m = model(family);
    const auto beginning = prompts_of({70})[0];
    std::vector<std::vector<int32_t>> prompts;
    for (auto& rest : prompts_of({3, 11, 1, 20, 6})) {
      prompts.push_back(beginning);
      prompts.back().insert(prompts.back().end(), rest.begin(), rest.end());
    }
    GeneratorOptions options = options_of(8, 30);
    options.context = 128;
    ASSERT_EQ(group_prompts(prompts, 8, 1024).count, 5u);
    ASSERT_EQ(group_prompts(prompts, 8, 1024).shared, 70u);
    const auto together = complete(m, options, prompts);
    options.batch_size = 1;
    for (size_t i = 0; i < prompts.size(); ++i)
      EXPECT_EQ(together[i].tokens, complete(m, options, {prompts[i]})[0].tokens) << i;
  }
}

TEST_F(GeneratorTest, EndsAtStopsLengthAndContext) {
  const Model m = model();
  const auto prompt = prompts_of({9})[0];
  const auto whole = complete(m, options_of(1, 20), {prompt})[0];
  EXPECT_EQ(whole.finish, Completion::Finish::kLength);
  ASSERT_EQ(whole.tokens.size(), 20u);

  GeneratorOptions options = options_of(1, 20);
  options.stop_ids = {whole.tokens[7]};
  const auto stopped = complete(m, options, {prompt})[0];
  EXPECT_EQ(stopped.finish, Completion::Finish::kStop);
  ASSERT_LE(stopped.tokens.size(), 7u);  // that id may come earlier
  for (size_t i = 0; i < stopped.tokens.size(); ++i) EXPECT_EQ(stopped.tokens[i], whole.tokens[i]);
  EXPECT_EQ(whole.tokens[stopped.tokens.size()], options.stop_ids[0]);

  const auto told = complete(m, options_of(1, 20), {prompt}, 0,
                             [](size_t, std::span<const int32_t> t) { return t.size() == 5; })[0];
  EXPECT_EQ(told.finish, Completion::Finish::kStop);
  EXPECT_EQ(told.tokens, std::vector<int32_t>(whole.tokens.begin(), whole.tokens.begin() + 5));

  options = options_of(1, 20);
  options.context = 16;
  const auto bounded = complete(m, options, {prompt})[0];
  EXPECT_EQ(bounded.finish, Completion::Finish::kLength);
  EXPECT_EQ(bounded.tokens, std::vector<int32_t>(whole.tokens.begin(), whole.tokens.begin() + 7));
}

TEST_F(GeneratorTest, RunsAgainWithWhatItHas) {
  const Model m = model();
  const auto prompts = prompts_of({5, 8, 2});
  Generator generator(m, options_of(2, 10));
  std::vector<std::vector<int32_t>> first(3), second(3);
  const auto run = [&](std::vector<std::vector<int32_t>>& out) {
    generator.run(prompts, 0, {}, [&](size_t i, Completion c) { out[i] = std::move(c.tokens); });
  };
  run(first);
  run(second);
  EXPECT_EQ(first, second);
  generator.run({}, 0, {}, [](size_t, Completion) { FAIL() << "nothing was asked for"; });
  EXPECT_GT(generator.planned_bytes(), 0u);
}

}  // namespace
}  // namespace nibble
