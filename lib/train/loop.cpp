// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "base/profile.h"
#include "base/signals.h"
#include "io/memory.h"
#include "kernels/optimizer.h"
#include "tensor/cuda.h"
#include "train/loop_state.h"

namespace nibble {
namespace {

using Clock = std::chrono::steady_clock;

// A spike: far outside what the last steps scattered. Needs a history to judge by.
constexpr size_t kHistory = 50, kHistoryNeeded = 20;

bool is_spike(const std::vector<double>& recent, double loss) {
  if (recent.size() < kHistoryNeeded) return false;
  double mean = 0.0, square = 0.0;
  for (const double x : recent) mean += x / static_cast<double>(recent.size());
  for (const double x : recent)
    square += (x - mean) * (x - mean) / static_cast<double>(recent.size());
  return loss > 2.0 * mean && loss > mean + 10.0 * std::sqrt(square) && loss > mean + 1.0;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  const auto two = [](int64_t n) { return cat(n < 10 ? "0" : "", n); };
  if (s >= 3600) return cat(s / 3600, ":", two(s / 60 % 60), ":", two(s % 60));
  return cat(s / 60, ":", two(s % 60));
}

std::string row_list(const std::vector<std::vector<int64_t>>& micro_batches) {
  std::string out;
  for (const auto& rows : micro_batches)
    for (const int64_t row : rows) {
      if (out.size() > 60) return out + ", ...";
      out += cat(out.empty() ? "" : ", ", row);
    }
  return out;
}

}  // namespace

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

TrainingRun::State::StepResult TrainingRun::State::gradients(int64_t index) {
  StepResult result;
  const auto& micro_batches = order->rows_of(index);
  // All micro-batches are read first: the loss is divided once, by their trained tokens together.
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    const Span span("read rows");
    fill_batch(train_shard, micro_batches[i], row, batches[i]);
    result.tokens += batches[i].tokens();
    result.trained += static_cast<int64_t>(batches[i].rows.size());
  }
  const ParameterSet& parameters = working().parameters;
  parameters.zero_gradients();
  if (result.trained == 0) return result;
  const float scale = 1.0f / static_cast<float>(result.trained);
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    if (stop_signal() != 0) {
      result.stopped = true;
      return result;
    }
    if (i + 1 == micro_batches.size()) optimizer->prefetch();
    step->add_gradients(
        batches[i], scale,
        {.seed = options.seed, .micro_batch = static_cast<uint64_t>(at.micro_batches) + i});
  }
  result.loss = step->take_loss() / static_cast<double>(result.trained);
  return result;
}

void TrainingRun::State::refuse_bad_step(int64_t index, const StepResult& r,
                                         const TrainReport& report) {
  const bool finite = std::isfinite(r.loss) && std::isfinite(r.gradient_norm);
  if (finite && !is_spike(at.recent_losses, r.loss)) return;
  save(report);
  throw DataError(cat("step ", index + 1, ": the ",
                      !finite ? cat("loss or its gradient is not finite (loss ", fixed(r.loss, 4),
                                    ", norm ", fixed(r.gradient_norm, 4), ")")
                              : cat("loss jumped to ", fixed(r.loss, 4)),
                      " on rows ", row_list(order->rows_of(index)), " of ",
                      train_shard.path().string(), "; look at these rows, or lower ",
                      "--learning-rate; ", checkpoint_name(at.step), " is the last good state"));
}

std::optional<double> TrainingRun::State::validation_loss() {
  const Span span("validation");
  double sum = 0.0;
  int64_t trained = 0;
  std::vector<int64_t> rows;
  Batch batch;
  for (int64_t begin = 0; begin < valid_shard->rows(); begin += options.batch_size) {
    if (stop_signal() != 0) return std::nullopt;
    rows.clear();
    for (int64_t i = begin; i < std::min(valid_shard->rows(), begin + options.batch_size); ++i)
      rows.push_back(i);
    fill_batch(*valid_shard, rows, row, batch);
    if (batch.rows.empty()) continue;
    sum += step->forward(batch);
    trained += static_cast<int64_t>(batch.rows.size());
  }
  return trained > 0 ? sum / static_cast<double>(trained) : 0.0;
}

void TrainingRun::State::evaluate(const TrainReport& report) {
  const std::optional<double> loss = validation_loss();
  if (!loss) {
    at.validation_due = true;
    stop(report);
  }
  if (at.validation_due) {  // so says the checkpoint of this step, which is to be written anew
    at.validation_due = false;
    saved_step = -1;
  }
  metrics->write(Json::object({{"step", at.step}, {"validation_loss", *loss}}));
  const bool better = at.best_step == 0 || *loss < at.best_loss;
  report.say(cat("step ", at.step, ": validation loss ", fixed(*loss, 4),
                 better ? ", the best so far" : ""));
  if (better) {
    at.best_loss = *loss;
    at.best_step = at.step;
    at.evaluations_since_best = 0;
    if (options.keep_best) save(report);
  } else {
    ++at.evaluations_since_best;
  }
}

bool TrainingRun::State::evaluation_due(int64_t done) const {
  if (!valid_shard) return false;
  const int64_t every = options.eval_every > 0 ? options.eval_every : order->steps_per_epoch();
  return done % every == 0 || done == total_steps;
}

void TrainingRun::State::stop(const TrainReport& report) {
  save(report);
  throw StoppedError(
      cat("stopped by signal ", stop_signal(), " after step ", at.step, "; go on with --resume"));
}

void TrainingRun::State::run(const TrainReport& report) {
  const StreamScope scope(stream.get());
  const auto enough = [&] {
    if (options.patience == 0 || at.evaluations_since_best < options.patience) return false;
    report.say(cat("no better for ", options.patience, " evaluations; stopping early"));
    return true;
  };
  if (at.validation_due && valid_shard) evaluate(report);
  // A checkpoint may be of the step where patience ran out.
  while (at.step < total_steps && !enough()) {
    const auto begin = Clock::now();
    StepResult r = gradients(at.step);
    if (r.stopped || stop_signal() != 0) stop(report);
    if (!std::isfinite(r.loss)) r.gradient_norm = l2_norm(working().parameters.gradients());
    refuse_bad_step(at.step, r, report);
    const double rate = schedule.rate(at.step + 1);
    if (r.trained > 0) {
      const Span span("update");
      optimizer->update(at.step + 1, rate, options.max_grad_norm);
      r.gradient_norm = optimizer->gradient_norm();
      refuse_bad_step(at.step, r, report);  // such an update has changed nothing
    }
    at.micro_batches += static_cast<int64_t>(order->rows_of(at.step).size());
    ++at.step;
    at.tokens += r.tokens;
    tokens_here += r.tokens;
    at.recent_losses.push_back(r.loss);
    if (at.recent_losses.size() > kHistory) at.recent_losses.erase(at.recent_losses.begin());
    const double wall = seconds_since(begin), speed = static_cast<double>(r.tokens) / wall;
    if (at.step == 1) metrics->write(run_record());
    Json record = Json::object(
        {{"step", at.step},
         {"epoch", static_cast<double>(at.step) / static_cast<double>(order->steps_per_epoch())},
         {"loss", r.loss},
         {"learning_rate", rate},
         {"grad_norm", r.gradient_norm},
         {"tokens", r.tokens},
         {"trained_tokens", r.trained},
         {"tokens_per_second", speed},
         {"peak_rss", peak_rss()}});
    if (options.device.on_cuda()) {
      // What a step takes it keeps, so that its end tells of all of it.
      device_peak = std::max<uint64_t>(device_peak, cuda::memory_in_use(options.device.index));
      record.set("peak_device", device_peak);
      record.set("planned_device", plan.total());
      record.set("graphs", step->graphs() > 0);
    } else {
      record.set("planned_rss", plan.total());
    }
    metrics->write(record);
    if (report.progress_due()) {
      const double average = static_cast<double>(tokens_here) / seconds_since(started);
      const double left =
          static_cast<double>(total_steps - at.step) * static_cast<double>(r.tokens);
      report.progress(cat("step ", at.step, "/", total_steps, "  loss ", fixed(r.loss, 4), "  ",
                          fixed(average, 0), " tok/s  ETA ", duration(left / average), "  ",
                          peak_rss() >> 20, " MiB"));
    }
    if (evaluation_due(at.step)) evaluate(report);
    if (options.save_every > 0 && at.step % options.save_every == 0) save(report);
  }
}

}  // namespace nibble
