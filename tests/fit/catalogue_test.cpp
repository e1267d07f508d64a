// SPDX-License-Identifier: Apache-2.0
// The catalogue of GPUs and models, and the speed predicted from it.
#include "fit/catalogue.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "fit/advice.h"
#include "fit/answer.h"
#include "fit/csv.h"
#include "fit/weight_bytes.h"
#include "io/file.h"
#include "support/scratch.h"

namespace nibble {
namespace {

constexpr const char* kHeader = "name,memory,bandwidth,fp32,bf16,fp16,fp8,int8,compute,year,kind\n";

TEST(Catalogue, HoldsWhatPeopleHave) {
  const auto all = gpu_catalogue("");
  for (const char* name : {"GTX 1070", "T4", "RTX 2060", "RTX 2080 Ti", "RTX 3060", "RTX 3090",
                           "RTX 4060 Laptop", "RTX 4090", "RTX 5090", "RTX 5090 Laptop", "A10",
                           "A100 40GB", "A100 80GB", "L4", "L40S", "H100 SXM", "H200", "B200"})
    EXPECT_EQ(find_gpu(all, name).name, name);
  for (const Gpu& g : all) {
    EXPECT_TRUE(g.kind == "desktop" || g.kind == "laptop" || g.kind == "workstation" ||
                g.kind == "server")
        << g.name;
    // bf16 came with compute capability 8.0, fp8 with 8.9.
    EXPECT_EQ(g.bf16 > 0, g.compute_capability >= 8.0) << g.name;
    EXPECT_EQ(g.fp8 > 0, g.compute_capability >= 8.9) << g.name;
    EXPECT_GE(g.bandwidth_gb, 150) << g.name;
    EXPECT_GE(g.int8 + 1.0, 2.0 * g.bf16 * 0.99) << g.name;
    EXPECT_GE(g.year, 2016) << g.name;
    EXPECT_LT(g.usable_bytes(), g.bytes());
  }
}

TEST(Catalogue, ErrorCorrectionTakesMemory) {
  const auto all = gpu_catalogue("");
  // What drivers report: 15360 MiB of a T4, 23034 of an L4, 81559 of an H100.
  EXPECT_LT(find_gpu(all, "T4").usable_bytes(), uint64_t{15360} << 20);
  EXPECT_LT(find_gpu(all, "L4").usable_bytes(), uint64_t{23034} << 20);
  EXPECT_GT(find_gpu(all, "RTX A4000").usable_bytes(), uint64_t{15360} << 20);
}

TEST(Catalogue, FindsByPartsOfNames) {
  const auto all = gpu_catalogue("");
  EXPECT_EQ(find_gpu(all, "rtx4090").name, "RTX 4090");
  EXPECT_EQ(find_gpu(all, "4090").name, "RTX 4090");
  EXPECT_EQ(find_gpu(all, "a100-80gb").name, "A100 80GB");
  EXPECT_EQ(find_gpu(all, "4090 laptop").name, "RTX 4090 Laptop");
  EXPECT_EQ(find_gpu(all, "L40s").name, "L40S");
  for (const char* name : {"a100", "h100", "rtx", "no such", ""})
    EXPECT_THROW(find_gpu(all, name), UsageError) << name;
}

TEST(Catalogue, MatchesWhatDriversSay) {
  const auto all = gpu_catalogue("");
  const auto match = [&](const char* name, double mib) {
    const Gpu* g = match_device(all, name, static_cast<uint64_t>(mib) << 20);
    return g ? g->name : "";
  };
  EXPECT_EQ(match("NVIDIA GeForce RTX 4090", 24564), "RTX 4090");
  EXPECT_EQ(match("NVIDIA GeForce RTX 4090 Laptop GPU", 16376), "RTX 4090 Laptop");
  EXPECT_EQ(match("NVIDIA GeForce RTX 3080 Ti", 12288), "RTX 3080 Ti");
  EXPECT_EQ(match("NVIDIA A100-SXM4-80GB", 81920), "A100 80GB");
  EXPECT_EQ(match("NVIDIA A100-PCIE-40GB", 40960), "A100 40GB");
  EXPECT_EQ(match("NVIDIA H100 80GB HBM3", 81559), "H100 SXM");
  EXPECT_EQ(match("NVIDIA H200", 143771), "H200");
  EXPECT_EQ(match("Tesla T4", 15360), "T4");
  EXPECT_EQ(match("NVIDIA L40S", 46068), "L40S");
  EXPECT_EQ(match("Voodoo 2", 12), "");
}

TEST(Catalogue, FiltersByMemory) {
  const auto all = gpu_catalogue("");
  const uint64_t gib = uint64_t{1} << 30;
  const auto some = filter_gpus(all, 24 * gib, 48 * gib);
  EXPECT_GE(some.size(), 10u);
  for (const Gpu& g : some) EXPECT_TRUE(g.memory_gib >= 24 && g.memory_gib <= 48) << g.name;
  EXPECT_EQ(filter_gpus(all, 0, 0).size(), all.size());
  EXPECT_TRUE(filter_gpus(all, 10000 * gib, 0).empty());
}

TEST(Catalogue, TakesMoreRows) {
  const test::ScratchFolder folder;
  const fs::path file = folder.path() / "mine.csv";
  write_text_file(file, std::string("# mine\n") + kHeader +
                            "Mine 1,3,100,1,2,3,0,0,9.9,2030,desktop\n"
                            "rtx-4090,48,1008,82.6,165,165,330,661,8.9,2024,desktop\n");
  const auto all = gpu_catalogue(file.string());
  EXPECT_EQ(all.size(), gpu_catalogue("").size() + 1);
  EXPECT_DOUBLE_EQ(find_gpu(all, "mine1").memory_gib, 3.0);
  EXPECT_DOUBLE_EQ(find_gpu(all, "rtx4090").memory_gib, 48.0);  // replaced

  const auto fault = [&](const std::string& text) -> std::string {
    write_text_file(file, text);
    try {
      gpu_catalogue(file.string());
    } catch (const DataError& e) {
      return std::string(e.what()).substr(file.string().size());
    }
    return "none";
  };
  const std::string good = "Mine,3,100,1,2,3,0,0,9.9,2030,desktop\n";
  EXPECT_EQ(fault(kHeader + good), "none");
  EXPECT_EQ(fault("name,memory\nA,1\n"), ":1: the header has no column \"bandwidth\", or two");
  EXPECT_EQ(fault(kHeader + std::string("A,1\n")), ":2: 2 values, but the header names 11");
  for (const char* row : {"A,-3,100,1,2,3,0,0,9.9,2030,d", "A,x,100,1,2,3,0,0,9.9,2030,d",
                          "A,nan,100,1,2,3,0,0,9.9,2030,d", "A,0,100,1,2,3,0,0,9.9,2030,d",
                          "A,1e9,100,1,2,3,0,0,9.9,2030,d", "A,3,100,0,0,0,0,0,9.9,2030,d",
                          "A,3,100,1,2,3,0,0,9.9,20.5,d", ",3,100,1,2,3,0,0,9.9,2030,d"})
    EXPECT_TRUE(fault(cat(kHeader, good, row, "\n")).starts_with(":3: ")) << row;
  EXPECT_THROW(gpu_catalogue("/nowhere.csv"), NoInputError);
}

TEST(KnownModels, HaveTheParametersTheyAreKnownFor) {
  const std::map<std::string, int64_t> counts = {
      {"SmolLM2-135M", 134'515'008},      {"Qwen3-0.6B", 596'049'920},
      {"TinyLlama-1.1B", 1'100'048'384},  {"Llama-3.2-1B", 1'235'814'400},
      {"Llama-2-7B", 6'738'415'616},      {"Mistral-7B", 7'241'732'096},
      {"Llama-3.1-8B", 8'030'261'248},    {"Qwen3-8B", 8'190'735'360},
      {"Llama-2-13B", 13'015'864'320},    {"Llama-3.1-70B", 70'553'706'496},
      {"Llama-3.1-405B", 405'853'388'800}};
  size_t seen = 0;
  int64_t before = 0;
  for (const KnownModel& m : known_models()) {
    const int64_t n = parameter_count(m.config);
    EXPECT_GE(n, before);
    before = n;
    if (const auto at = counts.find(m.name); at != counts.end()) {
      EXPECT_EQ(n, at->second) << m.name;
      ++seen;
    }
  }
  EXPECT_EQ(seen, counts.size());
}

TEST(ShapeOfSize, IsOfThatSize) {
  for (const double n :
       {1e6, 5e6, 3.5e7, 1.35e8, 6e8, 1e9, 3e9, 7e9, 1.3e10, 7e10, 4.05e11, 1e13}) {
    const ModelConfig c = shape_of_size(n);
    EXPECT_NEAR(static_cast<double>(parameter_count(c)) / n, 1.0, n < 1e8 ? 0.1 : 0.03) << n;
  }
  for (const double n : {0.0, -7e9, 1e5, 1e15, std::nan("")})
    EXPECT_THROW(shape_of_size(n), UsageError) << n;
}

TEST(ParseParameters, TakesUnits) {
  EXPECT_DOUBLE_EQ(parse_parameters("7B"), 7e9);
  EXPECT_DOUBLE_EQ(parse_parameters("0.6b"), 6e8);
  EXPECT_DOUBLE_EQ(parse_parameters("350M"), 3.5e8);
  EXPECT_DOUBLE_EQ(parse_parameters("1T"), 1e12);
  EXPECT_DOUBLE_EQ(parse_parameters("7241732096"), 7241732096.0);
  for (const char* text : {"", "B", "7X", "7BB", "-7B", "0", "nan", "inf", "7 B ", "1e999"})
    EXPECT_THROW(parse_parameters(text), UsageError) << text;
}

Question smol() {
  Question q;
  for (const KnownModel& m : known_models())
    if (m.name == "SmolLM2-135M") q.config = m.config;
  set_quantized(q.config, "nf4");
  return q;
}

TEST(StepCost, CountsTheProducts) {
  // A QLoRA step of SmolLM2-135M, rank 16 on all linear layers: forward and backward through 106 M
  // frozen weights, 4.9 M adapter numbers (three times) and the 28 M of the head.
  const Question q = smol();
  const StepCost cost = training_cost(prepare(q), q.train);
  const double linear = 30.0 * (576 * 576 * 2 + 576 * 192 * 2 + 3 * 576 * 1536);
  const double head = 49152.0 * 576.0;
  const double adapters = 30.0 * 16 * (4 * 576 + 2 * 576 + 2 * 192 + 3 * (576 + 1536));
  const double attention = 3.5 * 2.0 * 2048 * 576 * 30;
  const double a_token = 4.0 * linear + 6.0 * adapters + 4.0 * head + attention;
  EXPECT_NEAR(cost.flops / static_cast<double>(q.train.tokens()), a_token, 1e-6 * a_token);
}

TEST(StepCost, WhatIsMadeAgainTakesTime) {
  Question q = smol();
  const Model model = prepare(q);
  const Rates rates = find_gpu(gpu_catalogue(""), "rtx4090").rates();
  const auto seconds = [&](Recompute policy) {
    q.train.recompute = policy;
    return training_cost(model, q.train).seconds(rates, 1);
  };
  const double one = seconds(Recompute::kNone);
  EXPECT_GT(seconds(Recompute::kNorm), one);
  EXPECT_GT(seconds(Recompute::kSqrt), seconds(Recompute::kNorm));
  EXPECT_GT(seconds(Recompute::kLayer), seconds(Recompute::kNorm));
  EXPECT_LT(seconds(Recompute::kLayer), 4.0 / 3.0 * one);
  q.train.recompute = Recompute::kNone;
  EXPECT_GT(training_cost(model, q.train).seconds(rates, 3), 2.5 * one);
}

TEST(StepCost, CopiesCostWhatTheWorkDoesNotHide) {
  Question q = smol();
  q.train.device = DeviceKind::kCuda;
  const Model model = prepare(q);
  Rates rates = find_gpu(gpu_catalogue(""), "rtx4090").rates();
  const auto seconds = [&](bool offload, bool paged, double host_bytes) {
    TrainJob job = q.train;
    job.offload = offload;
    job.optimizer.paged = paged;
    rates.host_bytes = host_bytes;
    return training_cost(model, job).seconds(rates, 1);
  };
  const double plain = seconds(false, false, 25e9);
  EXPECT_EQ(seconds(true, true, 1e15), plain);
  EXPECT_GT(seconds(true, false, 25e9), plain);
  EXPECT_GT(seconds(false, true, 1e9), plain);
  const double slow = seconds(true, true, 1e6);
  EXPECT_NEAR(seconds(true, true, 5e5), 2.0 * slow, 1e-3 * slow);
}

TEST(Answer, PredictsTimeAndCost) {
  Question q = smol();
  const Gpu gpu = find_gpu(gpu_catalogue(""), "l4");
  const Target target{gpu.name, {gpu.usable_bytes()}, gpu.rates(), gpu, ""};
  q.train.device = DeviceKind::kCuda;
  const Answer a = answer(q, prepare(q), target, {.tokens = 1e9, .price = 0.8});
  EXPECT_TRUE(a.fits);
  ASSERT_TRUE(a.prediction);
  EXPECT_NEAR(a.prediction->run_seconds, 1e9 / a.prediction->tokens_per_second, 1.0);
  EXPECT_NEAR(a.prediction->cost, a.prediction->run_seconds / 3600.0 * 0.8, 1e-9);
  EXPECT_GE(a.assumptions.size(), 4u);
}

TEST(Answer, WaysFit) {
  Question q = smol();
  q.config.quantization.reset();
  q.train.batch_size = 16;
  const Target target{"a limit", {uint64_t{900} << 20}, kTypicalRates, std::nullopt, ""};
  const Answer a = answer(q, prepare(q), target, {});
  EXPECT_FALSE(a.fits);
  ASSERT_FALSE(a.ways.empty());
  bool changed = false;
  for (const Way& w : a.ways) {
    EXPECT_LE(w.bytes, target.limits.device);
    EXPECT_EQ(w.bytes + w.saved, a.plan.total());
    EXPECT_FALSE(changed && w.same_updates) << "what changes the result comes last";
    changed = changed || !w.same_updates;
    EXPECT_FALSE(w.options.empty() && w.before.empty());
  }
}

TEST(FitModels, AreAskedAlike) {
  Question q = smol();
  const Target target{"24 GiB", {uint64_t{24} << 30}, {}, std::nullopt, ""};
  const auto models = fit_models(q, target);
  EXPECT_EQ(models.size(), known_models().size());
  EXPECT_TRUE(models.front().fits);
  EXPECT_FALSE(models.back().fits);
  for (const ModelFit& m : models) EXPECT_EQ(m.fits, m.bytes <= target.limits.device);
}

}  // namespace
}  // namespace nibble
