// SPDX-License-Identifier: Apache-2.0
#include "model/inspect.h"

#include <algorithm>
#include <map>

#include "base/quote.h"
#include "io/lines.h"
#include "io/nbp.h"
#include "model/stored_weight.h"

namespace nibble {
namespace {

enum class Kind { kGguf, kSafetensors, kShard, kModel, kAdapter, kCheckpoint, kLines };

Kind kind_of(const fs::path& path) {
  const auto holds = [&](const char* name) { return input_exists(path / name); };
  if (!input_exists(path))
    throw NoInputError(cat(path.string(), ": no such file or folder; check the path"));
  if (is_input_folder(path)) {
    if (holds("trainer_state.json")) return Kind::kCheckpoint;
    if (holds("adapter_config.json")) return Kind::kAdapter;
    if (holds("config.json") || holds("model.safetensors") || holds("model.safetensors.index.json"))
      return Kind::kModel;
    throw DataError(
        cat(path.string(), ": holds no model, adapter or checkpoint; give one of those"));
  }
  const MappedFile file(path);
  if (file.text().starts_with("GGUF")) return Kind::kGguf;
  if (file.text().starts_with("\x8FNBP")) return Kind::kShard;
  if (path.extension() == ".safetensors") return Kind::kSafetensors;
  if (path.extension() == ".gguf") return Kind::kGguf;  // damaged: its reader says how
  if (path.extension() == ".nbp") return Kind::kShard;
  for (const char* end : {".jsonl", ".jsonl.zst", ".json", ".json.zst"})
    if (path.filename().string().ends_with(end)) return Kind::kLines;
  throw DataError(cat(path.string(), ": neither GGUF, safetensors, packed shard nor JSON lines"));
}

void inspect_shard(const fs::path& path, const InspectOptions& options, Json& document) {
  ShardReader shard(path);
  const ShardInfo& i = shard.info();
  document.set("summary", Json::object({{"rows", i.rows},
                                        {"row_length", i.row_length},
                                        {"sequences", i.sequences},
                                        {"tokens", i.tokens},
                                        {"trained", i.trained},
                                        {"longest", i.longest},
                                        {"vocab_size", i.vocab_size},
                                        {"mode", i.mode},
                                        {"tokenizer", i.tokenizer},
                                        {"digest", shard.digest()}}));
  if (options.verify) collect_faults(document, options, [&] { shard.verify(); });
}

// Counts records and how many have each member.
void inspect_lines(const fs::path& path, const InspectOptions& options, Json& document) {
  LineReader in(path.string());
  std::map<std::string, int64_t> fields;
  int64_t records = 0;
  std::string_view line;
  while (in.next(line)) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    ++records;
    collect_faults(document, options, [&] {
      const Json record = parse_json(line, in.place());
      if (record.is_object())
        for (const auto& [name, value] : record.as_object()) ++fields[name];
    });
  }
  Json counts = Json::object();
  for (const auto& [name, count] : fields) counts.set(name, count);
  document.set("summary", Json::object({{"records", records}, {"fields", std::move(counts)}}));
}

void inspect_checkpoint(const fs::path& path, const InspectOptions& options, Json& document) {
  if (input_exists(path / "adapter_config.json"))
    inspect_adapter_folder(path, options, document);
  else if (input_exists(path / "config.json"))
    inspect_model_folder(path, options, document);
  collect_faults(document, options, [&] {
    const Json state = read_json_file(path / "trainer_state.json");
    Json metadata = Json::object();
    for (const auto& [name, value] : state.as_object())
      if (!value.is_array() && !value.is_object()) metadata.set(name, value);
    document.set("metadata", std::move(metadata));
  });
}

void fill(Kind kind, const fs::path& path, const InspectOptions& options, Json& document) {
  const auto named = [&](const char* name) { document.set("kind", name); };
  switch (kind) {
    case Kind::kGguf:
      named("GGUF");
      return inspect_gguf(GgufFile(path), options, document);
    case Kind::kSafetensors:
      named("safetensors");
      return inspect_safetensors(TensorStore(path), options, document);
    case Kind::kShard:
      named("packed shard");
      return inspect_shard(path, options, document);
    case Kind::kModel:
      named("model folder");
      return inspect_model_folder(path, options, document);
    case Kind::kAdapter:
      named("adapter folder");
      return inspect_adapter_folder(path, options, document);
    case Kind::kCheckpoint:
      named("checkpoint");
      return inspect_checkpoint(path, options, document);
    case Kind::kLines:
      named("JSON lines");
      return inspect_lines(path, options, document);
  }
}

void show_rows(const FloatRows& rows, const std::function<void(std::string_view)>& sink) {
  std::vector<float> row(static_cast<size_t>(rows.row_elements));
  std::string line;
  for (int64_t i = 0; i < rows.rows; ++i) {
    rows.read(i, row.data());
    line.clear();
    for (const float x : row) line += cat(line.empty() ? "" : " ", x);
    sink(line + "\n");
  }
}

[[noreturn]] void nothing_named(const fs::path& path, const std::string& name) {
  throw DataError(cat(path.string(), ": holds nothing named ", quote(name),
                      "; run nibble-inspect without --show for the names"));
}

void show_gguf(const fs::path& path, const std::string& name,
               const std::function<void(std::string_view)>& sink) {
  const GgufFile file(path);
  if (const GgufValue* v = file.find(name)) {
    for (uint64_t i = 0; i < v->count; ++i) {
      if (v->type == GgufType::kString)
        sink(cat(v->string(i), "\n"));
      else if (v->type == GgufType::kBool)
        sink(v->boolean(i) ? "true\n" : "false\n");
      else
        sink(cat(v->number(i), "\n"));
    }
    return;
  }
  const GgufTensor* t = file.find_tensor(name);
  if (!t) nothing_named(path, name);
  if (!ggml_decodes(t->type))
    throw UnavailableError(cat(path.string(), ": tensor ", quote(name), " is of type ",
                               ggml_type_info(t->type).name, ", which is not supported"));
  const int64_t width = t->row_elements();
  show_rows(stored_rows(name, t->type, t->bytes.data(), t->elements() / width, width), sink);
}

void show_folder(const fs::path& path, const std::string& name,
                 const std::function<void(std::string_view)>& sink) {
  if (input_exists(path / "config.json")) {
    const ModelConfig config = load_model_config(path);
    const TensorStore store(path);
    QuantizedTables tables;
    for (const WeightSpec& spec : model_weights(config))
      if (spec.name == name) return show_rows(stored_weight(store, spec, config, tables), sink);
  }
  const bool adapter = input_exists(path / "adapter_model.safetensors");
  const TensorStore store(adapter ? path / "adapter_model.safetensors" : path);
  const StoredTensor* t = store.find(name);
  if (!t) nothing_named(path, name);
  show_rows(dense_rows(*t), sink);
}

}  // namespace

Json inspect(const fs::path& path, const InspectOptions& options) {
  const Kind kind = kind_of(path);
  Json document = Json::object();
  document.set("path", path.string());
  document.set("kind", nullptr);
  document.set("summary", Json::object());
  document.set("metadata", Json::object());
  document.set("tensors", Json::array());
  document.set("faults", Json::array());
  collect_faults(document, options, [&] { fill(kind, path, options, document); });
  if (!options.verify) document.erase("faults");
  for (const char* part : {"metadata", "tensors"}) {
    const Json* v = document.find(part);
    if (v &&
        ((v->is_array() && v->as_array().empty()) || (v->is_object() && v->as_object().empty())))
      document.erase(part);
  }
  return document;
}

void show(const fs::path& path, const std::string& name,
          const std::function<void(std::string_view)>& sink) {
  switch (kind_of(path)) {
    case Kind::kGguf:
      return show_gguf(path, name, sink);
    case Kind::kShard:
    case Kind::kLines:
      throw DataError(cat(path.string(), ": holds neither tensors nor metadata to show"));
    default:
      return show_folder(path, name, sink);
  }
}

}  // namespace nibble
