// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "io/safetensors.h"

namespace nibble {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kStateFile = "trainer_state.json";
constexpr std::string_view kTensorStem = "trainer_state";

std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || at != end) return std::nullopt;
  return step;
}

// Whether a killed run left it while writing or replacing: NAME.tmp-PID, NAME.old-PID.
bool is_leftover(std::string_view name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash + 1 == name.size()) return false;
  const std::string_view stem = name.substr(0, dash);
  return (stem.ends_with(".tmp") || stem.ends_with(".old")) &&
         name.find_first_not_of("0123456789", dash + 1) == std::string_view::npos;
}

// Whole checkpoints of OUT by step, oldest first.
std::vector<std::pair<int64_t, fs::path>> checkpoints(const fs::path& out) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(out, error))
    if (const auto step = step_of(entry.path());
        step && fs::exists(entry.path() / kStateFile, error))
      found.emplace_back(*step, entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::pair<std::string, Tensor>> tensors_of(const ParameterSet& parameters,
                                                       const Optimizer& optimizer) {
  std::vector<std::pair<std::string, Tensor>> out = {{"values", parameters.values()}};
  for (const StateArray& a : optimizer.state())
    out.emplace_back(cat("optimizer.", a.name), a.tensor);
  return out;
}

// What a resumed run must not change, in the words of the command line.
void refuse_other(const std::string& name, const Json* then, const Json& now) {
  if (then && *then == now) return;
  const auto none = [](const Json* v) { return !v || v->is_null(); };
  std::string fault = cat(" was ", then ? then->dump() : "not set", " and is ", now.dump(), " now");
  if (now.is_object() || now.is_null())
    fault = none(then)   ? " was not given in the first run"
            : none(&now) ? " was given in the first run"
                         : " is not the one of the first run";
  throw DataError(cat("--", name, fault, ": the result would differ"));
}

// Piece by piece, so that the file is never whole in memory beside its copy.
void copy_mapped(const StoredTensor& from, const Tensor& to) {
  constexpr size_t kPiece = size_t{8} << 20;
  for (size_t at = 0; at < from.bytes.size(); at += kPiece) {
    const size_t bytes = std::min(kPiece, from.bytes.size() - at);
    const auto count = static_cast<int64_t>(bytes);
    copy(make_tensor(static_cast<std::byte*>(to.data) + at, Dtype::kU8, {count}, to.device),
         make_tensor(const_cast<std::byte*>(from.bytes.data()) + at, Dtype::kU8, {count}));
    synchronize();
    from.file->forget(from.offset + at, bytes);
  }
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  const std::string digits = cat(step);
  return cat(kPrefix, std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0'), digits);
}

void save_checkpoint(const fs::path& out, const TrainerState& state, const Json& settings,
                     const ParameterSet& parameters, const Optimizer& optimizer,
                     const std::function<void(const fs::path&)>& save_model) {
  AtomicFolder folder(out / checkpoint_name(state.step), true);
  save_model(folder.working());
  synchronize();  // paged state is in the host's memory only now
  const auto tensors = tensors_of(parameters, optimizer);
  std::vector<TensorInfo> infos;
  for (const auto& [name, t] : tensors) infos.push_back(tensor_info(name, t.dtype, {t.dim(0)}));
  TensorWriter writer(folder.working(), std::move(infos), {{"format", "nibble"}}, SIZE_MAX,
                      std::string(kTensorStem));
  for (const auto& [name, t] : tensors)
    if (t.elements() > 0) {
      std::unique_ptr<std::byte[]> staging;
      const auto bytes = host_bytes(t, staging);
      writer.write(bytes.data(), bytes.size());
    }
  writer.finish();
  Json json = Json::object({{"step", state.step},
                            {"micro_batches", state.micro_batches},
                            {"tokens", state.tokens},
                            {"best_loss", state.best_loss},
                            {"best_step", state.best_step},
                            {"evaluations_since_best", state.evaluations_since_best},
                            {"validation_due", state.validation_due},
                            {"threads", state.threads},
                            {"cpu", state.cpu},
                            {"device", state.device}});
  json.set("recent_losses", Json::Array(state.recent_losses.begin(), state.recent_losses.end()));
  json.set("settings", settings);
  write_text_file(folder.working() / kStateFile, json.dump(2) + "\n");
  folder.commit();
}

TrainerState load_checkpoint(const fs::path& checkpoint, const Json& settings,
                             const ParameterSet& parameters, const Optimizer& optimizer) {
  const fs::path path = checkpoint / kStateFile;
  std::error_code error;
  if (!fs::exists(path, error))
    throw NoInputError(cat(checkpoint.string(), ": no ", kStateFile, "; is it a checkpoint?"));
  const Json json = read_json_file(path);
  TrainerState s;
  try {
    s.step = json.at("step").as_integer();
    s.micro_batches = json.at("micro_batches").as_integer();
    s.tokens = json.at("tokens").as_integer();
    s.best_loss = json.at("best_loss").as_number();
    s.best_step = json.at("best_step").as_integer();
    s.evaluations_since_best = json.at("evaluations_since_best").as_integer();
    const Json* due = json.find("validation_due");  // older checkpoints do not say
    s.validation_due = due && due->as_bool();
    for (const Json& loss : json.at("recent_losses").as_array())
      s.recent_losses.push_back(loss.as_number());
    if (s.step < 0 || s.micro_batches < s.step) throw DataError("its counts make no sense");
    s.threads = json.at("threads").as_integer();
    s.cpu = json.at("cpu").as_string();
    if (const Json* device = json.find("device")) s.device = device->as_string();
    for (const auto& [name, value] : settings.as_object()) {
      const Json* then = json.at("settings").find(name);
      // Older checkpoints do not say, nor do those of a CPU, where it decides nothing.
      if (!then && name == "deterministic") continue;
      refuse_other(name, then, value);
    }
  } catch (const DataError& fault) {
    throw DataError(cat(path.string(), ": ", fault.what(),
                        "; resume with the options of the first run, or start anew"));
  }
  const TensorStore store(checkpoint, std::string(kTensorStem));
  for (const auto& [name, t] : tensors_of(parameters, optimizer)) {
    const StoredTensor& stored = store.at(name);
    const size_t bytes = t.bytes();
    if (stored.info.dtype != t.dtype || stored.info.bytes != bytes)
      throw DataError(cat(checkpoint.string(), ": tensor \"", name,
                          "\" does not fit this run; resume with the options of the first run"));
    copy_mapped(stored, t);
  }
  parameters.refresh();
  return s;
}

std::optional<fs::path> latest_checkpoint(const fs::path& out) {
  const auto all = checkpoints(out);
  if (all.empty()) return std::nullopt;
  return all.back().second;
}

void prune_checkpoints(const fs::path& out, int64_t keep, int64_t best) {
  std::error_code error;
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(out, error))
    if (is_leftover(entry.path().filename().string())) doomed.push_back(entry.path());
  const auto all = checkpoints(out);
  for (size_t i = 0; i + static_cast<size_t>(std::max<int64_t>(keep, 1)) < all.size(); ++i)
    if (all[i].first != best) doomed.push_back(all[i].second);
  for (const fs::path& path : doomed) fs::remove_all(path, error);
}

}  // namespace nibble
