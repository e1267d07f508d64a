// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>

#include "base/checked.h"
#include "base/quote.h"
#include "base/threads.h"
#include "model/gguf_config.h"
#include "model/gguf_vocab.h"
#include "model/inspect.h"
#include "model/stored_weight.h"

namespace nibble {
namespace {

constexpr uint64_t kShownItems = 8;
constexpr size_t kShownText = 400;

struct Stats {
  double low = INFINITY, high = -INFINITY, sum = 0.0, squares = 0.0;
  int64_t count = 0, bad = 0;  // finite ones, and the rest

  void add(const std::vector<float>& values) {
    for (const float v : values) {
      const auto x = static_cast<double>(v);
      if (!std::isfinite(x)) {
        ++bad;
        continue;
      }
      low = std::min(low, x), high = std::max(high, x);
      sum += x, squares += x * x;
      ++count;
    }
  }
  void add(const Stats& other) {
    low = std::min(low, other.low), high = std::max(high, other.high);
    sum += other.sum, squares += other.squares;
    count += other.count, bad += other.bad;
  }
};

// Rows are summed in a fixed number of parts, so that the threads do not change the last digits.
Stats stats_of(const FloatRows& rows) {
  constexpr int64_t kParts = 64;
  std::vector<Stats> parts(kParts);
  const int64_t step = ceil_div(rows.rows, kParts);
  parallel_for(kParts, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(rows.row_elements));
    for (int64_t p = begin; p < end; ++p)
      for (int64_t i = p * step; i < std::min(rows.rows, (p + 1) * step); ++i) {
        rows.read(i, row.data());
        parts[static_cast<size_t>(p)].add(row);
      }
  });
  Stats s;
  for (const Stats& part : parts) s.add(part);
  return s;
}

Json item_json(const GgufValue& v, uint64_t i) {
  switch (v.type) {
    case GgufType::kString:
      return v.string(i);
    case GgufType::kBool:
      return v.boolean(i);
    case GgufType::kF32:
    case GgufType::kF64:
      try {
        return v.number(i);
      } catch (const DataError&) {
        return "not finite";
      }
    default:
      try {
        return v.integer(i);
      } catch (const DataError&) {
        return v.number(i);  // beyond 63 bits
      }
  }
}

Json value_json(const GgufValue& v) {
  if (!v.array) {
    Json item = item_json(v, 0);
    if (item.is_string() && item.as_string().size() > kShownText)
      return cat(std::string_view(item.as_string()).substr(0, kShownText), "... (",
                 v.string().size(), " bytes)");
    return item;
  }
  Json::Array items;
  for (uint64_t i = 0; i < std::min(v.count, kShownItems); ++i) items.push_back(item_json(v, i));
  return Json::object({{"type", gguf_type_name(v.type)}, {"count", v.count}, {"first", items}});
}

void add_types(Json& summary, const std::map<std::string, uint64_t>& bytes_by_type) {
  Json types = Json::object();
  for (const auto& [type, bytes] : bytes_by_type) types.set(type, bytes);
  summary.set("bytes", std::move(types));
}

}  // namespace

void collect_faults(Json& document, const InspectOptions& options,
                    const std::function<void()>& check) {
  if (!options.verify) return check();
  try {
    check();
  } catch (const BugError&) {
    throw;
  } catch (const Error& e) {
    document.find("faults")->as_array().push_back(e.what());
  }
}

Json inspect_tensor(const std::string& name, std::string_view type, std::span<const int64_t> shape,
                    uint64_t bytes, const FloatRows* rows, const InspectOptions& options,
                    Json::Array& faults) {
  Json entry = Json::object({{"name", name},
                             {"type", type},
                             {"shape", Json::Array(shape.begin(), shape.end())},
                             {"bytes", bytes}});
  if (!rows || !(options.stats || options.verify)) return entry;
  const Stats s = stats_of(*rows);
  if (s.bad > 0 && options.verify)
    faults.push_back(
        cat(rows->name, ": ", s.bad, " of ", s.bad + s.count, " values are not finite"));
  if (!options.stats) return entry;
  const auto n = static_cast<double>(s.count);
  Json stats = Json::object();
  if (s.count > 0)
    stats = Json::object(
        {{"min", s.low}, {"max", s.high}, {"mean", s.sum / n}, {"rms", std::sqrt(s.squares / n)}});
  if (s.bad > 0) stats.set("not_finite", s.bad);
  entry.set("stats", std::move(stats));
  return entry;
}

void inspect_gguf(const GgufFile& file, const InspectOptions& options, Json& document) {
  Json& summary = document.set("summary", Json::object());
  summary.set("version", int64_t{file.version()});
  summary.set("alignment", file.alignment());
  const std::string architecture = file.text("general.architecture", "");
  if (!architecture.empty()) summary.set("architecture", architecture);
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata())
    metadata.as_object().emplace_back(key, value_json(value));
  Json::Array tensors;
  std::map<std::string, uint64_t> by_type;
  int64_t parameters = 0;
  for (const GgufTensor& t : file.tensors()) {
    const std::string type(ggml_type_info(t.type).name);
    const int64_t width = t.row_elements();
    FloatRows rows;
    if (ggml_decodes(t.type))
      rows = stored_rows(cat(file.file().path().string(), ": tensor ", quote(t.name)), t.type,
                         t.bytes.data(), t.elements() / width, width);
    tensors.push_back(inspect_tensor(t.name, type, t.shape, t.bytes.size(),
                                     rows.read ? &rows : nullptr, options,
                                     document.find("faults")->as_array()));
    by_type[type] += t.bytes.size();
    parameters += t.elements();
  }
  summary.set("parameters", parameters);
  summary.set("tensors", uint64_t{file.tensors().size()});
  add_types(summary, by_type);
  document.set("metadata", std::move(metadata));
  document.set("tensors", std::move(tensors));
  const bool known = architecture == "llama" || architecture == "qwen2" || architecture == "qwen3";
  if (options.verify && known && file.find_tensor("token_embd.weight"))
    collect_faults(document, options, [&] {
      const Json config = config_from_gguf(file, Dtype::kBf16);
      parse_model_config(config, file.file().path().string());
      read_gguf_vocab(file, config.at("vocab_size").as_integer());
    });
}

void inspect_safetensors(const TensorStore& store, const InspectOptions& options, Json& document) {
  Json& summary = document.set("summary", Json::object());
  Json metadata = Json::object();
  for (const auto& [key, value] : store.metadata()) metadata.set(key, value);
  Json::Array tensors;
  std::map<std::string, uint64_t> by_type;
  uint64_t bytes = 0;
  for (const auto& [name, t] : store.tensors()) {
    FloatRows rows;
    const Dtype d = t.info.dtype;
    if (d == Dtype::kF32 || d == Dtype::kF16 || d == Dtype::kBf16) rows = dense_rows(t);
    tensors.push_back(inspect_tensor(name, dtype_name(d), t.info.shape, t.info.bytes,
                                     rows.read ? &rows : nullptr, options,
                                     document.find("faults")->as_array()));
    by_type[std::string(dtype_name(d))] += t.info.bytes;
    bytes += t.info.bytes;
  }
  summary.set("files", uint64_t{store.files().size()});
  summary.set("tensors", uint64_t{store.tensors().size()});
  add_types(summary, by_type);
  document.set("metadata", std::move(metadata));
  document.set("tensors", std::move(tensors));
}

}  // namespace nibble
