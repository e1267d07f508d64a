// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "io/json.h"

namespace nibble {
namespace {

constexpr size_t kMaxHeader = size_t{100} << 20;  // the format's own limit

[[noreturn]] void bad_tensor(const fs::path& path, const std::string& name,
                             const std::string& fault) {
  throw DataError(cat(path.string(), ": tensor \"", name, "\": ", fault,
                      "; the file is damaged, fetch it again"));
}

[[noreturn]] void bad_file(const fs::path& path, const std::string& fault) {
  throw DataError(cat(path.string(), ": ", fault, "; the file is damaged, fetch it again"));
}

StoredTensor parse_entry(const MappedFile& file, const std::string& name, const Json& entry,
                         size_t data_begin) {
  const size_t data_bytes = file.bytes().size() - data_begin;
  StoredTensor t{.file = &file};
  t.info.name = name;
  try {
    const std::string& dtype = entry.at("dtype").as_string();
    const auto known = dtype_from_name(dtype);
    if (!known) bad_tensor(file.path(), name, cat("dtype ", dtype, " is not supported"));
    t.info.dtype = *known;
    for (const Json& d : entry.at("shape").as_array()) t.info.shape.push_back(d.as_integer());
    const Json::Array& offsets = entry.at("data_offsets").as_array();
    if (offsets.size() != 2) throw DataError("data_offsets has not two numbers");
    const int64_t begin = offsets[0].as_integer(), end = offsets[1].as_integer();
    if (begin < 0 || end < begin || static_cast<uint64_t>(end) > data_bytes)
      throw DataError(cat("bytes ", begin, " to ", end, " lie outside the file's ", data_bytes));
    const auto bytes = tensor_bytes(t.info.dtype, t.info.shape);
    if (!bytes || *bytes != static_cast<size_t>(end - begin))
      throw DataError(cat("its shape and dtype do not fit its ", end - begin, " bytes"));
    t.info.bytes = *bytes;
    t.offset = data_begin + static_cast<size_t>(begin);
    t.bytes = file.bytes().subspan(t.offset, t.info.bytes);
  } catch (const DataError& error) {
    if (std::string_view(error.what()).starts_with(file.path().string())) throw;
    bad_tensor(file.path(), name, error.what());
  }
  return t;
}

// Adds the tensors of one file; names must be new.
void read_file(const MappedFile& file, std::map<std::string, StoredTensor>& tensors,
               std::map<std::string, std::string>& metadata) {
  const auto bytes = file.bytes();
  uint64_t header_bytes = 0;
  if (bytes.size() < 8) bad_file(file.path(), "shorter than a safetensors header");
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > kMaxHeader || header_bytes > bytes.size() - 8)
    bad_file(file.path(), cat("a header of ", header_bytes, " bytes in a file of ", bytes.size()));
  const Json header = parse_json(file.text().substr(8, header_bytes), file.path().string());
  if (!header.is_object()) bad_file(file.path(), "the header is no JSON object");
  std::vector<const StoredTensor*> in_order;
  for (const auto& [name, entry] : header.as_object()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) bad_file(file.path(), "__metadata__ is no JSON object");
      for (const auto& [key, value] : entry.as_object())
        if (value.is_string()) metadata[key] = value.as_string();
      continue;
    }
    const auto [at, added] =
        tensors.emplace(name, parse_entry(file, name, entry, 8 + header_bytes));
    if (!added) bad_tensor(file.path(), name, "stored twice");
    in_order.push_back(&at->second);
  }
  std::sort(in_order.begin(), in_order.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < in_order.size(); ++i)
    if (in_order[i - 1]->offset + in_order[i - 1]->info.bytes > in_order[i]->offset)
      bad_tensor(file.path(), in_order[i]->info.name,
                 cat("overlaps \"", in_order[i - 1]->info.name, "\""));
}

std::string shard_name(const std::string& stem, size_t index, size_t count) {
  const auto padded = [](size_t n) {
    const std::string digits = cat(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return cat(stem, "-", padded(index + 1), "-of-", padded(count), ".safetensors");
}

}  // namespace

std::optional<size_t> tensor_bytes(Dtype dtype, std::span<const int64_t> shape) {
  size_t total = dtype_bytes(dtype);
  for (const int64_t d : shape) {
    if (d < 0) return std::nullopt;
    const auto product = checked_mul(total, static_cast<size_t>(d));
    if (!product) return std::nullopt;
    total = *product;
  }
  return total;
}

TensorInfo tensor_info(std::string name, Dtype dtype, std::vector<int64_t> shape) {
  const auto bytes = tensor_bytes(dtype, shape);
  CHECK(bytes.has_value());
  return {std::move(name), dtype, std::move(shape), *bytes};
}

TensorStore::TensorStore(const fs::path& path, const std::string& stem) : path_(path) {
  if (!is_input_folder(path)) {
    files_.push_back(std::make_unique<MappedFile>(path));
    read_file(*files_[0], tensors_, metadata_);
    return;
  }
  const fs::path single = path / (stem + ".safetensors");
  const fs::path index = path / (stem + ".safetensors.index.json");
  if (input_exists(single)) {
    files_.push_back(std::make_unique<MappedFile>(single));
    read_file(*files_[0], tensors_, metadata_);
    return;
  }
  if (!input_exists(index))
    throw NoInputError(cat(path.string(), ": no ", stem, ".safetensors and no ", stem,
                           ".safetensors.index.json; is it a model folder?"));
  const Json document = read_json_file(index);
  std::map<std::string, std::string> where;
  try {
    for (const auto& [name, file] : document.at("weight_map").as_object())
      where[name] = file.as_string();
  } catch (const DataError& fault) {
    throw DataError(cat(index.string(), ": ", fault.what(), "; fetch the file again"));
  }
  std::vector<std::string> shards;
  for (const auto& [name, file] : where) {
    if (file.find('/') != std::string::npos || file.starts_with(".."))
      throw DataError(cat(index.string(), ": shard \"", file, "\" lies outside the folder"));
    if (std::find(shards.begin(), shards.end(), file) == shards.end()) shards.push_back(file);
  }
  for (const std::string& shard : shards) {
    if (!input_exists(path / shard))
      throw NoInputError(cat((path / shard).string(),
                             ": this shard, named by the index, is missing", "; fetch it"));
    files_.push_back(std::make_unique<MappedFile>(path / shard));
    read_file(*files_.back(), tensors_, metadata_);
  }
  for (const auto& [name, file] : where)
    if (!tensors_.contains(name))
      throw DataError(cat((path / file).string(), ": no tensor \"", name,
                          "\", which the index promises; fetch the shard again"));
}

const StoredTensor* TensorStore::find(const std::string& name) const {
  const auto at = tensors_.find(name);
  return at == tensors_.end() ? nullptr : &at->second;
}

const StoredTensor& TensorStore::at(const std::string& name) const {
  if (const StoredTensor* t = find(name)) return *t;
  throw DataError(
      cat(path_.string(), ": no tensor \"", name,
          "\"; the model is incomplete or of another family than its config.json says"));
}

void TensorStore::forget(const void* data, size_t bytes) const {
  for (const auto& file : files_) file->forget(data, bytes);
}

std::vector<fs::path> TensorStore::files() const {
  std::vector<fs::path> out;
  for (const auto& file : files_) out.push_back(file->path());
  return out;
}

namespace {

// What a tensor belongs to: "x" for "x.weight", "x.weight.absmax" and "x.SCB".
std::string_view module_of(std::string_view name) {
  const size_t weight = name.find(".weight");
  return name.substr(0, weight != name.npos ? weight : name.rfind('.'));
}

}  // namespace

struct TensorWriter::State {
  fs::path folder;
  std::string stem;
  std::map<std::string, std::string> metadata;
  std::vector<TensorInfo> tensors;
  std::vector<size_t> shard_begin;  // first tensor of every shard, and the end
  size_t shard = 0, tensor = 0, written = 0;
  std::unique_ptr<AtomicFile> file;

  size_t shards() const { return shard_begin.size() - 1; }
  std::string file_name(size_t index) const {
    return shards() == 1 ? stem + ".safetensors" : shard_name(stem, index, shards());
  }

  void open_shard() {
    file = std::make_unique<AtomicFile>(folder / file_name(shard));
    Json header;
    Json meta = Json::object();
    for (const auto& [key, value] : metadata) meta.set(key, value);
    header.set("__metadata__", std::move(meta));
    Json::Object& members = header.as_object();
    uint64_t offset = 0;
    for (size_t i = shard_begin[shard]; i < shard_begin[shard + 1]; ++i) {
      const TensorInfo& t = tensors[i];
      Json::Array shape(t.shape.begin(), t.shape.end());
      Json entry = Json::object({{"dtype", dtype_name(t.dtype)}, {"shape", std::move(shape)}});
      entry.set("data_offsets", Json::array({offset, offset + t.bytes}));
      members.emplace_back(t.name, std::move(entry));
      offset += t.bytes;
    }
    std::string text = header.dump();
    text.resize(round_up<size_t>(text.size(), 8), ' ');
    const uint64_t length = text.size();
    file->write(&length, 8);
    file->write(text);
  }

  // Closes shards that are complete and opens the next; empty tensors need no bytes.
  void advance() {
    while (shard < shards()) {
      if (!file) open_shard();
      while (tensor < shard_begin[shard + 1] && written == tensors[tensor].bytes) {
        ++tensor;
        written = 0;
      }
      if (tensor < shard_begin[shard + 1]) return;
      file->commit();
      file.reset();
      ++shard;
    }
  }
};

TensorWriter::TensorWriter(const fs::path& folder, std::vector<TensorInfo> tensors,
                           std::map<std::string, std::string> metadata, size_t max_shard_bytes,
                           const std::string& stem)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.folder = folder;
  s.stem = stem;
  s.metadata = std::move(metadata);
  s.tensors = std::move(tensors);
  s.shard_begin.push_back(0);
  size_t bytes = 0;
  for (size_t i = 0, end = 0; i < s.tensors.size(); i = end) {
    size_t group = 0;
    const std::string_view module = module_of(s.tensors[i].name);
    for (; end < s.tensors.size() && module_of(s.tensors[end].name) == module; ++end)
      group += s.tensors[end].bytes;
    if (bytes > 0 && group > max_shard_bytes - std::min(bytes, max_shard_bytes)) {
      s.shard_begin.push_back(i);
      bytes = 0;
    }
    bytes += group;
  }
  s.shard_begin.push_back(s.tensors.size());
  s.advance();
}
TensorWriter::~TensorWriter() = default;

void TensorWriter::write(const void* data, size_t bytes) {
  State& s = *state_;
  CHECK(s.file && s.written + bytes <= s.tensors[s.tensor].bytes);
  s.file->write(data, bytes);
  s.written += bytes;
  s.advance();
}

const TensorInfo* TensorWriter::current() const {
  return state_->tensor < state_->tensors.size() ? &state_->tensors[state_->tensor] : nullptr;
}

void TensorWriter::finish() {
  State& s = *state_;
  CHECK(s.shard == s.shards());
  if (s.shards() == 1) return;
  uint64_t total = 0;
  Json::Object map;
  for (size_t shard = 0; shard < s.shards(); ++shard)
    for (size_t i = s.shard_begin[shard]; i < s.shard_begin[shard + 1]; ++i) {
      map.emplace_back(s.tensors[i].name, s.file_name(shard));
      total += s.tensors[i].bytes;
    }
  const Json index = Json::object(
      {{"metadata", Json::object({{"total_size", total}})}, {"weight_map", std::move(map)}});
  write_text_file(s.folder / (s.stem + ".safetensors.index.json"), index.dump(2) + "\n");
}

}  // namespace nibble
