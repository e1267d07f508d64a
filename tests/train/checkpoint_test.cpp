// SPDX-License-Identifier: Apache-2.0
// Checkpoints come back to the bit, and one that is damaged or another run's is refused by name.
#include "train/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/rng.h"
#include "support/initial_model.h"

namespace nibble::test {
namespace {

// Parameters and optimizer of a run, laid out.
struct Trained {
  ParameterSet parameters;
  Arena parameter_arena, optimizer_arena;
  std::optional<Optimizer> optimizer;

  explicit Trained(const OptimizerOptions& options, int64_t rows = 70) {
    parameters.add("large", {rows, 64}, true);  // enough for 8-bit state
    parameters.add("small", {33}, false);
    parameter_arena = parameters.lay_out(Device{}, Dtype::kBf16, true);
    optimizer_arena = make_arena({}, [&](Arena& a) { optimizer.emplace(options, parameters, a); });
    zero(parameters.values());
    parameters.zero_gradients();
  }

  static void zero(const Tensor& t) { std::memset(t.data, 0, t.bytes()); }

  // Updates by gradients drawn from `step`.
  void update(int64_t step) {
    Rng rng(static_cast<uint64_t>(step));
    for (int i = 0; i < 2; ++i) {
      const Tensor g = parameters.gradient(i);
      for (int64_t k = 0; k < g.elements(); ++k)
        g.as<float>()[k] = static_cast<float>(rng.normal());
    }
    optimizer->update(step, 0.01, 1.0);
  }

  std::vector<std::string> bytes() const {
    std::vector<std::string> out;
    const auto add = [&](const Tensor& t) {
      out.emplace_back(static_cast<const char*>(t.data), t.bytes());
    };
    add(parameters.values());
    for (int i = 0; i < 2; ++i) add(parameters.compute(i));
    for (const StateArray& a : optimizer->state()) add(a.tensor);
    return out;
  }
};

const std::vector<OptimizerOptions> kOptimizers = {{.name = "adamw", .weight_decay = 0.1},
                                                   {.name = "adamw-8bit"},
                                                   {.name = "sgd"},
                                                   {.name = "sgd", .momentum = 0.9}};

Json settings() {
  return Json::object(
      {{"rank", 16}, {"learning-rate", 2e-4}, {"targets", Json::array({"q_proj"})}});
}

TrainerState some_state() {
  return {.step = 3,
          .micro_batches = 12,
          .tokens = int64_t{1} << 40,
          .best_loss = 0.1 + 0.2,
          .best_step = 2,
          .evaluations_since_best = 1,
          .validation_due = true,
          .recent_losses = {3.0, 1.0 / 3.0, 1e-300},
          .threads = 7,
          .cpu = "AVX2",
          .device = "cuda"};
}

class CheckpointTest : public FolderTest {
 protected:
  void save(const Trained& run, const TrainerState& state) {
    save_checkpoint(folder(), state, settings(), run.parameters, *run.optimizer,
                    [](const fs::path& at) { write_text_file(at / "adapter", "here"); });
  }
  std::string load_fault(const Trained& run, const Json& with = settings()) {
    return thrown_in(folder(), [&] {
      load_checkpoint(path("checkpoint-000003"), with, run.parameters, *run.optimizer);
    });
  }
};

TEST_F(CheckpointTest, ComesBackToTheBitAndGoesOnAlike) {
  for (const OptimizerOptions& options : kOptimizers) {
    SCOPED_TRACE(options.name);
    Trained run(options);
    for (int64_t step = 1; step <= 3; ++step) run.update(step);
    save(run, some_state());
    Trained again(options);
    ASSERT_NE(again.bytes(), run.bytes());
    const TrainerState s = load_checkpoint(*latest_checkpoint(folder()), settings(),
                                           again.parameters, *again.optimizer);
    EXPECT_EQ(again.bytes(), run.bytes());
    const TrainerState want = some_state();
    EXPECT_EQ(s.step, want.step);
    EXPECT_EQ(s.micro_batches, want.micro_batches);
    EXPECT_EQ(s.tokens, want.tokens);
    EXPECT_EQ(s.best_loss, want.best_loss);
    EXPECT_EQ(s.best_step, want.best_step);
    EXPECT_EQ(s.evaluations_since_best, want.evaluations_since_best);
    EXPECT_EQ(s.validation_due, want.validation_due);
    EXPECT_EQ(s.recent_losses, want.recent_losses);
    EXPECT_EQ(s.threads, want.threads);
    EXPECT_EQ(s.cpu, want.cpu);
    EXPECT_EQ(s.device, want.device);
    for (int64_t step = 4; step <= 6; ++step) {
      run.update(step);
      again.update(step);
    }
    EXPECT_EQ(again.bytes(), run.bytes());
    EXPECT_EQ(read_text_file(path("checkpoint-000003") / "adapter"), "here");
  }
}

TEST_F(CheckpointTest, SettingsThatDifferAreNamed) {
  Trained run(kOptimizers[0]);
  save(run, some_state());
  Json other = settings();
  other.set("rank", 8);
  EXPECT_EQ(load_fault(run, other),
            "65: @/checkpoint-000003/trainer_state.json: --rank was 16 and is 8 now: the result "
            "would differ; resume with the options of the first run, or start anew");
  other = settings();
  other.set("targets", Json::array({"q_proj", "v_proj"}));
  EXPECT_EQ(load_fault(run, other),
            "65: @/checkpoint-000003/trainer_state.json: --targets was [\"q_proj\"] and is "
            "[\"q_proj\", \"v_proj\"] now: the result would differ; resume with the options of the "
            "first run, or start anew");
  other = settings();
  other.set("dropout", 0.5);
  EXPECT_EQ(load_fault(run, other),
            "65: @/checkpoint-000003/trainer_state.json: --dropout was not set and is 0.5 now: the "
            "result would differ; resume with the options of the first run, or start anew");
}

TEST_F(CheckpointTest, OlderOnesTellNoDeviceAndNotWhetherTheyAreDeterministic) {
  Trained run(kOptimizers[0]);
  const auto with = [](bool deterministic) {
    Json all = settings();
    all.set("deterministic", deterministic);
    return all;
  };
  save(run, some_state());
  EXPECT_EQ(load_fault(run, with(true)), "nothing thrown");
  save_checkpoint(folder(), some_state(), with(false), run.parameters, *run.optimizer,
                  [](const fs::path&) {});
  EXPECT_EQ(load_fault(run, with(false)), "nothing thrown");
  EXPECT_EQ(load_fault(run, settings()), "nothing thrown");
  EXPECT_EQ(load_fault(run, with(true)),
            "65: @/checkpoint-000003/trainer_state.json: --deterministic was false and is true "
            "now: the result would differ; resume with the options of the first run, or start "
            "anew");
  const fs::path file = path("checkpoint-000003") / "trainer_state.json";
  Json state = read_json_file(file);
  state.erase("device");
  write_text_file(file, state.dump());
  EXPECT_EQ(
      load_checkpoint(path("checkpoint-000003"), settings(), run.parameters, *run.optimizer).device,
      "");
}

TEST_F(CheckpointTest, FilesThatDifferAreNamedWithoutTheirDigests) {
  Trained run(kOptimizers[0]);
  const auto with = [](const char* name, Json value) {
    Json all = settings();
    all.set(name, std::move(value));
    return all;
  };
  const Json one = Json::object({{"digest", "1"}}), two = Json::object({{"digest", "2"}});
  const auto fault = [&](const Json& then, const Json& now) {
    save_checkpoint(folder(), some_state(), then, run.parameters, *run.optimizer,
                    [](const fs::path&) {});
    const std::string text = load_fault(run, now);
    const size_t at = text.find("--");
    return at == std::string::npos ? text : text.substr(at, text.find(';') - at);
  };
  EXPECT_EQ(fault(with("model", one), with("model", one)), "nothing thrown");
  EXPECT_EQ(fault(with("model", one), with("model", two)),
            "--model is not the one of the first run: the result would differ");
  EXPECT_EQ(fault(with("adapter", Json()), with("adapter", two)),
            "--adapter was not given in the first run: the result would differ");
  EXPECT_EQ(fault(settings(), with("adapter", two)),
            "--adapter was not given in the first run: the result would differ");
  EXPECT_EQ(fault(with("adapter", one), with("adapter", Json())),
            "--adapter was given in the first run: the result would differ");
}

TEST_F(CheckpointTest, DamageIsNamed) {
  Trained run(kOptimizers[1]);
  save(run, some_state());
  const fs::path state = path("checkpoint-000003") / "trainer_state.json";
  const fs::path tensors = path("checkpoint-000003") / "trainer_state.safetensors";
  const std::string good = read_text_file(state), good_tensors = read_text_file(tensors);
  const std::vector<std::string> whole = run.bytes();

  write_text_file(state, good.substr(0, good.size() / 2));
  EXPECT_TRUE(load_fault(run).starts_with("65: @/checkpoint-000003/trainer_state.json: "))
      << load_fault(run);
  for (const char* name :
       {"step", "micro_batches", "tokens", "recent_losses", "settings", "validation_due"}) {
    Json json = parse_json(good, "state");
    json.set(name, "x");
    write_text_file(state, json.dump());
    EXPECT_TRUE(load_fault(run).starts_with("65: @/checkpoint-000003/trainer_state.json: "))
        << name << ": " << load_fault(run);
  }
  Json json = parse_json(good, "state");
  json.set("step", -1);
  write_text_file(state, json.dump());
  EXPECT_EQ(load_fault(run),
            "65: @/checkpoint-000003/trainer_state.json: its counts make no sense; resume with the "
            "options of the first run, or start anew");
  write_text_file(state, good);

  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, good_tensors.size() - 1}) {
    write_text_file(tensors, good_tensors.substr(0, size));
    EXPECT_TRUE(load_fault(run).starts_with("65: @/checkpoint-000003/trainer_state.safetensors"))
        << size << ": " << load_fault(run);
  }
  fs::remove(tensors);
  EXPECT_TRUE(load_fault(run).starts_with("66: @/checkpoint-000003")) << load_fault(run);
  write_text_file(tensors, good_tensors);

  Trained larger(kOptimizers[1], 80);
  EXPECT_EQ(load_fault(larger),
            "65: @/checkpoint-000003: tensor \"values\" does not fit this run; resume with the "
            "options of the first run");
  Trained other(kOptimizers[0]);
  EXPECT_TRUE(load_fault(other).starts_with("65: @/checkpoint-000003")) << load_fault(other);
  fs::remove(state);
  EXPECT_EQ(load_fault(run), "66: @/checkpoint-000003: no trainer_state.json; is it a checkpoint?");
  EXPECT_EQ(run.bytes(), whole);
}

TEST_F(CheckpointTest, PruningKeepsTheNewestAndTheBest) {
  Trained run(kOptimizers[2]);
  const auto names = [&] {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder()))
      out.insert(entry.path().filename().string());
    return out;
  };
  for (int64_t step : {9, 10, 100, 1000000, 20}) {
    TrainerState state = some_state();
    state.step = state.micro_batches = step;
    save(run, state);
  }
  EXPECT_EQ(latest_checkpoint(folder()), path("checkpoint-1000000"));
  // What is half written counts for nothing and goes; what is not ours stays.
  fs::create_directory(path("checkpoint-2000000"));
  fs::create_directory(path("checkpoint-000030.tmp-77"));
  fs::create_directory(path("checkpoint-000030.old-77"));
  write_text_file(path("adapter_model.safetensors.tmp-123"), "half");
  for (const char* mine : {"notes.tmp-final", "notes.tmp-", "checkpoint-best", "x-1"})
    write_text_file(path(mine), "mine");
  EXPECT_EQ(latest_checkpoint(folder()), path("checkpoint-1000000"));
  prune_checkpoints(folder(), 2, 10);
  EXPECT_EQ(names(),
            (std::set<std::string>{"checkpoint-000010", "checkpoint-000100", "checkpoint-1000000",
                                   "checkpoint-2000000", "checkpoint-best", "notes.tmp-",
                                   "notes.tmp-final", "x-1"}));
  prune_checkpoints(folder(), 1, 0);
  EXPECT_EQ(names().count("checkpoint-000010") + names().count("checkpoint-000100"), 0u);
  EXPECT_EQ(names().count("checkpoint-1000000"), 1u);
  EXPECT_FALSE(latest_checkpoint(path("absent")).has_value());
}

}  // namespace
}  // namespace nibble::test
