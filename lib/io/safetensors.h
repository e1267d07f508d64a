// SPDX-License-Identifier: Apache-2.0
// safetensors (Hugging Face): u64 little-endian header length, JSON header {name: {dtype, shape,
// data_offsets}, "__metadata__": {...}}, then the tensors' bytes without gaps. Every length, type,
// shape and offset is checked before use. A folder is one model.safetensors or shards named by
// model.safetensors.index.json.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/file.h"
#include "tensor/dtype.h"

namespace nibble {

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  size_t bytes = 0;
};

/// What one stored tensor is and where its bytes lie, mapped.
struct StoredTensor {
  TensorInfo info;
  std::span<const std::byte> bytes;
  const MappedFile* file = nullptr;
  size_t offset = 0;  // of the bytes in the file
};

/// All tensors of one file or of a sharded folder.
class TensorStore {
 public:
  /// PATH is a .safetensors file, or a folder holding `stem`.safetensors or
  /// `stem`.safetensors.index.json. Throws NoInputError / DataError naming file and tensor.
  explicit TensorStore(const fs::path& path, const std::string& stem = "model");

  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const StoredTensor* find(const std::string& name) const;
  /// The tensor, or DataError naming the file and what is missing.
  const StoredTensor& at(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const fs::path& path() const { return path_; }
  std::vector<fs::path> files() const;
  /// As MappedFile::forget; nothing where `data` is of none of the files.
  void forget(const void* data, size_t bytes) const;

 private:
  fs::path path_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes tensors in the order declared, sharded where the sum passes `max_shard_bytes`; adjoining
/// tensors of one module (x.weight, x.weight.absmax, x.SCB) stay in one file. All
/// names, types and shapes are declared first (the header needs them); then the bytes of each
/// arrive in the same order, whole or in parts, so that memory stays small. Files are written in
/// `folder`, which should be an AtomicFolder's working().
class TensorWriter {
 public:
  TensorWriter(const fs::path& folder, std::vector<TensorInfo> tensors,
               std::map<std::string, std::string> metadata = {{"format", "pt"}},
               size_t max_shard_bytes = SIZE_MAX, const std::string& stem = "model");
  ~TensorWriter();

  /// Appends bytes of the current tensor; a tensor is complete when all its bytes have come.
  void write(const void* data, size_t bytes);
  /// The tensor that the next bytes belong to; nullptr when all are complete.
  const TensorInfo* current() const;
  /// Checks that all is written, closes the last shard and writes the index if sharded.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Bytes of a tensor of that type and shape; nothing on overflow or a negative dimension.
std::optional<size_t> tensor_bytes(Dtype dtype, std::span<const int64_t> shape);
TensorInfo tensor_info(std::string name, Dtype dtype, std::vector<int64_t> shape);

}  // namespace nibble
