// SPDX-License-Identifier: Apache-2.0
// Rules of thumb, figure by figure as they are quoted.
#include "fit/rules.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fit/catalogue.h"
#include "fit/text.h"
#include "fit/weight_bytes.h"

namespace nibble {
namespace {

double rounded(double x, double unit) {
  return std::round(x / unit) * unit;
}

TEST(Rules, Serving) {
  EXPECT_DOUBLE_EQ(rule_serving_bytes(70e9, 16), 168e9);
  EXPECT_DOUBLE_EQ(rule_serving_bytes(70e9, 4), 42e9);
  EXPECT_DOUBLE_EQ(rule_serving_bytes(1e9, 32), 4.8e9);
}

TEST(Rules, TrainingAt32Bits) {
  const TrainingRule r = rule_training32(1e9);
  EXPECT_DOUBLE_EQ(r.weights, 4e9);
  EXPECT_DOUBLE_EQ(r.total, 24e9);  // 4 + Adam 8 + gradients 4 + activations and temporaries 8
  EXPECT_DOUBLE_EQ(r.most, 80e9);
}

TEST(Rules, FineTuningIn16Bits) {
  EXPECT_DOUBLE_EQ(rule_fine_tuning16(10e9).full, 120e9);
  EXPECT_DOUBLE_EQ(rule_fine_tuning16(10e9).lora, 40e9);
}

TEST(Rules, LoraParametersOfSquareWeights) {
  const std::pair<double, double> quoted[] = {
      {7e9, 1.4e9}, {13e9, 1.9e9}, {70e9, 4.3e9}, {180e9, 7.0e9}};
  for (const auto& [parameters, trained] : quoted)
    EXPECT_NEAR(rounded(rule_lora_parameters(parameters, 8192), 1e8), trained, 1e6) << parameters;
}

TEST(Rules, CanItRun) {
  const double p = 7'241'732'096.0;
  const auto rows = can_it_run(p, 0.02);
  ASSERT_EQ(rows.size(), 4u);
  const double bytes[] = {4, 2, 1, 0.5};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(rows[i].size, p * bytes[i]);
    EXPECT_DOUBLE_EQ(rows[i].inference, 1.2 * p * bytes[i]);
    EXPECT_DOUBLE_EQ(rows[i].adam, 4.0 * p * bytes[i]);
    EXPECT_DOUBLE_EQ(rows[i].lora, 1.2 * (p * bytes[i] + 0.02 * p * 16.0));
  }
  EXPECT_EQ(rows[0].type, "float32");
  EXPECT_EQ(rows[3].type, "int4");
  EXPECT_EQ(decimal_size(rows[0].size), "28.97 GB");
  EXPECT_EQ(binary_size(rows[0].size), "27.0 GiB");
  EXPECT_NEAR(rows[0].size / 1073741824.0, 26.98, 0.005);
}

TEST(Rules, PublishedFigureOfMistral) {
  int64_t parameters = 0;
  for (const KnownModel& m : known_models())
    if (m.name == "Mistral-7B") parameters = parameter_count(m.config);
  ASSERT_EQ(parameters, 7'241'732'096);
  const auto figure = published_figure(parameters);
  ASSERT_TRUE(figure);
  EXPECT_EQ(decimal_size(figure->size), "27.49 GB");
  EXPECT_EQ(decimal_size(1.2 * figure->size), "32.99 GB");
  EXPECT_EQ(decimal_size(4.0 * figure->size), "109.96 GB");
  const Gpu a10 = find_gpu(gpu_catalogue(""), "a10");
  EXPECT_EQ(devices_for(4.0 * figure->size, a10.memory_gib * 1e9), 5);
  EXPECT_FALSE(published_figure(parameters + 1));
}

TEST(Rules, Devices) {
  EXPECT_EQ(devices_for(1.0, 24e9), 1);
  EXPECT_EQ(devices_for(24e9, 24e9), 1);
  EXPECT_EQ(devices_for(24e9 + 1, 24e9), 2);
}

TEST(Text, Numbers) {
  EXPECT_EQ(grouped(7241732096), "7,241,732,096");
  EXPECT_EQ(grouped(12), "12");
  EXPECT_EQ(count_text(1.4e9), "1.40B");
  EXPECT_EQ(count_text(950), "950");
  EXPECT_EQ(time_text(0.0068), "6.80 ms");
  EXPECT_EQ(time_text(41), "41.0 s");
  EXPECT_EQ(time_text(3 * 3600 + 12 * 60), "3 h 12 min");
  EXPECT_EQ(time_text(50 * 3600), "2 days 2 h");
  EXPECT_EQ(binary_size(1.5 * 1073741824.0), "1.50 GiB");
}

}  // namespace
}  // namespace nibble
