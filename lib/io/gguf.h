// SPDX-License-Identifier: Apache-2.0
// GGUF, llama.cpp's container, versions 2 and 3, little-endian:
//
//   "GGUF" | u32 version | u64 tensors | u64 pairs
//   pairs:    string key | u32 type | value     string: u64 length, bytes; array: u32 type, u64 n,
//   items tensors:  string name | u32 rank | u64 dims[rank], fastest first | u32 type | u64 offset
//   padding to general.alignment (32) | the tensors' bytes, each at its offset, so aligned
//
// Reading maps the file and checks every count, length, type, offset and overlap before use.
// Shapes here are row-major, as everywhere else: (O,I), slowest first.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "io/gguf_blocks.h"

namespace nibble {

/// The codes of GGUF's value types.
enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};
/// "u32", "string", ...
std::string_view gguf_type_name(GgufType type);
/// Of a scalar; 0 for strings and arrays.
size_t gguf_type_bytes(GgufType type);

/// One metadata value: a scalar or an array of scalars, viewed in the mapped file.
struct GgufValue {
  GgufType type = GgufType::kU32;  // of the items
  bool array = false;
  uint64_t count = 1;
  std::span<const std::byte> bytes;       // of all items, unless they are strings
  std::vector<std::string_view> strings;  // the items, where they are

  /// Item `i` as that kind; an f32 becomes the double that its shortest decimal names (1e-05, not
  /// 9.99999975e-06). Throws DataError "expected an integer, found string" (the caller adds the
  /// place) where it is another, or does not fit.
  int64_t integer(uint64_t i = 0) const;
  double number(uint64_t i = 0) const;
  bool boolean(uint64_t i = 0) const;
  std::string_view string(uint64_t i = 0) const;
};

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;  // rank 1 to 4
  std::span<const std::byte> bytes;

  int64_t elements() const;
  int64_t row_elements() const { return shape.back(); }
};

class GgufFile {
 public:
  /// Throws NoInputError, or DataError naming the file and what is wrong with it.
  explicit GgufFile(const fs::path& path);

  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  /// In file order.
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// nullptr where there is none.
  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;
  const MappedFile& file() const { return *file_; }

  /// Typed look-ups: the scalar, or `otherwise` where the key is absent; DataError naming file and
  /// key where it is of another kind.
  int64_t integer(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key, double otherwise) const;
  bool boolean(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, std::string_view otherwise) const;

 private:
  std::unique_ptr<MappedFile> file_;
  uint32_t version_ = 3;
  uint64_t alignment_ = 32;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> by_key_, by_name_;
};

/// Key-value pairs in the order they are to be written.
class GgufMetadata {
 public:
  void u32(std::string_view key, uint32_t value);
  void f32(std::string_view key, float value);
  void boolean(std::string_view key, bool value);
  void string(std::string_view key, std::string_view value);
  void strings(std::string_view key, std::span<const std::string> values);
  void f32s(std::string_view key, std::span<const float> values);
  void i32s(std::string_view key, std::span<const int32_t> values);

 private:
  friend class GgufWriter;
  std::string bytes_;
  uint64_t count_ = 0;
};

struct GgufTensorInfo {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;
};
/// Bytes of a tensor of that type and shape. CHECKs that rows are whole blocks.
size_t gguf_tensor_bytes(const GgufTensorInfo& info);

/// Writes version 3 with alignment 32: metadata and tensor table first, then the bytes of each
/// tensor in the order declared, whole or in parts. The file appears at commit.
class GgufWriter {
 public:
  GgufWriter(const fs::path& path, const GgufMetadata& metadata,
             std::vector<GgufTensorInfo> tensors);

  /// Appends bytes of the current tensor; a tensor is complete when all its bytes have come.
  void write(const void* data, size_t bytes);
  /// The tensor that the next bytes belong to; nullptr when all are complete.
  const GgufTensorInfo* current() const;
  /// Checks that all is written and renames the file into place.
  void commit();

 private:
  AtomicFile file_;
  std::vector<GgufTensorInfo> tensors_;
  size_t next_ = 0, left_ = 0;
};

}  // namespace nibble
