// SPDX-License-Identifier: Apache-2.0
// The predicted time of a training step: figures counted by hand for one shape, and that more work
// never takes less.
#include "fit/step_cost.h"

#include <gtest/gtest.h>

#include "fit/catalogue.h"
#include "fit/question.h"
#include "support/tiny_model.h"

namespace nibble {
namespace {

// A block: q 64x64, k and v 32x64, o 64x64, gate and up 128x64, down 64x128: 36,864 weights; its
// adapters of rank 4: 512 + 2 x 384 + 512 + 3 x 768 = 4,096 numbers.
Question question() {
  Question q;
  q.config = parse_model_config(test::tiny_config("llama"), "config.json");
  ModelConfig& c = q.config;
  c.vocab_size = 100;
  c.hidden_size = 64;
  c.heads = 2;
  c.kv_heads = 1;
  c.head_dim = 32;
  c.intermediate_size = 128;
  c.layers = 2;
  c.layer_window.clear();
  c.window = 0;
  c.max_position = 4096;
  set_quantized(c, "nf4");
  q.lora.rank = 4;
  q.train.batch_size = 1;
  q.train.row_length = q.train.longest = 32;
  q.train.device = DeviceKind::kCuda;
  return q;
}

StepCost cost(const Question& q) {
  return training_cost(prepare(q), q.train);
}

TEST(StepCost, IsWhatOneCountsByHand) {
  const Question q = question();
  const StepCost c = cost(q);
  // Of 32 tokens: forward 64 x (73,728 + 8,192) and attention 2 x 32 x 32 x 64 x 2; backward
  // 64 x (73,728 + 2 x 8,192) and 3.5 times attention; the head twice 64 x 6,400. Where B is woven
  // into the weights, a block of q, k and v (128 rows) has 12 columns more of which 8 are 0, one of
  // gate and up (256) 8, of which 4 are. Sums go in steps of 64: forward 52, 60, 56 and 60 numbers
  // beyond 64 + 12, 64 + 4, 64 + 8 and 128 + 4, backward as many beyond 128 + 12, 64 + 4, 256 + 8
  // and 64 + 4.
  const double attention = 262'144.0;
  const double forward_idle = 52 * 128 + 60 * 64 + 56 * 256 + 60 * 64;
  const double backward_idle = 52 * 64 + 60 * 64 + 56 * 64 + 60 * 128;
  EXPECT_DOUBLE_EQ(c.flops, 64.0 * (81'920 + 2 * 2'048) + 64.0 * 90'112 +
                                64.0 * 2 * (forward_idle + backward_idle) + 4.5 * attention +
                                2.0 * 409'600);
  EXPECT_DOUBLE_EQ(c.attention_flops, 4.5 * attention);
  // Twice: half a byte of code and 1/64 of a scale read, two bytes written for each weight; once
  // four bytes read for each number of B (2 x 2,048) and of A, two written, for B's zeros too.
  EXPECT_DOUBLE_EQ(c.expand_bytes, 2.0 * 73'728 * (0.5 + 1.0 / 64 + 2.0) +
                                       2.0 * (2'048 * 6 + 2'048 * 2 + 2'048 * 6));
  // Forward 5 kernels beside, and for each group its weights' product and X A^T: 13; backward 7 and
  // four for each: 23.
  EXPECT_DOUBLE_EQ(c.launches, 2.0 * (13 + 23) + 7.0);
  // Of a token and block, forward: norms 8 x 64, heads 2 x 96, attention 128 + 64, SwiGLU 3 x 128,
  // adapters 320 in; backward: 512, 192, attention 2 x 64 + 2 x 192 + 128, SwiGLU 5 x 128, adapters
  // 320 + 2 x 512. Logits four times.
  EXPECT_DOUBLE_EQ(c.bytes, 32.0 * 2 * 2 * (1'600 + 3'328) + 4.0 * 32 * 100 * 2);
  Rates rates{.matmul_flops = 1e9, .memory_bytes = 1e8, .matmul_share = 0.5, .memory_share = 0.5};
  const double products = c.flops / 5e8, expansion = c.expand_bytes / 5e7;
  const double rest = c.bytes / 5e7, update = c.update_bytes / 5e7;
  EXPECT_DOUBLE_EQ(c.seconds(rates, 3), 3 * (products + expansion + rest) + update);
  Rates slow_attention = rates;
  slow_attention.attention_share = 0.25;
  EXPECT_DOUBLE_EQ(c.seconds(slow_attention, 3), c.seconds(rates, 3) + 3 * c.attention_flops / 5e8);
  // wgmma is for heads of 64 and 128; here they are narrower.
  slow_attention.wgmma_share = 0.5;
  EXPECT_DOUBLE_EQ(c.attention_share(slow_attention), 0.25);
  StepCost wide = c;
  wide.wgmma_heads = true;
  EXPECT_DOUBLE_EQ(wide.seconds(slow_attention, 3), c.seconds(rates, 3));
  rates.hides_expansion = true;
  EXPECT_DOUBLE_EQ(c.seconds(rates, 1), std::max(products, expansion) + rest + update);
  rates.gap_seconds = 1e-3;
  EXPECT_DOUBLE_EQ(c.seconds(rates, 1),
                   std::max(products, expansion) + rest + update + 1e-3 * (79 + 12));
  rates.launch_seconds = 10.0;  // the host is what is waited for
  EXPECT_DOUBLE_EQ(c.seconds(rates, 2), 10.0 * (2 * 79 + 12));
}

// With ranks that the GPU's own kernel takes, dY is read once, and one share's sums are written and
// read: of q, k and v, of gate and up, and of two more, rank times a token's tiles and the weights.
TEST(StepCost, LowRanksReadGradientsOnce) {
  Question q = question();
  q.lora.rank = 16;
  const double tiles = 3 + 1 + 2 + 1, weights = 128 + 64 + 256 + 64;
  const double sums = 2.0 * 4 * 16 * (32 * tiles + weights);
  EXPECT_DOUBLE_EQ(cost(q).bytes,
                   32.0 * 2 * 2 * (1'600 + 3'328 - 512) + 2 * sums + 4.0 * 32 * 100 * 2);
}

// With dropout each of the seven layers masks its input (64 numbers, down's 128) forward and again
// backward, and the gradient of each group's input is read and written once more. B still rides in
// the products, A does not.
TEST(StepCost, DropoutCostsMore) {
  Question q = question();
  const StepCost plain = cost(q);
  q.train.dropout = 0.5f;
  const StepCost c = cost(q);
  EXPECT_DOUBLE_EQ(c.launches, plain.launches + 2.0 * ((14 - 4) + (14 - 4) + 4));
  const double inputs = 6 * 64 + 128, once = 320;
  EXPECT_DOUBLE_EQ(c.bytes, plain.bytes + 32.0 * 2 * 2 * (2 * (3 * inputs - once) + 2 * once));
  EXPECT_DOUBLE_EQ(c.flops, plain.flops - 64.0 * 2 * (52 * 64 + 60 * 64 + 56 * 64 + 60 * 128));
  EXPECT_DOUBLE_EQ(c.expand_bytes, plain.expand_bytes - 2.0 * 2'048 * 6);
}

TEST(StepCost, WeightsKeptExpandedCostNothing) {
  Question q = question();
  const double adapters = 2.0 * (2'048 * 6 + 2'048 * 2 + 2'048 * 6);  // are woven in all the same
  const double all = cost(q).expand_bytes - adapters;
  q.train.weights.kept_layers = 1;
  EXPECT_DOUBLE_EQ(cost(q).expand_bytes, all / 2 + adapters);
  q.train.weights.kept_layers = 2;
  EXPECT_DOUBLE_EQ(cost(q).expand_bytes, adapters);
  q.train.dropout = 0.5f;  // then B alone is
  EXPECT_EQ(cost(q).expand_bytes, 2.0 * (2'048 * 6 + 2'048 * 2));
}

TEST(StepCost, MoreWorkNeverTakesLess) {
  const Rates h100 = find_gpu(gpu_catalogue(""), "H100 SXM").rates();
  using Change = void (*)(Question&);
  for (const Change change : {
           Change{[](Question& q) { q.train.batch_size *= 2; }},
           Change{[](Question& q) { q.train.longest = q.train.row_length *= 2; }},
           Change{[](Question& q) { q.config.layers *= 2; }},
           Change{[](Question& q) { q.config.vocab_size *= 64; }},
           Change{[](Question& q) { q.lora.rank *= 16; }},  // past those that are read once
           Change{[](Question& q) { q.train.recompute = Recompute::kLayer; }},
       }) {
    Question q = question();
    q.train.batch_size = 64;  // so that the device is what is waited for
    Rates eager = h100, replayed = h100;
    replayed.launch_seconds = 0.0;
    const StepCost less = cost(q);
    change(q);
    const StepCost more = cost(q);
    EXPECT_GT(more.seconds(replayed, 1), less.seconds(replayed, 1));
    EXPECT_GE(more.seconds(eager, 1), less.seconds(eager, 1));
    EXPECT_GE(more.seconds(eager, 1), more.seconds(replayed, 1));
  }
}

}  // namespace
}  // namespace nibble
