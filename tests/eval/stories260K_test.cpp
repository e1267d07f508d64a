// SPDX-License-Identifier: Apache-2.0
// A trained model in each of its three forms, imported: the greedy ids that are published for it,
// and the loss on them. Needs NIBBLE_DATA.
#include <cmath>
#include <cstdlib>

#include "eval/perplexity.h"
#include "infer/generator.h"
#include "io/json.h"
#include "model/import.h"
#include "support/folder_test.h"

namespace nibble {
namespace {

class Stories260K : public test::FolderTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    const char* root = std::getenv("NIBBLE_DATA");
    if (root == nullptr) GTEST_SKIP() << "NIBBLE_DATA is not set: no trained model checked";
    const fs::path stories = fs::path(root) / "models/stories260K";
    golden_ = read_json_file(stories / "golden.json");
    for (const Json& id : golden_.at("greedy_ids").as_array())
      ids_.push_back(static_cast<int32_t>(id.as_integer()));
    import_model(stories / GetParam(), path("model"), {});
    model_ = load_model(path("model"));
  }

  Json golden_;
  std::vector<int32_t> ids_;  // bos, then 199
  Model model_;
};

TEST_P(Stories260K, GreedyIds) {
  ASSERT_EQ(ids_.size(), 200u);
  Generator generator(model_, {.context = 256, .max_tokens = 199, .compute = Dtype::kF32});
  const std::vector<std::vector<int32_t>> prompts = {{ids_[0]}};
  generator.run(prompts, 0, {}, [&](size_t, const Completion& c) {
    EXPECT_EQ(c.tokens, std::vector<int32_t>(ids_.begin() + 1, ids_.end()));
  });
}

TEST_P(Stories260K, Loss) {
  const Perplexity p =
      text_perplexity(model_, ids_, {.context = 256, .stride = 128, .compute = Dtype::kF32});
  EXPECT_EQ(p.tokens, 199);
  // Logits of some tens are rounded by sums of up to 172 terms, a few in each of five layers.
  const double bound = 30 * 0x1p-24 * std::sqrt(172 * 5 * 10);
  EXPECT_NEAR(p.loss(), golden_.at("mean_nll_on_own_greedy").as_number(), bound);
}

INSTANTIATE_TEST_SUITE_P(Forms, Stories260K,
                         testing::Values("", "stories260K.gguf", "stories260K.bin"),
                         [](const auto& form) {
                           const std::string name = form.param;
                           return name.empty() ? "folder" : name.substr(name.find('.') + 1);
                         });

}  // namespace
}  // namespace nibble
